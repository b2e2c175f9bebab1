"""An ONNX network in fp16, held to ONNX Runtime on the CPU."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.golden import stray
from livegate.engines.specimen import golden_inputs
from livegate.graphs.half import half_from_onnx
from livegate.manifests.schema import Network
from livegate.manifests.store import ModelStore
from support import shared, shipped_manifest, tiny_onnx

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
NETWORKS = [
    (model_id, network.name)
    for model_id in ("yunet_n", "minifasnet_pair", "pfld_ghostone", "fsanet_pair")
    for network in shipped_manifest(model_id).networks
]
FSANET = 0.04
"""Three angles, tens of degrees: it is not offered in fp16, and still converted rightly."""


def run(model: bytes, **feeds: np.ndarray) -> list[np.ndarray]:
    """All outputs of a network, on the CPU."""
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def made(
    nodes: list[Any], weights: dict[str, np.ndarray], *, kind: int = FLOAT, opset: int = 17, **more: Any
) -> bytes:
    """A network x -> y of these operators."""
    graph = onnx.helper.make_graph(
        nodes,
        "made",
        [onnx.helper.make_tensor_value_info("x", kind, ["n", 3, 8, 8])],
        [onnx.helper.make_tensor_value_info("y", FLOAT, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9, **more).SerializeToString()


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """One operator; names with blanks between."""
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def weights_of(model: bytes) -> dict[str, int]:
    """The types of the weights, by name."""
    return {tensor.name: tensor.data_type for tensor in onnx.load_from_string(model).graph.initializer}


CONVOLUTION = [node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")]
WEIGHTS = {
    "w": np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32),
    "b": np.linspace(-1, 1, 4, dtype=np.float32),
}


@pytest.mark.parametrize(("model_id", "name"), NETWORKS)
def test_half_of_a_model_answers_as_the_model(model_id: str, name: str) -> None:
    """Every reference network, converted, stays within its tolerance on the golden inputs."""
    manifest = shipped_manifest(model_id)
    network = next(network for network in manifest.networks if network.name == name)
    content = ModelStore([shared("models")]).read(manifest.file(network.file))
    converted = half_from_onnx(content)
    onnx.checker.check_model(onnx.load_from_string(converted))
    assert len(converted) < 0.6 * len(content)
    assert worst_stray(network, content, converted) <= network.tolerance.get("fp16", FSANET)


def worst_stray(network: Network, content: bytes, converted: bytes) -> float:
    """Over the golden inputs and all outputs."""
    figures = []
    for fed in golden_inputs(network):
        told = run(content, **{network.input.name: fed})
        found = run(converted, **{network.input.name: fed})
        figures += [stray(one, other) for one, other in zip(found, told, strict=True)]
    return max(figures)


def test_half_weights_are_halves_and_tensors_outside_are_not() -> None:
    """Weights become fp16; inputs and outputs keep their types, so nothing outside changes."""
    model = onnx.load_from_string(half_from_onnx(made(CONVOLUTION, WEIGHTS)))
    assert weights_of(model.SerializeToString()) == {"w": HALF, "b": HALF}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == FLOAT


def test_half_computes_in_halves() -> None:
    """Between the casts every tensor is fp16: ONNX's own inference says so."""
    model = onnx.load_from_string(half_from_onnx(made(CONVOLUTION, WEIGHTS)))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, check_type=True)
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    assert types == {"x_half": HALF, "c": HALF, "y_half": HALF}


def test_half_of_bytes_casts_to_half_at_once() -> None:
    """A network that reads bytes turns them into halves, not into floats first."""
    nodes = [node("Cast", "x", "f", to=FLOAT), *CONVOLUTION]
    nodes[1] = node("Conv", "f w b", "c", pads=[1, 1, 1, 1])
    converted = half_from_onnx(made(nodes, WEIGHTS, kind=onnx.TensorProto.UINT8))
    fed = np.arange(192, dtype=np.uint8).reshape(1, 3, 8, 8)
    (found,) = run(converted, x=fed)
    (told,) = run(made(nodes, WEIGHTS, kind=onnx.TensorProto.UINT8), x=fed)
    assert found.dtype == np.float32
    assert stray(found, told) < 2e-3


def test_half_scales_of_a_resize_stay_fp32() -> None:
    """ONNX allows no other type there, whether they are weights, constants or computed."""
    scales = np.array([1, 1, 2, 2], np.float32)
    constant = node("Constant", "", "s", value=onnx.numpy_helper.from_array(scales))
    computed = [node("Mul", "ones scale", "s"), node("Resize", "x  s", "y")]
    resize = onnx.helper.make_node("Resize", ["x", "", "s"], ["y"])
    computed[1] = resize
    fed = np.random.default_rng(2).normal(size=(1, 3, 8, 8)).astype(np.float32)
    for nodes, weights in (
        ([resize], {"s": scales}),
        ([constant, resize], {}),
        (computed, {"ones": np.ones(4, np.float32), "scale": scales}),
    ):
        content = made(nodes, weights)
        converted = half_from_onnx(content)
        onnx.shape_inference.infer_shapes(onnx.load_from_string(converted), strict_mode=True)
        assert stray(run(converted, x=fed)[0], run(content, x=fed)[0]) < 1e-3


def test_half_output_that_is_read_inside_as_well_is_the_half_there() -> None:
    """An output may feed other operators: those read the half."""
    graph = onnx.load_from_string(tiny_onnx("copy"))
    converted = half_from_onnx(graph.SerializeToString())
    fed = np.ones((1, 3, 2, 2), np.float32)
    for found in run(converted, x=fed):
        np.testing.assert_array_equal(found, 2 * fed)


def test_half_integers_stay_integers() -> None:
    """Shapes and indices are not touched."""
    nodes = [node("Reshape", "x shape", "r"), node("Mul", "r two", "y")]
    weights = {"shape": np.array([0, -1]), "two": np.array(2, np.float32)}
    converted = half_from_onnx(made(nodes, weights))
    assert weights_of(converted) == {"shape": onnx.TensorProto.INT64, "two": HALF}
    assert run(converted, x=np.ones((2, 3, 8, 8), np.float32))[0].shape == (2, 192)


@pytest.mark.parametrize(
    ("nodes", "weights", "why"),
    [
        ([node("Mul", "x big", "y")], {"big": np.array(7e4, np.float32)}, "65504"),
        ([node("QuantizeLinear", "x s", "y")], {"s": np.array(1, np.float32)}, "QuantizeLinear"),
        ([node("Mul", "x s", "y", domain="com.example")], {}, "com.example.Mul"),
        ([node("Constant", "", "s", value_float=2.0), node("Mul", "x s", "y")], {}, "value_float"),
        (
            [node("Mul", "x s", "m"), onnx.helper.make_node("Resize", ["m", "", "s"], ["y"])],
            {"s": np.ones(4, np.float32)},
            "something else",
        ),
    ],
)
def test_half_of_what_it_does_not_know_is_refused(
    nodes: list[Any], weights: dict[str, np.ndarray], why: str
) -> None:
    """A network that would be computed wrongly is 1029 with the reason, and with the way out."""
    with pytest.raises(SetupError, match=why) as caught:
        half_from_onnx(made(nodes, weights))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert "fp32" in caught.value.hint


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_half_of_a_damaged_file_is_refused_or_converted(data: st.DataObject) -> None:
    """Flipped bytes never end in another exception than ours."""
    content = bytearray(made(CONVOLUTION, WEIGHTS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(SetupError):
        assert half_from_onnx(bytes(content))
