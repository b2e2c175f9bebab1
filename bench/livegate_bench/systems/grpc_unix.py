"""LivenessClient over the server's Unix socket."""

from __future__ import annotations

from livegate_bench.systems.grpc_tcp import Plugin as Tcp


class Plugin(Tcp):
    """Another address."""

    kind = "unix"
