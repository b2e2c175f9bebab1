"""`livegate config show | keys`: the configuration as it is, and every key that there is."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from livegate.cli.output import answers, errors, print_json, table
from livegate.cli.settings import add_settings, load_settings
from livegate.core.settings import Key, LoadedConfig, keys

MASK = "(set, not shown)"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("config", help="show the configuration and its keys")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show_parser = actions.add_parser("show", help="the values in force and where each came from")
    show_parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_settings(show_parser, serves=True)
    show_parser.set_defaults(run=show)
    keys_parser = actions.add_parser("keys", help="every key with its type and what it does")
    keys_parser.set_defaults(run=show_keys)


def show(options: argparse.Namespace) -> int:
    """Print every value with its source."""
    loaded = load_settings(options)
    if loaded.unused_profile:
        errors().print(f"tuned profile not used: {loaded.unused_profile}", markup=False, highlight=False)
    rows = [(key, _value(key, loaded), loaded.sources.get(key.path, "default")) for key in keys()]
    if options.json:
        print_json({key.path: {"value": value, "source": source} for key, value, source in rows})
        return 0
    shown = table("key", "value", "source")
    for key, value, source in rows:
        shown.add_row(key.path, msgspec.json.encode(value).decode(), source)
    answers().print(shown, markup=False)
    return 0


def show_keys(options: argparse.Namespace) -> int:
    """Print every key."""
    shown = table("key", "type", "default", "what it does")
    for key in keys():
        shown.add_row(key.path, key.kind, msgspec.json.encode(key.default).decode(), key.text)
    answers().print(shown, markup=False)
    return 0


def _value(key: Key, loaded: LoadedConfig) -> Any:
    value = getattr(getattr(loaded.config, key.section), key.name)
    return MASK if key.is_secret and value else value
