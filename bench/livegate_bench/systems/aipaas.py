"""The AIPaaS dialect: JSON with the picture in base64, signed as its clients sign (docs/dialects)."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from urllib.parse import quote

from livegate_bench.generator.credentials import APP_ID, APP_KEY
from livegate_bench.http_system import HttpSystem
from livegate_bench.system import Refused

PATH = "/aipaas/live/v1/detection/silent"
LIFETIME_S = 86_400


class Plugin(HttpSystem):
    """A client signs and encodes each request, because the cloud's own do."""

    def message(self) -> tuple[str, bytes, Mapping[str, str]]:
        """Signed now."""
        headers = {"Content-Type": "application/json", "X-APP-ID": APP_ID}
        headers["Authorization"] = authorization(int(time.time()))
        return PATH, body(self.place.picture), headers

    def check(self, status: int, answer: bytes) -> None:
        """Results, or a task's code."""
        told = json.loads(answer)
        data = told.get("data") or {}
        if "results" not in data:
            raise Refused(str(data.get("task_code", told.get("code"))))


def body(picture: bytes) -> bytes:
    """One picture, to be judged by 1031."""
    images = [{"image": base64.b64encode(picture).decode()}]
    tasks = [{"algoTask": 1031}]
    return json.dumps(
        {"code": 1019, "data": {"taskId": "bench", "algoTasks": tasks, "imageList": images}}
    ).encode()


def authorization(now_s: int) -> str:
    """Of a request with X-APP-ID as its only signed header."""
    prefix = f"teleai-cloud-auth-v1/{APP_ID}/BJ/{now_s}/{LIFETIME_S}"
    key = hmac.new(APP_KEY.encode(), prefix.encode(), "sha256").hexdigest()
    path = "/".join(quote(segment, safe="~") for segment in PATH.split("/"))
    canonical = f"POST\n{path}\n\nx-app-id:{APP_ID}"
    signature = hmac.new(key.encode(), canonical.encode(), "sha256").hexdigest()
    return f"{prefix}/x-app-id/{signature}"
