"""The ways in which a method's one input may be named."""

from __future__ import annotations

from dataclasses import dataclass

from livegate.core.errors import ErrorCode, RequestError
from livegate.gateway.fields import Fields

TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Inputs:
    """How a method's input may be named: files, a URL, the id of an upload. One of them is given."""

    files: tuple[str, ...]
    url: str
    stored: str = ""

    def given(self, fields: Fields) -> str:
        """The name of the one that is there; an empty one counts as absent.

        Raises:
            RequestError: PARAM_FAILURE.
        """
        names = [name for name in (*self.files, self.url, self.stored) if fields.get(name)]
        if len(names) == 1:
            return names[0]
        if names:
            raise RequestError(ErrorCode.PARAM_FAILURE, f"{' and '.join(names)} are given, one is read")
        *most, last = [f"'{name}'" for name in (self.files[0], self.url, self.stored) if name]
        raise RequestError(ErrorCode.PARAM_FAILURE, f"must specify {', '.join(most)} or {last} argument")


def truth_from_text(name: str, text: str) -> bool:
    """true, false, 1 or 0; nothing is false.

    Raises:
        RequestError: PARAM_FAILURE.
    """
    if text and text.lower() not in TRUTHS:
        raise RequestError(ErrorCode.PARAM_FAILURE, f"{name!r} is true or false")
    return TRUTHS.get(text.lower(), False)
