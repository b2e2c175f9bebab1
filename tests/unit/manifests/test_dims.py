"""Dimensions that depend on others."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, SetupError
from livegate.manifests.dims import resolve_dim, resolve_shape

KNOWN = {"batch": 2, "height": 96, "width": 64}
SMALL = st.integers(1, 10_000)


@pytest.mark.parametrize(
    ("dim", "value"),
    [
        (3, 3),
        ("7", 7),
        ("height", 96),
        ("height*width", 6144),
        ("height * width / 64", 96),
        ("height/32*width/32", 6),
        ("2*batch*2", 8),
    ],
)
def test_resolve_dim_expression_is_its_number(dim: int | str, value: int) -> None:
    """Numbers, names, products and exact quotients come to a number, from left to right."""
    assert resolve_dim(dim, KNOWN) == value


@pytest.mark.parametrize(
    "dim",
    [
        "",
        " ",
        "*",
        "depth",
        "height+1",
        "height-1",
        "height//2",
        "height**2",
        "height width",
        "(height)",
        "height*",
        "/2",
        "height/0",
        "height/7",
        "1.5",
        "__import__('os')",
        "Height",
        "height;width",
    ],
)
def test_resolve_dim_anything_else_is_refused_and_quoted(dim: str) -> None:
    """Another operator, an unknown name or an inexact quotient is 1029, with the text as written."""
    with pytest.raises(SetupError) as caught:
        resolve_dim(dim, KNOWN)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert repr(dim) in caught.value.message


def test_resolve_dim_unknown_name_lists_the_known_ones() -> None:
    """An unknown name is answered with those that are known."""
    with pytest.raises(SetupError, match="batch, height, width"):
        resolve_dim("depth", KNOWN)


@given(height=SMALL, width=SMALL)
def test_resolve_dim_product_is_the_product(height: int, width: int) -> None:
    """A product of names is the product of their numbers."""
    assert resolve_dim("height*width", {"height": height, "width": width}) == height * width


@given(number=SMALL, divisor=SMALL)
def test_resolve_dim_quotient_is_exact_or_refused(number: int, divisor: int) -> None:
    """A quotient is taken when it is exact and refused when it is not, never rounded."""
    if number % divisor == 0:
        assert resolve_dim(f"n/{divisor}", {"n": number}) == number // divisor
    else:
        with pytest.raises(SetupError):
            resolve_dim(f"n/{divisor}", {"n": number})


@given(factors=st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_resolve_dim_chain_of_products_is_their_product(factors: list[int]) -> None:
    """A chain of any length is worked through from its first factor to its last."""
    assert resolve_dim("*".join(map(str, factors)), {}) == math.prod(factors)


@given(text=st.text(alphabet="abn_019*/ +-.()[]{}'\"\n", max_size=12))
def test_resolve_dim_any_text_is_a_number_or_a_setup_error(text: str) -> None:
    """Whatever a manifest writes there, it is a whole number or a refusal, never another exception."""
    try:
        value = resolve_dim(text, {"a": 2, "b": 3, "n": 12})
    except SetupError:
        return
    assert isinstance(value, int)
    assert value >= 0


def test_resolve_shape_resolves_every_dimension() -> None:
    """A shape is resolved dimension by dimension, in order."""
    assert resolve_shape(("batch", "height*width/64", 4), KNOWN) == (2, 96, 4)
