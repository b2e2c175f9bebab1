"""Challenges on their way: what the box writes, the client reads."""

from __future__ import annotations

import pytest

from frame_queue_kit import refused
from livegate.client.challengecodec import challenge_from_bytes, start_bytes
from livegate.client.streamcodec import open_bytes, stream_answer_from_bytes, watch_bytes
from livegate.client.videocodec import verify_bytes, video_answer_from_bytes
from livegate.core.challenge import Challenge, ChallengeNews, ChallengeVerdict, Prompt, PromptKind
from livegate.core.errors import ErrorCode
from livegate.core.results import (
    Action,
    ActionEvent,
    ActionResult,
    Box,
    Decision,
    FrameAnswer,
    GateDecision,
    Reason,
    Verdict,
)
from livegate.core.view import View
from livegate.grpcapi.challengecodec import bytes_from_challenge, start_from_bytes
from livegate.grpcapi.streamcodec import bytes_from_answer, open_from_bytes, watched_from_bytes
from livegate.grpcapi.videocodec import verify_from_bytes
from livegate.v1 import liveness_pb2 as pb

EVENT = ActionEvent(Action.NOD, 100, 300, 500, 0.75)
VERDICT = ChallengeVerdict(
    is_alive=False,
    reasons=(Reason.TIMEOUT, Reason.ACTION_MISSING),
    actions=(
        ActionResult(Action.NOD, is_accepted=True, confidence=0.75, event=EVENT),
        ActionResult(Action.MOUTH, is_accepted=False, confidence=0.25),
    ),
    events=(EVENT,),
    silent=Verdict(1031, "silent_liveness", Decision.GENUINE, 0.5, (), (0.5, 0.75), threshold=0.5),
    picture=b"JPEG",
    picture_box=Box(1, 2, 3, 4),
    picture_pts_ms=250,
    samples=42,
    duration_ms=4000,
)


def answered(news: ChallengeNews | None) -> bytes:
    return bytes_from_answer(FrameAnswer(7, 8, 9, news=news), "t")


def test_challenge_is_read_as_it_was_started() -> None:
    """Nonce, order, time, and what to tell."""
    started = Challenge("nonce", (Action.NOD, Action.MOUTH), 30_000, 5, 1_790_000_000_000)
    found = challenge_from_bytes(bytes_from_challenge(started, task_id="t"))
    assert (found.nonce, found.task_id, found.actions) == ("nonce", "t", started.actions)
    assert (found.deadline_ms, found.lifetime_ms) == (1_790_000_000_000, 30_000)
    assert [one.texts for one in found.prompts] == [one.texts for one in started.prompts]
    assert "nonce" not in repr(found).replace("nonce=", "")


def test_nonce_goes_with_every_way_to_answer() -> None:
    """A video, a stream, a camera."""
    video = verify_bytes(9002, "t", (), b"v", (), None, False, "nonce")
    assert verify_from_bytes(video, request_id="r", deadline_ns=None).challenge == "nonce"
    assert open_from_bytes(open_bytes("t", (1031,), View(), "wait", "nonce")).challenge == "nonce"
    assert watched_from_bytes(watch_bytes("door", "nonce")) == ("door", "nonce")
    assert start_from_bytes(start_bytes(9011, "t")) == (9011, "t")


@pytest.mark.parametrize("kind", PromptKind)
def test_every_prompt_is_read_as_it_was_written(kind: PromptKind) -> None:
    """The whole table."""
    action = Action.NOD if kind in (PromptKind.DO, PromptKind.GOOD) else None
    prompt = Prompt(kind, action, 1, 3, 12_345)
    found = stream_answer_from_bytes(answered(ChallengeNews("n", (), None, prompt))).prompt
    assert found is not None
    assert (found.kind, found.action, found.index, found.total) == (kind, action, 1, 3)
    assert (found.remaining_ms, found.texts) == (12_345, prompt.texts)


def test_end_of_a_challenge_is_read_in_full() -> None:
    """Every field of the contract has its place."""
    news = ChallengeNews("n", (Reason.CHALLENGE_FAILED,), GateDecision.DENY, None, VERDICT)
    found = stream_answer_from_bytes(answered(news)).challenge
    assert found is not None
    assert (found.is_alive, found.reasons) == (False, ("TIMEOUT", "ACTION_MISSING"))
    assert (found.actions, found.events) == (VERDICT.actions, VERDICT.events)
    assert found.silent is not None
    assert (found.silent.score, found.silent.image_scores) == (0.5, (0.5, 0.75))
    assert (found.picture, found.picture_box, found.picture_ms) == (b"JPEG", Box(1, 2, 3, 4), 250)
    assert (found.duration_ms, found.samples) == (4000, 42)


def test_answer_without_news_has_neither() -> None:
    """As every answer had before."""
    for news in (None, ChallengeNews("n", ())):
        found = stream_answer_from_bytes(answered(news))
        assert (found.prompt, found.challenge) == (None, None)


def test_words_of_a_newer_box_are_refused() -> None:
    """An action that this side does not know cannot be shown."""
    for prompt in (pb.Prompt(kind=99), pb.Prompt(kind=4, action=99), pb.Prompt()):  # type: ignore[arg-type]
        with refused(ErrorCode.UNREALIZED):
            stream_answer_from_bytes(pb.StreamResponse(prompt=prompt).SerializeToString())
    with refused(ErrorCode.UNREALIZED):
        challenge_from_bytes(pb.Challenge(actions=[99]).SerializeToString())  # type: ignore[list-item]
    with refused(ErrorCode.INVALID_PARAM):
        challenge_from_bytes(b"\xff\xff")


def test_action_of_a_newer_box_is_1005() -> None:
    """In a video's answer as in a challenge: not misread, and no bare ValueError."""
    message = pb.VerifyActionsResponse()
    message.actions.add(action=99)  # type: ignore[arg-type]
    with refused(ErrorCode.UNREALIZED):
        video_answer_from_bytes(message.SerializeToString())
