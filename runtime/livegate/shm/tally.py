"""Numbers about frames, for the metrics to export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import Enum

from livegate.core.errors import ErrorCode
from livegate.core.ledger import Ledger
from livegate.shm.layout import DropReason

OTHERS = "(others)"


class FrameEvent(str, Enum):
    """What is counted for each camera. Frames, but for COPIED_BYTES."""

    PUBLISHED = "published"
    DISCARDED = "discarded"
    NO_SLOT = "no_slot"
    LEASED = "leased"
    JUDGED = "judged"
    FAILED = "failed"
    REPLACED = "dropped_replaced"
    REJECTED = "dropped_rejected"
    EXPIRED = "dropped_expired"
    STOPPED = "dropped_stopped"
    GONE = "dropped_gone"
    COPIED = "copied"
    COPIED_BYTES = "copied_bytes"
    RESULT_LOST = "result_lost"


DROP_EVENTS: Mapping[DropReason, FrameEvent] = {
    DropReason.REPLACED: FrameEvent.REPLACED,
    DropReason.REJECTED: FrameEvent.REJECTED,
    DropReason.EXPIRED: FrameEvent.EXPIRED,
    DropReason.STOPPED: FrameEvent.STOPPED,
    DropReason.GONE: FrameEvent.GONE,
}


class FrameTally:
    """Counts that only grow. Names come from producers, so how many are kept has a bound."""

    def __init__(self, max_cameras: int = 64) -> None:
        """All zero; cameras beyond `max_cameras` are counted together under OTHERS."""
        self._max_cameras = max_cameras
        self._counts: dict[str, Counter[FrameEvent]] = {}
        self._refusals: Counter[ErrorCode] = Counter()
        self._ledger = Ledger(self._count)

    def add(self, camera: str, event: FrameEvent, amount: int = 1) -> None:
        """Count."""
        self._ledger.note((camera, event, amount))

    def refuse(self, code: ErrorCode) -> None:
        """Count a connection or a message that was refused."""
        with self._ledger.settled():
            self._refusals[code] += 1

    def camera(self, name: str) -> Mapping[FrameEvent, int]:
        """The counts of one camera, zeros included."""
        with self._ledger.settled():
            found = self._counts.get(name, Counter())
            return {event: found[event] for event in FrameEvent}

    @property
    def cameras(self) -> tuple[str, ...]:
        """Every name that has counts."""
        with self._ledger.settled():
            return tuple(self._counts)

    @property
    def refusals(self) -> Mapping[ErrorCode, int]:
        """Refused connections and messages by code."""
        with self._ledger.settled():
            return dict(self._refusals)

    def _count(self, note: tuple[str, FrameEvent, int]) -> None:
        camera, event, amount = note
        counts = self._counts.get(camera)
        if counts is None:
            name = camera if len(self._counts) < self._max_cameras else OTHERS
            counts = self._counts.setdefault(name, Counter())
        counts[event] += amount
