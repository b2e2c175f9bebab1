"""Ray Serve on one machine: as many replicas as cores, behind its HTTP and its gRPC proxy."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

# The proxy is a process of its own and imports the gRPC service by name.
here = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join((here, os.environ.get("PYTHONPATH", "")))

import cv2  # noqa: E402
import ray  # noqa: E402
from google.protobuf.wrappers_pb2 import BytesValue  # noqa: E402
from ray import serve  # noqa: E402
from ray.serve.config import HTTPOptions, gRPCOptions  # noqa: E402
from starlette.requests import Request  # noqa: E402
from work import Order, Work, lean_session, order_from_arguments  # noqa: E402


class Judge:
    """A replica; Serve runs its plain methods one after the other in a thread."""

    def __init__(self, order: Order) -> None:
        """Load the models."""
        cv2.setNumThreads(1)
        self.work = Work(order, lean_session, threads=1)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """HTTP: the body is the picture."""
        return self.work(await request.body())

    def Judge(self, message: BytesValue) -> BytesValue:  # noqa: N802 - the method of the service
        """gRPC."""
        return BytesValue(value=self.work.json(message.value))


def main() -> None:
    """Serve until told to end."""
    order = order_from_arguments()
    ray.init(
        address="local",
        num_cpus=order.cores,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=os.environ.get("TMPDIR", tempfile.gettempdir()),
    )
    serve.start(
        http_options=HTTPOptions(host="127.0.0.1", port=order.http),
        grpc_options=gRPCOptions(port=order.grpc, grpc_servicer_functions=["service.add_judge"]),
    )
    deployment = serve.deployment(num_replicas=order.cores, ray_actor_options={"num_cpus": 1})(Judge)
    serve.run(deployment.bind(order), name="judge", route_prefix="/judge")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    serve.shutdown()
    ray.shutdown()
    sys.exit(0)


if __name__ == "__main__":
    main()
