"""Request ids: taken over from the caller when they are sane, made otherwise."""

from __future__ import annotations

import re
import uuid

SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def request_id(given: str | None) -> str:
    """The caller's own id if it is 1..128 harmless characters, else a new one."""
    return given if given and SANE.fullmatch(given) else uuid.uuid4().hex
