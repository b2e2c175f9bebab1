"""The report of a selftest: the types are the schema, and `report_schema` publishes it.

It is made to be sent to somebody else. So it has no pixels, no credentials, no name of the box, no
address, and of paths only the last part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from livegate.app.checkup import Grade
from livegate.core.files import home_dir

FORMAT = "livegate.selftest/1"
CHECKS = (
    "setup", "engines", "golden_gate", "kernels", "zero_copy", "frame_queue", "speed", "heat_and_power",
)  # fmt: skip
"""Every check, in the order in which they are run and told."""
CheckName = Literal[
    "setup", "engines", "golden_gate", "kernels", "zero_copy", "frame_queue", "speed", "heat_and_power"
]
Seconds = Annotated[float, Meta(ge=0)]

CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
FOLDERS = re.compile(r"(?<![\w.:/])(?:~|\.{1,2})?/(?:[^/\s'\",;:()\[\]]+/)+(?=[^/\s'\",;:()\[\]])")


class Status(str, Enum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOT_RUN = "not run"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An object of the report."""


class Figure(Part, frozen=True, kw_only=True):
    """One number that was measured, with its unit ("" for a count)."""

    name: str
    value: float
    unit: str


class Check(Part, frozen=True, kw_only=True):
    """One check. `reason` says why it did not pass; empty when it did."""

    name: CheckName
    status: Status
    reason: str = ""
    seconds: Seconds = 0.0
    figures: tuple[Figure, ...] = ()
    facts: dict[str, str] = {}


class EngineRun(Part, frozen=True, kw_only=True):
    """One network on one backend, provider and precision.

    `is_chosen`: the configuration would have it run so. `stray` is how far its outputs were from the
    golden ones, `tolerance` how far they may be; `run_ms` is the median of single runs. `preprocess` is
    where frames become tensors; `cuda_graphs` is `recorded`, or why runs are launched call by call, and
    empty where nothing can be recorded.
    """

    model: str
    network: str
    backend: str
    version: str
    provider: str
    precision: str
    is_chosen: bool
    status: Status
    reason: str = ""
    load_s: Seconds | None = None
    prove_s: Seconds | None = None
    stray: float | None = None
    tolerance: float | None = None
    run_ms: float | None = None
    preprocess: str = ""
    cuda_graphs: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.model}/{self.network} on {self.backend}/{self.provider} in {self.precision}"


class SetupFinding(Part, frozen=True, kw_only=True):
    """One line of `livegate doctor`."""

    grade: Grade
    subject: str
    fact: str
    remedy: str = ""


class Machine(Part, frozen=True, kw_only=True):
    """What the figures were taken on."""

    cpu: str
    cores: int
    memory_mib: int
    arch: str
    kernel: str
    python: str
    libc: str
    board: str = ""
    l4t: str = ""
    nvidia_driver: str = ""
    ascend_driver: str = ""
    accelerators: tuple[str, ...] = ()
    packages: dict[str, str] = {}


class Settings(Part, frozen=True, kw_only=True):
    """What was asked for, as far as it bears on the checks."""

    is_quick: bool
    pack: str
    models: dict[str, str]
    backend: str
    provider: str
    policy: str
    precision: str
    use: dict[str, str]
    workers: int
    intra_op_threads: int
    detector_input: int


class Report(Part, frozen=True, kw_only=True):
    """Everything. `verdict` is the last line that the command printed."""

    format: Literal["livegate.selftest/1"] = FORMAT  # type: ignore[assignment]
    livegate: str
    made_at: str
    seconds: Seconds
    is_fit: bool
    verdict: str
    reasons: tuple[str, ...]
    pilot_models: tuple[str, ...]
    machine: Machine
    settings: Settings
    checks: tuple[Check, ...]
    engines: tuple[EngineRun, ...]
    findings: tuple[SetupFinding, ...]


def report_schema() -> dict[str, Any]:
    """The JSON schema of a report (draft 2020-12)."""
    (schema,), parts = msgspec.json.schema_components((Report,), ref_template="#/$defs/{name}")
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:livegate:selftest:1",
        "title": "Report of livegate selftest",
        **schema,
        "$defs": dict(sorted(parts.items())),
    }
    plain: dict[str, Any] = msgspec.to_builtins(made)
    return plain


def report_schema_text() -> str:
    """The same as a file."""
    return msgspec.json.format(msgspec.json.encode(report_schema()), indent=1).decode() + "\n"


def fit_to_send(text: str, *, home: Path | None = None, host: str | None = None) -> str:
    """A text of ours or of a library without folders, credentials in URLs, and the box's name."""
    text = " ".join(text.split()).replace(str(home or home_dir() or "~"), "~")
    name = os.uname().nodename if host is None else host
    if len(name) > 2 and name != "localhost":
        text = text.replace(name, "…")
    return FOLDERS.sub("…/", CREDENTIALS.sub("…@", text))


def sent_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The same for facts."""
    return {name: fit_to_send(text) for name, text in texts.items() if text}
