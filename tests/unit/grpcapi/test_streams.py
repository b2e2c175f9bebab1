"""Frames in, answers out, without a server: what becomes of frames when a stream breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import pytest

from challenge_kit import FakeLive
from livegate.core.errors import DeadlineError
from livegate.core.results import FrameAnswer
from livegate.grpcapi.streamcodec import bytes_from_answer
from livegate.grpcapi.streams import stream_frames
from livegate.service.streams import CODE_STREAM, StreamFrame
from livegate.shm.ring import Ticket
from livegate.v1 import liveness_pb2 as pb
from support import HANG_S


class FakePicture:
    """Holds a slot until it is discarded."""

    captured_ns = 1

    def __init__(self) -> None:
        self.is_held = True

    def discard(self) -> None:
        self.is_held = False


class SlowStreams:
    """Claims every ticket and never comes to an answer: both what opens streams and a stream."""

    challenge: FakeLive | None = None

    def __init__(self) -> None:
        self.pictures: list[FakePicture] = []
        self.jobs: list[Future[FrameAnswer]] = []

    def open(self, *opening: Any) -> SlowStreams:
        return self

    def close(self, stream: SlowStreams) -> None:
        assert stream is self

    def claim(self, segment_id: int, ticket: Ticket, **times: int) -> FakePicture:
        self.pictures.append(FakePicture())
        return self.pictures[-1]

    def submit(self, frame: StreamFrame) -> Future[FrameAnswer]:
        self.jobs.append(Future())
        return self.jobs[-1]

    def skip(self, frame: StreamFrame, error: Exception) -> FrameAnswer:
        frame.picture.discard()
        return FrameAnswer(frame.frame_id, 0, 0)


def never(nonce: str) -> Any:
    """No challenge is taken up here."""
    raise AssertionError(nonce)


async def requests(overflow: int, tickets: int) -> AsyncIterator[bytes]:
    """`open`, tickets, and then silence."""
    opening = pb.StreamOpen(code=CODE_STREAM, overflow=overflow)  # type: ignore[arg-type]
    yield pb.StreamRequest(open=opening).SerializeToString()
    for number in range(tickets):
        frame = pb.StreamFrame(frame_id=number, ticket=pb.FrameTicket(slot=number))
        yield pb.StreamRequest(frame=frame).SerializeToString()
    await asyncio.Event().wait()


async def break_off(streams: SlowStreams, overflow: int, tickets: int, turns: int) -> None:
    """Cancel a stream after so many turns of the event loop."""

    async def listen() -> None:
        async for _ in stream_frames(streams, requests(overflow, tickets), never, bytes_from_answer):  # type: ignore[arg-type]
            pass

    listener = asyncio.ensure_future(listen())
    for _ in range(turns):
        await asyncio.sleep(0)
    listener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listener


@pytest.mark.parametrize("turns", range(1, 16))
@pytest.mark.parametrize("overflow", [pb.OVERFLOW_WAIT, pb.OVERFLOW_NEWEST_WINS])
def test_stream_that_breaks_off_gives_every_slot_back(overflow: int, turns: int) -> None:
    """At any moment: the frame that is looked at, the one that waits, the one that is not begun yet."""
    streams = SlowStreams()
    asyncio.run(break_off(streams, overflow, tickets=3, turns=turns))
    assert [picture.is_held for picture in streams.pictures] == [False] * len(streams.pictures)
    assert all(job.cancelled() for job in streams.jobs)


def test_stream_that_never_opens_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """1011 after a while, and the place is free."""
    monkeypatch.setattr("livegate.grpcapi.streams.OPEN_TIMEOUT_S", 0.01)

    async def silence() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def listen() -> None:
        async for _ in stream_frames(SlowStreams(), silence(), never, bytes_from_answer):  # type: ignore[arg-type]
            pass

    with pytest.raises(DeadlineError):
        asyncio.run(listen())


def test_silent_stream_lets_go_of_its_challenge_when_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No frame comes to tell it; the models that it keeps must not stay in memory for that."""
    monkeypatch.setattr("livegate.grpcapi.streams.PAST_S", 0)
    streams, live = SlowStreams(), FakeLive()
    live.left_s, streams.challenge = 0.01, live

    async def listen() -> None:
        answers = stream_frames(streams, requests(pb.OVERFLOW_WAIT, 0), never, bytes_from_answer)  # type: ignore[arg-type]
        async for _ in answers:
            pass

    async def wait_for_it() -> None:
        listener = asyncio.ensure_future(listen())
        await asyncio.wait_for(asyncio.to_thread(live.gone.wait, HANG_S), HANG_S)
        listener.cancel()
        await asyncio.wait({listener})

    asyncio.run(wait_for_it())
    assert live.gone.is_set()
