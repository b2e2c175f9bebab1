"""The least that a process must do before it could judge: import the libraries, load the sessions.

Run as a file, so that nothing of LiveGate is imported: `python bare.py PLAN`, PLAN being JSON:
{"imports": [...], "networks": [{"backend": "...", "path": "..."}], "threads": 1}. Says "ready", then
waits for the end of its standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any, cast


def main() -> None:
    """Import, load, say so, wait."""
    plan = json.loads(sys.argv[1])
    # As silent as our backends make them.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", cast("ModuleType", None))
    for name in plan["imports"]:
        importlib.import_module(name)
    sessions = [session(network, plan["threads"]) for network in plan["networks"]]
    print("ready", len(sessions), flush=True)
    sys.stdin.read()


def session(network: dict[str, str], threads: int) -> Any:
    """One network as its library loads it with the same settings."""
    if network["backend"] == "openvino":
        openvino = importlib.import_module("openvino")
        core = openvino.Core()
        return core.compile_model(network["path"], "CPU", {"INFERENCE_NUM_THREADS": threads})
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(network["path"], options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
