"""Which box a command speaks to, and as whom."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from livegate.core.socketlock import configured_path

if TYPE_CHECKING:
    from livegate.client import LivenessClient

TOKEN_VARIABLE = "LIVEGATE_TOKEN"  # noqa: S105 - a name, not a secret
TCP = "127.0.0.1:50051"


def add_target(parser: argparse.ArgumentParser) -> None:
    """Give a command the flags that name a server."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--target",
        metavar="HOST:PORT",
        help=f"or unix:PATH; else this user's Unix socket if it is there, else {TCP}",
    )
    group.add_argument("--token", metavar="T", help=f"bearer token; else {TOKEN_VARIABLE}")
    group.add_argument(
        "--ca-file",
        metavar="FILE",
        help="PEM of who signed the server's grpc.tls_cert: HOST:PORT over TLS",
    )


def connect(options: argparse.Namespace) -> LivenessClient:
    """The client that the flags ask for."""
    from livegate.client import LivenessClient

    token = options.token or os.environ.get(TOKEN_VARIABLE, "")
    target = options.target or (TCP if options.ca_file else default_target())
    return LivenessClient(target, token=token, ca_file=options.ca_file)


def default_target() -> str:
    """The socket of a server with the default configuration, which needs no token; else TCP."""
    path = configured_path("auto", "grpc.sock")
    try:
        is_there = path is not None and path.is_socket()
    except OSError:  # in a folder of somebody else
        is_there = False
    return f"unix:{path}" if is_there else TCP
