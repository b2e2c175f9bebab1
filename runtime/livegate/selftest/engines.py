"""Every network on every backend, provider and precision that is here, through the golden gate.

A process for each backend, and another one where a network brought it down: the network that was under
way has failed, and those behind it are tried all the same.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from livegate.app.build import NULL, build_store, worker_count
from livegate.app.engines import BACKENDS, golden_gate, load_backend
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.plugins import plugin_names
from livegate.engines.base import (
    Backend,
    Capability,
    Engine,
    EngineBuilder,
    EngineOptions,
    GraphEngine,
    fed_network,
)
from livegate.engines.model import preprocess_of
from livegate.engines.specimen import golden_inputs
from livegate.manifests.schema import Manifest, Network, Precision
from livegate.manifests.store import ModelStore
from livegate.selftest.apart import PartError, PartLate
from livegate.selftest.report import Check, EngineRun, Figure, Status
from livegate.selftest.stage import OVER, Choice, Course, Found

WAIT_S, STAGE_S = 45.0, 150.0
"""For one network, which is loaded, proved and timed; and for all: other checks want time, too."""
TIMED_RUNS = 7
EVERY = "*"


class Proof(msgspec.Struct, frozen=True):
    """What a process is to try: one backend, without what was tried before."""

    config: Config
    backend: str
    choices: tuple[Choice, ...]
    tried: tuple[str, ...]


class ProofAnswer(msgspec.Struct, frozen=True):
    """A network is taken up; or how it went."""

    begins: EngineRun | None = None
    ends: EngineRun | None = None
    failed_gate: bool = False


def prove_engines(course: Course) -> Found:
    """The checks `engines` and `golden_gate`."""
    found: list[ProofAnswer] = []
    chosen = {one.backend for one in course.choices}
    backends = [name for name in plugin_names(BACKENDS) if name != NULL]
    until_s = min(course.until_s, course.clock() + STAGE_S)
    for backend in sorted(backends, key=lambda name: name not in chosen):
        found += _prove_backend(course, backend, until_s)
    runs = tuple(answer.ends for answer in found if answer.ends)
    strayed = tuple(answer.ends for answer in found if answer.ends and answer.failed_gate)
    is_over = course.left_s <= 0
    return Found(
        (_engine_check(runs, strayed, course, is_over=is_over), _gate_check(runs, strayed)), runs
    )


def _prove_backend(course: Course, backend: str, until_s: float) -> list[ProofAnswer]:
    """Until every network was tried, in as many processes as that takes."""
    found: list[ProofAnswer] = []
    part = f"{__name__}:answers"
    while course.clock() < until_s:
        tried = tuple(answer.ends.name for answer in found if answer.ends)
        asked = Proof(course.config, backend, course.choices, tried)
        under_way: EngineRun | None = None
        try:
            for answer in course.apart(part, asked, ProofAnswer, wait_s=WAIT_S, until_s=until_s):
                under_way = answer.begins
                if answer.ends:
                    found.append(answer)
            return found
        except PartError as error:
            broken = under_way or _nothing_under_way(backend)
            is_missed = isinstance(error, PartLate) and not broken.is_chosen
            status = Status.NOT_RUN if is_missed else Status.FAIL
            found.append(ProofAnswer(ends=_with_end(broken, status, str(error))))
            if under_way is None:
                return found
    return found


def _engine_check(
    runs: Sequence[EngineRun], strayed: Sequence[EngineRun], course: Course, *, is_over: bool
) -> Check:
    failed = [run for run in runs if run.status is Status.FAIL and run not in strayed]
    ran = {
        (run.model, run.network, run.backend, run.provider, run.precision)
        for run in runs
        if run.status is Status.PASS or run in strayed
    }
    problems = [f"{run.name}: {run.reason}" for run in failed]
    problems += [
        f"{one.model}/{network} did not run on {one.backend}/{one.provider} in {precision}"
        for one in course.choices
        for network, precision in one.precisions.items()
        if (one.model, network, one.backend, one.provider, precision) not in ran
        and not any(run.model in (one.model, EVERY) for run in failed)
    ]
    if is_over:
        problems.append(OVER)
    if not ran and not problems:
        problems.append("nothing here runs a model")
    left = sum(run.status is Status.NOT_RUN for run in runs)
    passed = sum(run.status is Status.PASS for run in runs)
    figures = (Figure(name="passed", value=passed, unit=""), Figure(name="not run", value=left, unit=""))
    status = Status.FAIL if problems else Status.PASS
    return Check(name="engines", status=status, reason="; ".join(problems), figures=figures)


def _gate_check(runs: Sequence[EngineRun], strayed: Sequence[EngineRun]) -> Check:
    proved = [run.stray / run.tolerance for run in runs if run.stray is not None and run.tolerance]
    figures = [Figure(name="networks held to their golden outputs", value=len(proved), unit="")]
    if proved:
        figures.append(Figure(name="greatest part of a tolerance", value=max(proved), unit=""))
    status = Status.FAIL if strayed else Status.PASS if proved else Status.NOT_RUN
    reason = "; ".join(f"{run.name}: {run.reason}" for run in strayed)
    if status is Status.NOT_RUN:
        reason = "no network ran"
    seconds = sum(run.prove_s or 0.0 for run in runs)
    return Check(
        name="golden_gate",
        status=status,
        reason=reason,
        figures=tuple(figures),
        seconds=round(seconds, 3),
    )


def _nothing_under_way(backend: str) -> EngineRun:
    return EngineRun(
        model=EVERY, network=EVERY, backend=backend, version="", provider="", precision="",
        is_chosen=False, status=Status.NOT_RUN,
    )  # fmt: skip


def _with_end(run: EngineRun, status: Status, reason: str) -> EngineRun:
    return msgspec.structs.replace(run, status=status, reason=reason)


def answers(asked: bytes) -> Iterator[ProofAnswer]:
    """In a process of its own: try every network of every model on one backend."""
    proof = msgspec.json.decode(asked, type=Proof)
    backend = load_backend(proof.backend)
    capability = backend.probe()
    if not capability.is_available:
        absent = _nothing_under_way(proof.backend)
        yield ProofAnswer(ends=_with_end(absent, Status.NOT_RUN, capability.problem))
        return
    store = build_store(proof.config)
    for manifest in (store.manifest(model_id) for model_id in store.ids()):
        if proof.backend in manifest.backends:
            prover = Prover(proof, backend, capability, store, manifest)
            yield from prover.answers()


class Prover:
    """One model on one backend."""

    def __init__(
        self,
        proof: Proof,
        backend: Backend,
        capability: Capability,
        store: ModelStore,
        manifest: Manifest,
    ) -> None:
        """Load nothing yet."""
        self._proof, self._backend, self._capability = proof, backend, capability
        self._store, self._manifest = store, manifest
        self._choice = next(
            (
                one
                for one in proof.choices
                if (one.model, one.backend) == (manifest.id, capability.backend)
            ),
            None,
        )

    def answers(self) -> Iterator[ProofAnswer]:
        """Every network, provider and precision that was not tried before."""
        for network in self._manifest.networks:
            for provider in self._capability.providers:
                for precision in _precisions(network, self._capability):
                    run = self._run(network, provider, precision)
                    if run.name not in self._proof.tried:
                        yield ProofAnswer(begins=run)
                        yield self._tried(run, network, precision)

    def _run(self, network: Network, provider: str, precision: Precision) -> EngineRun:
        chosen = self._choice
        return EngineRun(
            model=self._manifest.id,
            network=network.name,
            backend=self._capability.backend,
            version=self._capability.version,
            provider=provider,
            precision=precision,
            is_chosen=chosen is not None
            and (chosen.provider, chosen.precisions.get(network.name)) == (provider, precision),
            status=Status.NOT_RUN,
            tolerance=network.tolerance[precision],
        )

    def _tried(self, run: EngineRun, network: Network, precision: Precision) -> ProofAnswer:
        """How it went. What is not here is no failure, unless it was chosen."""
        absent = Status.FAIL if run.is_chosen else Status.NOT_RUN
        if run.provider in self._capability.late and not run.is_chosen:
            why = f"it builds its engine inside the first run: ask for it (--provider {run.provider})"
            return ProofAnswer(ends=_with_end(run, Status.NOT_RUN, why))
        file = self._manifest.file(network.file)
        if self._store.inspect(file).path is None:
            return ProofAnswer(ends=_with_end(run, absent, f"its file {file.name} is not here"))
        try:
            content = self._store.read(file)
            options = self._options(run.provider, precision)
            if isinstance(self._backend, EngineBuilder) and (
                why := self._backend.why_unbuilt(network, content, options)
            ):
                return ProofAnswer(ends=_with_end(run, absent, f"{why}: `livegate engines build`"))
            return ProofAnswer(ends=self._proved(run, network, content, options))
        except LiveGateError as error:
            is_absent = error.code is ErrorCode.INIT_FAIL
            ends = _with_end(run, absent if is_absent else Status.FAIL, error.message)
            return ProofAnswer(ends=ends, failed_gate="figure" in error.fields)

    def _proved(
        self, run: EngineRun, network: Network, content: bytes, options: EngineOptions
    ) -> EngineRun:
        begun_s = time.monotonic()
        engine = self._backend.load(network, content, options)
        try:
            loaded_s = time.monotonic()
            gate = golden_gate(self._manifest.id, self._store)
            file = self._manifest.file(network.file)
            stray = gate.admit(network, file, content, engine, options.precision)
            proved_s, run_ms = time.monotonic(), _run_ms(engine, network)
            return msgspec.structs.replace(
                run,
                status=Status.PASS,
                load_s=round(loaded_s - begun_s, 3),
                prove_s=round(proved_s - loaded_s, 3),
                stray=stray,
                run_ms=run_ms,
                preprocess=preprocess_of(network, engine),
                cuda_graphs=_graphs(engine),
            )
        finally:
            engine.close()

    def _options(self, provider: str, precision: Precision) -> EngineOptions:
        config = self._proof.config
        engine = config.engine
        return EngineOptions(
            provider,
            engine.intra_op_threads,
            worker_count(config),
            precision,
            engine.cuda_graphs,
            engine.preprocess,
        )


def _precisions(network: Network, capability: Capability) -> Iterable[Precision]:
    """Those that manifest and backend have; that of the weights where they share none."""
    shared = [one for one in network.precisions if one in capability.precisions]
    return shared or [network.precision]


def _graphs(engine: Engine) -> str:
    if not isinstance(engine, GraphEngine):
        return ""
    told = engine.graph_runs()
    return told.why_plain or ("recorded" if told.recorded_runs else "no shape came again")


def _run_ms(engine: Engine, network: Network) -> float:
    """The median of a few single runs, in milliseconds."""
    feeds = {network.input.name: next(golden_inputs(fed_network(network, engine)))}
    spent = []
    for _ in range(TIMED_RUNS):
        begun_ns = time.perf_counter_ns()
        engine.run(feeds)
        spent.append((time.perf_counter_ns() - begun_ns) / 1e6)
    return round(statistics.median(spent), 3)
