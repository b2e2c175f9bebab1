"""Challenges, prompts and their verdicts: protobuf bytes to our values and back."""

from __future__ import annotations

from livegate.core.challenge import Challenge, ChallengeVerdict, Prompt
from livegate.core.request import CODE_CHALLENGE
from livegate.grpcapi.codec import read_message, result_message
from livegate.grpcapi.videocodec import action_message, action_number, event_message
from livegate.v1 import liveness_pb2 as pb


def start_from_bytes(content: bytes) -> tuple[int, str]:
    """Read a StartChallengeRequest: its code and its task_id.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no such message.
    """
    message = read_message(pb.StartChallengeRequest, content)
    return message.code, message.task_id


def bytes_from_challenge(challenge: Challenge, *, task_id: str) -> bytes:
    """Write a Challenge message."""
    message = pb.Challenge(
        code=CODE_CHALLENGE + 1,
        task_id=task_id,
        challenge=challenge.nonce,
        actions=[action_number(action) for action in challenge.actions],
        deadline=challenge.deadline_ms,
        lifetime=challenge.lifetime_ms,
        prompts=[prompt_message(prompt) for prompt in challenge.prompts],
    )
    return message.SerializeToString()


def prompt_message(prompt: Prompt) -> pb.Prompt:
    """What to tell a person."""
    return pb.Prompt(
        kind=f"PROMPT_KIND_{prompt.kind.value}",
        action=action_number(prompt.action) if prompt.action else None,
        index=prompt.index,
        total=prompt.total,
        remaining=prompt.remaining_ms,
        texts=prompt.texts,
    )


def verdict_message(verdict: ChallengeVerdict) -> pb.ChallengeVerdict:
    """How it ended."""
    box = verdict.picture_box
    return pb.ChallengeVerdict(
        alive=verdict.is_alive,
        reasons=[reason.value for reason in verdict.reasons],
        actions=[action_message(result) for result in verdict.actions],
        events=[event_message(event) for event in verdict.events],
        silent=result_message(verdict.silent) if verdict.silent else None,
        picture=verdict.picture,
        picture_box=pb.Box(x=box.x, y=box.y, width=box.width, height=box.height) if box else None,
        picture_time=verdict.picture_pts_ms,
        duration=verdict.duration_ms,
        samples=verdict.samples,
    )
