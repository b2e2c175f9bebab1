"""Challenges, prompts and their ends in protobuf."""

from __future__ import annotations

from livegate.client.answers import Challenge, ChallengeResult, Prompt
from livegate.client.codec import parsed, result_from_proto, unknown_word
from livegate.client.videocodec import action_of, action_result_from_proto, event_from_proto, picture_box
from livegate.core.challenge import PromptKind
from livegate.v1 import liveness_pb2 as pb


def start_bytes(code: int, task_id: str) -> bytes:
    """Write a StartChallengeRequest."""
    return pb.StartChallengeRequest(code=code, task_id=task_id).SerializeToString()


def challenge_from_bytes(content: bytes) -> Challenge:
    """Read a Challenge.

    Raises:
        RequestError: INVALID_PARAM for bytes that are none; UNREALIZED for an action or a prompt that
            this side does not know.
    """
    message = parsed(pb.Challenge, content)
    return Challenge(
        nonce=message.challenge,
        task_id=message.task_id,
        actions=tuple(action_of(number) for number in message.actions),
        deadline_ms=message.deadline,
        lifetime_ms=message.lifetime,
        prompts=tuple(prompt_from_proto(prompt) for prompt in message.prompts),
    )


def prompt_from_proto(message: pb.Prompt) -> Prompt:
    """What to tell a person. Raises as `challenge_from_bytes`."""
    try:
        kind = PromptKind(pb.PromptKind.Name(message.kind).removeprefix("PROMPT_KIND_"))
    except ValueError as error:
        raise unknown_word(error) from error
    return Prompt(
        kind=kind,
        action=action_of(message.action) if message.action else None,
        index=message.index,
        total=message.total,
        remaining_ms=message.remaining,
        texts=dict(message.texts),
    )


def result_of_challenge(message: pb.ChallengeVerdict) -> ChallengeResult:
    """How it ended."""
    return ChallengeResult(
        is_alive=message.alive,
        reasons=tuple(message.reasons),
        actions=tuple(action_result_from_proto(result) for result in message.actions),
        events=tuple(event_from_proto(event) for event in message.events),
        silent=result_from_proto(message.silent) if message.HasField("silent") else None,
        picture=message.picture,
        picture_box=picture_box(message),
        picture_ms=message.picture_time,
        duration_ms=message.duration,
        samples=message.samples,
    )
