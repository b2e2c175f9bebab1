"""The Huawei FRS dialect: live-detect-face with a token and the picture in base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from livegate_bench.generator.credentials import TOKEN
from livegate_bench.http_system import HttpSystem
from livegate_bench.system import Refused

PATH = "/v1/bench/live-detect-face"
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": TOKEN}


class Plugin(HttpSystem):
    """Its answer holds the picture again, in base64, and its warnings need the face's quality."""

    has_own_networks = True  # head pose
    busy_code = "FRS.0120"

    def message(self) -> tuple[str, bytes, Mapping[str, str]]:
        """The picture in base64."""
        image = base64.b64encode(self.place.picture).decode()
        return PATH, json.dumps({"image_base64": image}).encode(), HEADERS

    def check(self, status: int, answer: bytes) -> None:
        """A result, or an error's code."""
        told = json.loads(answer)
        if "result" not in told:
            raise Refused(str(told.get("error_code")))
