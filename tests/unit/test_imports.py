"""What an import brings with it: no vendor's library until one is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

VENDORS = ("onnxruntime", "openvino", "tensorrt", "acl", "pycuda", "cuda", "torch", "onnx")

# Prints the vendors' packages that are there after the imports, one on a line.
LOOK = "import sys; print(*[v for v in {vendors!r} if v in sys.modules], sep='\\n')"
EVERYTHING = """
import importlib, pkgutil, livegate
for found in pkgutil.walk_packages(livegate.__path__, "livegate."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""


def vendors_after(program: str) -> list[str]:
    """The vendors' packages that a fresh interpreter holds after a program."""
    command = [sys.executable, "-c", program + "\n" + LOOK.format(vendors=VENDORS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "program",
    ["import livegate", "import livegate.app", "import livegate.app.build", EVERYTHING],
    ids=["livegate", "app", "build", "every module"],
)
def test_import_of_livegate_brings_no_vendor_sdk(program: str) -> None:
    """Importing the package, its composition root, or all of it imports no inference library."""
    assert vendors_after(program) == []


def test_vendors_after_sees_an_import() -> None:
    """The look itself works: a program that imports one is found out."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    assert vendors_after("import onnxruntime") == ["onnxruntime"]


def test_producer_of_frames_does_without_grpc() -> None:
    """A camera's process carries no gRPC, and every name of the client is there when it is asked for."""
    program = """
import sys
from livegate.client import FrameProducer
assert not {"grpc", "google", "av"} & set(sys.modules), "too much was loaded"
import livegate.client
assert all(getattr(livegate.client, name) for name in livegate.client.__all__)
assert set(livegate.client.__all__) > {n for names in livegate.client._LATER.values() for n in names}
try:
    livegate.client.Nonsense
except AttributeError:
    print("AttributeError")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, "AttributeError\n"), done.stderr
