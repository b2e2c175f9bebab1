"""The Huawei FRS dialect: live-detect-face with a token and the picture in base64."""

from __future__ import annotations

import base64
import json

from livegate_bench.credentials import TOKEN
from livegate_bench.http_link import HttpLink
from livegate_bench.system import Ask, Refused, System

PATH = "/v1/bench/live-detect-face"
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": TOKEN}


class Plugin(System):
    """Its answer holds the picture again, in base64, and its warnings need the face's quality."""

    has_own_networks = True  # head pose

    def caller(self) -> Ask:
        """A connection of its own."""
        link = HttpLink(self.place.server.http)
        self.stack.callback(link.close)

        def ask() -> None:
            image = base64.b64encode(self.place.picture).decode()
            _, answer = link.post(PATH, json.dumps({"image_base64": image}).encode(), HEADERS)
            told = json.loads(answer)
            if "result" not in told:
                raise Refused(str(told.get("error_code")))

        return ask
