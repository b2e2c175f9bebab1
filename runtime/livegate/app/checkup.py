"""What `livegate doctor` looks at. Each check is a function that gives its findings; none raises."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from livegate import __version__
from livegate.app.build import TASKS, chosen_manifest, is_optional
from livegate.app.enginebuilds import wanted_engines
from livegate.app.engines import BACKENDS, load_backend, ways_for
from livegate.app.exposure import require_credentials, served_dialects
from livegate.app.server import build_dialects
from livegate.core.config import Config
from livegate.core.errors import LiveGateError
from livegate.core.machine import cpu, memory_bytes
from livegate.core.plugins import plugin_names
from livegate.core.resources import resource_dir
from livegate.core.tls import require_tls
from livegate.engines.base import Backend, DeviceWatcher
from livegate.engines.choice import Way, wish_for
from livegate.gateway.dialect import Dialect
from livegate.gateway.listener import split_address
from livegate.manifests.store import ModelStore

PACKAGES = ("numpy", "opencv-python-headless", "simplejpeg", "av", "grpcio", "protobuf", "uvicorn")
CPU_FEATURES = ("sse4_2", "avx2", "avx512f", "avx512_vnni", "amx_tile", "asimd", "asimddp", "sve")
NEEDED_MEMORY = 512 << 20
BUILT_S = 1_763_000_000
"""A clock before this moment (November 2025) has lost the time."""
TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""


class Grade(str, Enum):
    """How a finding is meant."""

    GOOD = "ok"
    WARNING = "warning"
    BAD = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `remedy` says what to do when it is not good."""

    grade: Grade
    subject: str
    fact: str
    remedy: str = ""


def examine(config: Config, store: ModelStore) -> Iterator[Finding]:
    """Every finding, in the order of the report."""
    yield from _software()
    yield from _machine()
    yield from _clock()
    yield from _backends()
    yield from _choice(config, store)
    yield from _models(config, store)
    yield from _engines(config, store)
    yield from _faces(config)


def _good(subject: str, fact: str) -> Finding:
    return Finding(Grade.GOOD, subject, fact)


def _bad(subject: str, error: LiveGateError) -> Finding:
    return Finding(Grade.BAD, subject, f"{int(error.code)}: {error.message}", error.hint)


def _software() -> Iterator[Finding]:
    yield _good("livegate", f"{__version__}, resources in {resource_dir('models').parent}")
    yield _good("python", f"{platform.python_version()} on {platform.platform()}")
    versions = (f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    yield _good("packages", ", ".join(versions))


def _machine() -> Iterator[Finding]:
    model, flags = cpu()
    features = [name for name in CPU_FEATURES if name in flags]
    cores = len(os.sched_getaffinity(0))
    fact = f"{model}, {cores} cores for us, {platform.machine()}: {' '.join(features) or 'none known'}"
    yield _good("cpu", fact)
    available = memory_bytes("MemAvailable")
    fact = f"{available >> 20} MiB available of {memory_bytes('MemTotal') >> 20} MiB"
    if available < NEEDED_MEMORY:
        remedy = f"free some: at least {NEEDED_MEMORY >> 20} MiB are needed"
        yield Finding(Grade.WARNING, "memory", fact, remedy)
    else:
        yield _good("memory", fact)


def _clock() -> Iterator[Finding]:
    """A box without a clock battery wakes up in the past; signed requests then fail."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if time.time() < BUILT_S:
        remedy = "set the clock: signed requests are refused until it is right"
        yield Finding(Grade.BAD, "clock", f"{now} is in the past", remedy)
    elif not _clock_is_synchronised():
        remedy = "fine without signed requests; else start a time service (chrony, timesyncd)"
        yield Finding(Grade.WARNING, "clock", f"{now}, not synchronised", remedy)
    else:
        yield _good("clock", f"{now}, synchronised")


def _backends() -> Iterator[Finding]:
    for name in plugin_names(BACKENDS):
        backend = load_backend(name)
        capability = backend.probe()
        subject = f"backend {name}"
        if capability.warning:
            yield Finding(Grade.BAD, subject, capability.warning, "see README, installation")
        elif capability.is_available:
            yield _good(subject, f"{capability.version}: {', '.join(capability.providers)}")
            yield from _devices(backend)
        else:
            yield Finding(Grade.WARNING, subject, "not here", capability.problem)


def _devices(backend: Backend) -> Iterator[Finding]:
    if isinstance(backend, DeviceWatcher):
        for device in backend.devices():
            if device.problem:
                remedy = "see the device's own tool (npu-smi info); it may want a restart or a repair"
                yield Finding(Grade.BAD, device.name, device.problem, remedy)
            else:
                yield _good(device.name, device.fact)


def _choice(config: Config, store: ModelStore) -> Iterator[Finding]:
    """What would run each model, found without loading one."""
    for task in plugin_names(TASKS):
        try:
            manifest = chosen_manifest(task, config, store)
        except LiveGateError:
            continue  # what is wrong with it is told with the models
        wish = wish_for(manifest.id, config.engine)
        asked = f"{manifest.id}: {wish.backend}, asked for {wish.provider} ({wish.policy})"
        reasons: list[str] = []
        try:
            way = next(way for way in ways_for(manifest, wish) if not _note_why_not(way, reasons))
        except StopIteration:
            remedy = "install what is missing, or choose another provider (engine.provider)"
            yield Finding(Grade.BAD, "engine", f"{asked}: {'; '.join(reasons)}", remedy)
            continue
        except LiveGateError as error:
            yield _bad("engine", error)
            continue
        runs = f"{way.capability.backend}, {way.provider}"
        if way.grants(wish) and not reasons:
            yield _good("engine", f"{asked}: {runs}")
        else:
            why = "; ".join(reasons) or "install the extra that brings what was asked for"
            yield Finding(Grade.WARNING, "engine", f"{asked}: falls back to {runs}", why)


def _note_why_not(way: Way, reasons: list[str]) -> str:
    """Why a way would fail, if that is known; noted for the report."""
    if why := way.backend.why_not(way.provider):
        reasons.append(f"{way.capability.backend}, {way.provider}: {why}")
    return why


def _models(config: Config, store: ModelStore) -> Iterator[Finding]:
    for task in plugin_names(TASKS):
        try:
            manifest = chosen_manifest(task, config, store)
        except LiveGateError as error:
            yield _bad(task, error)
            continue
        for file in manifest.files:
            state = store.inspect(file)
            if state.is_good:
                yield _good(task, f"{manifest.id}: {state.path}")
            elif state.path is None and is_optional(task, config):
                why = store.complaint(state)
                fact = f"left out, and action liveness (9002) with it: {why.message}"
                yield Finding(Grade.WARNING, task, fact, why.hint)
            else:
                yield _bad(task, store.complaint(state))


def _engines(config: Config, store: ModelStore) -> Iterator[Finding]:
    """Engines that are built for this box, where a model runs first on a backend that builds."""
    try:
        for job in wanted_engines(config, store):
            subject = f"engine {job.model}"
            if job.why:
                remedy = (
                    "`livegate engines build`; else the server builds it before it is ready (require)"
                )
                yield Finding(Grade.WARNING, subject, job.why, remedy)
            else:
                built = f"{job.network.name}: built, in {job.options.precision}"
                yield _good(subject, built)
    except LiveGateError:
        return  # what is wrong with a model is told with the models


def _faces(config: Config) -> Iterator[Finding]:
    try:
        every = build_dialects(config)
        dialects = served_dialects(config, every)
        require_credentials(config, dialects)
        yield from (_left_out(dialect) for dialect in every if dialect not in dialects)
    except LiveGateError as error:
        yield _bad("exposure", error)
    try:
        require_tls(config)
    except LiveGateError as error:
        yield _bad("tls", error)
    for name, face in config.faces.items():
        if face.bind:
            yield _port(name, face.bind)


def _left_out(dialect: Dialect) -> Finding:
    fact = "not served: others can reach http.bind, and it has no credentials"
    remedy = f"fine if nobody needs it; else set {dialect.credentials}"
    return Finding(Grade.WARNING, f"dialect {dialect.name}", fact, remedy)


def _port(face: str, address: str) -> Finding:
    try:
        host, port = split_address(address)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except LiveGateError as error:
        return _bad(face, error)
    except OSError as error:
        remedy = f"nothing to do if that is LiveGate itself; else stop it or set {face}.bind"
        return Finding(Grade.WARNING, face, f"{address}: {error.strerror}", remedy)
    return _good(face, f"{address} is free")


def _clock_is_synchronised() -> bool:
    """What the kernel knows; every time service tells it."""
    adjtimex: Callable[[ctypes.Array[ctypes.c_char]], int] | None
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    # struct timex is 208 bytes on 64-bit Linux; all zero means: only read.
    return adjtimex is not None and adjtimex(ctypes.create_string_buffer(256)) != TIME_ERROR
