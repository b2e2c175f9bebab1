"""Libraries that tell their makers of every process: ours tell nobody, and keep nothing for later."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT

PROGRAM = """
import importlib, socket, sys
import numpy
from livegate.engines.base import EngineOptions
from support import tiny_manifest, tiny_onnx

def refuse(*asked, **more):
    raise AssertionError(f"somebody asks for an address: {asked}")

socket.getaddrinfo = socket.create_connection = refuse  # of Python; a library's own leaves files
plugin = importlib.import_module(f"livegate.backends.{sys.argv[1]}").Plugin()
assert plugin.probe().is_available
network = tiny_manifest(tiny_onnx()).networks[0]
engine = plugin.load(network, tiny_onnx(), EngineOptions("cpu"))
shape = [2 if isinstance(side, str) else side for side in network.input.shape]
print(len(engine.run({network.input.name: numpy.zeros(shape, numpy.float32)})))
told = sys.modules.get("openvino_telemetry")
assert told is None, told
"""


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_backend_writes_nothing_and_calls_nobody(backend: str, tmp_path: Path) -> None:
    """No number of the device, no events that wait for a network, in the home or beside."""
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", *OPT_OUTS)}
    own = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    path = os.pathsep.join([str(ROOT / "tests"), inherited.get("PYTHONPATH", "")])
    environment = {**inherited, **own, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", PROGRAM, backend]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert [str(file) for file in tmp_path.rglob("*")] == []


OPT_OUTS = ("ORT_DISABLE_TELEMETRY", "TF_BUILD", "JENKINS_URL")
"""What keeps the libraries silent by itself."""
