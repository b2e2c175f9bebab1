"""A producer's frames on a box whose GPU reads them in place: everything but the GPU is real.

TensorRT and CUDA are fakes, the kernel is its own source on this CPU (tests/gpu_kit.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_kit import Box, nv12_of, pipeline
from livegate.app.frames import FrameFace
from livegate.client.producer import FrameProducer
from livegate.core.results import Decision, GateDecision
from livegate.core.telemetry import Metrics
from livegate.engines.pool import EnginePool
from livegate.engines.specimen import draw_face
from livegate.service.cameras import Cameras
from livegate.service.liveness import LivenessService
from livegate.shm.broker import Broker
from support import HANG_S, config_with
from tensorrt_fake import install_tensorrt

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")


def test_camera_is_judged_out_of_its_own_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NV12 over the socket to OPEN: each tensor is one launch, the memory is registered once and taken
    back when the producer has left, and the engines' graphs run behind the kernel.
    """
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    box = Box(*install_tensorrt(monkeypatch, "10.3.0"), tmp_path / "engines")
    # A drawn face is no person to the networks, but more of one than nothing is.
    config = config_with(attention={"recheck_ms": 0}, silent_liveness={"threshold": 0.1})
    metrics, path = Metrics(), tmp_path / "frames.sock"
    service = LivenessService(config, EnginePool(1, 8), metrics)
    service.start(pipeline(box, "auto", ("lg_detect", "lg_silent"), config))
    broker = Broker(path, config.frames)
    face = FrameFace(broker, Cameras(config, service, metrics, lambda: broker.status), 1)
    face.consume()
    before = [module.launches for module in box.modules]
    told = []
    try:
        with FrameProducer(path, camera="door", width=640, height=480, pixel_format="NV12") as producer:
            for _ in range(3):
                with producer.loan() as pixels:
                    pixels[:] = nv12_of(draw_face(2, 8, 480, 640)).pixels
                told += producer.results(timeout_s=HANG_S)
            assert len(box.gpu.mapped) == 1
        assert {one.outcome.decision for one in told} == {Decision.GENUINE}
        assert told[-1].outcome.gate is GateDecision.OPEN
        launches = [one.launches - many for one, many in zip(box.modules, before, strict=True)]
        assert launches == [3, 3, 3, 3]
        runs = service.status.graph_runs
        assert all(one.recorded_runs for one in runs.values())
    finally:
        face.stop(HANG_S)
        service.close()
    assert not box.gpu.mapped
    assert not box.gpu.blocks
