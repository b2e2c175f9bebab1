"""Pictures as base64 text, which clients break into lines or not."""

from __future__ import annotations

import base64
import binascii

LINE_BREAKS = str.maketrans("", "", "\r\n\t ")


def bytes_from_base64(text: str) -> bytes:
    """Decode; line breaks and blanks are skipped, anything else that is not base64 is refused.

    Raises:
        ValueError: it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass  # with line breaks, perhaps; the usual text has none
    return base64.b64decode(text.translate(LINE_BREAKS), validate=True)
