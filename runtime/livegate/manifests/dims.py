"""Tensor dimensions that depend on others, as a manifest writes them: 3, "height", "height*width/64".

Only products and exact quotients of names and integers; anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from livegate.core.errors import ErrorCode, SetupError

_GRAMMAR = re.compile(r"[a-z_]+|[0-9]+|[*/]")


def resolve_dim(dim: int | str, known: Mapping[str, int]) -> int:
    """The number that a dimension comes to when the named ones are known.

    Raises:
        SetupError: MODELINIT_FAIL for an unknown name, another operator or an inexact quotient.
    """
    if isinstance(dim, int):
        return dim
    parts = _GRAMMAR.findall(dim)
    if "".join(parts) != dim.replace(" ", "") or not parts[::2] or len(parts) % 2 == 0:
        raise _refused(dim, "only names, integers, * and / are understood")
    result = _value(parts[0], dim, known)
    for operator, operand in zip(parts[1::2], parts[2::2], strict=True):
        value = _value(operand, dim, known)
        if operator == "*":
            result *= value
        elif operator == "/" and value and result % value == 0:
            result //= value
        else:
            raise _refused(dim, f"{result} {operator} {operand} has no exact value")
    return result


def resolve_shape(shape: Sequence[int | str], known: Mapping[str, int]) -> tuple[int, ...]:
    """The numbers of a whole shape."""
    return tuple(resolve_dim(dim, known) for dim in shape)


def _value(part: str, dim: str, known: Mapping[str, int]) -> int:
    if part.isdigit():
        return int(part)
    if part not in known:
        raise _refused(dim, f"{part!r} is not one of {', '.join(known) or 'no names'}")
    return known[part]


def _refused(dim: str, why: str) -> SetupError:
    return SetupError(ErrorCode.MODELINIT_FAIL, f"the dimension {dim!r} cannot be read: {why}")
