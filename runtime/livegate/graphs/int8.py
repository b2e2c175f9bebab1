"""An ONNX network in int8: quantised explicitly, the one form that TensorRT 8.6, 10 and 11 all take.

A pair QuantizeLinear, DequantizeLinear stands in front of the input and of the weights of every
convolution and matrix product; whoever builds an engine fuses it with them. Everything is symmetric,
because TensorRT wants zero points of 0: one scale for a tensor, one for each output channel of the
weights. The weights stay fp32 in the file and are quantised by its own operator (all three versions take
that; ready-made int8 weights are documented from 10 on only), biases stay fp32.

The first and the last products of a network stay as they are: pixels and answers have more than 256
levels. So does a layer that a manifest names.

Source: TensorRT developer guide, Explicit Quantization; onnx.ai, QuantizeLinear (axis: opset 13).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from livegate.core.errors import ErrorCode, SetupError
from livegate.graphs.graph import (
    FLOAT,
    GRAPH_INITIALIZER,
    GRAPH_NODE,
    GRAPH_OUTPUT,
    INT8,
    MODEL_OPSET,
    QUANTISED,
    TENSOR_DIMS,
    TENSOR_NAME,
    TENSOR_RAW,
    TENSOR_TYPE,
    Graph,
    Node,
    converted_model,
    float_bytes,
    name_of,
    read_graph,
    require_operators,
)
from livegate.graphs.wire import Field, Message, integers, of_number, read_message, write_message

PRODUCTS = ("Conv", "Gemm", "MatMul")
LEAST_OPSET = 13
"""The first with a scale for each channel."""
GREATEST_INT8 = 127
Reals = NDArray[np.float32]


def int8_from_onnx(model: bytes, reaches: Mapping[str, float], kept: Collection[str] = ()) -> bytes:
    """The same network with int8 products; its inputs and outputs keep their types.

    Args:
        model: an ONNX file whose floats are fp32, without external data.
        reaches: how far from zero each tensor of `quantised_inputs` goes; beyond it is cut off.
        kept: names of products that stay in floating point.

    Raises:
        SetupError: MODELINIT_FAIL for a file or an operator that this does not convert, a name of no
            product, or a tensor without a reach that is finite and not negative.
    """
    _require_opset(model)
    return converted_model(model, lambda content: _int8_graph(content, reaches, kept), _refused)


def quantised_inputs(model: bytes) -> tuple[str, ...]:
    """The tensors whose reaches `int8_from_onnx` may want to know, in the order of computation.

    Raises:
        SetupError: as int8_from_onnx.
    """
    _require_opset(model)
    names: dict[str, None] = {}

    def collect(content: bytes) -> bytes:
        names.update(dict.fromkeys(node.inputs[0] for node in _chosen(_known_graph(content), ())))
        return content

    converted_model(model, collect, _refused)
    return tuple(names)


def observed_from_onnx(model: bytes, names: Sequence[str]) -> bytes:
    """The same network that answers these tensors of floats as well, after its own outputs."""

    def observe(content: bytes) -> bytes:
        fields = read_message(content)
        told = {name_of(read_message(one.content), 1) for one in of_number(fields, GRAPH_OUTPUT)}
        # ValueInfoProto: name (1), type (2) .tensor_type (1) .elem_type (1).
        kind = write_message([Field.of(1, write_message([Field.of(1, FLOAT)]))])
        values = [
            write_message([Field.of(1, name), Field.of(2, kind)]) for name in names if name not in told
        ]
        return write_message([*fields, *(Field.of(GRAPH_OUTPUT, value) for value in values)])

    return converted_model(model, observe, _refused)


def _int8_graph(content: bytes, reaches: Mapping[str, float], kept: Collection[str]) -> bytes:
    graph = _known_graph(content)
    chosen = {id(node) for node in _chosen(graph, kept)}
    nodes: list[Node] = []
    tensors: list[Message] = []
    known: set[str] = set()
    for node in graph.nodes:
        if id(node) in chosen:
            fed, weights = node.inputs[:2]
            axis = _output_axis(node, _shape(graph.weights[weights]))
            pairs = (
                (fed, f"{fed}_int8", _scale(_reach(fed, reaches)), None),
                (weights, f"{weights}_int8_{axis}", _weight_scales(graph.weights[weights], axis), axis),
            )
            for source, name, scales, along in pairs:
                if name not in known:
                    known.add(name)
                    tensors += _scale_tensors(name, scales)
                    nodes += _pair(source, name, along)
            node.inputs[:2] = [_back(name) for _, name, _, _ in pairs]
        nodes.append(node)
    rest = [one for one in graph.fields if one.number != GRAPH_NODE]
    added = [Field.of(GRAPH_INITIALIZER, write_message(tensor)) for tensor in tensors]
    return write_message([*(node.encoded() for node in nodes), *rest, *added])


def _known_graph(content: bytes) -> Graph:
    graph = read_graph(content, _refused)
    require_operators(graph.nodes, QUANTISED, _refused)
    return graph


def _chosen(graph: Graph, kept: Collection[str]) -> Iterator[Node]:
    """The products with weights of their own that are neither first nor last, nor kept."""
    products = [node for node in graph.nodes if _is_product(node, graph)]
    if strangers := sorted(set(kept) - {node.name for node in products}):
        raise _refused(f"the manifest keeps {strangers}, and it has no such products")
    after = _after(graph.nodes)
    before = _before(graph.nodes)
    for node in products:
        is_between = node.inputs[0] in after and not before.isdisjoint(node.outputs)
        if is_between and node.name not in kept:
            yield node


def _is_product(node: Node, graph: Graph) -> bool:
    if node.operator not in PRODUCTS or len(node.inputs) < 2 or node.inputs[0] in graph.weights:
        return False
    weights = graph.weights.get(node.inputs[1])
    if weights is None or integers(weights, TENSOR_TYPE) != [FLOAT]:
        return False
    # A Gemm that turns its input is a product of something else.
    return node.operator != "Gemm" or not node.attribute("transA", 0)


def _after(nodes: Sequence[Node]) -> set[str]:
    """Tensors that a product had a part in."""
    found: set[str] = set()
    for node in nodes:
        if node.operator in PRODUCTS or not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def _before(nodes: Sequence[Node]) -> set[str]:
    """Tensors that have a part in what a product reads."""
    found: set[str] = set()
    for node in reversed(nodes):
        if node.operator in PRODUCTS or not found.isdisjoint(node.outputs):
            found.update(node.inputs)
    return found


def _output_axis(node: Node, shape: Sequence[int]) -> int:
    """The axis of the weights that counts output channels."""
    is_turned = node.operator == "Conv" or (node.operator == "Gemm" and node.attribute("transB", 0))
    return 0 if is_turned else len(shape) - 1


def _shape(tensor: Message) -> list[int]:
    return integers(tensor, TENSOR_DIMS)


def _reach(name: str, reaches: Mapping[str, float]) -> float:
    reach = reaches.get(name, -1.0)
    if not 0 <= reach < float("inf"):
        raise _refused(f"its tensor {name!r} was not measured")
    return reach


def _weight_scales(tensor: Message, axis: int) -> Reals:
    """(K,): one for each output channel, so that its greatest weight is 127."""
    shape, packed = _shape(tensor), float_bytes(tensor, _refused)
    if not packed or not shape or 4 * math.prod(shape) != len(packed):
        raise _refused(f"its tensor {name_of(tensor, TENSOR_NAME)!r} is damaged")
    numbers = np.abs(np.frombuffer(packed, "<f4").reshape(shape))
    if not np.isfinite(numbers).all():
        raise _refused(f"its tensor {name_of(tensor, TENSOR_NAME)!r} has numbers that are not finite")
    return _scale(np.moveaxis(numbers, axis, 0).reshape(shape[axis], -1).max(axis=1))


def _scale(reach: float | Reals) -> Reals:
    """Positive, also where nothing but zeros was seen: there any will do."""
    reaches = np.asarray(reach, np.float32)
    scales = np.where(reaches > 0, reaches, 1.0) / GREATEST_INT8
    made: Reals = np.maximum(scales, np.finfo(np.float32).tiny).astype("<f4")
    return made


def _scale_tensors(name: str, scales: Reals) -> tuple[Message, Message]:
    """The scales, and zero points that are 0: without them the operator's type would be uint8."""
    dims = [Field.of(TENSOR_DIMS, side) for side in scales.shape]
    told = ((FLOAT, f"{name}_scale", scales), (INT8, f"{name}_zero", np.zeros(scales.shape, np.int8)))
    made = [
        [
            *dims,
            Field.of(TENSOR_TYPE, kind),
            Field.of(TENSOR_NAME, own),
            Field.of(TENSOR_RAW, numbers.tobytes()),
        ]
        for kind, own, numbers in told
    ]
    return made[0], made[1]


def _pair(source: str, name: str, axis: int | None) -> tuple[Node, Node]:
    """To int8 and back."""
    along = {} if axis is None else {"axis": axis}
    scale = [f"{name}_scale", f"{name}_zero"]
    there = Node.of("QuantizeLinear", [source, *scale], [name], **along)
    return there, Node.of("DequantizeLinear", [name, *scale], [_back(name)], **along)


def _back(name: str) -> str:
    return f"{name}_float"


def _require_opset(model: bytes) -> None:
    """OperatorSetIdProto: domain (1), version (2)."""
    for one in of_number(read_message(model), MODEL_OPSET):
        told = read_message(one.content)
        version = next(iter(integers(told, 2)), 0)
        if name_of(told, 1) in ("", "ai.onnx") and version < LEAST_OPSET:
            raise _refused(f"its opset is {version}, and scales for channels came with {LEAST_OPSET}")


def _refused(why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL,
        f"the network cannot be converted to int8: {why}",
        hint="run it in fp32 or fp16 (engine.precision)",
    )
