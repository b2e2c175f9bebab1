"""An ONNX network in fp16, for builders that take precisions from the graph alone.

TensorRT 11 has no flag for fp16 any more: a tensor is computed in the type that the network gives it. So
weights become halves, casts stand behind the inputs and before the outputs, which keep their own types,
and everything between is half. Whatever this does not understand (subgraphs, functions, quantised
graphs) is refused: a network that is half converted would be computed, and wrongly.

Source: onnx.ai, onnx.proto (field numbers) and the operators' type constraints; TensorRT's developer
guide, Strongly Typed Networks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from dataclasses import field as of_default

import numpy as np

from livegate.core.errors import ErrorCode, SetupError
from livegate.graphs.wire import Field, Message, integers, of_number, read_message, write_message

FLOAT, HALF = 1, 10
"""TensorProto.DataType."""
MODEL_GRAPH, MODEL_OPSET, MODEL_FUNCTIONS = 7, 8, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_VALUES, GRAPH_SPARSE = (
    1,
    5,
    11,
    12,
    13,
    15,
)
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 3, 4, 5, 7
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_TENSOR, ATTRIBUTE_TYPE = 1, 3, 5, 20
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL = 1, 2, 4, 8, 9, 13
INT_TYPE = 2
"""AttributeProto.AttributeType."""
GRAPH_TYPES = (5, 10)
FLOAT_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}
"""Inputs that stay fp32, by ONNX's own constraints: regions and scales."""
TENSOR_OPERATORS = ("Constant", "ConstantOfShape")
REFUSED = (
    *("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear"),
    *("NonMaxSuppression", "Range", "EyeLike", "RandomNormal", "RandomUniform", "Bernoulli"),
)
"""Quantised, or not defined for halves, or with a type of their own in an attribute."""


@dataclass
class _Node:
    fields: Message
    operator: str
    inputs: list[str]
    outputs: list[str]

    def encoded(self) -> Field:
        """With its names as they are now."""
        named = (NODE_INPUT, NODE_OUTPUT)
        rest = [field for field in self.fields if field.number not in named]
        names = [Field.of(NODE_INPUT, name) for name in self.inputs]
        names += [Field.of(NODE_OUTPUT, name) for name in self.outputs]
        return Field.of(GRAPH_NODE, write_message([*names, *rest]))


@dataclass
class _Graph:
    fields: Message
    nodes: list[_Node]
    weights: dict[str, Message]
    kept: set[str] = of_default(default_factory=set)
    """Weights that stay fp32."""


def half_from_onnx(model: bytes) -> bytes:
    """The same network with fp16 weights and arithmetic; its inputs and outputs keep their types.

    Args:
        model: an ONNX file whose floats are fp32, without external data.

    Raises:
        SetupError: MODELINIT_FAIL for a file or an operator that this does not convert, or a weight
            beyond the largest half (65504).
    """
    fields = read_message(model)
    if any(of_number(fields, MODEL_FUNCTIONS)):
        raise _refused("it has functions of its own")
    converted = [
        Field.of(MODEL_GRAPH, _half_graph(field.content)) if field.number == MODEL_GRAPH else field
        for field in fields
    ]
    return write_message(converted)


def _half_graph(content: bytes) -> bytes:
    graph = _read(content)
    for node in graph.nodes:
        _require_known(node)
    _keep_float_inputs(graph)
    inputs = [name for name in _float_names(graph, GRAPH_INPUT) if name not in graph.weights]
    outputs = list(_float_names(graph, GRAPH_OUTPUT))
    produced = {name for node in graph.nodes for name in node.outputs}
    if strangers := sorted(set(outputs) - produced):
        raise _refused(f"its outputs {strangers} are no operator's")
    _rename(graph.nodes, [*inputs, *outputs])
    nodes = [
        *(_cast(name, _inside(name), HALF) for name in inputs),
        *(_half_node(node, graph.kept) for node in graph.nodes),
        *(_cast(_inside(name), name, FLOAT) for name in outputs),
    ]
    return write_message([*(node.encoded() for node in nodes), *_rest(graph)])


def _read(content: bytes) -> _Graph:
    fields = read_message(content)
    if any(of_number(fields, GRAPH_SPARSE)):
        raise _refused("it has sparse weights")
    nodes = []
    for field in of_number(fields, GRAPH_NODE):
        parts = read_message(field.content)
        operator = "".join(part.text for part in of_number(parts, NODE_OP))
        names = [[part.text for part in of_number(parts, side)] for side in (NODE_INPUT, NODE_OUTPUT)]
        if not names[1]:
            raise _refused(f"its operator {operator!r} has no output")
        nodes.append(_Node(parts, operator, *names))
    weights = [read_message(field.content) for field in of_number(fields, GRAPH_INITIALIZER)]
    return _Graph(fields, nodes, {_name(tensor, TENSOR_NAME): tensor for tensor in weights})


def _require_known(node: _Node) -> None:
    domain = _name(node.fields, NODE_DOMAIN)
    if node.operator in REFUSED or domain not in ("", "ai.onnx"):
        raise _refused(f"it has the operator {domain}{'.' if domain else ''}{node.operator}")
    for field in of_number(node.fields, NODE_ATTRIBUTE):
        attribute = read_message(field.content)
        if set(integers(attribute, ATTRIBUTE_TYPE)) & set(GRAPH_TYPES):
            raise _refused(f"its operator {node.operator} holds a graph")
        name = _name(attribute, ATTRIBUTE_NAME)
        if node.operator == "Constant" and name in ("value_float", "value_floats", "sparse_value"):
            raise _refused(f"a constant is given as {name}")


def _keep_float_inputs(graph: _Graph) -> None:
    """Scales and regions stay as they are; one that is computed is cast back for its operator."""
    constants = {node.outputs[0] for node in graph.nodes if node.operator == "Constant"}
    casts: dict[str, _Node] = {}
    for node in graph.nodes:
        for place in FLOAT_INPUTS.get(node.operator, ()):
            name = node.inputs[place] if place < len(node.inputs) else ""
            if name in graph.weights or name in constants:
                graph.kept.add(name)
            elif name:
                node.inputs[place] = f"{name}_float"
                casts.setdefault(name, _cast(name, f"{name}_float", FLOAT))
    # In front of the first that reads it: nodes stand in the order of computation.
    for name, cast in casts.items():
        first = next(n for n, node in enumerate(graph.nodes) if f"{name}_float" in node.inputs)
        graph.nodes.insert(first, cast)
    for node in graph.nodes:
        allowed = FLOAT_INPUTS.get(node.operator, ())
        for place, name in enumerate(node.inputs):
            if name in graph.kept and place not in allowed:
                raise _refused(f"its tensor {name} is a scale and something else as well")


def _float_names(graph: _Graph, number: int) -> Iterator[str]:
    """Names of the float inputs or outputs."""
    for field in of_number(graph.fields, number):
        value = read_message(field.content)
        if _element_type(value) == FLOAT:
            yield _name(value, 1)


def _element_type(value: Message) -> int:
    """ValueInfoProto.type (2) .tensor_type (1) .elem_type (1)."""
    for kind in of_number(value, 2):
        for tensor in of_number(read_message(kind.content), 1):
            return next((f.integer for f in of_number(read_message(tensor.content), 1)), 0)
    return 0


def _rename(nodes: list[_Node], names: Collection[str]) -> None:
    """Everything inside reads and writes the halves."""
    renamed = {name: _inside(name) for name in names}
    for node in nodes:
        node.inputs = [renamed.get(name, name) for name in node.inputs]
        node.outputs = [renamed.get(name, name) for name in node.outputs]


def _half_node(node: _Node, kept: Collection[str]) -> _Node:
    """Casts to float become casts to half, and so do constants."""
    # A cast of ours, for an input that has to be float.
    is_ours = node.operator == "Cast" and node.outputs[0].endswith("_float")
    if is_ours or not (node.operator == "Cast" or node.operator in TENSOR_OPERATORS):
        return node
    if node.outputs[0] in kept:
        return node
    fields = [
        Field.of(NODE_ATTRIBUTE, _half_attribute(field.content, node.operator))
        if field.number == NODE_ATTRIBUTE
        else field
        for field in node.fields
    ]
    return _Node(fields, node.operator, node.inputs, node.outputs)


def _half_attribute(content: bytes, operator: str) -> bytes:
    attribute = read_message(content)
    name, changed = _name(attribute, ATTRIBUTE_NAME), []
    for field in attribute:
        if operator == "Cast" and name == "to" and field.number == ATTRIBUTE_INT:
            changed.append(Field.of(ATTRIBUTE_INT, HALF) if field.integer == FLOAT else field)
        elif name == "value" and field.number == ATTRIBUTE_TENSOR:
            changed.append(
                Field.of(ATTRIBUTE_TENSOR, write_message(_half_tensor(read_message(field.content))))
            )
        else:
            changed.append(field)
    return write_message(changed)


def _half_tensor(tensor: Message) -> Message:
    """A tensor of floats as halves; others as they are."""
    if any(of_number(tensor, TENSOR_EXTERNAL)):
        raise _refused("its weights lie in another file")
    if integers(tensor, TENSOR_TYPE) != [FLOAT]:
        return tensor
    packed = b"".join(
        field.content for number in (TENSOR_RAW, TENSOR_FLOATS) for field in of_number(tensor, number)
    )
    if len(packed) % 4:
        raise _refused(f"its tensor {_name(tensor, TENSOR_NAME)!r} is damaged")
    numbers = np.frombuffer(packed, "<f4")
    with np.errstate(over="ignore"):
        halves = numbers.astype("<f2")
    if not (np.isfinite(halves) == np.isfinite(numbers)).all():
        largest = float(np.abs(numbers[np.isfinite(numbers)]).max())
        raise _refused(f"its tensor {_name(tensor, TENSOR_NAME)!r} reaches {largest:.4g}, a half 65504")
    values = (TENSOR_TYPE, TENSOR_RAW, TENSOR_FLOATS)
    rest = [field for field in tensor if field.number not in values]
    return [*rest, Field.of(TENSOR_TYPE, HALF), Field.of(TENSOR_RAW, halves.tobytes())]


def _rest(graph: _Graph) -> Iterator[Field]:
    """Weights, inputs and outputs; the types of what lies between are left for the reader to infer."""
    for field in graph.fields:
        if field.number in (GRAPH_NODE, GRAPH_VALUES):
            continue
        if field.number == GRAPH_INITIALIZER:
            tensor = read_message(field.content)
            if _name(tensor, TENSOR_NAME) not in graph.kept:
                field = Field.of(GRAPH_INITIALIZER, write_message(_half_tensor(tensor)))
        elif field.number == GRAPH_INPUT and _name(read_message(field.content), 1) in graph.weights:
            continue  # before IR version 4 weights were listed as inputs, too
        yield field


def _cast(source: str, target: str, to: int) -> _Node:
    attribute = [
        Field.of(ATTRIBUTE_NAME, "to"),
        Field.of(ATTRIBUTE_INT, to),
        Field.of(ATTRIBUTE_TYPE, INT_TYPE),
    ]
    fields = [
        Field.of(NODE_NAME, f"cast {target}"),
        Field.of(NODE_OP, "Cast"),
        Field.of(NODE_ATTRIBUTE, write_message(attribute)),
    ]
    return _Node(fields, "Cast", [source], [target])


def _inside(name: str) -> str:
    return f"{name}_half"


def _name(fields: Message, number: int) -> str:
    return next((field.text for field in of_number(fields, number)), "")


def _refused(why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL,
        f"the network cannot be converted to fp16: {why}",
        hint="run it in fp32 (engine.precision)",
    )
