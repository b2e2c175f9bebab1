"""A tuned profile: settings that won on one machine, kept with what that machine was.

`livegate tune` measures and writes it. A server takes its settings below every other source, and only
where machine, libraries, LiveGate and model pack are those that were measured: what won elsewhere is no
more than a guess.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from livegate import __version__
from livegate.core import machine
from livegate.core.config import Config, ModelsConfig
from livegate.core.errors import ErrorCode, SetupError

TUNED = (
    *("engine.use", "engine.precision", "engine.intra_op_threads"),
    *("server.workers", "face_detection.input_size"),
)
"""The keys that a profile may set."""
SIDE_BY_SIDE = ("engine.intra_op_threads", "server.workers")
"""Threads inside a run and runs at once: they won together, and are taken together."""
LIBRARIES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-cann", "onnxruntime-openvino"),
    *("openvino", "tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
)
FILE_NAME = "profile.json"
"""In the cache, where `livegate tune` writes it and a server looks."""
MAX_BYTES = 1 << 20


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An object of the file."""


class TunedMachine(Part, frozen=True, kw_only=True):
    """What a measurement depends on."""

    cpu: str
    cores: int
    board: str
    driver: str
    libraries: dict[str, str]
    accelerators: tuple[str, ...] = ()


class Trial(Part, frozen=True, kw_only=True):
    """One setting that was measured, against the best before it (the last: the default), in turns."""

    settings: dict[str, Any]
    ratio: float | None = None
    """Pictures a second, median of the rounds' ratios (where there were several loads, of their
    geometric means); null where it was not measured."""
    ratio_min: float | None = None
    ratio_max: float | None = None
    refused: str = ""
    """Why it may not be taken, however fast: the golden gate, the tolerance, what did not load, a load
    that is slower."""


class Profile(Part, frozen=True, kw_only=True):
    """What won, where, and what else was tried."""

    format: Literal["livegate.profile/1"] = "livegate.profile/1"
    livegate: str
    pack: str
    use: dict[str, str] = {}
    """models.use: the models that were named, by task."""
    machine: TunedMachine
    settings: dict[str, Any]
    """By key; empty where nothing was better than the default."""
    trials: tuple[Trial, ...]


def this_machine() -> TunedMachine:
    """The box that we are on, with the cores that we may use."""
    return TunedMachine(
        cpu=machine.cpu()[0],
        cores=len(os.sched_getaffinity(0)),
        board=machine.board(),
        driver=machine.driver(),
        libraries=machine.package_versions(LIBRARIES),
        accelerators=machine.accelerators(),
    )


def unlike(profile: Profile, models: ModelsConfig, here: TunedMachine) -> str:
    """Why a profile says nothing of this box and these models; empty where it does."""
    facts: Mapping[str, tuple[Any, Any]] = {
        "LiveGate": (profile.livegate, __version__),
        "pack": (profile.pack, models.pack),
        "models.use": (profile.use, models.use),
        **{
            name: (getattr(profile.machine, name), getattr(here, name))
            for name in TunedMachine.__struct_fields__
        },
    }
    other = [f"{name} was {was!r}, is {now!r}" for name, (was, now) in facts.items() if was != now]
    return "; ".join(other)


def read_profile(path: Path) -> Profile:
    """A profile from its file.

    Raises:
        SetupError: OPEN_FAIL when it cannot be read, CONFIG_ADD_FAIL when it is none.
    """
    hint = "`livegate tune` writes it anew; --profile '' does without"
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        fact = f"the profile {path} cannot be read: {error.strerror}"
        raise SetupError(ErrorCode.OPEN_FAIL, fact, hint=hint) from error
    try:
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        profile = msgspec.json.decode(content, type=Profile)
        if strange := sorted(set(profile.settings) - set(TUNED)):
            raise ValueError(f"it sets {', '.join(strange)}, which no measurement decides")
        msgspec.convert(by_section(profile.settings), Config)
    except (ValueError, RecursionError) as error:
        fact = f"the profile {path} is none: {error}"
        raise SetupError(ErrorCode.CONFIG_ADD_FAIL, fact, hint=hint) from error
    return profile


def by_section(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values by "section.name", as a file of settings has them."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return sections
