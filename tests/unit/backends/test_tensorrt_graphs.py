"""CUDA graphs of the TensorRT backend, on fakes that hold it to what NVIDIA documents.

The fakes fail a capture of a shape that has not run before, and a graph whose context was used for
another shape since.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from cuda_fake import CUresult, FakeGpu, install_fake
from livegate.backends.tensorrt import Plugin
from livegate.backends.tensorrt.graphs import MAX_GRAPHS, MAX_SEEN, STALE_RUNS, GraphLedger, Recorder
from livegate.core.errors import EngineError
from livegate.engines.base import EngineOptions
from livegate.engines.builds import Watch
from livegate.engines.cache import EngineCache
from support import HANG_S, tiny_manifest, tiny_onnx
from tensorrt_fake import install_tensorrt

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")
FREE = tiny_onnx()
NETWORK = tiny_manifest(FREE).networks[0]
GPU = EngineOptions("gpu")


def fixed_onnx() -> bytes:
    """`tiny_onnx` for one shape only."""
    model = onnx.load_from_string(FREE)
    for value in (*model.graph.input, *model.graph.output):
        for dim, size in zip(value.type.tensor_type.shape.dim, (1, 3, 2, 2), strict=True):
            dim.dim_value = size
    return bytes(model.SerializeToString())


FIXED = msgspec.structs.replace(
    NETWORK,
    ranges={},
    input=msgspec.structs.replace(NETWORK.input, shape=(1, 3, 2, 2)),
    outputs=tuple(msgspec.structs.replace(one, shape=(1, 3, 2, 2)) for one in NETWORK.outputs),
)


class Box:
    """A box with TensorRT, and an engine."""

    def __init__(self, trt: Any, gpu: FakeGpu, folder: Path) -> None:
        """Nothing is built."""
        self.trt, self.gpu, self.plugin = trt, gpu, Plugin(EngineCache(folder))

    def engine(self, options: EngineOptions = GPU, *, has_one_shape: bool = False) -> Any:
        """Build and load."""
        network, model = (FIXED, fixed_onnx()) if has_one_shape else (NETWORK, FREE)
        self.plugin.build(network, model, options, Watch("tiny", "tiny", lambda progress: None))
        return self.plugin.load(network, model, options)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Box:
    """A board with a DLA core."""
    return Box(*install_tensorrt(monkeypatch, "10.3.0", dla_cores=1), tmp_path)


def run(engine: Any, side: int = 2, number: float = 1.0) -> None:
    """One run, whose answer has to be right."""
    fed = np.full((1, 3, side, 2), number, np.float32)
    np.testing.assert_array_equal(engine.run({"x": fed})["doubled"], 2 * fed)


def counts(engine: Any) -> tuple[int, int, int]:
    """Graphs, runs by graph, plain runs."""
    told = engine.graph_runs()
    return told.graphs, told.recorded_runs, told.plain_runs


def test_fixed_shape_is_recorded_at_load_in_every_lane(box: Box) -> None:
    """No request waits for a recording: each lane has run once before the first one."""
    engine = box.engine(EngineOptions("gpu", parallel_runs=2), has_one_shape=True)
    assert counts(engine) == (2, 0, 2)
    for number in (1.0, 5.0, -3.0):
        run(engine, number=number)
    assert counts(engine) == (2, 3, 2)
    assert engine.graph_runs().why_plain == ""


def test_free_shape_is_recorded_when_it_comes_again(box: Box) -> None:
    """The first time might be the last one; the second time it runs and is recorded."""
    engine = box.engine()
    run(engine)
    assert counts(engine) == (0, 0, 1)
    run(engine)
    assert counts(engine) == (1, 0, 2)
    run(engine, number=7)
    assert counts(engine) == (1, 1, 2)


def test_shapes_that_take_turns_keep_their_graphs(box: Box) -> None:
    """Each has a context of its own, so that none spoils another's graph."""
    engine = box.engine()
    for number in range(4):
        for side in (2, 5, 8):
            run(engine, side, number)
    assert counts(engine) == (3, 6, 6)


def test_shapes_beyond_the_limit_run_plainly(box: Box) -> None:
    """A lane keeps so many graphs; what comes on top is answered all the same."""
    engine = box.engine()
    for _ in range(3):
        for side in range(1, MAX_GRAPHS + 2):
            run(engine, side)
    assert counts(engine)[0] == MAX_GRAPHS
    run(engine, MAX_GRAPHS + 1)
    assert counts(engine) == (MAX_GRAPHS, MAX_GRAPHS, 2 * MAX_GRAPHS + 4)


def test_graph_that_nobody_uses_gives_its_place_up(box: Box) -> None:
    """After a camera of another shape has taken over, its shape is recorded."""
    engine = box.engine()
    for side in range(1, MAX_GRAPHS + 1):
        run(engine, side)
        run(engine, side)
    for _ in range(STALE_RUNS + 2):
        run(engine, MAX_GRAPHS + 1)
    assert counts(engine)[0] == MAX_GRAPHS
    before = counts(engine)[1]
    run(engine, MAX_GRAPHS + 1)
    assert counts(engine)[1] == before + 1
    assert box.gpu.graphs == MAX_GRAPHS


def test_shape_that_comes_after_many_others_is_recorded() -> None:
    """A lane remembers so many shapes; what it forgets is the oldest, never the new one."""
    recorder = Recorder(GraphLedger("tiny", ""))
    shapes = [(1, 3, side, 2) for side in range(MAX_SEEN + 1)]
    assert not any(recorder.wants(shape, only_shape=False) for shape in shapes)
    assert recorder.wants(shapes[-1], only_shape=False)
    assert not recorder.wants(shapes[0], only_shape=False)


@pytest.mark.parametrize("spoils", ["library", "driver"])
def test_capture_that_fails_is_told_once_and_runs_go_on(box: Box, spoils: str) -> None:
    """A loop in the network, or a driver that refuses: plain runs, one line in the log, no leak."""
    box.trt.breaks.capture, box.gpu.spoils_captures = spoils == "library", spoils == "driver"
    with capture_logs() as logs:
        engine = box.engine(EngineOptions("gpu", parallel_runs=2), has_one_shape=True)
        for _ in range(3):
            run(engine)
    assert counts(engine) == (0, 0, 4)  # the second lane did not even try
    why = engine.graph_runs().why_plain
    assert ("loops and conditions" if spoils == "library" else "CAPTURE_INVALIDATED") in why
    assert [one["why"] for one in logs if one["event"] == "CUDA graphs are not used"] == [why]
    assert (box.gpu.graphs, box.gpu.captures) == (0, {})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (EngineOptions("dla0", precision="fp16"), "work of dla0 is not recorded"),
        (EngineOptions("gpu", records_graphs=False), "engine.cuda_graphs is off"),
    ],
)
def test_what_is_never_recorded_says_why(box: Box, options: EngineOptions, why: str) -> None:
    """A DLA core's work is not; nor is anything when the configuration says so."""
    engine = box.engine(options)
    for _ in range(3):
        run(engine)
    assert counts(engine) == (0, 0, 3)
    assert engine.graph_runs().why_plain == why


def test_pycuda_runs_plainly_and_says_so(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library without calls for graphs is told in the engine's facts."""
    install_fake(monkeypatch, "cuda_python", FakeGpu(count=0))
    install_fake(monkeypatch, "pycuda", box.gpu)
    engine = box.engine(has_one_shape=True)
    run(engine)
    assert counts(engine) == (0, 0, 1)
    assert "pycuda" in engine.graph_runs().why_plain


def test_no_memory_for_a_second_context_runs_plainly(box: Box) -> None:
    """A graph is a gain, never a reason to fail a request."""
    engine = box.engine()
    run(engine)
    box.trt.breaks.context = True
    run(engine)
    run(engine)
    assert counts(engine) == (0, 0, 3)
    assert "no memory" in engine.graph_runs().why_plain


def test_graph_that_is_not_launched_fails_its_run_only(box: Box) -> None:
    """The run is 1030, its lane is dropped, and the engine runs plainly from then on."""
    engine = box.engine(has_one_shape=True)
    box.gpu.launch_status = CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
    with pytest.raises(EngineError, match="ILLEGAL_ADDRESS"):
        run(engine)
    run(engine)
    run(engine)
    assert counts(engine) == (0, 0, 3)
    assert box.gpu.graphs == 0


def test_close_gives_the_graphs_back(box: Box) -> None:
    """Nothing of them is left."""
    engine = box.engine()
    for side in (2, 2, 5, 5, 2):
        run(engine, side)
    assert box.gpu.graphs == 2
    engine.close()
    assert (box.gpu.graphs, counts(engine)[0]) == (0, 0)
    assert not box.gpu.blocks


def test_lanes_at_once_answer_each_its_own(box: Box) -> None:
    """Graphs hold their lane's addresses: no run sees another's input."""
    engine = box.engine(EngineOptions("gpu", parallel_runs=4))
    with ThreadPoolExecutor(4) as threads:
        done = threads.map(lambda n: run(engine, 2 + n % 3, n), range(120), timeout=HANG_S)
        assert len(list(done)) == 120
    graphs, recorded, plain = counts(engine)
    assert recorded + plain == 120
    assert 1 <= graphs <= 12
