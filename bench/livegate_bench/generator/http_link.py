"""HTTP as a client of a cloud speaks it: one connection that is kept, one request at a time."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Mapping

TIMEOUT_S = 30.0
IDLE_S = 15.0
"""A connection that was silent for longer is dialled anew: the server hangs up after 30 s."""
BOUNDARY = "livegate-bench-3f1c9a"


class HttpLink:
    """One connection; it is dialled again when it broke."""

    def __init__(self, address: str) -> None:
        """`address`: host:port. Connect with the first request."""
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
        self._used_s: float | None = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """(status, body).

        Raises:
            OSError: the server is gone, or does not speak HTTP.
        """
        if self._used_s is not None and time.monotonic() - self._used_s > IDLE_S:
            self.close()
        try:
            self._connection.request("POST", path, body, dict(headers))
            answer = self._connection.getresponse()
            content = answer.read()
            self._used_s = time.monotonic()
            return answer.status, content
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(str(error)) from error
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._connection.close()


def form(field: str, content: bytes) -> tuple[bytes, str]:
    """A multipart form of one file, and its Content-Type."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="face.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={BOUNDARY}"
