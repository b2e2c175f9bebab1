"""What was sent, told apart: containers, pictures, videos, and everything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips import GREY, clip
from livegate.core.config import Device
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.gateway.recording import Recording, RecordingReader
from livegate.ingest.envelope import DeviceKey
from livegate.ingest.liveness_data import LivenessData, Motion, container_from_liveness_data
from support import config_with, encoded, noise, png_bomb, webp_lossless

JPEG = encoded(".jpg", noise(64, 48))
KEY = DeviceKey("kiosk-7", bytes(range(32)))
TOLD = LivenessData("kiosk-7", 1_795_000_000_000, bytes(16), images=(JPEG,), motions=(Motion.NOD,))


def reader(**own: Any) -> RecordingReader:
    device = Device(id=KEY.device_id, key=KEY.key.hex())
    return RecordingReader(config_with(linkface={"devices": (device,), **own}))


def refusal(content: bytes, **own: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        reader(**own).read(content)
    return caught.value


@pytest.mark.parametrize(
    "content",
    [JPEG, encoded(".png", noise(40, 40)), encoded(".bmp", noise(40, 40)), webp_lossless(noise(40, 40))],
)
def test_plain_picture_is_a_recording(content: bytes) -> None:
    """As it is, without a nonce."""
    assert reader().read(content) == Recording(images=(content,))


@pytest.mark.parametrize("suffix", ["mp4", "mov", "avi", "flv", "mkv"])
def test_plain_video_is_a_recording(suffix: str, tmp_path: Path) -> None:
    """Of every kind that cameras write; it is not looked into here."""
    content = clip(tmp_path / f"a.{suffix}", [GREY] * 3).read_bytes()
    assert reader().read(content) == Recording(video=content)


@pytest.mark.parametrize("seal", [None, KEY])
def test_container_is_opened(seal: DeviceKey | None) -> None:
    """Its pictures, its motions, and what makes it new."""
    found = reader().read(container_from_liveness_data(TOLD, seal))
    told = ("kiosk-7", bytes(16)), TOLD.created_ms, seal is not None
    assert found == Recording((JPEG,), b"", (Motion.NOD,), *told)


def test_sealed_container_is_required_where_the_operator_says_so() -> None:
    """Plain files and open containers are refused then."""
    for content in (JPEG, container_from_liveness_data(TOLD)):
        assert "sealed containers only" in refusal(content, require_sealed=True).message
    sealed = container_from_liveness_data(TOLD, KEY)
    assert reader(require_sealed=True).read(sealed).images == (JPEG,)


@given(st.binary(min_size=0, max_size=400))
def test_vendors_blob_is_refused_with_the_reason(blob: bytes) -> None:
    """Whatever it is, it is encrypted; and the reason says so."""
    error = refusal(b"\x0a\x10" + blob)
    assert error.code is ErrorCode.DECODE_FAIL
    assert "encrypted" in error.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"GIF89a" + bytes(50), ErrorCode.DECODE_FAIL),
        (JPEG[:20], ErrorCode.DECODE_FAIL),
        (encoded(".jpg", noise(16, 16)), ErrorCode.PARAM_FAILURE),
        (png_bomb(20_000, 20_000), ErrorCode.OUT_OF_RANGE),
        (b"", ErrorCode.DECODE_FAIL),
    ],
)
def test_picture_that_cannot_be_judged_is_refused(content: bytes, code: ErrorCode) -> None:
    """By its header, plain or in a container."""
    assert refusal(content).code is code
    if content:
        packed = container_from_liveness_data(replace(TOLD, images=(JPEG, content)), KEY)
        error = refusal(packed)
        assert error.code is code
        assert "image 2 of 2" in error.message


def test_video_above_the_limit_is_refused() -> None:
    """Before anything starts for it."""
    video = b"\0\0\0\x18ftypmp42" + bytes(100)
    config = config_with(video={"max_bytes": 50})
    with pytest.raises(RequestError) as caught:
        RecordingReader(config).read(video)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize("device", [Device(id="a b", key="ab" * 32), Device(id="a", key="short")])
def test_device_that_is_none_is_refused_at_start(device: Device) -> None:
    """With the key of the configuration's own words, not at the first request."""
    with pytest.raises(SetupError) as caught:
        RecordingReader(config_with(linkface={"devices": (device,)}))
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert device.key not in str(caught.value)


def test_device_with_two_keys_is_refused_at_start() -> None:
    """Which of them opens its containers must not depend on the order."""
    devices = (Device(id="a", key="ab" * 32), Device(id="a", key="cd" * 32))
    with pytest.raises(SetupError, match="names a more than once"):
        RecordingReader(config_with(linkface={"devices": devices}))
