"""Challenges: what a person was asked to do just now, and what is told on the way. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from livegate.core.results import (
    Action,
    ActionEvent,
    ActionResult,
    Box,
    GateDecision,
    Reason,
    Verdict,
)

HEAD_MOVEMENTS = frozenset((Action.SHAKE_LEFT, Action.SHAKE_RIGHT, Action.NOD))


class PromptKind(str, Enum):
    """What a person is to be told; the last two end a challenge."""

    SHOW_FACE = "SHOW_FACE"
    COME_CLOSER = "COME_CLOSER"
    LOOK_STRAIGHT = "LOOK_STRAIGHT"
    DO = "DO"
    GOOD = "GOOD"
    PASSED = "PASSED"
    FAILED = "FAILED"


class ChallengeOutcome(str, Enum):
    """How a challenge ended. ABANDONED: whoever had begun to answer it left, or the request failed."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    ABANDONED = "ABANDONED"


_ENGLISH_AND_CHINESE: Mapping[PromptKind | Action, tuple[str, str]] = {
    PromptKind.SHOW_FACE: ("Step in front of the camera", "请站到摄像头前"),
    PromptKind.COME_CLOSER: ("Come closer", "请靠近一些"),
    PromptKind.LOOK_STRAIGHT: ("Look straight at the camera", "请正视摄像头"),
    PromptKind.GOOD: ("Good", "很好"),
    PromptKind.PASSED: ("Done, thank you", "验证通过，谢谢"),
    PromptKind.FAILED: ("That did not work, please start again", "验证未通过，请重新开始"),
    Action.SHAKE_LEFT: ("Turn your head to your left and back", "请向左转头，然后转回"),
    Action.SHAKE_RIGHT: ("Turn your head to your right and back", "请向右转头，然后转回"),
    Action.NOD: ("Nod your head", "请点头"),
    Action.MOUTH: ("Open your mouth and close it", "请张嘴，然后闭上"),
    Action.BLINK: ("Blink", "请眨眼"),
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something new to tell the person.

    `action` stands with DO (to be done) and GOOD (just done), `index` is its place from 0 in the `total`
    actions. `remaining_ms`: until the deadline.
    """

    kind: PromptKind
    action: Action | None = None
    index: int = 0
    total: int = 0
    remaining_ms: int = 0

    @property
    def texts(self) -> dict[str, str]:
        """What to show, by language: en, zh."""
        asks = self.kind is PromptKind.DO and self.action is not None
        english, chinese = _ENGLISH_AND_CHINESE[self.action if asks and self.action else self.kind]
        return {"en": english, "zh": chinese}


@dataclass(frozen=True, slots=True)
class Challenge:
    """Actions in the order in which they must be done, by whoever knows the nonce, before the deadline.

    `deadline_ns` is monotonic time and decides; `deadline_ms` is the same in Unix time, for showing.
    """

    nonce: str = field(repr=False)
    actions: tuple[Action, ...]
    lifetime_ms: int
    deadline_ns: int
    deadline_ms: int

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """What to tell the person, one for each action."""
        total = len(self.actions)
        return tuple(
            Prompt(PromptKind.DO, action, index, total, self.lifetime_ms)
            for index, action in enumerate(self.actions)
        )


@dataclass(frozen=True, slots=True)
class ChallengeVerdict:
    """How a challenge that was answered live ended; as VideoVerdict, times from its first DO."""

    is_alive: bool
    reasons: tuple[Reason, ...]
    actions: tuple[ActionResult, ...]
    events: tuple[ActionEvent, ...]
    silent: Verdict | None
    picture: bytes = field(repr=False)
    picture_box: Box | None
    picture_pts_ms: int
    samples: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class ChallengeNews:
    """What a frame brought to whoever answers the challenge of that nonce on its stream.

    `gate` and `reasons` stand in the place of the gate's own: it opens for who passes, and nobody else.
    """

    nonce: str = field(repr=False)
    reasons: tuple[Reason, ...]
    gate: GateDecision | None = None
    prompt: Prompt | None = None
    verdict: ChallengeVerdict | None = None
