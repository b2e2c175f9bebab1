"""Start a LiveGate server, send a photograph over gRPC and over HTTP, print both verdicts, stay up.

    python docs/examples/first_verdict.py [--models DIR] [--pack NAME] [--picture FILE]

This is what `make run` runs, with the models of the package. The photograph is NASA's portrait of Eileen
Collins, which is in the public domain and comes with scikit-image.
"""

from __future__ import annotations

import argparse
import base64
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import Any

from livegate.client import FACE_DETECTION, SILENT_LIVENESS, LivenessClient
from livegate.core.errors import LiveGateError

GRPC, HTTP, METRICS = "127.0.0.1:50051", "127.0.0.1:8080", "127.0.0.1:9090"
WARM_TIMEOUT_S = 120


def main() -> int:
    """Serve, ask twice, wait."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--models", metavar="DIR", help="folder with the model files")
    parser.add_argument("--pack", metavar="NAME", help="whose models: starter, reference, …")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="another photograph")
    parser.add_argument("--once", action="store_true", help="stop after the verdicts")
    options = parser.parse_args()
    models = ["--models", options.models] if options.models else []
    models += ["--pack", options.pack] if options.pack else []
    if not models_are_here(models):
        return 2
    for address in (GRPC, HTTP, METRICS):
        if is_taken(address):
            print(f"something answers on {address} already: stop it first", file=sys.stderr)
            return 2
    picture = options.picture.read_bytes() if options.picture else astronaut()
    command = [sys.executable, "-m", "livegate", "serve", *models]
    with subprocess.Popen(command) as server:
        signal.signal(signal.SIGTERM, lambda number, frame: stop(server, frame))
        try:
            wait_until_warm(server)
            over_grpc(picture)
            over_http(picture)
            if options.once:
                server.terminate()
            else:
                print(f"\nServing: gRPC {GRPC}, HTTP {HTTP}, metrics {METRICS}. Ctrl-C stops.")
            return server.wait()
        except KeyboardInterrupt:
            return server.wait()
        except (LiveGateError, RuntimeError) as error:
            print(f"first_verdict: {error}", file=sys.stderr)
            server.terminate()
            return 2


def models_are_here(models: list[str]) -> bool:
    """Whether every model file is in place; if not, say exactly how to get there."""
    command = [sys.executable, "-m", "livegate", "models", "verify", *models]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0:
        return True
    print(
        "\nPut the files named above (repository, commit, path and sha256 are given) into a folder,\n"
        "under any name, then `make run MODELS_FROM=that/folder`, or bring them in once for all with\n"
        "    .venv/bin/livegate models pull reference [--from that/folder]",
        file=sys.stderr,
    )
    return False


def is_taken(address: str) -> bool:
    """Whether somebody listens there; its answers would be taken for ours."""
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def astronaut() -> bytes:
    """The photograph as a JPEG file."""
    import simplejpeg
    from skimage import data

    pixels = data.astronaut()  # type: ignore[no-untyped-call]
    encoded: bytes = simplejpeg.encode_jpeg(pixels, quality=95, colorspace="RGB")
    return encoded


def wait_until_warm(server: subprocess.Popen[bytes]) -> None:
    """Ask /readyz until it says 200."""
    until_s = time.monotonic() + WARM_TIMEOUT_S
    while time.monotonic() < until_s:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with status {server.returncode}")
        try:
            with urllib.request.urlopen(f"http://{METRICS}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server was not warm after {WARM_TIMEOUT_S} s")


def over_grpc(picture: bytes) -> None:
    """Silent liveness and face detection in one request."""
    with LivenessClient(GRPC) as client:
        answer = client.analyze(picture, algo_tasks=(SILENT_LIVENESS, FACE_DETECTION), task_id="t1")
    silent = answer.results[0]
    box = answer.faces[0].face.box if answer.faces else None
    print(f"\ngRPC   {silent.decision.value}  score {silent.score:.4f}  face {box}")
    stages = ", ".join(f"{name} {spent:.2f}" for name, spent in answer.stages_ms.items())
    print(f"       ran on {answer.engines[0].provider}; milliseconds: {stages}")


def over_http(picture: bytes) -> None:
    """The same picture as an AIPaaS client sends it."""
    message = {
        "code": 1019,
        "data": {
            "taskId": "task_1",
            "algoTasks": [{"algoTask": 1031}],
            "imageList": [{"image": base64.b64encode(picture).decode()}],
        },
    }
    print(f"HTTP   {json.dumps(post('/aipaas/live/v1/detection/silent', message))}")


def post(path: str, message: dict[str, Any]) -> Any:
    """Send JSON, get JSON."""
    headers = {"Content-Type": "application/json", "X-APP-ID": "demo"}
    body = json.dumps(message).encode()
    request = urllib.request.Request(f"http://{HTTP}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def stop(server: subprocess.Popen[bytes], frame: FrameType | None) -> None:
    """Pass the signal on; the server drains."""
    server.terminate()


if __name__ == "__main__":
    sys.exit(main())
