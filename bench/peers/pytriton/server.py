"""PyTriton: a copy of the callable in a process for each core, behind its bundled Triton server."""

from __future__ import annotations

import os
import signal
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pytriton.decorators import sample
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig, TritonSecurityConfig
from work import Order, Work, lean_session, order_from_arguments


class Judge:
    """One copy; the models are loaded with the first picture, in the process that runs it."""

    def __init__(self, order: Order) -> None:
        """Nothing yet: it is made in the parent."""
        self.order = order
        self.work: Work | None = None

    @sample
    def __call__(self, picture: Any) -> dict[str, Any]:
        """(N,) uint8 in, (M,) uint8 out: JSON."""
        if self.work is None:
            cv2.setNumThreads(1)
            self.work = Work(self.order, lean_session, threads=1)
        return {"answer": np.frombuffer(self.work.json(picture.tobytes()), np.uint8)}


def main() -> None:
    """Serve until told to end."""
    order = order_from_arguments()
    # Triton's Python stub takes the first libpython that the linker finds: it must be this Python's own.
    libraries = (sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH"))
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=order.http,
        grpc_address="127.0.0.1",
        grpc_port=order.grpc,
        metrics_port=order.metrics,
    )
    # Guards what registers shared memory; the bench knows it (livegate_bench/peers/triton.py).
    guard = TritonSecurityConfig(access_token="livegate-bench")
    folder = Path(tempfile.mkdtemp()) / "triton"
    with Triton(config=config, workspace=folder, security_config=guard) as triton:
        triton.bind(
            model_name="judge",
            infer_func=[Judge(order) for _ in range(order.cores)],
            inputs=[Tensor(name="picture", dtype=np.uint8, shape=(-1,))],
            outputs=[Tensor(name="answer", dtype=np.uint8, shape=(-1,))],
            config=ModelConfig(batching=False),
        )
        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # `serve` cleans up after this one only
        triton.serve()


if __name__ == "__main__":
    main()
