"""The work that every peer serves: a JPEG in, the number of faces and the silent score out.

Tasks, thresholds, letterbox, crops and decoding of boxes are LiveGate's own in both variants, so that
answers are equal and only serving and engines differ. `plain` makes its own ONNX Runtime sessions and
decodes with OpenCV, as one would without LiveGate; `ours` is LiveGate's pipeline with the engines that
LiveGate was given in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from livegate.app.build import TASKS, build_pipeline, build_store, chosen_manifest
from livegate.core.config import Config, LogConfig
from livegate.core.frame import Frame
from livegate.core.plugins import load_plugin
from livegate.core.results import EngineInfo
from livegate.core.settings import load
from livegate.core.telemetry import StageClock, configure_logging
from livegate.engines.denormals import flush_denormals
from livegate.engines.model import Model
from livegate.ingest.image import frame_from_bytes
from livegate.manifests.schema import Manifest, Network
from livegate.manifests.store import ModelStore
from livegate.pipelines.pipeline import Pipeline, Step
from livegate.preprocess.scratch import Scratch

FACES, SILENT = "face_detection", "silent_liveness"
ALGO_TASKS = (1031,)
CPU = "CPUExecutionProvider"
MakeSession = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Order:
    """What the bench asks of a peer's server. Plain values: some peers send it to other processes."""

    http: int
    grpc: int
    metrics: int
    variant: str
    settings: str
    """JSON: keys of LiveGate's configuration, by path."""
    told: str
    """File to write there what runs; "" for none."""
    cores: int


def order_from_arguments(arguments: list[str] | None = None) -> Order:
    """The flags that all servers have."""
    parser = argparse.ArgumentParser()
    for name in ("http", "grpc", "metrics"):
        parser.add_argument(f"--{name}", type=int, required=True, metavar="PORT")
    parser.add_argument("--variant", choices=("plain", "ours"), default="plain")
    parser.add_argument("--settings", default="{}", help="JSON: key = value of `livegate config keys`")
    parser.add_argument("--told", default="", metavar="FILE", help="write there what runs")
    return Order(**vars(parser.parse_args(arguments)), cores=len(os.sched_getaffinity(0)))


def default_session(model: bytes) -> Any:
    """As the first example of ONNX Runtime's documentation makes it, with the threads it takes."""
    import onnxruntime

    return onnxruntime.InferenceSession(model, providers=[CPU])


def lean_session(model: bytes) -> Any:
    """As its page on threads advises where requests run beside each other: one thread, no spinning."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=[CPU])


class PlainEngine:
    """A session as a pipeline runs it."""

    provider = "cpu"

    def __init__(self, session: Any, network: Network) -> None:
        """Outputs are asked for by name."""
        self._session = session
        self._outputs = [output.name for output in network.outputs]

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run once."""
        return dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))

    def close(self) -> None:
        """The process ends with it."""


class Work:
    """One picture at a time for each thread; shared by as many threads as there are."""

    def __init__(self, order: Order, make_session: MakeSession, *, threads: int) -> None:
        """Load the models. `threads`: that will call this object at once, of this process."""
        configure_logging(LogConfig(level="warning"))
        settings = json.loads(order.settings)
        if order.variant == "ours":
            # The settings are those of our server; how many run at once in a process is the peer's.
            settings["server.workers"] = threads
        self._config = load(flags=settings, environ={}).config
        self._is_ours = order.variant == "ours"
        self._own = threading.local()
        store = build_store(self._config)
        if self._is_ours:
            cv2.setNumThreads(1)
            self._pipeline = build_pipeline(self._config, store)
        else:
            steps = [_plain_step(task, self._config, store, make_session) for task in (FACES, SILENT)]
            self._pipeline = Pipeline(steps)
        self._steps = self._pipeline.plan(ALGO_TASKS)
        if order.told:
            _tell(Path(order.told), [info for step in self._steps for info in step.model.infos])

    def __call__(self, jpeg: bytes) -> dict[str, Any]:
        """`{"faces": n, "score": x}`."""
        found = self._pipeline.run(self._frame(jpeg), self._steps, StageClock(), self._scratch())
        return {"faces": len(found[FACES]), "score": float(found[SILENT])}

    def json(self, jpeg: bytes) -> bytes:
        """The same as text."""
        return json.dumps(self(jpeg)).encode()

    def _frame(self, jpeg: bytes) -> Frame:
        if self._is_ours:
            return frame_from_bytes(jpeg, self._config.limits)
        pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ValueError("not a picture")
        return Frame(pixels, time.time_ns())  # type: ignore[arg-type]

    def _scratch(self) -> Scratch:
        if not hasattr(self._own, "scratch"):
            flush_denormals()
            self._own.scratch = Scratch()
        scratch: Scratch = self._own.scratch
        return scratch


def _plain_step(task: str, config: Config, store: ModelStore, make_session: MakeSession) -> Step:
    manifest = chosen_manifest(task, config, store)
    sessions = {n.name: make_session(store.read(manifest.file(n.file))) for n in manifest.networks}
    engines = {n.name: PlainEngine(sessions[n.name], n) for n in manifest.networks}
    infos = tuple(map(partial(_info, manifest), manifest.networks))
    return Step(load_plugin(TASKS, task).Plugin(manifest, config), Model(manifest, engines, infos))


def _info(manifest: Manifest, network: Network) -> EngineInfo:
    import onnxruntime

    return EngineInfo(
        model_id=manifest.id,
        network=network.name,
        sha256=manifest.file(network.file).sha256,
        backend=f"onnxruntime {onnxruntime.__version__}",
        provider_asked="cpu (its own session)",
        provider="cpu",
        precision=network.precision,
    )


def _tell(path: Path, infos: list[EngineInfo]) -> None:
    """Whole or not at all: several processes tell the same."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps([asdict(info) for info in infos]))
    beside.replace(path)
