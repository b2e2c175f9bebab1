"""Names that must not be given twice."""

from __future__ import annotations

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.gateway.distinct import require_distinct


def test_distinct_names_are_well() -> None:
    """None, one, or several that differ."""
    for names in ((), ("a",), ("a", "A", "b")):
        require_distinct(names, "x.apps", hint="")


def test_names_given_twice_are_told() -> None:
    """Each once, sorted, with the key and what to do."""
    with pytest.raises(SetupError, match=r"x\.apps names a, b more than once") as caught:
        require_distinct(iter("babac"), "x.apps", hint="give each one key")
    assert (caught.value.code, caught.value.hint) == (ErrorCode.CONFIG_ADD_FAIL, "give each one key")
