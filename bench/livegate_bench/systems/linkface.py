"""The Linkface dialect: selfie_hack_detect with the file in a form, as the cloud's sample sends it."""

from __future__ import annotations

import json

from livegate_bench.credentials import API_ID, API_SECRET
from livegate_bench.http_link import HttpLink, form
from livegate_bench.system import Ask, Refused, System

PATH = f"/hackness/selfie_hack_detect?api_id={API_ID}&api_secret={API_SECRET}"


class Plugin(System):
    """A multipart form."""

    busy_code = "503 INTERNAL_ERROR"  # the cloud's table has no status of its own for it

    def caller(self) -> Ask:
        """A connection of its own."""
        link = HttpLink(self.place.server.http)
        self.stack.callback(link.close)

        def ask() -> None:
            body, kind = form("file", self.place.picture)
            http_status, answer = link.post(PATH, body, {"Content-Type": kind})
            status = json.loads(answer).get("status")
            if status != "OK":
                raise Refused(f"{http_status} {status}")

        return ask
