"""The container of liveness data: values to a file and back, and what is refused before it is read."""

from __future__ import annotations

import contextlib
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError
from livegate.ingest.envelope import DeviceKey, wrap
from livegate.ingest.liveness_data import (
    ContainerLimits,
    LivenessData,
    Motion,
    container_from_liveness_data,
    is_container,
    liveness_data_from_container,
    motions_from_text,
)
from livegate.v1 import liveness_data_pb2 as pb

KEY = DeviceKey("kiosk-7", bytes(range(32)))
LIMITS = ContainerLimits(max_images=4, max_image_bytes=1000, max_video_bytes=2000)
TOLD = LivenessData(
    device_id="kiosk-7",
    created_ms=1_795_000_000_000,
    nonce=bytes(16),
    images=(b"one", b"two"),
    motions=(Motion.BLINK, Motion.YAW),
)


def read(content: bytes) -> LivenessData:
    return liveness_data_from_container(content, {KEY.device_id: KEY.key}, LIMITS)


def refusal(content: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(content)
    return caught.value


def message(**changes: Any) -> pb.LivenessData:
    fields = {"created_ms": 1, "nonce": bytes(16), "device_id": "kiosk-7", "images": [b"one"], **changes}
    return pb.LivenessData(**fields)


@pytest.mark.parametrize("seal", [None, KEY])
@pytest.mark.parametrize("told", [TOLD, replace(TOLD, images=(), video=b"v" * 2000, motions=())])
def test_values_come_back(told: LivenessData, seal: DeviceKey | None) -> None:
    """Everything that was told, and whether the key proves it."""
    content = container_from_liveness_data(told, seal)
    assert is_container(content)
    assert read(content) == replace(told, is_sealed=seal is not None)


def test_pictures_are_not_in_the_repr() -> None:
    """What prints a container prints no pixels and no nonce."""
    assert b"one" not in repr(TOLD).encode()
    assert "nonce" not in repr(TOLD)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"nonce": bytes(15)}, "nonce has 15 bytes"),
    ({"nonce": bytes(65)}, "nonce has 65 bytes"),
    ({"created_ms": 0}, "when it was made"),
    ({"created_ms": -1}, "when it was made"),
    ({"created_ms": 1 << 60}, "when it was made"),
    ({"device_id": ""}, "device id"),
    ({"device_id": "a/b"}, "device id"),
    ({"images": []}, "neither pictures nor a video"),
    ({"video": b"v"}, "pictures and a video"),
]


@pytest.mark.parametrize(("change", "why"), [*BAD, ({"motions": [1] * 11}, "11 motions")])
def test_values_that_make_no_container_are_refused(change: dict[str, Any], why: str) -> None:
    """By who reads it."""
    assert why in refusal(wrap(message(**change).SerializeToString())).message


@pytest.mark.parametrize(("change", "why"), BAD)
def test_writer_refuses_what_the_reader_would(change: dict[str, Any], why: str) -> None:
    """So that a mistake is found where it was made."""
    with pytest.raises(RequestError, match=why) as caught:
        container_from_liveness_data(replace(TOLD, **change))
    assert caught.value.code is ErrorCode.PARAM_FAILURE


def test_writer_refuses_another_devices_key() -> None:
    """A device seals for itself."""
    with pytest.raises(RequestError, match="belongs to kiosk-7"):
        container_from_liveness_data(replace(TOLD, device_id="other"), KEY)


def test_device_cannot_speak_for_another() -> None:
    """The message's device must be the one whose key opened it."""
    content = wrap(message(device_id="other").SerializeToString(), KEY)
    assert "another device" in refusal(content).message


@pytest.mark.parametrize("number", [0, 5, -1])
def test_unknown_motion_is_refused(number: int) -> None:
    """A number that has no name, and the one that says nothing."""
    assert "no motion" in refusal(wrap(message(motions=[number]).SerializeToString())).message


@pytest.mark.parametrize(
    "change",
    [
        {"images": [b"x"] * 5},
        {"images": [bytes(1001)]},
        {"images": [], "video": bytes(2001)},
        {"nonce": bytes(129)},
        {"device_id": "a" * 129},
        {"motions": [1] * 129},
    ],
)
def test_what_is_above_the_limits_is_refused(change: dict[str, Any]) -> None:
    """Number and size of each field."""
    assert refusal(wrap(message(**change).SerializeToString())).code is ErrorCode.OUT_OF_RANGE


def test_many_empty_pictures_take_no_memory() -> None:
    """Two bytes each in the file; the limit holds before there is an object for every one."""
    content = wrap(b"\x22\x00" * 2200)
    tracemalloc.start()
    assert refusal(content).code is ErrorCode.OUT_OF_RANGE
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000


@pytest.mark.parametrize(
    "body",
    [b"\x22", b"\x22\x05abcd", b"\x08", b"\x08" + b"\xff" * 11, b"\x09" + bytes(8), b"\x0d" + bytes(4)],
)
def test_message_that_is_no_message_is_refused(body: bytes) -> None:
    """Fields that are cut short, numbers without an end, wire types that it does not have."""
    assert refusal(wrap(body)).code is ErrorCode.DECODE_FAIL


def test_many_unknown_fields_are_refused() -> None:
    """A later writer may add some; thousands are an attack."""
    good = message().SerializeToString()
    assert read(wrap(good + b"\x78\x01" * 5)).images == (b"one",)
    assert refusal(wrap(good + b"\x78\x01" * 99)).code is ErrorCode.OUT_OF_RANGE


@given(st.binary(max_size=200))
def test_garbage_is_an_error_with_a_number(garbage: bytes) -> None:
    """A message of random bytes never is a defect."""
    assert refusal(wrap(garbage)).code in (ErrorCode.DECODE_FAIL, ErrorCode.OUT_OF_RANGE)


@given(st.data())
def test_changed_message_is_read_or_refused(data: Any) -> None:
    """Bytes changed in an unsealed container: values within the limits, or an error with a number."""
    body = bytearray(message(motions=[1, 4]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RequestError):
        told = read(wrap(bytes(body)))
        assert bool(told.images) != bool(told.video)
        assert len(told.nonce) >= 16


def test_container_from_elsewhere_is_read() -> None:
    """Recorded bytes: the format does not change under whoever wrote some."""
    recorded = bytes.fromhex(
        "894c47440d0a1a0a" "01" "00" "0000" "0000002b"
        "0880c0d9f29e34" "1210" "00112233445566778899aabbccddeeff" "1a07" "6b696f736b2d37"
        "2203" "ffd8ff" "3202" "0104"
    )  # fmt: skip
    assert read(recorded) == LivenessData(
        device_id="kiosk-7",
        created_ms=1_795_000_000_512,
        nonce=bytes.fromhex("00112233445566778899aabbccddeeff"),
        images=(b"\xff\xd8\xff",),
        motions=(Motion.BLINK, Motion.YAW),
    )


def test_motions_from_text_reads_words() -> None:
    """Blanks of any kind between; a word that is none is named."""
    assert motions_from_text(" BLINK\tNOD ") == (Motion.BLINK, Motion.NOD)
    assert motions_from_text("") == ()
    with pytest.raises(RequestError, match="'blink'"):
        motions_from_text("blink")
