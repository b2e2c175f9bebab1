"""`livegate serve`: all faces, until a signal comes."""

from __future__ import annotations

import argparse
from typing import Any

import uvloop

from livegate.cli.output import answers
from livegate.cli.settings import add_settings, settings_reader
from livegate.core.config import Config
from livegate.core.settings import LoadedConfig
from livegate.core.telemetry import configure_logging, get_logger

log = get_logger("livegate.settings")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("serve", help="answer over gRPC and HTTP until stopped")
    parser.add_argument(
        "--check", action="store_true", help="do all that a start does but listen, and end: 0 = it would"
    )
    add_settings(parser, serves=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve; 0 after a drain."""
    from livegate.app.rehearsal import rehearse
    from livegate.app.server import serve

    read = settings_reader(options)
    loaded = read()
    config = loaded.config
    configure_logging(config.log)
    _tell_of_profile(loaded)
    if options.check:
        for engine in rehearse(config):
            answers().print(f"{engine.network}: {engine.backend}, {engine.provider}", markup=False)
        return 0

    def reread() -> Config:
        loaded = read()
        _tell_of_profile(loaded)
        return loaded.config

    uvloop.run(serve(config, reread))
    return 0


def _tell_of_profile(loaded: LoadedConfig) -> None:
    if loaded.unused_profile:
        log.warning("tuned profile not used", why=loaded.unused_profile)
    elif taken := [key for key, source in loaded.sources.items() if source == "profile"]:
        log.info("tuned profile used", keys=taken)
