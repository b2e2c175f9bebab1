"""Comparing secrets without telling by the time it takes how much of them was right."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from livegate.core.errors import AuthError


def without_bearer(header: str) -> str:
    """An Authorization header without a leading "Bearer", however that is written."""
    scheme, _, rest = header.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header.strip()


def require_bearer(header: str | None, tokens: Iterable[str]) -> None:
    """Accept `Bearer TOKEN` for one of the tokens; with no tokens configured everybody passes.

    Raises:
        AuthError: none of them.
    """
    known = tuple(tokens)
    if not known:
        return
    given = without_bearer(header or "").encode()
    # Every token is compared, so that the time does not tell which one came near.
    matches = [hmac.compare_digest(given, token.encode()) for token in known]
    if not any(matches):
        raise AuthError(
            "a bearer token is required and none that is known was given",
            hint="send the header `authorization: Bearer TOKEN`",
        )
