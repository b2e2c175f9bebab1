"""What an integrator packs, and what doing so loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from livegate.client import Motion, key_from_text, pack_liveness_data
from livegate.core.errors import RequestError
from livegate.ingest.liveness_data import ContainerLimits, liveness_data_from_container

LIMITS = ContainerLimits(16, 1000, 1000)
KEY = key_from_text("kiosk-7", "ab" * 32)


def test_packed_pictures_come_back() -> None:
    """With the time, and a nonce that nobody else has."""
    packed = [
        pack_liveness_data(
            device_id="kiosk-7", images=[b"a", b"b"], motions=[Motion.NOD], key=KEY, now_s=lambda: 1.5
        )
        for _ in range(2)
    ]
    one, other = (liveness_data_from_container(p, {"kiosk-7": KEY.key}, LIMITS) for p in packed)
    assert (one.images, one.motions, one.created_ms, one.is_sealed) == (
        (b"a", b"b"),
        (Motion.NOD,),
        1500,
        True,
    )
    assert one.nonce != other.nonce
    assert len(one.nonce) == 16


def test_nonce_may_be_told() -> None:
    """By whoever asks for the check."""
    packed = pack_liveness_data(device_id="k", video=b"v", nonce=bytes(32))
    assert liveness_data_from_container(packed, {}, LIMITS).nonce == bytes(32)


def test_nothing_to_pack_is_refused() -> None:
    """Where the mistake is made."""
    with pytest.raises(RequestError, match="neither"):
        pack_liveness_data(device_id="k")


def test_packing_loads_no_part_of_the_server() -> None:
    """Neither gRPC nor HTTP, no decoder, no network's runtime."""
    program = """
import sys
from livegate.client import pack_liveness_data, key_from_text
pack_liveness_data(device_id="k", images=[b"x"], key=key_from_text("k", "ab" * 32))
heavy = {"grpc", "starlette", "uvicorn", "av", "cv2", "onnxruntime", "httpcore"} & set(sys.modules)
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("livegate.")}
assert not heavy, heavy
assert not rooms & {"app", "gateway", "grpcapi", "service", "pipelines", "engines"}, rooms
print("light")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, "light\n"), done.stderr
