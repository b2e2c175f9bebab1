"""What a bench run reports: the types are the schema, and `report_schema_text` publishes it.

A figure without its circumstances is a rumour: every row carries what was asked, what ran, how long,
how steady it was and what it cost. Units are in the names; a value that the box cannot tell is null,
never 0.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Setting = str | int | float | bool | None
Part0To1 = Annotated[float, Meta(ge=0, le=1)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An object of the report."""


class Machine(Part, frozen=True, kw_only=True):
    """The box, as far as figures depend on it. Nothing here names a person or a host."""

    cpu: str
    cores: int
    features: tuple[str, ...]
    memory_bytes: int
    board: str
    kernel: str
    python: str
    versions: dict[str, str]
    power_mode: str | None = None
    """Of a Jetson's nvpmodel; else null."""
    driver: str = ""
    """Of the accelerator: L4T's release, NVIDIA's or Huawei's version."""
    accelerators: tuple[str, ...] = ()
    """Graphics cards and accelerators on PCI."""


class Conditions(Part, frozen=True, kw_only=True):
    """What can change under a measurement; taken before and after each row."""

    governor: str | None
    clocks_mhz: tuple[int, ...] | None
    """Of each core that this process may use."""
    hottest_celsius: float | None
    throttle_events: int | None
    """Since the box started, where the kernel counts them."""
    load_1min: float
    stolen: Part0To1
    """Part of the time since the row began that the hypervisor gave to others; 0 before a row."""


class EngineRun(Part, frozen=True, kw_only=True):
    """One network as it ran."""

    model_id: str
    network: str
    sha256: str
    backend: str
    provider_asked: str
    provider: str
    precision: str


class EarlyStop(Part, frozen=True, kw_only=True):
    """MLPerf-style early stopping: what the percentile is at most, at 99 % confidence.

    `bound_ms` is null while there are too few requests for such a statement; `least_requests` says how
    many it takes with the overruns allowed.
    """

    percentile: float
    confidence: float
    bound_ms: float | None
    least_requests: int


class Latency(Part, frozen=True, kw_only=True):
    """Milliseconds from when a request was due (open loop) or sent (closed loop) to its answer."""

    count: int
    mean_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    edges_ms: tuple[float, ...]
    """Of the histogram: one more than `counts`, the same factor from each to the next."""
    counts: tuple[int, ...]
    early_stop: EarlyStop | None = None


class Window(Part, frozen=True, kw_only=True):
    """A stretch of the measurement; three in a row within 10 % make a row stable.

    Also of systems that took turns: window n of one row was taken beside window n of the others.
    """

    seconds: float
    requests: int
    rate_per_s: float
    latency_ms: float | None
    """At the scenario's percentile."""
    core_ms_per_request: float | None
    drops: int = 0
    errors: int = 0


class Energy(Part, frozen=True, kw_only=True):
    """Where the box has a sensor."""

    sensor: str
    joules_per_request: float
    watts: float


class Row(Part, frozen=True, kw_only=True):
    """One system under test in one scenario with one setting."""

    scenario: str
    system: str
    """null, in-process, grpc-tcp, grpc-unix, frame-queue, a dialect's name, or a peer's."""
    settings: dict[str, Setting]
    """What tells this row from others of the same scenario and system: clients, rate, cameras."""
    picture: str = ""
    """What was sent, or shown to cameras: pixels, bytes, the beginning of its sha256."""
    pack: str
    detector_input: int
    threads: int
    seed: int
    started_unix_s: float
    seconds: float
    requests: int
    """Answered as asked; frames, where frames are sent."""
    rate_per_s: float
    latency: Latency | None
    percentile: float
    """Of `Window.latency_ms`, as a part (0.99): the one that the scenario is judged by."""
    windows: tuple[Window, ...]
    is_stable: bool
    unstable_because: str = ""
    core_ms_per_request: float | None
    """Of every process that took part, load included."""
    load_core_ms_per_request: float | None
    """Of the load generator's own processes."""
    stages_ms: dict[str, float] = {}
    """Mean a request, as the server's clock tells."""
    errors: dict[str, int] = {}
    """By code of the interface, or by the name of what happened to the client."""
    drops: dict[str, int] = {}
    """By reason."""
    bytes_copied_per_request: int | None = None
    """Pixels and files, between the client's memory and the tensor, as far as the copies are ours."""
    rss_bytes: int | None = None
    """Of the system under test at the end of the row, its shared pages included."""
    energy: Energy | None = None
    engines: tuple[EngineRun, ...] = ()
    figures: dict[str, float] = {}
    """What else the scenario finds, its unit in the name: max_cameras, ready_s."""
    turns: int = 0
    """Rows of one report with the same number took turns with each other, window by window."""
    before: Conditions
    after: Conditions


class Report(Part, frozen=True, kw_only=True):
    """One run of `livegate bench`."""

    format: Literal["livegate.bench/1"] = "livegate.bench/1"
    command: str
    """With folders and hosts left out."""
    livegate: str
    git_revision: str | None
    """Of the checkout that ran, with "+" when it was changed; null for an installed wheel."""
    started_unix_s: float
    seconds: float
    machine: Machine
    settings: tuple[str, ...] = ()
    """What --set and --profile changed, KEY=VALUE; folders and hosts left out."""
    rows: tuple[Row, ...]


def report_schema_text() -> str:
    """JSON Schema (2020-12) of a report, as docs/bench.schema.json has it."""
    return schema_text(Report, "urn:livegate:bench:1", "Report of livegate bench")


def schema_text(kind: type[Part], urn: str, title: str) -> str:
    """JSON Schema (2020-12) of a file that holds one of these."""
    (reference,), parts = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": urn,
        "title": title,
    }
    schema = {**head, **reference, "$defs": dict(sorted(parts.items()))}
    return json.dumps(schema, indent=1) + "\n"
