"""Lines out of a pipe whose other end is not trusted to end them."""

from __future__ import annotations

import os

MAX_LINE_BYTES = 16_384
READ_BYTES = 65_536


class LineReader:
    """Whole lines as they come, from a descriptor that does not block."""

    def __init__(self, fd: int) -> None:
        """The descriptor stays the caller's to close."""
        os.set_blocking(fd, False)
        self.fd = fd
        self.is_ended = False
        self._begun = b""
        self._is_too_long = False

    def read(self) -> list[str]:
        """The lines that came since the last call; of one that is too long, its beginning."""
        try:
            taken = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return []
        if not taken:
            self.is_ended = True
            rest, self._begun = self._begun, b""
            return [_text(rest)] if rest and not self._is_too_long else []
        *ended, begun = (self._begun + taken).split(b"\n")
        if ended and self._is_too_long:
            del ended[0]
            self._is_too_long = False
        lines = [_text(line) for line in ended]
        if self._is_too_long:
            begun = b""
        elif len(begun) > MAX_LINE_BYTES:
            lines.append(_text(begun))
            begun, self._is_too_long = b"", True
        self._begun = begun
        return lines


def _text(line: bytes) -> str:
    return line[:MAX_LINE_BYTES].decode(errors="replace")
