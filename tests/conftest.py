"""What holds for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # also where tests load the library themselves

# How fast a box draws and runs examples is no property of ours, and CI's is busy.
settings.register_profile("livegate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("livegate")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache for this run and the processes that it starts: golden outputs are kept there."""
    before = os.environ.get("LIVEGATE_CACHE")
    os.environ["LIVEGATE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["LIVEGATE_CACHE"]
    else:
        os.environ["LIVEGATE_CACHE"] = before
