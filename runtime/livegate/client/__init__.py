"""What an integrator imports."""

from livegate.client.client import FACE_DETECTION, SILENT_LIVENESS, LivenessClient
from livegate.client.codec import Answer, Result
from livegate.client.producer import FrameProducer

__all__ = ["FACE_DETECTION", "SILENT_LIVENESS", "Answer", "FrameProducer", "LivenessClient", "Result"]
