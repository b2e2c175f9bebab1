"""The whole selftest: every stage in its order, within its time, and the word at the end.

Fit is a box on which no check failed and every check that a door needs has passed. The word says as well
when the weights are for pilots: the box may be fit and the judgement of its models may not.
"""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from livegate import __version__
from livegate.app.build import build_store, chosen_manifests, worker_count
from livegate.core.config import Config
from livegate.core.machine import (
    accelerators,
    ascend_driver,
    board,
    cpu,
    l4t_release,
    memory_bytes,
    nvidia_driver,
    package_versions,
)
from livegate.core.sensors import Sensors
from livegate.selftest.engines import prove_engines
from livegate.selftest.heat import feel_heat
from livegate.selftest.kernels import compare_kernels
from livegate.selftest.report import (
    Check,
    EngineRun,
    Machine,
    Report,
    Settings,
    SetupFinding,
    Status,
    fit_to_send,
    sent_texts,
)
from livegate.selftest.setup import look_at_setup
from livegate.selftest.speed import measure_speed
from livegate.selftest.stage import OVER, SYSFS, Course, Stage
from livegate.selftest.tears import check_frame_queue
from livegate.selftest.zerocopy import check_zero_copy

LIMIT_S = 270.0
"""Less than 5 minutes: what is asked last may take 20 s, and the report has to be written."""
STAGES = (
    Stage(("setup",), look_at_setup),
    Stage(("engines", "golden_gate"), prove_engines),
    Stage(("kernels",), compare_kernels),
    Stage(("zero_copy",), check_zero_copy),
    Stage(("frame_queue",), check_frame_queue),
    Stage(("speed",), measure_speed),
    Stage(("heat_and_power",), feel_heat),
)
NEEDED = ("setup", "engines", "golden_gate", "frame_queue", "speed")
"""Without these nothing is known of the door; the others may have nothing to look at."""
PACKAGES = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-cann", "onnxruntime-openvino", "openvino", "tensorrt",
    "tensorrt-cu12", "tensorrt-cu13", "cuda-bindings", "pycuda", "numpy", "opencv-python-headless", "av",
    "simplejpeg", "grpcio", "protobuf",
)  # fmt: skip
MAX_REASON_CHARS = 400
Show = Callable[[Check], None]


def run_selftest(
    config: Config,
    *,
    sysfs: Path = SYSFS,
    is_quick: bool = False,
    show: Show = lambda check: None,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
    stages: Sequence[Stage] = STAGES,
) -> Report:
    """Run every stage; `show` hears of each check as soon as it has ended."""
    begun_s, made_at = clock(), datetime.datetime.now(datetime.timezone.utc)
    course = Course(config, begun_s + limit_s, sysfs, clock, is_quick=is_quick)
    course.throttled_before = Sensors(sysfs).throttles()
    checks: list[Check] = []
    engines: list[EngineRun] = []
    findings: list[SetupFinding] = []
    for stage in stages:
        found = stage.found(course)
        engines += found.engines
        findings += found.findings
        for check in map(_check_to_send, found.checks):
            checks.append(check)
            show(check)
    reasons = reasons_against(checks)
    pilots = tuple(one.model for one in course.choices if one.is_for_pilots)
    return Report(
        livegate=__version__,
        made_at=made_at.isoformat(timespec="seconds"),
        seconds=round(clock() - begun_s, 1),
        is_fit=not reasons,
        verdict=verdict(reasons, pilots, is_quick=is_quick),
        reasons=reasons,
        pilot_models=pilots,
        machine=machine_facts(),
        settings=settings_of(config, is_quick=is_quick),
        checks=tuple(checks),
        engines=tuple(map(_engine_to_send, engines)),
        findings=tuple(map(_finding_to_send, findings)),
    )


def reasons_against(checks: Sequence[Check]) -> tuple[str, ...]:
    """Why the box is not fit; nothing when it is."""
    told = [
        f"{check.name.replace('_', ' ')}: {check.reason}"
        for check in checks
        if check.status is Status.FAIL
        or (check.status is Status.NOT_RUN and (check.name in NEEDED or check.reason == OVER))
    ]
    missing = [name for name in NEEDED if name not in {check.name for check in checks}]
    return (*told, *(f"{name.replace('_', ' ')}: not looked at" for name in missing))


def verdict(reasons: Sequence[str], pilot_models: Sequence[str], *, is_quick: bool = False) -> str:
    """The last line."""
    if reasons:
        return f"not fit: {'; '.join(reasons)}"
    looked = ", as far as a quick look tells" if is_quick else ""
    weights = f", with weights that are for pilots: {', '.join(pilot_models)}" if pilot_models else ""
    return f"fit to guard a door{looked}{weights}"


def machine_facts() -> Machine:
    """What the figures were taken on."""
    return Machine(
        cpu=cpu()[0],
        cores=len(os.sched_getaffinity(0)),
        memory_mib=memory_bytes("MemTotal") >> 20,
        arch=platform.machine(),
        kernel=platform.release(),
        python=platform.python_version(),
        libc=" ".join(platform.libc_ver()),
        board=board(),
        l4t=l4t_release(),
        nvidia_driver=nvidia_driver(),
        ascend_driver=ascend_driver(),
        accelerators=accelerators(),
        packages=package_versions(PACKAGES),
    )


def settings_of(config: Config, *, is_quick: bool) -> Settings:
    """What was asked for."""
    models = {
        task: manifest.id for task, manifest in chosen_manifests(config, build_store(config)).items()
    }
    engine = config.engine
    return Settings(
        is_quick=is_quick,
        pack=config.models.pack,
        models=models,
        backend=engine.backend,
        provider=engine.provider,
        policy=engine.policy,
        precision=engine.precision,
        use=dict(engine.use),
        workers=worker_count(config),
        intra_op_threads=engine.intra_op_threads,
        detector_input=config.face_detection.input_size,
    )


def _check_to_send(check: Check) -> Check:
    reason = fit_to_send(check.reason)
    if len(reason) > MAX_REASON_CHARS:
        reason = f"{reason[:MAX_REASON_CHARS]}…"
    return msgspec.structs.replace(check, reason=reason, facts=sent_texts(check.facts))


def _engine_to_send(run: EngineRun) -> EngineRun:
    return msgspec.structs.replace(run, reason=fit_to_send(run.reason))


def _finding_to_send(found: SetupFinding) -> SetupFinding:
    texts = {"fact": fit_to_send(found.fact), "remedy": fit_to_send(found.remedy)}
    return msgspec.structs.replace(found, **texts)
