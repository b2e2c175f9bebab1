"""Systems that take turns: round by round each is measured once, and every round is a window of its row.

So a machine that speeds up or slows down does it to all of them, and window n of one row stands beside
window n of the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec
import numpy as np

from livegate.core.config import Config
from livegate_bench.bench import EVERY_FRAME, Bench
from livegate_bench.generator.fleet import Fleet
from livegate_bench.generator.load import Load
from livegate_bench.generator.loadgen import Open, Order, Taken
from livegate_bench.measure import scrape
from livegate_bench.measure.conditions import Watcher
from livegate_bench.measure.energy import EnergyMeter, energy_from
from livegate_bench.measure.latency import latency_from, percentile_of
from livegate_bench.measure.meter import cpu_seconds, rss_bytes
from livegate_bench.measure.stability import why_unstable
from livegate_bench.options import Pace
from livegate_bench.rows import Conditions, EngineRun, Row, Setting, Window
from livegate_bench.sut import Server
from livegate_bench.system import system_class

Number = TypeVar("Number", int, float)
WARM_S = 1.0
Beside = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Own:
    """A server that is none of the bench's, and what it says it runs."""

    server: Server
    engines: tuple[EngineRun, ...]


@dataclass(frozen=True, slots=True)
class Contender:
    """One row to be: a system, what is done to it, and what tells the row from others."""

    system: str
    settings: dict[str, Setting]
    order: Order
    percentile: float
    beside: Beside = nullcontext
    """What else goes on in each of its rounds."""
    server_flags: tuple[str, ...] = EVERY_FRAME
    own: Own | None = None
    """In place of the bench's server."""
    config: Config | None = None
    """In place of the bench's, of a system that does the work itself."""

    @property
    def is_alone(self) -> bool:
        """Whether all that the box does in a round is for the requests; a peer is only woken."""
        return self.beside is nullcontext or self.own is not None


@dataclass
class Track:
    """What is known of a contender so far."""

    contender: Contender
    load: Load
    watcher: Watcher
    started_unix_s: float
    server: Server | None
    turns: int
    windows: list[Window] = field(default_factory=list)
    takens: list[Taken] = field(default_factory=list)
    server_cpu_s: float = 0.0
    counted: Counter[scrape.Sample] = field(default_factory=Counter)
    energies: list[tuple[str, float] | None] = field(default_factory=list)
    rss_bytes: int = 0
    after: Conditions | None = None

    @property
    def together(self) -> Taken:
        """All rounds as if they were one."""
        takens = self.takens
        return Taken(
            seconds=sum(taken.seconds for taken in takens),
            requests=sum(taken.requests for taken in takens),
            latencies_s=np.concatenate([np.empty(0), *(taken.latencies_s for taken in takens)]),
            errors=_sum(taken.errors for taken in takens),
            drops=_sum(taken.drops for taken in takens),
            stages_ms=_sum(taken.stages_ms for taken in takens),
            cpu_s=sum(taken.cpu_s for taken in takens),
            gave_up=any(taken.gave_up for taken in takens),
            led_in=sum(taken.led_in for taken in takens),
            lead_in_s=sum(taken.lead_in_s for taken in takens),
        )


def take_turns(
    bench: Bench,
    scenario: str,
    contenders: Sequence[Contender],
    pace: Pace | None = None,
    after_each: Callable[[int], None] = lambda pid: None,
) -> list[Track]:
    """Measure all of them; the tracks are in the contenders' order.

    `after_each` is called after each window, with the process of the system under test.

    Raises:
        BenchError: a system does not work, or the server ended.
    """
    pace = pace or bench.pace
    with ExitStack() as stack:
        turns = bench.begin_turns()
        tracks = [_track(bench, contender, stack, turns) for contender in contenders]
        for track in tracks:
            _warm(track, pace)
        for turn in range(1, pace.most_rounds + 1):
            if turn > pace.rounds and all(_is_done(track, pace) for track in tracks):
                break
            for track in tracks:
                after_each(_measure(track, turn))
            bench.say(f"{scenario}, round {turn}: {'  '.join(map(_line, tracks))}")
        for track in tracks:
            track.after = track.watcher.look()
    return tracks


def row_of(
    bench: Bench,
    scenario: str,
    track: Track,
    *,
    figures: dict[str, float] | None = None,
    problem: str = "",
) -> Row:
    """The row of a track; `problem` makes it unstable beside what the windows say."""
    contender, taken = track.contender, track.together
    seconds, requests, load_s, answered = taken.seconds, taken.requests, taken.cpu_s, taken.answered
    if taken.gave_up:
        problem = problem or "the system was so far behind that requests were not sent"
    problem = problem or why_unstable(track.windows)
    if not problem and requests < bench.pace.least_requests:
        problem = f"{requests} of the {bench.pace.least_requests} requests that were asked for"
    is_frames = contender.system == "frame-queue"
    copied = scrape.total(track.counted, "livegate_frame_bytes_copied_total")
    return Row(
        scenario=scenario,
        system=contender.system,
        settings=contender.settings,
        picture=bench.picture_name,
        pack=bench.config.models.pack,
        detector_input=bench.config.face_detection.input_size,
        threads=bench.threads,
        seed=bench.seed,
        started_unix_s=track.started_unix_s,
        seconds=seconds,
        requests=requests,
        rate_per_s=requests / seconds if seconds else 0.0,
        latency=latency_from(taken.latencies_s, contender.percentile),
        percentile=contender.percentile,
        windows=tuple(track.windows),
        is_stable=not problem,
        unstable_because=problem,
        core_ms_per_request=per_request_ms(track.server_cpu_s + load_s, answered)
        if contender.is_alone
        else None,
        load_core_ms_per_request=per_request_ms(load_s, answered) if track.server else None,
        stages_ms=_stages_ms(track, taken),
        errors=taken.errors,
        drops={**scrape.dropped(track.counted), **taken.drops},
        bytes_copied_per_request=round(copied / answered) if is_frames and answered else None,
        rss_bytes=track.rss_bytes or None,
        energy=energy_from(track.energies, seconds + taken.lead_in_s, answered)
        if contender.is_alone
        else None,
        engines=engines_of(bench, track),
        figures=figures or {},
        turns=track.turns,
        before=track.watcher.before,
        after=track.after or track.watcher.look(),
    )


def per_request_ms(cpu_s: float, requests: int) -> float | None:
    """Core-milliseconds; None without a request."""
    return cpu_s * 1e3 / requests if requests else None


def engines_of(bench: Bench, track: Track) -> tuple[EngineRun, ...]:
    """What ran: as a server says, or the system itself."""
    if track.contender.own:
        return track.contender.own.engines
    if not track.server:
        return track.load.engines
    has_others = system_class(track.contender.system).has_own_networks
    if has_others or track.contender.beside is not nullcontext:
        return bench.loaded_engines()
    return bench.judging_engines(track.contender.server_flags)


def start_load(bench: Bench, system: str, flags: tuple[str, ...] = EVERY_FRAME) -> Load:
    """A load of its own.

    Raises:
        BenchError: the system does not work.
    """
    server = bench.server(flags) if system_class(system).is_served else None
    return Load(system, bench.place(server), server.check if server else lambda: None)


def _track(bench: Bench, contender: Contender, stack: ExitStack, turns: int) -> Track:
    server = _server_of(bench, contender)
    place = bench.place(server, contender.config)
    with contender.beside() if contender.own else nullcontext():  # who stands still answers nobody
        load = Load(contender.system, place, server.check if server else lambda: None)
    return Track(contender, stack.enter_context(load), Watcher(), time.time(), server, turns)


def _server_of(bench: Bench, contender: Contender) -> Server | None:
    if contender.own:
        return contender.own.server
    return bench.server(contender.server_flags) if system_class(contender.system).is_served else None


def _warm(track: Track, pace: Pace) -> None:
    order = replace(track.contender.order, seconds=min(pace.seconds, WARM_S))  # type: ignore[type-var]
    with track.contender.beside():
        track.load.take(order)


def _measure(track: Track, turn: int) -> int:
    server = track.server
    with track.contender.beside():
        counted = _counted(server)
        spent_s = cpu_seconds(server.box.pid) if server else 0.0
        meter = EnergyMeter()
        taken = track.load.take(in_round(track.contender.order, turn))
        track.energies.append(meter.stop())
        if server:
            server.check()
            spent_s = cpu_seconds(server.box.pid) - spent_s
            track.counted += scrape.difference(_counted(server), counted)
    track.server_cpu_s += spent_s
    track.takens.append(taken)
    window = window_of(taken, spent_s, track.contender.percentile)
    if not track.contender.is_alone:
        window = msgspec.structs.replace(window, core_ms_per_request=None)
    track.windows.append(window)
    pid = server.box.pid if server else track.load.pid
    track.rss_bytes = rss_bytes(pid)
    return pid


def _counted(server: Server | None) -> dict[scrape.Sample, float]:
    """What a server of ours has counted so far; peers count otherwise or not at all."""
    return scrape.scrape(server.box.metrics) if server and server.box.metrics else {}


def in_round(order: Order, turn: int) -> Order:
    """What is drawn is drawn anew in each round, the same in each run: seeds count up from the row's."""
    if not isinstance(order, (Open, Fleet)):
        return order
    return replace(order, seed=order.seed + turn - 1)


def window_of(taken: Taken, server_cpu_s: float, percentile: float) -> Window:
    """One round as a window."""
    has_any = len(taken.latencies_s) > 0
    return Window(
        seconds=taken.seconds,
        requests=taken.requests,
        rate_per_s=taken.requests / taken.seconds if taken.seconds else 0.0,
        latency_ms=percentile_of(np.sort(taken.latencies_s), percentile) * 1e3 if has_any else None,
        core_ms_per_request=per_request_ms(server_cpu_s + taken.cpu_s, taken.answered),
        drops=sum(taken.drops.values()),
        errors=sum(taken.errors.values()),
    )


def _is_done(track: Track, pace: Pace) -> bool:
    return track.together.requests >= pace.least_requests and not why_unstable(track.windows)


def _stages_ms(track: Track, taken: Taken) -> dict[str, float]:
    if track.contender.beside is not nullcontext:
        return {}  # the server's clocks ran for what went on beside the requests, too
    if track.server:
        return scrape.stages_ms(track.counted, taken.answered)
    return {stage: ms / taken.requests for stage, ms in taken.stages_ms.items() if taken.requests}


def _sum(counts: Iterable[Mapping[str, Number]]) -> dict[str, Number]:
    total: dict[str, Number] = {}
    for own in counts:
        for name, value in own.items():
            total[name] = total[name] + value if name in total else value
    return total


def _line(track: Track) -> str:
    window, settings = track.windows[-1], " ".join(f"{v}" for v in track.contender.settings.values())
    wait = f" {window.latency_ms:.1f} ms" if window.latency_ms is not None else ""
    bad = f" {window.errors} errors" if window.errors else ""
    return f"{track.contender.system} {settings}: {window.rate_per_s:.0f}/s{wait}{bad}"
