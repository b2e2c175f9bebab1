"""The gRPC face before it is started."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from livegate.core.config import GrpcConfig
from livegate.core.telemetry import Metrics
from livegate.grpcapi.server import GrpcServer


@pytest.fixture
def _open_mask() -> Iterator[None]:
    mask = os.umask(0)
    yield
    os.umask(mask)


@pytest.mark.usefixtures("_open_mask")
def test_socket_is_this_users_from_the_moment_it_is_bound(tmp_path: Path) -> None:
    """gRPC takes connections before its start, and the socket is what makes an operator."""
    path = tmp_path / "grpc.sock"

    async def mode_when_bound() -> int:
        config = GrpcConfig(bind="", socket=str(path))
        server = GrpcServer(config, *[None] * 6, Metrics())  # type: ignore[arg-type]
        mode = path.stat().st_mode & 0o777
        await server.start()
        await server.stop(0)
        return mode

    assert asyncio.run(mode_when_bound()) == 0o600
