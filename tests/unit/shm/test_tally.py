"""Counts for the metrics."""

from __future__ import annotations

from livegate.core.errors import ErrorCode
from livegate.shm.layout import DropReason
from livegate.shm.tally import DROP_EVENTS, OTHERS, FrameEvent, FrameTally


def test_tally_counts_by_camera_and_event() -> None:
    """Zeros are there too, so that a metric exists before its first event."""
    tally = FrameTally()
    tally.add("door", FrameEvent.PUBLISHED)
    tally.add("door", FrameEvent.COPIED_BYTES, 500)
    counts = tally.camera("door")
    assert (counts[FrameEvent.PUBLISHED], counts[FrameEvent.COPIED_BYTES]) == (1, 500)
    assert set(counts) == set(FrameEvent)
    assert sum(tally.camera("nobody").values()) == 0


def test_tally_with_too_many_names_counts_the_rest_together() -> None:
    """Names come from producers: a thousand of them must not grow our memory."""
    tally = FrameTally(max_cameras=2)
    for number in range(1000):
        tally.add(f"cam{number}", FrameEvent.PUBLISHED)
    assert tally.cameras == ("cam0", "cam1", OTHERS)
    assert tally.camera(OTHERS)[FrameEvent.PUBLISHED] == 998


def test_every_drop_reason_has_an_event() -> None:
    """Nothing is dropped uncounted."""
    assert set(DROP_EVENTS) == set(DropReason) - {DropReason.JUDGED}
    assert len(set(DROP_EVENTS.values())) == len(DROP_EVENTS)


def test_tally_counts_refusals_by_code() -> None:
    """Who was not let in, and why."""
    tally = FrameTally()
    tally.refuse(ErrorCode.FULL)
    tally.refuse(ErrorCode.FULL)
    assert tally.refusals == {ErrorCode.FULL: 2}
