"""Logs, metrics and stage clocks.

No pixels and no secrets go through here: events carry sizes, codes, ids and times.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from structlog.stdlib import filter_by_level

from livegate.core.challenge import ChallengeOutcome
from livegate.core.config import LogConfig
from livegate.core.ledger import Ledger
from livegate.core.results import Decision, EngineInfo, GateDecision, StageTimes, Verdict
from livegate.core.stageseconds import StageSeconds

Logger = structlog.stdlib.BoundLogger
Stage = Literal["queue", "decode", "preprocess", "infer", "postprocess"]
STAGE_FIELDS = {stage: f"{stage}_ns" for stage in typing.get_args(Stage)}
RELOAD_OUTCOMES = ("swapped", "failed", "refused")
"""The new models serve; they did not load, and the old ones go on; nothing was tried."""
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def configure_logging(config: LogConfig) -> None:
    """Send our events and those of the libraries to standard error, one line each."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    is_json = config.format == "json" or (config.format == "auto" and not sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        # A refusal of many a second must not be dressed up for a log that does not want it.
        processors=[filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=config.level.upper(), force=True)
    # We say ourselves when we start and stop, and nobody says the URLs and headers of what is fetched.
    for name in ("uvicorn", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(name: str) -> Logger:
    """A logger for one room of the house."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger


class StageClock:
    """Adds up the nanoseconds of each stage of one request; read the result with `times`."""

    __slots__ = ("_last_ns", "_now_ns", "_spent_ns")

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        """Start now."""
        self._now_ns = now_ns
        self._spent_ns: dict[str, int] = {}
        self._last_ns = now_ns()

    def lap(self, stage: Stage) -> None:
        """Everything since the last lap was this stage."""
        now_ns = self._now_ns()
        field = STAGE_FIELDS[stage]
        self._spent_ns[field] = self._spent_ns.get(field, 0) + now_ns - self._last_ns
        self._last_ns = now_ns

    def times(self) -> StageTimes:
        """What was spent so far."""
        return StageTimes(**self._spent_ns)


class Metrics:
    """The Prometheus metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        """Register everything."""
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.requests = Counter(
            "livegate_requests",
            "Requests answered, by the face they came through and by error code",
            ("face", "code"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "livegate_request_seconds",
            "From the request's arrival to its answer",
            ("face",),
            buckets=SECONDS,
            registry=registry,
        )
        stages = (stage for stage, _ in StageTimes().items())
        self.stage_seconds = StageSeconds(
            "livegate_stage_seconds",
            "Where the time of answered requests went",
            (*stages, "serialise"),
            SECONDS,
        )
        registry.register(self.stage_seconds)
        self.queue_depth = Gauge(
            "livegate_queue_depth", "Requests that wait for a worker", registry=registry
        )
        self.workers_busy = Gauge(
            "livegate_workers_busy", "Requests that a worker works on", registry=registry
        )
        self._verdicts = Counter(
            "livegate_verdicts", "Verdicts given", ("task", "decision"), registry=registry
        )
        self._verdicts_of = functools.cache(self._verdicts.labels)
        self._faces = Counter("livegate_faces", "Faces found", registry=registry)
        self._judged = Ledger(self._count_judged)
        self.unchanged = Counter(
            "livegate_frames_unchanged",
            "Frames of cameras that showed what was just judged",
            registry=registry,
        )
        self.gate_words = Counter(
            "livegate_gate_words", "Words that gates of streams gave", ("word",), registry=registry
        )
        for word in GateDecision:  # a dashboard sees zeros before the first one
            self.gate_words.labels(word.value)
        self.challenges = Counter(
            "livegate_challenges", "Challenges that ended", ("outcome",), registry=registry
        )
        for outcome in ChallengeOutcome:
            self.challenges.labels(outcome.value)
        self.streams = Gauge(
            "livegate_streams", "StreamFrames and WatchCamera calls that are open", registry=registry
        )
        self.ready = Gauge("livegate_ready", "1 when warm and accepting requests", registry=registry)
        self.engine_build = Gauge(
            "livegate_engine_build_ratio",
            "The part that is done of the engine that is being built; NaN when none is",
            registry=registry,
        )
        self.provider = Gauge(
            "livegate_provider_info",
            "The provider asked for and the one that runs, for each network",
            ("model", "network", "backend", "asked", "actual", "precision"),
            registry=registry,
        )
        self._shown: set[tuple[str, str, str, str, str, str]] = set()
        self.reloads = Counter(
            "livegate_reloads",
            "Reloads of the models, by how they ended",
            ("outcome",),
            registry=registry,
        )
        for reload_outcome in RELOAD_OUTCOMES:
            self.reloads.labels(reload_outcome)
        self.retired = Gauge(
            "livegate_retired_pipelines",
            "Sets of models that serve no more and are not closed, for something still runs on them",
            registry=registry,
        )

    def show_engines(self, engines: Iterable[EngineInfo]) -> None:
        """Show what every network runs on, and nothing of those that ran before."""
        shown = {
            (
                engine.model_id,
                engine.network,
                engine.backend,
                engine.provider_asked,
                engine.provider,
                engine.precision,
            )
            for engine in engines
        }
        for labels in shown:
            self.provider.labels(*labels).set(1)
        for labels in self._shown - shown:
            self.provider.remove(*labels)
        self._shown = shown

    def count_verdict(self, task: str, decision: str) -> None:
        """Count what a task decided."""
        self._verdicts_of(task, decision).inc()

    def count_word(self, word: GateDecision | None) -> None:
        """Count what a gate said, if anything."""
        if word is not None:
            self.gate_words.labels(word.value).inc()

    def count_judged(self, stages: StageTimes, verdicts: Iterable[Verdict], faces: int) -> None:
        """Count one judged request or frame: its stages, its verdicts, the faces that were found."""
        decided = [(verdict.task, verdict.decision) for verdict in verdicts]
        self._judged.note((stages, decided, faces))

    @contextmanager
    def serialising(self) -> Iterator[None]:
        """Count how long an answer takes to be written, which it cannot tell itself."""
        began_ns = time.perf_counter_ns()
        yield
        self.stage_seconds.observe((("serialise", time.perf_counter_ns() - began_ns),))

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        self._judged.settle()
        return generate_latest(self.registry)

    def _count_judged(self, note: tuple[StageTimes, list[tuple[str, Decision]], int]) -> None:
        stages, decided, faces = note
        self.stage_seconds.observe(stages.items())
        for task, decision in decided:
            self.count_verdict(task, decision.value)
        self._faces.inc(faces)
