"""Questions and answers about videos in protobuf."""

from __future__ import annotations

from collections.abc import Sequence

from livegate.client.answers import VideoAnswer
from livegate.client.codec import (
    engine_from_proto,
    parsed,
    result_from_proto,
    stages_from_proto,
    unknown_word,
)
from livegate.core.results import Action, ActionEvent, ActionResult, Box
from livegate.v1 import liveness_pb2 as pb


def verify_bytes(
    code: int,
    task_id: str,
    actions: Sequence[int],
    video: bytes,
    action_time: Sequence[tuple[int, int]],
    nod_threshold: float | None,
    mirrored: bool,
    challenge: str,
) -> bytes:
    """Write a VerifyActionsRequest."""
    message = pb.VerifyActionsRequest(
        code=code,
        task_id=task_id,
        video=video,
        action_time=[pb.TimeWindow(first=first, last=last) for first, last in action_time],
        nod_threshold=nod_threshold,
        mirrored=mirrored,
        challenge=challenge,
    )
    message.actions.extend(actions)  # type: ignore[arg-type]
    return message.SerializeToString()


def video_answer_from_bytes(content: bytes) -> VideoAnswer:
    """Read a VerifyActionsResponse."""
    message = parsed(pb.VerifyActionsResponse, content)
    return VideoAnswer(
        code=message.code,
        task_id=message.task_id,
        request_id=message.request_id,
        timestamp_ms=message.timestamp,
        is_alive=message.alive,
        reasons=tuple(message.reasons),
        actions=tuple(action_result_from_proto(result) for result in message.actions),
        events=tuple(event_from_proto(event) for event in message.events),
        silent=result_from_proto(message.silent) if message.HasField("silent") else None,
        picture=message.picture,
        picture_box=picture_box(message),
        picture_ms=message.picture_time,
        width=message.src_width,
        height=message.src_height,
        duration_ms=message.duration,
        frames=message.frames,
        samples=message.samples,
        sample_fps=message.sample_fps,
        most_faces=message.most_faces,
        codec=message.codec,
        container=message.container,
        engines=tuple(engine_from_proto(engine) for engine in message.engines),
        stages_ms=stages_from_proto(message.stages),
    )


def action_result_from_proto(result: pb.ActionResult) -> ActionResult:
    """An action that was asked for."""
    event = event_from_proto(result.event) if result.HasField("event") else None
    return ActionResult(action_of(result.action), result.accepted, result.confidence, event)


def event_from_proto(event: pb.ActionEvent) -> ActionEvent:
    """A movement that was seen."""
    return ActionEvent(action_of(event.action), event.start, event.peak, event.end, event.confidence)


def action_of(number: int) -> Action:
    """An action by its number.

    Raises:
        RequestError: UNREALIZED for one of a newer box.
    """
    try:
        return Action(number)
    except ValueError as error:
        raise unknown_word(error) from error


def picture_box(message: pb.VerifyActionsResponse | pb.ChallengeVerdict) -> Box | None:
    """The face in the picture, if there is one."""
    if not message.HasField("picture_box"):
        return None
    box = message.picture_box
    return Box(box.x, box.y, box.width, box.height)
