"""LitServe: the work in `predict`, a worker process for each core, the JPEG in a form."""

from __future__ import annotations

from typing import Any

import cv2
import litserve as ls
from work import Order, Work, lean_session, order_from_arguments


class Judge(ls.LitAPI):
    """One of these in each worker."""

    def __init__(self, order: Order) -> None:
        """Nothing is loaded before `setup`."""
        super().__init__()
        self.order = order

    def setup(self, device: str) -> None:
        """Once in each worker."""
        cv2.setNumThreads(1)
        self.work = Work(self.order, lean_session, threads=1)

    def decode_request(self, request) -> bytes:
        """The form's file; other bodies are read as JSON by LitServe."""
        content: bytes = request["picture"].file.read()
        return content

    def predict(self, x: bytes) -> dict[str, Any]:
        """One picture."""
        return self.work(x)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """It is JSON already."""
        return output


if __name__ == "__main__":
    order = order_from_arguments()
    server = ls.LitServer(Judge(order), accelerator="cpu", workers_per_device=order.cores)
    server.run(host="127.0.0.1", port=order.http, log_level="warning", generate_client_file=False)
