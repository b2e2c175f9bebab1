"""The Linkface dialect: selfie_hack_detect with the file in a form, as the cloud's sample sends it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from livegate_bench.generator.credentials import API_ID, API_SECRET
from livegate_bench.generator.http_link import form
from livegate_bench.http_system import HttpSystem
from livegate_bench.system import Refused

PATH = f"/hackness/selfie_hack_detect?api_id={API_ID}&api_secret={API_SECRET}"


class Plugin(HttpSystem):
    """A multipart form."""

    busy_code = "503 INTERNAL_ERROR"  # the cloud's table has no status of its own for it

    def message(self) -> tuple[str, bytes, Mapping[str, str]]:
        """The file."""
        body, kind = form("file", self.place.picture)
        return PATH, body, {"Content-Type": kind}

    def check(self, status: int, answer: bytes) -> None:
        """OK, or one of its statuses."""
        told = json.loads(answer).get("status")
        if told != "OK":
            raise Refused(f"{status} {told}")
