"""`livegate serve`: all faces, until a signal comes."""

from __future__ import annotations

import argparse
from typing import Any

import uvloop

from livegate.cli.settings import add_settings, settings_reader
from livegate.core.telemetry import configure_logging


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("serve", help="answer over gRPC and HTTP until stopped")
    add_settings(parser, serves=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve; 0 after a drain."""
    from livegate.app.server import serve

    read = settings_reader(options)
    config = read().config
    configure_logging(config.log)
    uvloop.run(serve(config, lambda: read().config))
    return 0
