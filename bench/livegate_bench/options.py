"""The flags that all scenarios have, and what is refused: one line, and status 2."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from livegate.core.config import Config
from livegate.core.plugins import did_you_mean
from livegate.core.profile import read_profile
from livegate.core.settings import keys, load, value_from_text
from livegate_bench.failure import BenchError
from livegate_bench.models import add_models, model_arguments, model_flags
from livegate_bench.system import system_names

DEFAULT_SEED = 20_240_607
MOST_CLIENTS = 256
MOST_SECONDS = 86_400.0


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong; the usage is in --help."""

    def error(self, message: str) -> NoReturn:
        """Status 2."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a row is measured: in rounds, each a window."""

    seconds: float
    """Of each window."""
    rounds: int
    most_rounds: int
    """While a row is not stable, rounds are added up to this many."""
    least_requests: int


def whole(least: int, most: int) -> Callable[[str], int]:
    """A type for argparse: a whole number within bounds."""

    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    read.__name__ = "whole number"
    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """The same for any number."""

    def read(text: str) -> float:
        value = float(text)
        if not least <= value <= most:  # not a number is refused, too
            raise argparse.ArgumentTypeError(f"{text} is not between {least:g} and {most:g}")
        return value

    read.__name__ = "number"
    return read


def numbers(least: int, most: int) -> Callable[[str], tuple[int, ...]]:
    """Whole numbers with commas between."""
    one = whole(least, most)

    def read(text: str) -> tuple[int, ...]:
        return tuple(one(part) for part in text.split(","))

    read.__name__ = "list of whole numbers"
    return read


def system(text: str) -> str:
    """A type for argparse: a system's name."""
    if text not in system_names():
        raise argparse.ArgumentTypeError(
            f"there is no system {text!r}; {did_you_mean(text, system_names())}"
        )
    return text


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every scenario with rows understands."""
    add_models(parser)
    parser.add_argument("--picture", metavar="FILE", help="default: a 640x480 JPEG portrait")
    parser.add_argument("--backend", help="default: engine.backend's")
    parser.add_argument("--detector-size", type=whole(64, 2048), help="default: its key's")
    parser.add_argument("--profile", metavar="FILE", help="measure with what `tune` has written")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any other key",
    )
    parser.add_argument(
        "--seconds", type=number(0.05, MOST_SECONDS), default=4.0, help="of each round of each system"
    )
    parser.add_argument("--rounds", type=whole(1, 1000), default=5)
    parser.add_argument(
        "--least-requests",
        type=whole(0, 10_000_000),
        default=0,
        help="rounds are added until each row has so many",
    )
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=DEFAULT_SEED)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s: nothing to quote")


def add_systems(parser: argparse.ArgumentParser, *default: str) -> None:
    """Which systems take turns."""
    parser.add_argument(
        "--system",
        dest="systems",
        type=system,
        action="append",
        metavar="NAME",
        help=f"repeatable: {', '.join(system_names())}; default: {', '.join(default)}",
    )
    parser.set_defaults(default_systems=default)


def chosen_systems(options: argparse.Namespace) -> tuple[str, ...]:
    """Each once, in their order."""
    return tuple(dict.fromkeys(options.systems or options.default_systems))


def pace_from(options: argparse.Namespace) -> Pace:
    """`--quick` changes what was not asked for otherwise: nothing more."""
    seconds, rounds = options.seconds, options.rounds
    if options.quick:
        seconds, rounds = min(seconds, 1.0), min(rounds, 3)
    most = rounds if options.quick else rounds * 2
    return Pace(seconds, rounds, most, options.least_requests)


def config_from(options: argparse.Namespace) -> Config:
    """How the models run, for the systems that have no server.

    Raises:
        SetupError: as core.settings.load.
        BenchError: as settings_from; the profile is of another box.
    """
    profile = read_profile(Path(options.profile)) if options.profile else None
    loaded = load(flags=settings_from(options), profile=profile)
    if loaded.unused_profile:
        raise BenchError(f"the profile {options.profile} is not used: {loaded.unused_profile}")
    return loaded.config


def settings_from(options: argparse.Namespace) -> dict[str, Any]:
    """The same as keys of the configuration.

    Raises:
        BenchError: --set names no key.
    """
    named = {"engine.backend": options.backend, "face_detection.input_size": options.detector_size}
    flags: dict[str, Any] = {path: value for path, value in named.items() if value is not None}
    flags |= model_flags(options)
    known = {key.path: key for key in keys()}
    for setting in options.set:
        path, equals, value = setting.partition("=")
        if not equals or path not in known:
            raise BenchError(f"--set {setting} is not KEY=VALUE of `livegate config keys`")
        flags[path] = value_from_text(known[path], value, f"--set {path}")
    return flags


def changed_settings(options: argparse.Namespace) -> tuple[str, ...]:
    """What was set beside the flags that have a place of their own in a row: KEY=VALUE."""
    secret = {key.path for key in keys() if key.is_secret}
    pairs = [setting.partition("=") for setting in options.set]
    found = [f"{path}={'…' if path in secret else value}" for path, _, value in pairs]
    if options.profile:
        digest = hashlib.sha256(Path(options.profile).read_bytes()).hexdigest()
        found.append(f"profile={digest[:12]}")
    return tuple(found)


def server_arguments(options: argparse.Namespace) -> Sequence[str]:
    """The same for `livegate serve`."""
    named = {
        "--backend": options.backend,
        "--detector-size": options.detector_size,
        "--profile": options.profile,
    }
    given = (part for flag, v in named.items() if v is not None for part in (flag, str(v)))
    sets = (part for setting in options.set for part in ("--set", setting))
    return *given, *sets, *model_arguments(options)
