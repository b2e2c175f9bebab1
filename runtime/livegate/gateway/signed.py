"""What a signature over a request is made of, with a bound: it is worked out for anybody who asks."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from livegate.core.errors import AuthError

MAX_NAMES = 32
MAX_PAIRS = 64


def signed_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names of signed headers.

    Raises:
        AuthError: there are more than MAX_NAMES, or one comes twice.
    """
    found = tuple(names)
    if len(found) > MAX_NAMES or len(set(found)) < len(found):
        raise AuthError(
            f"{len(found)} headers are signed",
            hint=f"sign each header once, and at most {MAX_NAMES} of them",
        )
    return found


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query, decoded.

    Raises:
        AuthError: there are more than MAX_PAIRS.
    """
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PAIRS)
    except ValueError as error:
        raise AuthError(
            f"the query has more than {MAX_PAIRS} fields", hint="send them in the body"
        ) from error
