"""Slots of the frame queue that an integrated GPU reads where they are."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from cuda_fake import FakeGpu, install_fake
from livegate.core.frame import Frame, RawPixels
from livegate.devices.device import ORDER, Device, load_driver
from livegate.devices.slots import SlotReader
from livegate.preprocess.scratch import Scratch
from livegate.service.picture import frame_of_view
from livegate.shm.budget import MIB, SegmentBudget
from livegate.shm.change import Change
from livegate.shm.geometry import geometry_for
from livegate.shm.layout import PixelFormat
from livegate.shm.lease import Lease
from livegate.shm.outcome import Outcome
from livegate.shm.queue import FrameQueue, Policy
from livegate.shm.ring import SlotRing
from livegate.shm.segment import make_segment
from livegate.shm.source import FrameSource
from livegate.shm.tally import FrameTally

FORMATS = (PixelFormat.BGR, PixelFormat.NV12)


class Producer:
    """Three slots of 64x48 that say their number."""

    def __init__(self, pixel_format: PixelFormat = PixelFormat.BGR, *, is_trusted: bool = True) -> None:
        """Connected."""
        segment = make_segment("door", geometry_for(64, 48, pixel_format), 3, SegmentBudget(MIB, dict))
        self.segment, changed = segment, Change()
        self.source = FrameSource(
            "door",
            segment,
            SlotRing(3),
            lambda on_drop: FrameQueue(
                1, Policy.NEWEST_WINS, max_age_ns=None, changed=changed, on_drop=on_drop
            ),
            is_trusted=is_trusted,
            answer=lambda result: True,
            tally=FrameTally(),
        )

    def lease(self, number: int = 1) -> Lease:
        """A published frame, looked at; all its bytes are `number`."""
        ticket = self.source.loan(timeout_s=0)
        size = self.segment.geometry.picture_bytes
        os.pwrite(self.segment.fd, bytes([number]) * size, self.segment.offset(ticket.slot))
        self.source.publish(ticket, captured_ns=0, frame_id=number)
        return self.source.lease(self.source.queue.pop(timeout_s=0))


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture(params=ORDER)
def device(request: pytest.FixtureRequest, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> Device:
    """An integrated GPU, through each library."""
    install_fake(monkeypatch, request.param, gpu)
    return load_driver(request.param).open(0)


@pytest.fixture
def producer() -> Iterator[Producer]:
    made = Producer()
    yield made
    made.source.close()


def picture(lease: Lease) -> Frame:
    """As a pipeline gets it."""
    return frame_of_view(lease.view(), Scratch())


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_address_is_the_block_and_the_frames_offset(
    device: Device, gpu: FakeGpu, pixel_format: PixelFormat
) -> None:
    """What the device reads there is the frame; the block is registered once for all of them."""
    producer, reader = Producer(pixel_format), SlotReader(device)
    leases = [producer.lease(number) for number in (3, 4)]
    for number, lease in zip((3, 4), leases, strict=True):
        address = reader.address(picture(lease))
        assert address is not None
        assert gpu.host_address(address) != address, "the host's own address"
        assert set(ctypes.string_at(gpu.host_address(address), 64)) == {number}
    assert list(gpu.mapped.values()) == [producer.segment.total_bytes]
    for lease in leases:
        lease.finish(Outcome())
    producer.source.close()
    assert not gpu.mapped


def test_registration_lasts_until_the_last_look_is_over(
    device: Device, gpu: FakeGpu, producer: Producer
) -> None:
    """A producer that leaves takes nothing from under a GPU that reads."""
    lease = producer.lease()
    assert SlotReader(device).address(picture(lease))
    producer.source.close()
    assert gpu.mapped
    lease.finish(Outcome())
    assert not gpu.mapped
    assert producer.segment.is_closed


def test_two_engines_share_one_registration(device: Device, gpu: FakeGpu, producer: Producer) -> None:
    """Registering twice would be refused; a reload's engines find what those before them made."""
    frame = picture(producer.lease())
    addresses = {SlotReader(device).address(frame) for _ in range(3)}
    assert len(addresses) == 1
    assert len(gpu.mapped) == 1


def test_registration_that_is_refused_is_told_once_and_not_tried_again(
    device: Device, gpu: FakeGpu, producer: Producer
) -> None:
    """Then frames are copied, and no frame pays for another attempt."""
    gpu.refuses_to_map, reader = True, SlotReader(device)
    frame, other = picture(producer.lease()), picture(Producer().lease())
    with capture_logs() as logs:
        assert reader.address(frame) is None
        gpu.refuses_to_map = False
        assert reader.address(frame) is None
        gpu.refuses_to_map = True
        assert reader.address(other) is None
    assert [one["event"] for one in logs] == ["frames are copied to the GPU"]
    producer.source.close()


def test_a_card_is_never_shown_a_slot(
    gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch, producer: Producer
) -> None:
    """Each pixel would cross the bus, some of them four times."""
    gpu.integrated = 0
    install_fake(monkeypatch, "cuda_python", gpu)
    device = load_driver("cuda_python").open(0)
    assert not device.facts.reads_in_place
    assert SlotReader(device).address(picture(producer.lease())) is None
    assert not gpu.mapped


def test_frames_that_are_copies_have_no_address(device: Device, gpu: FakeGpu) -> None:
    """An untrusted producer's frame, a decoded picture, one of a stream."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    stranger = Producer(is_trusted=False)
    frames: list[Any] = [
        picture(stranger.lease()),
        Frame(pixels, 0),
        Frame(pixels, 0, RawPixels(pixels, is_nv12=False)),
    ]
    assert [SlotReader(device).address(frame) for frame in frames] == [None] * 3
    assert not gpu.mapped


def test_memory_that_was_let_go_has_no_address(device: Device, gpu: FakeGpu) -> None:
    """What is closed is not shown any more."""
    producer = Producer()
    producer.source.close()
    assert producer.segment.device_address(SlotReader(device)._share) is None
    assert not gpu.mapped
