"""Where the server under test is put."""

from __future__ import annotations

import socket

import pytest

from livegate_bench import sut

KERNEL_PORTS_FROM = 32_768
"""What Linux gives to connections unless it is told otherwise."""


def test_ports_are_free_different_and_not_given_to_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection of a client that a bench made before must not sit where the next server listens."""
    ports = sut.free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < KERNEL_PORTS_FROM
    monkeypatch.setattr(sut, "PORTS", range(ports[0], ports[0] + 4))
    with socket.create_server(("127.0.0.1", ports[0])):
        assert ports[0] not in {sut.free_ports(1)[0] for _ in range(40)}
