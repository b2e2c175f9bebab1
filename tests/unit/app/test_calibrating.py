"""From pictures to int8 engines, on a fake of TensorRT that computes what it was given."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from livegate.app.build import build_pipeline, build_store
from livegate.app.calibrating import Watched, calibrate, int8_manifests
from livegate.app.enginebuilds import EngineBuilds, wanted_engines
from livegate.cli.main import main
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.engines.cache import EngineCache
from livegate.engines.ranges import keep_ranges
from livegate.engines.specimen import draw_face
from livegate.manifests.schema import Manifest
from support import config_with, shipped_manifest
from tensorrt_fake import install_tensorrt

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", reason="the reference and the fake compute with onnxruntime")
MODEL = "lg_detect"
SIZE = 128
"""The detector's input: as large as the pictures, so that they are as sharp as the golden ones."""
USE = ["--precision", "int8", "--set", f'engine.use={{"{MODEL}": "tensorrt"}}']
USE += ["--detector-size", str(SIZE)]


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """TensorRT 10.3 and a GPU, and a cache of this test's own."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    trt, _ = install_tensorrt(monkeypatch, "10.3.0")
    return trt


@pytest.fixture
def config(trt: Any) -> Any:
    """A box that wants its detector in int8, on TensorRT, and the rest on ONNX Runtime."""
    engine = {"use": {MODEL: "tensorrt"}, "precision": "int8"}
    return config_with(engine=engine, face_detection={"input_size": SIZE}, server={"workers": 1})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten faces, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("door")
    for number in range(10):
        pixels = draw_face(5, number, 96, SIZE)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_detector_is_measured_built_and_serves_in_int8(
    config: Any, trt: Any, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was refused before runs past the golden gate; what strays does not, and another serves."""
    store, builds = build_store(config), EngineBuilds()
    (job,) = wanted_engines(config, store)
    assert "--calibrate DIR" in job.why
    with pytest.raises(LiveGateError, match="--calibrate DIR") as caught:
        job.builder.load(job.network, job.content, job.options)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL

    manifests = int8_manifests([shipped_manifest(MODEL)], [MODEL])
    (ranges,) = calibrate(config, store, manifests, sorted(pictures.iterdir()))
    assert (ranges.network, ranges.runs) == ("detector", 10)
    builds.run(list(wanted_engines(config, store)))
    (plan,) = EngineCache().folder.glob("*.plan")
    graph = onnx.load_from_string(pickle.loads(plan.read_bytes())["onnx"]).graph
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    for name, reach in ranges.reaches.items():
        np.testing.assert_allclose(arrays[f"{name}_int8_scale"], reach / 127, rtol=1e-6)
    assert detector_of(config) == ("tensorrt", "gpu", "int8")

    small = {name: reach / 8 for name, reach in ranges.reaches.items()}
    keep_ranges(EngineCache(), msgspec.structs.replace(ranges, reaches=small))
    builds.run(list(wanted_engines(config, store)))
    engine = msgspec.structs.replace(config.engine, policy="prefer")
    capsys.readouterr()
    served = detector_of(msgspec.structs.replace(config, engine=engine))
    assert served == ("onnxruntime", "cpu", "fp32")
    assert "1029" in (told := capsys.readouterr().out)
    assert "allowed are 0.1 in int8" in told


def detector_of(config: Any) -> tuple[str, str, str]:
    """What the detector runs on after a start: backend, provider, precision."""
    pipeline = build_pipeline(config, build_store(config))
    try:
        (one,) = (one for one in pipeline.engines if one.model_id == MODEL)
    finally:
        pipeline.close()
    return one.backend.partition(" ")[0], one.provider, one.precision


def test_networks_that_saw_too_little_are_not_measured() -> None:
    """1002 says how many inputs there were, and what is better."""
    network = shipped_manifest(MODEL).networks[0]
    watched = Watched(Answers(), network, b"", ["inner"])
    for _ in range(7):
        watched.run({})
    with pytest.raises(LiveGateError, match="saw 7 pictures, 8") as caught:
        watched.ranges()
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    watched.run({})
    assert watched.ranges().reaches == {"inner": pytest.approx(2, rel=0.01)}
    with pytest.raises(LiveGateError, match="not finite"):
        Watched(Answers(np.nan), network, b"", ["inner"]).run({})


class Answers:
    """An engine that answers the same number each time."""

    provider = "cpu"

    def __init__(self, number: float = -2.0) -> None:
        """That number."""
        self._number = number

    def run(self, feeds: Any) -> dict[str, Any]:
        """An inner tensor."""
        return {"inner": np.full((2, 2), self._number, np.float32)}

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("manifests", "named"),
    [
        ((shipped_manifest("lg_silent"),), ()),
        ((shipped_manifest("lg_silent"), shipped_manifest(MODEL)), ("lg_silent", MODEL)),
    ],
)
def test_models_without_a_tolerance_for_int8_are_refused(
    manifests: tuple[Manifest, ...], named: tuple[str, ...]
) -> None:
    """1029 with their names, when they were named, or when no other is left."""
    with pytest.raises(LiveGateError, match=r"not allowed for lg_silent:.*no tolerance") as caught:
        int8_manifests(manifests, named)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_models_that_nobody_named_stay_as_they_are() -> None:
    """One key is for all models."""
    both = (shipped_manifest("lg_silent"), shipped_manifest(MODEL))
    assert int8_manifests(both, ()) == (both[1],)


def test_command_measures_builds_and_lists(
    trt: Any, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`engines build --precision int8 --calibrate DIR` does all; list says int8; no file has a pixel."""
    assert main(["engines", "build", "lg_silent", *USE]) == 2
    assert "1029" in capsys.readouterr().err
    assert main(["engines", "build", MODEL, "--calibrate", str(pictures)]) == 2
    assert "--precision int8" in capsys.readouterr().err
    elsewhere = ["--set", 'engine.use={"lg_silent": "tensorrt"}', *USE[:2], "--calibrate"]
    assert main(["engines", "build", *elsewhere, str(pictures)]) == 2
    assert "nothing to measure" in capsys.readouterr().err
    assert main(["engines", "build", *USE, "--calibrate", str(pictures.parent / "none")]) == 2
    refusal = capsys.readouterr().err
    assert f"there is no file in {pictures.parent / 'none'} (of .bmp, .jpeg," in refusal
    assert main(["engines", "build", *USE, "--calibrate", str(pictures)]) == 0
    told = capsys.readouterr()
    assert "broken.jpg: passed over" in "".join(told.err.splitlines())
    assert "lg_silent: stays as it is" in told.out
    assert "measured on 10 inputs" in told.out
    assert main(["engines", "list", "--json"]) == 0
    assert '"precision":"int8"' in capsys.readouterr().out.replace(" ", "")
    assert main(["engines", "verify", *USE]) == 0
    assert main(["engines", "prune"]) == 0
    cache = EngineCache()
    (notes,), (plan,) = cache.folder.glob("*.ranges"), cache.folder.glob("*.plan")
    assert notes.stat().st_size < 4096
    assert b"QuantizeLinear" in plan.read_bytes()
    notes.write_bytes(notes.read_bytes()[:-2] + b"1}")
    capsys.readouterr()
    assert main(["engines", "verify", *USE]) == 2
    assert "--calibrateDIR`measuresagain" in "".join(capsys.readouterr().err.split())
