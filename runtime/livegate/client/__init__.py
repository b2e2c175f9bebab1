"""What an integrator imports.

What speaks gRPC is loaded at its first use: a process that only hands over frames is 13 MiB smaller
without it, and a box has one for each camera.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from livegate.client.pictures import FrameTicket
from livegate.client.producer import FrameProducer
from livegate.core.camera import CameraReport, CameraState
from livegate.core.challenge import PromptKind
from livegate.core.results import Action, ActionEvent, ActionResult, Decision, GateDecision
from livegate.core.view import View

if TYPE_CHECKING:
    from livegate.client.aio import AsyncLivenessClient
    from livegate.client.aiostream import AsyncAnswerStream, AsyncFrameStream
    from livegate.client.answers import (
        Answer,
        Challenge,
        ChallengeResult,
        ModelsReloaded,
        Prompt,
        Result,
        StreamAnswer,
        VideoAnswer,
    )
    from livegate.client.calls import FACE_DETECTION, SILENT_LIVENESS
    from livegate.client.client import LivenessClient
    from livegate.client.container import DeviceKey, Motion, key_from_text, pack_liveness_data
    from livegate.client.retry import RetryPolicy
    from livegate.client.stream import AnswerStream, FrameStream

__all__ = [
    "FACE_DETECTION",
    "SILENT_LIVENESS",
    "Action",
    "ActionEvent",
    "ActionResult",
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncFrameStream",
    "AsyncLivenessClient",
    "CameraReport",
    "CameraState",
    "Challenge",
    "ChallengeResult",
    "Decision",
    "DeviceKey",
    "FrameProducer",
    "FrameStream",
    "FrameTicket",
    "GateDecision",
    "LivenessClient",
    "ModelsReloaded",
    "Motion",
    "Prompt",
    "PromptKind",
    "Result",
    "RetryPolicy",
    "StreamAnswer",
    "VideoAnswer",
    "View",
    "key_from_text",
    "pack_liveness_data",
]

_LATER = {
    "aio": ("AsyncLivenessClient",),
    "aiostream": ("AsyncAnswerStream", "AsyncFrameStream"),
    "answers": (
        "Answer",
        "Challenge",
        "ChallengeResult",
        "ModelsReloaded",
        "Prompt",
        "Result",
        "StreamAnswer",
        "VideoAnswer",
    ),
    "calls": ("FACE_DETECTION", "SILENT_LIVENESS"),
    "client": ("LivenessClient",),
    "container": ("DeviceKey", "Motion", "key_from_text", "pack_liveness_data"),
    "retry": ("RetryPolicy",),
    "stream": ("AnswerStream", "FrameStream"),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
