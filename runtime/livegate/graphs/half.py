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

import numpy as np

from livegate.core.errors import ErrorCode, SetupError
from livegate.graphs.graph import (
    ATTRIBUTE_INT,
    ATTRIBUTE_NAME,
    ATTRIBUTE_TENSOR,
    FLOAT,
    GRAPH_INITIALIZER,
    GRAPH_INPUT,
    GRAPH_NODE,
    GRAPH_OUTPUT,
    GRAPH_VALUES,
    HALF,
    NODE_ATTRIBUTE,
    QUANTISED,
    TENSOR_FLOATS,
    TENSOR_NAME,
    TENSOR_RAW,
    TENSOR_TYPE,
    Graph,
    Node,
    converted_model,
    float_bytes,
    float_names,
    name_of,
    read_graph,
    require_operators,
)
from livegate.graphs.wire import Field, Message, integers, of_number, read_message, write_message

FLOAT_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}
"""Inputs that stay fp32, by ONNX's own constraints: regions and scales."""
TENSOR_OPERATORS = ("Constant", "ConstantOfShape")
REFUSED = (
    *QUANTISED,
    *("NonMaxSuppression", "Range", "EyeLike", "RandomNormal", "RandomUniform", "Bernoulli"),
)
"""Quantised, or not defined for halves, or with a type of their own in an attribute."""


def half_from_onnx(model: bytes) -> bytes:
    """The same network with fp16 weights and arithmetic; its inputs and outputs keep their types.

    Args:
        model: an ONNX file whose floats are fp32, without external data.

    Raises:
        SetupError: MODELINIT_FAIL for a file or an operator that this does not convert, or a weight
            beyond the largest half (65504).
    """
    return converted_model(model, _half_graph, _refused)


def _half_graph(content: bytes) -> bytes:
    graph = read_graph(content, _refused)
    require_operators(graph.nodes, REFUSED, _refused)
    _require_plain_constants(graph)
    _keep_float_inputs(graph)
    inputs = [name for name in float_names(graph, GRAPH_INPUT) if name not in graph.weights]
    outputs = list(float_names(graph, GRAPH_OUTPUT))
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


def _require_plain_constants(graph: Graph) -> None:
    for node in graph.nodes:
        attributes = (read_message(one.content) for one in of_number(node.fields, NODE_ATTRIBUTE))
        names = {name_of(attribute, ATTRIBUTE_NAME) for attribute in attributes}
        odd = sorted(names & {"value_float", "value_floats", "sparse_value"})
        if node.operator == "Constant" and odd:
            raise _refused(f"a constant is given as {odd[0]}")


def _keep_float_inputs(graph: Graph) -> None:
    """Scales and regions stay as they are; one that is computed is cast back for its operator."""
    constants = {node.outputs[0] for node in graph.nodes if node.operator == "Constant"}
    casts: dict[str, Node] = {}
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


def _rename(nodes: list[Node], names: Collection[str]) -> None:
    """Everything inside reads and writes the halves."""
    renamed = {name: _inside(name) for name in names}
    for node in nodes:
        node.inputs = [renamed.get(name, name) for name in node.inputs]
        node.outputs = [renamed.get(name, name) for name in node.outputs]


def _half_node(node: Node, kept: Collection[str]) -> Node:
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
    return Node(fields, node.operator, node.inputs, node.outputs)


def _half_attribute(content: bytes, operator: str) -> bytes:
    attribute = read_message(content)
    name, changed = name_of(attribute, ATTRIBUTE_NAME), []
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
    if integers(tensor, TENSOR_TYPE) != [FLOAT]:
        return tensor
    numbers = np.frombuffer(float_bytes(tensor, _refused), "<f4")
    with np.errstate(over="ignore"):
        halves = numbers.astype("<f2")
    if not (np.isfinite(halves) == np.isfinite(numbers)).all():
        largest = float(np.abs(numbers[np.isfinite(numbers)]).max())
        raise _refused(
            f"its tensor {name_of(tensor, TENSOR_NAME)!r} reaches {largest:.4g}, a half 65504"
        )
    values = (TENSOR_TYPE, TENSOR_RAW, TENSOR_FLOATS)
    rest = [field for field in tensor if field.number not in values]
    return [*rest, Field.of(TENSOR_TYPE, HALF), Field.of(TENSOR_RAW, halves.tobytes())]


def _rest(graph: Graph) -> Iterator[Field]:
    """Weights, inputs and outputs; the types of what lies between are left for the reader to infer."""
    for field in graph.fields:
        if field.number in (GRAPH_NODE, GRAPH_VALUES):
            continue
        if field.number == GRAPH_INITIALIZER:
            tensor = read_message(field.content)
            if name_of(tensor, TENSOR_NAME) not in graph.kept:
                field = Field.of(GRAPH_INITIALIZER, write_message(_half_tensor(tensor)))
        elif field.number == GRAPH_INPUT and name_of(read_message(field.content), 1) in graph.weights:
            continue  # before IR version 4 weights were listed as inputs, too
        yield field


def _cast(source: str, target: str, to: int) -> Node:
    return Node.of("Cast", [source], [target], to=to)


def _inside(name: str) -> str:
    return f"{name}_half"


def _refused(why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL,
        f"the network cannot be converted to fp16: {why}",
        hint="run it in fp32 (engine.precision)",
    )
