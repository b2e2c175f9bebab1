"""What an integrator imports."""

from livegate.client.aio import AsyncLivenessClient
from livegate.client.aiostream import AsyncAnswerStream, AsyncFrameStream
from livegate.client.answers import Answer, Result, StreamAnswer
from livegate.client.calls import FACE_DETECTION, SILENT_LIVENESS
from livegate.client.client import LivenessClient
from livegate.client.pictures import FrameTicket
from livegate.client.producer import FrameProducer
from livegate.client.retry import RetryPolicy
from livegate.client.stream import AnswerStream, FrameStream
from livegate.core.camera import CameraReport, CameraState
from livegate.core.results import Decision, GateDecision
from livegate.core.view import View

__all__ = [
    "FACE_DETECTION",
    "SILENT_LIVENESS",
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncFrameStream",
    "AsyncLivenessClient",
    "CameraReport",
    "CameraState",
    "Decision",
    "FrameProducer",
    "FrameStream",
    "FrameTicket",
    "GateDecision",
    "LivenessClient",
    "Result",
    "RetryPolicy",
    "StreamAnswer",
    "View",
]
