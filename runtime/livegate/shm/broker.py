"""The server's side of the frame queue: who may hand over frames, and whose turn it is.

How a service uses it. `start`, then in each consumer thread:

    while True:
        try:
            lease = broker.pop(timeout_s=1.0)       # the next camera's oldest young frame
        except QueueError as error:
            if error.code is ErrorCode.QUEUE_STOPED:
                return
            continue                                # 5001: nothing came
        judge_one(lease)                            # in a function of its own: its arrays die with it

    def judge_one(lease: Lease) -> None:
        with lease:                                 # left without a word = an error to the producer
            findings = pipeline.run(lease.frame(), ...)   # reads the slot itself
            lease.finish(Outcome(decision=..., score=..., algo_task=1031))

`stop` ends every wait with 5002 and says goodbye to the producers. `tally` holds the counts for the
metrics (bytes copied among them), `status` the slots by state. One Broker has one thread that accepts
and one for each producer; consumers bring their own.

With max_leases looked at, max_waiting in the queue and one on loan, a producer under NEWEST_WINS
always finds a slot; `_shares` keeps to that whatever number of slots was granted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from livegate.core.config import FramesConfig
from livegate.core.errors import AuthError, ErrorCode, LiveGateError, RequestError
from livegate.shm.budget import MIB, SegmentBudget
from livegate.shm.connection import Peer
from livegate.shm.door import Door, own_uid
from livegate.shm.geometry import geometry_for
from livegate.shm.layout import CAMERA_NAME, CAP_RELOAN, DropReason, Hello, granted
from livegate.shm.lease import Lease, PublishedFrame
from livegate.shm.queue import FrameQueue, Policy
from livegate.shm.ring import SlotRing, SlotState, Ticket
from livegate.shm.segment import Segment, make_segment
from livegate.shm.source import Answer, FrameSource, Glance, look_at_each
from livegate.shm.tally import FrameTally
from livegate.shm.turns import FrameQueues

MIN_SLOTS = 3
TAKEOVER_S = 1.0
"""How long a new producer waits for the name of one that has just died."""
Refused = Callable[[LiveGateError, Peer, bool], None]


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """One connected producer; `since_ms` is milliseconds since 1970."""

    camera: str
    width: int
    height: int
    pixel_format: str
    is_trusted: bool
    segment_bytes: int
    slots: dict[SlotState, int]
    waiting: int
    since_ms: int


class Broker:
    """Accepts producers, gives them memory, and hands their frames to consumers."""

    def __init__(
        self,
        path: Path,
        config: FramesConfig,
        *,
        tally: FrameTally | None = None,
        budget: SegmentBudget | None = None,
        on_refused: Refused = lambda error, peer, is_fatal: None,
        on_left: Callable[[str], None] = lambda camera: None,
        is_ours: Callable[[str], bool] = lambda camera: False,
        glance: Glance = look_at_each,
    ) -> None:
        """Nothing is opened before `start`.

        `on_refused` hears of each refusal, for the log; `on_left` of each producer that is gone.
        `is_ours` tells the cameras whose frames no other user may hand over; `glance` answers the
        frames that need no turn.
        """
        self.tally = tally or FrameTally(max_cameras=4 * config.max_producers)
        self.budget = budget or SegmentBudget(config.ceiling_mib * MIB)
        self._path = path
        self._config = config
        self._on_refused = on_refused
        self._on_left = on_left
        self._is_ours = is_ours
        self._glance = glance
        self._queues: FrameQueues[PublishedFrame] = FrameQueues()
        self._changed = threading.Condition()
        self._sources: dict[str, FrameSource | None] = {}
        self._retired: list[FrameSource] = []
        self._door: Door | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            SetupError: BUSY when a live server has the path, and whatever keeps it from listening.
        """
        self._door = Door(self._path, self._config, self)

    def pop(self, *, timeout_s: float | None = None) -> Lease:
        """Look at the next frame: cameras take turns.

        The timeout begins anew when a producer leaves just as its frame is taken.

        Raises:
            QueueError: QUEUE_EMPTY at the timeout; QUEUE_STOPED.
        """
        if self._retired:
            self.sweep()
        while True:
            published = self._queues.pop(timeout_s=timeout_s)
            try:
                return published.source.lease(published)
            except RequestError:
                continue  # its producer left between the two lines above

    def claim(
        self, segment_id: int, ticket: Ticket, *, captured_ns: int, frame_id: int
    ) -> PublishedFrame:
        """Take a written slot over by a ticket that came another way than its producer's socket.

        Who knows a segment's number (64 random bits) was told it by its producer.

        Raises:
            RequestError: NO_EXIST for a segment that is not there; else as FrameSource.claim.
        """
        with self._changed:
            sources = [source for source in self._sources.values() if source is not None]
        for source in sources:
            if source.segment.id == segment_id:
                return source.claim(ticket, captured_ns=captured_ns, frame_id=frame_id)
        raise RequestError(
            ErrorCode.NO_EXIST,
            "no producer of the frame queue has this segment",
            hint="segment_id is what GRANT said, and good until the producer leaves",
        )

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End every wait with 5002, say goodbye, close; a second call does nothing.

        Leases that are out may still be finished.
        """
        self._queues.stop()
        if self._door is not None:
            self._door.close(timeout_s)
        self.sweep()

    @property
    def status(self) -> tuple[CameraStatus, ...]:
        """The connected producers, by name."""
        with self._changed:
            sources = [source for source in self._sources.values() if source is not None]
        return tuple(sorted((_status_of(source) for source in sources), key=lambda s: s.camera))

    @property
    def connections(self) -> int:
        """Open connections, of producers and of those that have not said hello."""
        return self._door.connections if self._door else 0

    # What connections ask of us: connection.Host.

    def admit(self, hello: Hello, peer: Peer, answer: Answer) -> FrameSource:
        """Make a producer's memory and let it take part.

        Raises:
            RequestError: PARAM_FAILURE, OUT_OF_RANGE, OUT_OF_MEM; EXIST for a name that is taken;
                FULL for one producer too many; NO_PERMISSION for a name that is ours.
        """
        if peer.uid != own_uid() and self._is_ours(hello.camera):
            raise AuthError(
                f"the camera {hello.camera} is read by the server itself",
                hint="give the producer a name of its own",
            )
        geometry = geometry_for(hello.width, hello.height, hello.pixel_format)
        slots = max(MIN_SLOTS, min(hello.slots, self._config.slots_max))
        self.sweep()
        self._claim(hello.camera)
        segment: Segment | None = None
        try:
            segment = make_segment(hello.camera, geometry, slots, self.budget)
            source = self._source(hello, segment, self._is_trusted(peer), answer)
            limit = self._shares(slots)[1]
            self._queues.add(
                hello.camera,
                source.queue,
                is_ready=lambda: source.ring.in_flight < limit,
            )
        except BaseException:
            if segment is not None:
                segment.close()
            self._unclaim(hello.camera)
            raise
        with self._changed:
            self._sources[hello.camera] = source
        return source

    def dismiss(self, source: FrameSource) -> None:
        """A producer is gone: its slots come back now, or when the one who looks at them is done."""
        self._queues.remove(source.camera)
        source.close()
        with self._changed:
            self._retired.append(source)
        self.sweep()
        self._unclaim(source.camera)
        self._on_left(source.camera)

    def refused(self, error: LiveGateError, peer: Peer, *, is_fatal: bool) -> None:
        """Count a refusal, and tell whoever keeps the log."""
        self.tally.refuse(error.code)
        self._on_refused(error, peer, is_fatal)

    def _source(self, hello: Hello, segment: Segment, is_trusted: bool, answer: Answer) -> FrameSource:
        waiting, _ = self._shares(segment.slots)
        max_age_ns = self._config.max_frame_age_ms * 1_000_000 or None

        def make_queue(
            on_drop: Callable[[PublishedFrame, DropReason], None],
        ) -> FrameQueue[PublishedFrame]:
            return FrameQueue(
                waiting,
                Policy(self._config.policy),
                max_age_ns=max_age_ns,
                changed=self._queues.changed,
                on_drop=on_drop,
            )

        return FrameSource(
            hello.camera,
            segment,
            SlotRing(segment.slots),
            make_queue,
            is_trusted=is_trusted,
            answer=answer,
            tally=self.tally,
            on_release=self._queues.wake,
            glance=self._glance,
            reloans=bool(granted(hello.capabilities) & CAP_RELOAN),
        )

    def _shares(self, slots: int) -> tuple[int, int]:
        """(frames that may wait, frames that may be looked at): with one loan they fill the slots."""
        waiting = min(self._config.max_waiting, slots - 2)
        return waiting, min(self._config.max_leases, slots - 1 - waiting)

    def _is_trusted(self, peer: Peer) -> bool:
        if self._config.trusted == "same_uid":
            return peer.uid == own_uid()
        return self._config.trusted == "all"

    def _claim(self, camera: str) -> None:
        """Reserve a name; one that belonged to a producer that is just dying is waited for."""
        if not CAMERA_NAME.fullmatch(camera):
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                "the camera's name is empty or has characters that are not allowed",
                hint="1 to 63 of A-Z a-z 0-9 . _ -",
            )
        with self._changed:
            if not self._changed.wait_for(lambda: camera not in self._sources, TAKEOVER_S):
                raise RequestError(
                    ErrorCode.EXIST,
                    f"a producer for the camera {camera} is connected already",
                    hint="give each producer a name of its own",
                )
            limit = self._config.max_producers
            if len(self._sources) >= limit:
                raise RequestError(
                    ErrorCode.FULL,
                    f"{limit} producers are connected, there may be no more",
                    hint="disconnect one, or raise frames.max_producers",
                )
            self._sources[camera] = None

    def _unclaim(self, camera: str) -> None:
        with self._changed:
            self._sources.pop(camera, None)
            self._changed.notify_all()

    def sweep(self) -> None:
        """Let go of the memory of producers that left while somebody looked at their frames.

        Every `pop` and every hello does it; an idle server may call it when it likes.
        """
        with self._changed:
            idle = [source for source in self._retired if source.ring.is_idle]
            self._retired = [source for source in self._retired if source not in idle]
        for source in idle:  # a device may take its time to let go: no camera waits for that
            source.free_if_idle()


def _status_of(source: FrameSource) -> CameraStatus:
    geometry = source.segment.geometry
    return CameraStatus(
        camera=source.camera,
        width=geometry.width,
        height=geometry.height,
        pixel_format=geometry.pixel_format.name,
        is_trusted=source.is_trusted,
        segment_bytes=source.segment.total_bytes,
        slots=source.slots,
        waiting=len(source.queue),
        since_ms=source.since_ms,
    )
