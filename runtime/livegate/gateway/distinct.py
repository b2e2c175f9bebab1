"""Names in the configuration that must not stand there twice: which secret would hold?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from livegate.core.errors import ErrorCode, SetupError


def require_distinct(names: Iterable[str], key: str, *, hint: str) -> None:
    """Refuse a list of the configuration, `key`, in which a name is given twice.

    Raises:
        SetupError: CONFIG_ADD_FAIL.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL, f"{key} names {', '.join(twice)} more than once", hint=hint
        )
