"""Which models a scenario runs with: its flags, and what they mean to a configuration and a server."""

from __future__ import annotations

import argparse
from typing import Any

from livegate.core.config import Config


def add_models(parser: argparse.ArgumentParser) -> None:
    """Give a scenario the flags."""
    parser.add_argument("--models", metavar="DIR", action="append", default=[], help="with model files")
    parser.add_argument("--pack", metavar="NAME", default=Config().models.pack, help="whose models")


def model_flags(options: argparse.Namespace) -> dict[str, Any]:
    """For `core.settings.load`."""
    return {"models.dirs": options.models, "models.pack": options.pack}


def model_arguments(options: argparse.Namespace) -> tuple[str, ...]:
    """For `livegate serve`."""
    folders = (part for folder in options.models for part in ("--models", folder))
    return "--pack", options.pack, *folders
