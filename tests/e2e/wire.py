"""The gRPC contract spoken by hand, so that the server is tested without our own client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from livegate.v1 import liveness_pb2 as pb

SERVICE = "/livegate.v1.LivenessService/"
WAIT_S = 60.0


class Wire:
    """Every method of the service, with messages in and out."""

    def __init__(self, channel: grpc.Channel) -> None:
        def call(kind: str, name: str, request: Any, answer: Any) -> Any:
            return getattr(channel, kind)(
                SERVICE + name,
                request_serializer=lambda m: m if isinstance(m, bytes) else m.SerializeToString(),
                response_deserializer=answer.FromString,
            )

        self.stream_frames = call("stream_stream", "StreamFrames", pb.StreamRequest, pb.StreamResponse)
        self.watch_camera = call("unary_stream", "WatchCamera", pb.WatchCameraRequest, pb.StreamResponse)
        self.add_camera = call("unary_unary", "AddCamera", pb.CameraSettings, pb.Camera)
        self.change_camera = call("unary_unary", "ChangeCamera", pb.CameraSettings, pb.Camera)
        self.remove_camera = call(
            "unary_unary", "RemoveCamera", pb.RemoveCameraRequest, pb.RemoveCameraResponse
        )
        self.start_challenge = call(
            "unary_unary", "StartChallenge", pb.StartChallengeRequest, pb.Challenge
        )
        self.get_status = call("unary_unary", "GetStatus", pb.GetStatusRequest, pb.GetStatusResponse)

    def frames(self, *messages: Any, **options: Any) -> list[Any]:
        """Send these messages, read every answer."""
        return list(self.stream_frames(iter(messages), timeout=WAIT_S, **options))


@contextmanager
def wire(target: str) -> Iterator[Wire]:
    with grpc.insecure_channel(target) as channel:
        yield Wire(channel)


def opened(
    algo_tasks: Iterable[int] = (1031, 9001), *, code: int = 9021, **view: Any
) -> pb.StreamRequest:
    """`open`; keywords go into its view, but for `overflow`, `task_id` and `challenge`."""
    names = ("overflow", "task_id", "challenge")
    rest = {name: view.pop(name) for name in names if name in view}
    tasks = [pb.AlgoTask(algo_task=task) for task in algo_tasks]
    return pb.StreamRequest(
        open=pb.StreamOpen(code=code, algo_tasks=tasks, view=pb.View(**view), **rest)
    )


def framed(frame_id: int, **picture: Any) -> pb.StreamRequest:
    """A frame: image=bytes, raw=..., or ticket=..."""
    return pb.StreamRequest(frame=pb.StreamFrame(frame_id=frame_id, frame_pts=40 * frame_id, **picture))


def told(error: grpc.RpcError) -> tuple[int, str]:
    """The error code and the text of a call that failed."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            info = ErrorInfo()
            status = Status.FromString(value)
            assert status.details[0].Unpack(info)
            return int(info.metadata["code"]), status.message
    raise AssertionError(f"no details: {error}")
