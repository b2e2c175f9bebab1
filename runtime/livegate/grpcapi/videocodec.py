"""Protobuf bytes of videos to our values and back."""

from __future__ import annotations

from livegate.core.request import VerifyRequest
from livegate.core.results import Action, ActionEvent, ActionResult, VideoVerdict
from livegate.grpcapi.codec import engine_message, read_message, result_message, stages_message
from livegate.v1 import liveness_pb2 as pb


def verify_from_bytes(content: bytes, *, request_id: str, deadline_ns: int | None) -> VerifyRequest:
    """Read a VerifyActionsRequest message.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no such message.
    """
    message = read_message(pb.VerifyActionsRequest, content)
    return VerifyRequest(
        code=message.code,
        task_id=message.task_id,
        actions=tuple(message.actions),
        video=message.video,
        request_id=request_id,
        windows=tuple((window.first, window.last) for window in message.action_time),
        nod_deg=message.nod_threshold if message.HasField("nod_threshold") else None,
        is_mirrored=message.mirrored,
        deadline_ns=deadline_ns,
        challenge=message.challenge,
    )


def bytes_from_video(verdict: VideoVerdict) -> bytes:
    """Write a VerifyActionsResponse message."""
    box = verdict.picture_box
    message = pb.VerifyActionsResponse(
        code=verdict.code,
        task_id=verdict.task_id,
        timestamp=verdict.timestamp_ms,
        alive=verdict.is_alive,
        reasons=[reason.value for reason in verdict.reasons],
        actions=[action_message(result) for result in verdict.actions],
        events=[event_message(event) for event in verdict.events],
        silent=result_message(verdict.silent) if verdict.silent else None,
        picture=verdict.picture,
        picture_box=pb.Box(x=box.x, y=box.y, width=box.width, height=box.height) if box else None,
        picture_time=verdict.picture_pts_ms,
        src_width=verdict.src_width,
        src_height=verdict.src_height,
        duration=verdict.duration_ms,
        frames=verdict.frames,
        samples=verdict.samples,
        sample_fps=verdict.sample_fps,
        most_faces=verdict.most_faces,
        codec=verdict.codec,
        container=verdict.container,
        engines=[engine_message(engine) for engine in verdict.engines],
        stages=stages_message(verdict.stages),
        request_id=verdict.request_id,
    )
    return message.SerializeToString()


def action_number(action: Action) -> pb.Action:
    """The contract's number."""
    return pb.Action.Name(action.value)  # type: ignore[return-value]


def action_message(result: ActionResult) -> pb.ActionResult:
    """An action that was asked for."""
    return pb.ActionResult(
        action=action_number(result.action),
        accepted=result.is_accepted,
        confidence=result.confidence,
        event=event_message(result.event) if result.event else None,
    )


def event_message(event: ActionEvent) -> pb.ActionEvent:
    """A movement that was seen."""
    return pb.ActionEvent(
        action=action_number(event.action),
        start=event.start_ms,
        peak=event.peak_ms,
        end=event.end_ms,
        confidence=event.confidence,
    )
