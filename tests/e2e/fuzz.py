"""Requests with bytes changed, for servers that must answer whatever comes."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def mutated(data: Any, content: bytes) -> bytes:
    """Bytes changed, cut, put in, or the end missing."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, max(0, len(changed) - 1)))
        match data.draw(st.sampled_from(["set", "cut", "put", "end"])):
            case "set":
                changed[place : place + 1] = bytes([data.draw(st.integers(0, 255))])
            case "cut":
                del changed[place : place + data.draw(st.integers(1, 50))]
            case "put":
                changed[place:place] = data.draw(st.binary(min_size=1, max_size=20))
            case _:
                del changed[max(1, place) :]
    return bytes(changed)
