"""Parts of a selftest that go wrong on purpose, for processes of their own, and a course with them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from livegate.client.producer import FrameProducer
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.base import Capability
from livegate.selftest import engines
from livegate.selftest.frames import CAMERA
from livegate.selftest.kernels import Comparison
from livegate.selftest.stage import Course
from livegate.selftest.tears import HEIGHT, PAINTED, WIDTH, Stress, painted_frames

TESTS = Path(__file__).parent


@dataclass(slots=True)
class PlantedCourse(Course):
    """A course in which some parts are exchanged for others."""

    planted: Mapping[str, str] = field(default_factory=dict)

    def apart(self, part: str, asked: object, kind: Any, **waits: Any) -> Iterator[Any]:
        planted = self.planted.get(part, part)
        return super(PlantedCourse, self).apart(planted, asked, kind, **waits)


def course(monkeypatch: pytest.MonkeyPatch, config: Config, **planted: str) -> PlantedCourse:
    """A quick course of a minute, in which parts of a room are exchanged for some of this file."""
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    named = {f"livegate.selftest.{room}:answers": f"{__name__}:{part}" for room, part in planted.items()}
    return PlantedCourse(config, time.monotonic() + 60, is_quick=True, planted=named)


def echo(asked: bytes) -> Iterator[object]:
    """Answers, one after the other, and writes where nobody listens."""
    print("noise of a library")
    yield "first"
    yield {"asked": asked.decode()}


def crash(asked: bytes) -> Iterator[str]:
    """Dies as a library does, after an answer."""
    yield "before"
    os.write(2, b"a library's last words\n")
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(asked: bytes) -> Iterator[str]:
    """Never ends, and has started something that does not either."""
    yield str(os.getpid())
    while True:
        time.sleep(60)


def refuse(asked: bytes) -> Iterator[str]:
    """An error of ours."""
    yield "before"
    raise SetupError(ErrorCode.INIT_FAIL, "there is no device", hint="plug it in")


def stumble(asked: bytes) -> Iterator[str]:
    """An error of anybody's."""
    yield from ()
    raise ValueError("a defect")


def leave(asked: bytes) -> Iterator[str]:
    """Ends the process in the middle."""
    yield "before"
    os._exit(3)


class _Planted:
    """A backend, with something wrong."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def probe(self) -> Capability:
        return self._real.probe()

    def why_not(self, provider: str) -> str:
        return ""

    def load(self, network: Any, model: bytes, options: Any) -> Any:
        if network.name == "detector":
            os.kill(os.getpid(), signal.SIGSEGV)
        engine = self._real.load(network, model, options)
        real_run = engine.run

        def run(feeds: Any) -> dict[str, np.ndarray]:
            return {name: answer + np.float32(0.01) for name, answer in real_run(feeds).items()}

        if network.name == "context":
            engine.run = run
        return engine


def wrong_engines(asked: bytes) -> Iterator[engines.ProofAnswer]:
    """On onnxruntime one network computes something else, and one ends the process."""
    real = engines.load_backend
    if msgspec.json.decode(asked, type=engines.Proof).backend == "onnxruntime":
        engines.load_backend = lambda name: _Planted(real(name))
    return engines.answers(asked)


def torn_frames(asked: bytes) -> Iterator[int]:
    """A producer whose ticket is seen before all of its picture, as if writes overtook each other."""
    stress = msgspec.json.decode(asked, type=Stress)
    frames, number = painted_frames(), 0
    with FrameProducer(stress.path, camera=CAMERA, width=WIDTH, height=HEIGHT) as producer:
        until_s = time.monotonic() + stress.seconds
        while time.monotonic() < until_s:
            with producer.loan(frame_id=number, timeout_s=1.0) as slot:
                slot[: HEIGHT // 2] = frames[number % PAINTED][: HEIGHT // 2]
            time.sleep(0.01)  # longer than a look
            slot[HEIGHT // 2 :] = frames[number % PAINTED][HEIGHT // 2 :]
            number += 1
            producer.results()
    yield number


def exchanged_frames(asked: bytes) -> Iterator[int]:
    """A producer whose pictures are whole, but not those of their tickets."""
    stress = msgspec.json.decode(asked, type=Stress)
    frames, number = painted_frames(), 0
    with FrameProducer(stress.path, camera=CAMERA, width=WIDTH, height=HEIGHT) as producer:
        until_s = time.monotonic() + stress.seconds
        while time.monotonic() < until_s:
            with producer.loan(frame_id=number, timeout_s=1.0) as slot:
                slot[:] = frames[(number + number // 10) % PAINTED]
            number += 1
            producer.results()
            time.sleep(0.005)
    yield number


def no_gpu(asked: bytes) -> Iterator[Comparison]:
    """A box without a GPU, whatever this one has."""
    yield Comparison(absent="no NVIDIA GPU is reached: planted")


def wrong_kernel(asked: bytes) -> Iterator[Comparison]:
    """A GPU on which one kernel computes something else."""
    yield Comparison("letterbox", 1.0, 1.0, "levels of 255")
    yield Comparison("face_crops", 7.0, 1.0, "levels of 255")
