"""For the tests of challenges: a person of rendered clips at a camera, and a challenge that obeys."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np

from livegate.core.challenge import (
    Challenge,
    ChallengeNews,
    ChallengeOutcome,
    Prompt,
    PromptKind,
)
from livegate.core.config import Config
from livegate.core.frame import Frame
from livegate.core.results import Action, GateDecision, Reason
from livegate.core.telemetry import StageClock
from livegate.core.view import View
from livegate.pipelines.action_session import ActionSession
from livegate.pipelines.challenge import LiveChallenge
from livegate.pipelines.holder import PipelineHolder
from livegate.pipelines.pipeline import Pipeline
from livegate.pipelines.session import Session
from livegate.preprocess.scratch import Scratch
from support import FakeClock, shared

MOVE_OF = {
    Action.SHAKE_LEFT: "turn_image_right",
    Action.SHAKE_RIGHT: "turn_image_left",
    Action.NOD: "nod",
    Action.MOUTH: "mouth",
}
"""The face that turns to the image's right turns to its own left."""
FPS = 15
LIFETIME_MS = 30_000
BEGIN_NS = 10**12
Pictures = list[np.ndarray]


def pictures_of(path: Path) -> Pictures:
    """A clip, decoded."""
    with av.open(str(path)) as clip:
        return [frame.to_ndarray(format="bgr24") for frame in clip.decode(video=0)]


def rendered(head: str, move: str) -> Pictures:
    """Three seconds of a head: turn_image_left, turn_image_right, nod, mouth or still."""
    return pictures_of(shared("media", "rendered", f"{head}_{move}.mp4"))


def acted(head: str, actions: Iterable[Action]) -> Pictures:
    """The head does these actions, one after the other."""
    return [pixels for action in actions for pixels in rendered(head, MOVE_OF[action])]


class Kiosk:
    """A camera's session with a challenge on it, on a clock that passes with the frames."""

    def __init__(
        self, pipeline: Pipeline, config: Config, *actions: Action, lifetime_ms: int = LIFETIME_MS
    ) -> None:
        """The challenge has just been taken up."""
        self.clock = FakeClock(BEGIN_NS)
        self.ends: list[ChallengeOutcome] = []
        self.news: list[ChallengeNews] = []
        deadline_ns = BEGIN_NS + lifetime_ms * 1_000_000
        self.holder = PipelineHolder(pipeline)
        self.challenge = LiveChallenge(
            Challenge("nonce", actions, lifetime_ms, deadline_ns, 0),
            self.holder.lease(),
            lambda: ActionSession(pipeline, config),
            config,
            self.ends.append,
            now_ns=self.clock,
        )
        self.session = Session(self.holder.lease, (1031,), View(), config.gate, now_ns=self.clock)
        self.session.onlooker = self.challenge
        self._scratch = Scratch()

    def play(self, pictures: Iterable[np.ndarray], *, fps: float = FPS) -> Kiosk:
        """Show them one after the other, each looked at as it is taken, to a second after the end."""
        for pixels in pictures:
            if len(self.news) > fps and self.news[-round(fps)].verdict is not None:
                break
            self.clock.now_ns += round(1e9 / fps)
            now_ns = self.clock.now_ns
            look = self.session.look(Frame(pixels, 0), now_ns, StageClock(), self._scratch)
            assert look.news is not None
            self.news.append(look.news)
        return self

    @property
    def prompts(self) -> list[Any]:
        """What the person was told; actions in the place of DO and GOOD."""
        told = [one.prompt for one in self.news if one.prompt is not None]
        return [(one.kind.value, one.action) if one.action else one.kind for one in told]

    @property
    def gate(self) -> list[str]:
        """The words for the turnstile."""
        return [one.gate.value for one in self.news if one.gate is not None]

    @property
    def verdict(self) -> Any:
        """The end; there must be exactly one."""
        (verdict,) = [one.verdict for one in self.news if one.verdict is not None]
        return verdict


def prompts_for(*actions: Action) -> list[Any]:
    """What a person hears who stands ready and does everything well."""
    steps = [((PromptKind.DO.value, one), (PromptKind.GOOD.value, one)) for one in actions]
    return [*(prompt for step in steps for prompt in step), PromptKind.PASSED]


class FakeLive:
    """Plays a LiveChallenge towards watches and cameras; sees what it is told to."""

    def __init__(self, nonce: str = "n") -> None:
        self.nonce = nonce
        self.is_over = False
        self.left_s: float | None = 9.0
        self.ends: ChallengeNews | None = None
        self.abandoned = 0
        self.gone = threading.Event()

    def let_go(self) -> None:
        self.gone.set()

    @property
    def silence(self) -> ChallengeNews:
        return ChallengeNews(self.nonce, (Reason.CHALLENGE_OPEN,))

    def prompt(self, gate: GateDecision | None = None) -> ChallengeNews:
        """Something to tell, with a word of the gate."""
        reasons = (Reason.CHALLENGE_OPEN,)
        return ChallengeNews(self.nonce, reasons, gate, Prompt(PromptKind.LOOK_STRAIGHT))

    def expire(self) -> ChallengeNews | None:
        return self.ends

    def abandon(self) -> None:
        self.abandoned += 1
