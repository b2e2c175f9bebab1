"""An ONNX network as operators and weights: what its conversions have in common.

Source: onnx.ai, onnx.proto (field numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from livegate.core.errors import SetupError
from livegate.graphs.wire import Field, Message, integers, of_number, read_message, write_message

FLOAT, INT8, HALF = 1, 3, 10
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
QUANTISED = (
    *("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear"),
)
Refusal = Callable[[str], SetupError]
"""The error of a conversion that cannot be made, from the reason."""


@dataclass
class Node:
    """One operator; the names of its tensors may be changed."""

    fields: Message
    operator: str
    inputs: list[str]
    outputs: list[str]

    @classmethod
    def of(cls, operator: str, inputs: list[str], outputs: list[str], **integers: int) -> Node:
        """A new operator with attributes that are integers."""
        fields = [Field.of(NODE_NAME, f"{operator} {outputs[0]}"), Field.of(NODE_OP, operator)]
        for name, number in integers.items():
            attribute = [
                Field.of(ATTRIBUTE_NAME, name),
                Field.of(ATTRIBUTE_INT, number),
                Field.of(ATTRIBUTE_TYPE, INT_TYPE),
            ]
            fields.append(Field.of(NODE_ATTRIBUTE, write_message(attribute)))
        return cls(fields, operator, inputs, outputs)

    @property
    def name(self) -> str:
        """Its own name, which may be empty."""
        return name_of(self.fields, NODE_NAME)

    def attribute(self, name: str, default: int) -> int:
        """An attribute that is an integer."""
        for one in of_number(self.fields, NODE_ATTRIBUTE):
            attribute = read_message(one.content)
            if name_of(attribute, ATTRIBUTE_NAME) == name:
                return next(iter(integers(attribute, ATTRIBUTE_INT)), 0)
        return default

    def encoded(self) -> Field:
        """With its names as they are now."""
        named = (NODE_INPUT, NODE_OUTPUT)
        rest = [field for field in self.fields if field.number not in named]
        names = [Field.of(NODE_INPUT, name) for name in self.inputs]
        names += [Field.of(NODE_OUTPUT, name) for name in self.outputs]
        return Field.of(GRAPH_NODE, write_message([*names, *rest]))


@dataclass
class Graph:
    """The operators in the order of computation, and the weights by name."""

    fields: Message
    nodes: list[Node]
    weights: dict[str, Message]
    kept: set[str] = field(default_factory=set)
    """Weights that a conversion leaves as they are."""


def converted_model(model: bytes, convert: Callable[[bytes], bytes], refused: Refusal) -> bytes:
    """The same file with another graph.

    Raises:
        SetupError: MODELINIT_FAIL for bytes that are no message; `refused` for functions.
    """
    fields = read_message(model)
    if any(of_number(fields, MODEL_FUNCTIONS)):
        raise refused("it has functions of its own")
    converted = [
        Field.of(MODEL_GRAPH, convert(one.content)) if one.number == MODEL_GRAPH else one
        for one in fields
    ]
    return write_message(converted)


def read_graph(content: bytes, refused: Refusal) -> Graph:
    """The operators and weights of a graph's bytes."""
    fields = read_message(content)
    if any(of_number(fields, GRAPH_SPARSE)):
        raise refused("it has sparse weights")
    nodes = []
    for one in of_number(fields, GRAPH_NODE):
        parts = read_message(one.content)
        operator = "".join(part.text for part in of_number(parts, NODE_OP))
        names = [[part.text for part in of_number(parts, side)] for side in (NODE_INPUT, NODE_OUTPUT)]
        if not names[1]:
            raise refused(f"its operator {operator!r} has no output")
        nodes.append(Node(parts, operator, *names))
    weights = [read_message(one.content) for one in of_number(fields, GRAPH_INITIALIZER)]
    return Graph(fields, nodes, {name_of(tensor, TENSOR_NAME): tensor for tensor in weights})


def require_operators(nodes: list[Node], unknown: Collection[str], refused: Refusal) -> None:
    """Hold that no operator is one of these, of another domain, or holds a graph of its own."""
    for node in nodes:
        domain = name_of(node.fields, NODE_DOMAIN)
        if node.operator in unknown or domain not in ("", "ai.onnx"):
            raise refused(f"it has the operator {domain}{'.' if domain else ''}{node.operator}")
        for one in of_number(node.fields, NODE_ATTRIBUTE):
            if set(integers(read_message(one.content), ATTRIBUTE_TYPE)) & set(GRAPH_TYPES):
                raise refused(f"its operator {node.operator} holds a graph")


def float_bytes(tensor: Message, refused: Refusal) -> bytes:
    """The numbers of a tensor of floats, little-endian."""
    if any(of_number(tensor, TENSOR_EXTERNAL)):
        raise refused("its weights lie in another file")
    packed = b"".join(
        one.content for number in (TENSOR_RAW, TENSOR_FLOATS) for one in of_number(tensor, number)
    )
    if len(packed) % 4:
        raise refused(f"its tensor {name_of(tensor, TENSOR_NAME)!r} is damaged")
    return packed


def float_names(graph: Graph, number: int) -> Iterator[str]:
    """Names of the float inputs or outputs."""
    for one in of_number(graph.fields, number):
        value = read_message(one.content)
        if _element_type(value) == FLOAT:
            yield name_of(value, 1)


def _element_type(value: Message) -> int:
    """ValueInfoProto.type (2) .tensor_type (1) .elem_type (1)."""
    for kind in of_number(value, 2):
        for tensor in of_number(read_message(kind.content), 1):
            return next((f.integer for f in of_number(read_message(tensor.content), 1)), 0)
    return 0


def name_of(fields: Message, number: int) -> str:
    """A text field; empty when there is none."""
    return next((one.text for one in of_number(fields, number)), "")
