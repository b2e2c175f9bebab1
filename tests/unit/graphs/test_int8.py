"""An ONNX network in int8: its pairs of operators, and its answers on ONNX Runtime on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.golden import stray
from livegate.engines.magnitudes import Magnitudes
from livegate.engines.specimen import golden_inputs
from livegate.graphs.int8 import int8_from_onnx, observed_from_onnx, quantised_inputs
from livegate.manifests.schema import Network
from support import ROOT, shipped_manifest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
FLOAT, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT8
STRAYS = {
    ("lg_detect", "detector"): 0.1,
    ("lg_face", "face"): 0.2,
    ("lg_silent", "face"): 0.1,
    ("lg_silent", "context"): 0.4,
    ("lg_silent", "detail"): 0.1,
}
"""How far int8 may stray on the golden inputs; only the detector is offered in it."""


def run(model: bytes, names: list[str] | None = None, **feeds: np.ndarray) -> list[np.ndarray]:
    """All outputs of a network, or these, on the CPU."""
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    # As it is written: the library's own int8 kernels saturate on processors without VNNI.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(names, feeds)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """One operator, named as its output; names with blanks between."""
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), outputs, **attributes)


def made(nodes: list[Any], weights: Mapping[str, np.ndarray], *, opset: int = 17) -> bytes:
    """A network x -> y of these operators."""
    graph = onnx.helper.make_graph(
        nodes,
        "made",
        [onnx.helper.make_tensor_value_info("x", FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("y", FLOAT, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


THREE = [node("MatMul", "x w", "a"), node("Gemm", "a g b", "c", transB=1), node("MatMul", "c w", "y")]
DICE = np.random.default_rng(1)
WEIGHTS = {
    "w": DICE.normal(size=(4, 4)).astype(np.float32),
    "g": DICE.normal(size=(4, 4)).astype(np.float32) * np.float32([1, 10, 100, 0])[:, None],
    "b": np.ones(4, np.float32),
}
REACHES = {"a": 8.0}


def file_of(model_id: str, name: str) -> tuple[Network, bytes]:
    """A network that comes with the package."""
    network = next(one for one in shipped_manifest(model_id).networks if one.name == name)
    return network, (ROOT / "models" / model_id / network.file).read_bytes()


def measured(network: Network, content: bytes) -> dict[str, float]:
    """Reaches on drawn faces, none of which is a golden one."""
    recipe = msgspec.structs.replace(network.golden, seed=7, pictures=8)
    names = list(quantised_inputs(content))
    observed, seen = observed_from_onnx(content, names), {name: Magnitudes() for name in names}
    for fed in golden_inputs(msgspec.structs.replace(network, golden=recipe)):
        for name, numbers in zip(names, run(observed, names, **{network.input.name: fed}), strict=True):
            seen[name].add(numbers)
    return {name: one.reach() for name, one in seen.items()}


@pytest.mark.parametrize(("model_id", "name"), STRAYS)
def test_int8_of_a_model_answers_nearly_as_the_model(model_id: str, name: str) -> None:
    """Every network of the starter pack, converted, is built as told and stays within its stray."""
    network, content = file_of(model_id, name)
    converted = int8_from_onnx(content, measured(network, content))
    require_pairs(converted, content)
    outputs = [output.name for output in network.outputs]
    figures = [
        stray(found, told)
        for fed in golden_inputs(network)
        for found, told in zip(
            run(converted, outputs, **{network.input.name: fed}),
            run(content, outputs, **{network.input.name: fed}),
            strict=True,
        )
    ]
    assert 0 < max(figures) <= STRAYS[model_id, name]


def require_pairs(converted: bytes, content: bytes) -> None:
    """All products but the first and the last read pairs; biases, opset and weights are as before."""
    model, before = onnx.load_from_string(converted), onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    makers = {name: one for one in model.graph.node for name in one.output}
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    old = {one.name: one for one in before.graph.node}
    products = [one for one in model.graph.node if one.op_type in ("Conv", "Gemm", "MatMul")]
    plain = [one for one in products if list(one.input) == list(old[one.name].input)]
    assert products[0] in plain
    assert products[-1] in plain
    assert len(plain) <= len(products) / 3
    for one in products:
        if one in plain:
            continue
        for place, axis in ((0, None), (1, 0)):
            back = makers[one.input[place]]
            there = makers[back.input[0]]
            assert (there.op_type, back.op_type) == ("QuantizeLinear", "DequantizeLinear")
            assert there.input[0] == old[one.name].input[place]
            assert there.input[1:] == back.input[1:]
            scale, zero = (arrays[name] for name in there.input[1:])
            assert (scale > 0).all()
            assert (scale.dtype, zero.dtype, zero.any()) == (np.float32, np.int8, False)
            assert scale.shape == (() if axis is None else arrays[there.input[0]].shape[:1])
            assert [item.i for item in there.attribute] == ([] if axis is None else [axis])
        assert list(one.input[2:]) == list(old[one.name].input[2:])
        assert all(arrays[name].dtype == np.float32 for name in one.input[2:])


def test_int8_leaves_what_the_manifest_keeps() -> None:
    """A product that is named stays in floating point; one that is not there is 1029."""
    content = made(THREE, WEIGHTS)
    assert len(onnx.load_from_string(int8_from_onnx(content, REACHES)).graph.node) == 7
    assert len(onnx.load_from_string(int8_from_onnx(content, REACHES, ["c"])).graph.node) == 3
    with pytest.raises(SetupError, match="nobody"):
        int8_from_onnx(content, REACHES, ["nobody"])


def test_int8_scales_each_output_channel_by_itself() -> None:
    """Rows of a hundredfold difference, and one of zeros, keep their precision; columns of a MatMul."""
    fed = DICE.normal(size=(16, 4)).astype(np.float32)
    for middle, turned in (
        (THREE[1], WEIGHTS["g"]),
        (node("MatMul", "a g", "c"), WEIGHTS["g"].T.copy()),
    ):
        content = made([THREE[0], middle, node("Mul", "c b", "d"), node("MatMul", "d w", "y")],
                       {**WEIGHTS, "g": turned, "w": np.eye(4, dtype=np.float32)})  # fmt: skip
        (found,), (told,) = run(int8_from_onnx(content, REACHES), x=fed), run(content, x=fed)
        for channel in range(4):
            assert stray(found[:, channel], told[:, channel]) < 0.05


def test_int8_cuts_off_beyond_the_reach() -> None:
    """What is larger than what was measured counts as the largest: a wrong measurement shows."""
    content = made(THREE, WEIGHTS)
    fed = np.full((1, 4), 50, np.float32)
    (near,), (told,) = run(int8_from_onnx(content, {"a": 500.0}), x=fed), run(content, x=fed)
    (far,) = run(int8_from_onnx(content, {"a": 0.5}), x=fed)
    assert stray(near, told) < 0.05 < stray(far, told)


def test_quantised_inputs_are_what_has_to_be_measured() -> None:
    """Those of the products between the first and the last, each once; a network may answer them."""
    content = made([*THREE[:2], node("Gemm", "a g b", "e"), node("Add", "c e", "f"),
                    node("MatMul", "f w", "y")], WEIGHTS)  # fmt: skip
    assert quantised_inputs(content) == ("a",)
    fed = np.ones((2, 4), np.float32)
    assert [one.shape for one in run(observed_from_onnx(content, ["a", "y"]), x=fed)] == [(2, 4)] * 2


@pytest.mark.parametrize(
    ("nodes", "weights", "opset", "reaches", "why"),
    [
        (THREE, WEIGHTS, 12, REACHES, "opset is 12"),
        (THREE, WEIGHTS, 17, {}, "'a' was not measured"),
        (THREE, WEIGHTS, 17, {"a": float("nan")}, "'a' was not measured"),
        (THREE, {**WEIGHTS, "g": np.full((4, 4), np.inf, np.float32)}, 17, REACHES, "not finite"),
        ([node("QuantizeLinear", "x b", "y")], WEIGHTS, 17, REACHES, "QuantizeLinear"),
        ([node("Mul", "x b", "y", domain="com.example")], WEIGHTS, 17, REACHES, "com.example.Mul"),
    ],
)
def test_int8_of_what_it_does_not_know_is_refused(
    nodes: list[Any], weights: Mapping[str, np.ndarray], opset: int, reaches: Any, why: str
) -> None:
    """A network that would be computed wrongly is 1029 with the reason, and with the way out."""
    with pytest.raises(SetupError, match=why) as caught:
        int8_from_onnx(made(nodes, weights, opset=opset), reaches)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert "engine.precision" in caught.value.hint


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_int8_of_a_damaged_file_is_refused_or_converted(data: st.DataObject) -> None:
    """Flipped bytes never end in another exception than ours."""
    content = bytearray(made(THREE, WEIGHTS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(SetupError):
        assert int8_from_onnx(bytes(content), REACHES)
