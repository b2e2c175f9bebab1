"""Frames handed over in shared memory to a real server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e.running import Running, start
from livegate.client import FrameProducer
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import Decision
from livegate.shm.outcome import FrameResult
from support import ROOT, noise, reference_flags, shared

WAIT_S = 30.0
"""A hang detector."""


@pytest.fixture
def gate(folder: Path) -> Iterator[Running]:
    running = start(folder)
    yield running
    assert running.stop() == 0, running.log.read_text()


def socket_of(running: Running) -> Path:
    return Path(running.socket).with_name("frames.sock")


def judged(producer: FrameProducer, pixels: np.ndarray) -> FrameResult:
    """Hand one frame over and wait for the word on it."""
    with producer.loan() as slot:
        slot[:] = pixels
    (result,) = producer.results(timeout_s=WAIT_S)
    return result


def metric(running: Running, line: str) -> float:
    text = running.get("/metrics")[1]
    return float(next(row for row in text.splitlines() if row.startswith(line)).rpartition(" ")[2])


def test_frame_is_judged_in_place_and_counted(gate: Running) -> None:
    """A verdict comes back, and the server copied nothing."""
    with FrameProducer(socket_of(gate), camera="door", width=320, height=240) as producer:
        for _ in range(3):
            result = judged(producer, noise(320, 240))
            assert result.has_verdict
            assert result.outcome.decision is Decision.SPOOF  # the null backend lets nobody in
            assert result.outcome.algo_task == 1031
            assert result.outcome.box is not None
        assert metric(gate, 'livegate_frame_slots{camera="door",state="free"}') >= 2
    assert metric(gate, 'livegate_frames_total{camera="door",event="judged"}') == 3
    assert metric(gate, 'livegate_frame_bytes_copied_total{camera="door"}') == 0


def test_nv12_frame_is_judged(gate: Running) -> None:
    """A camera's own format, converted once."""
    bgr = noise(320, 240)
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    nv12 = i420.copy()
    nv12[240:] = np.stack((i420[240:300].reshape(-1), i420[300:].reshape(-1)), -1).reshape(120, 320)
    with FrameProducer(
        socket_of(gate), camera="door", width=320, height=240, pixel_format="NV12"
    ) as producer:
        assert judged(producer, nv12).has_verdict


def test_untrusted_producer_is_copied_once_and_said_so(folder: Path) -> None:
    """With trusted = none every frame is copied privately; the metric tells how much."""
    running = start(folder, "--set", "frames.trusted=none")
    try:
        with FrameProducer(socket_of(running), camera="door", width=320, height=240) as producer:
            assert judged(producer, noise(320, 240)).has_verdict
        copied = metric(running, 'livegate_frame_bytes_copied_total{camera="door"}')
        assert copied >= 320 * 240 * 3
    finally:
        running.stop()


def test_second_producer_of_a_camera_is_refused(gate: Running) -> None:
    """One camera, one producer; the first is not disturbed."""
    with FrameProducer(socket_of(gate), camera="door", width=320, height=240) as first:
        with (
            pytest.raises(LiveGateError) as caught,
            FrameProducer(socket_of(gate), camera="door", width=320, height=240),
        ):
            pass
        assert caught.value.code is ErrorCode.EXIST
        assert judged(first, noise(320, 240)).has_verdict


def test_server_that_stops_says_so_to_its_producers(folder: Path) -> None:
    """After the drain a producer is told that the server is gone; it does not hang."""
    running = start(folder)
    with FrameProducer(socket_of(running), camera="door", width=320, height=240) as producer:
        assert judged(producer, noise(320, 240)).has_verdict
        assert running.stop() == 0
        with pytest.raises(LiveGateError) as caught:
            producer.results(timeout_s=WAIT_S)
        assert caught.value.code in (ErrorCode.CONNECTION_CLOSE, ErrorCode.QUEUE_STOPED)
    assert not socket_of(running).exists()


def test_real_models_judge_frames_as_they_judge_pictures(folder: Path) -> None:
    """The same stills through shared memory: one genuine, two spoofs."""
    running = start(folder, *reference_flags(), backend="onnxruntime")
    try:
        for name, decision in (
            ("image_T1.jpg", Decision.GENUINE),
            ("image_F1.jpg", Decision.SPOOF),
            ("image_F2.jpg", Decision.SPOOF),
        ):
            pixels = cv2.imread(str(shared("media", "stills", name)))
            height, width = pixels.shape[:2]
            with FrameProducer(socket_of(running), camera=name, width=width, height=height) as producer:
                assert judged(producer, pixels).outcome.decision is decision
    finally:
        running.stop()


def test_c_producer_hands_frames_to_the_server(gate: Running, tmp_path: Path) -> None:
    """The example in C, compiled with warnings as errors, against a real server."""
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        pytest.skip("no C compiler here: cc, gcc or clang builds docs/examples/frame_producer.c")
    program = tmp_path / "frame_producer"
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'proto'}")
    source = ROOT / "docs" / "examples" / "frame_producer.c"
    subprocess.run([compiler, *flags, str(source), "-o", str(program)], check=True, timeout=120)
    done = subprocess.run(
        [str(program), str(socket_of(gate)), "c-door", "320", "240", "5"],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert metric(gate, 'livegate_frames_total{camera="c-door",event="published"}') == 5
