"""Which actions a person did: a state machine over the samples of one face, on the video's own times.

Every action is a movement out of a rest and back to it, of one signal:

    shake left     yaw to the person's own left (the image's right, unless mirrored)
    shake right    yaw to the other side
    nod            pitch down
    mouth          the lips' opening
    blink          the part of their openness that the eyes lose

    peak            .                      peak >= threshold, else nothing was done
                  .   .
    threshold ..'......'..................
    out -------/--------\\-----------------  half the threshold: something begins
    back -----/----------\\----------------  a third of the peak: it is over, and counts
    rest ..../            \\...............

A level is no action: a steady smile opens the lips for good and never comes back, a head that looks
aside all the time has never rested. What moves another signal more is the other action's doing: a
turned head seems to nod a little, a bowed one to shut its eyes.

Pure: no clock, no pictures; fed by whoever has samples, of a file or of a live camera.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livegate.core.config import ActionsConfig
from livegate.core.results import Action, ActionEvent, FaceSample

OUT, BACK = 0.5, 0.35
"""Parts of the threshold and of the peak."""
REST_MS = 2000
"""How long the rest remembers."""
NOISE_DEG = 4.0
"""A head that holds still seems to move by up to this much, whatever nod was asked for."""
OPEN_EYES = 0.18
"""Eyes that are no further open than this when they rest tell nothing of a blink."""
ALMOST = 0.49
"""The confidence of the best that did not pass."""
STEADY_DEG = 12.0
"""A blink or an open mouth counts while the head moves no more than this."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One action: which part of a sample it reads, and what shape it must have.

    `rest`: within which the signal can be at rest; `lasts_ms`: shortest and longest.
    """

    action: Action
    threshold: float
    rest: tuple[float, float]
    lasts_ms: tuple[int, int]
    read: Callable[[FaceSample], float | None]


def rules_for(config: ActionsConfig, *, nod_deg: float | None, is_mirrored: bool) -> tuple[Rule, ...]:
    """The five actions as they are asked for."""
    side = -1.0 if is_mirrored else 1.0
    nod = max(config.nod_deg if nod_deg is None else nod_deg, NOISE_DEG)

    def yaw(sign: float) -> Callable[[FaceSample], float | None]:
        return lambda sample: None if sample.yaw_deg is None else sign * sample.yaw_deg

    return (
        Rule(Action.SHAKE_LEFT, config.shake_deg, (-10, 10), (200, 4000), yaw(side)),
        Rule(Action.SHAKE_RIGHT, config.shake_deg, (-10, 10), (200, 4000), yaw(-side)),
        Rule(Action.NOD, nod, (-20, 20), (150, 3000), lambda sample: sample.pitch_deg),
        Rule(Action.MOUTH, config.mouth_open, (0, 0.15), (150, 4000), lambda sample: sample.mouth),
        # Turned round, so that shutting is a rise, as everything else.
        Rule(Action.BLINK, config.blink_drop, (-1, -OPEN_EYES), (30, 700), lambda one: -one.eyes),
    )


class Track:
    """One signal's way out and back."""

    def __init__(self, rule: Rule) -> None:
        """Nothing was seen; what is out from the start has never rested."""
        self.rule = rule
        self._rest_level: float | None = None
        self._rests: deque[tuple[int, float]] = deque()
        self._has_rested = False
        self._is_out = False
        self._start_ms = self._peak_ms = 0
        self._peak = 0.0
        self.best = 0.0
        """The largest part of the threshold that an excursion which did not count reached."""

    @property
    def is_out(self) -> bool:
        """Whether the signal is away from its rest."""
        return self._is_out

    def amount(self, value: float) -> float:
        """How far a value is out, in the threshold's unit."""
        low, high = self.rule.rest
        rest = min(max(value if self._rest_level is None else self._rest_level, low), high)
        if self.rule.action is Action.BLINK:
            return (value - rest) / -rest  # the part of the openness that is lost
        return value - rest

    def feed(self, pts_ms: int, value: float) -> tuple[int, int, int, float] | None:
        """The next value; (start, peak, end, height in thresholds) when an excursion ends with it."""
        if self.rule.action is Action.BLINK and self._rest_level is None and value > -OPEN_EYES:
            return None
        if self._is_out and pts_ms - self._start_ms > self.rule.lasts_ms[1]:
            self.lose()  # a level: whatever comes is measured from here
        amount = self.amount(value)
        if self._is_out:
            return self._outside(pts_ms, amount)
        if amount < OUT * self.rule.threshold:
            low, high = self.rule.rest
            if amount > -OUT * self.rule.threshold or low <= value <= high:  # else out to the other side
                self._settle(pts_ms, value)
            self._has_rested = True
            self._start_ms = pts_ms
        else:
            self._is_out = True
            if not self._has_rested:
                self._start_ms = pts_ms
            self._peak, self._peak_ms = amount, pts_ms
        return None

    def lose(self) -> None:
        """Whatever was under way is void, and where the rest is will be seen."""
        self._is_out = self._has_rested = False
        self._rests.clear()
        self._rest_level = None

    def _outside(self, pts_ms: int, amount: float) -> tuple[int, int, int, float] | None:
        if amount > self._peak:
            self._peak, self._peak_ms = amount, pts_ms
        if amount > max(BACK * self._peak, 0.0) and amount > BACK * self.rule.threshold:
            return None
        self._is_out = False
        has_rested, self._has_rested = self._has_rested, True
        start_ms, self._start_ms = self._start_ms, pts_ms
        height = self._peak / self.rule.threshold
        shortest, longest = self.rule.lasts_ms
        if has_rested and height >= 1 and shortest <= pts_ms - start_ms <= longest:
            return start_ms, self._peak_ms, pts_ms, height
        self.best = max(self.best, min(height, 1.0))
        return None

    def _settle(self, pts_ms: int, value: float) -> None:
        self._rests.append((pts_ms, value))
        while pts_ms - self._rests[0][0] > REST_MS:
            self._rests.popleft()
        self._rest_level = statistics.median(value for _, value in self._rests)


class ActionDetector:
    """All five actions of one face."""

    def __init__(
        self, config: ActionsConfig, *, nod_deg: float | None = None, is_mirrored: bool = False
    ) -> None:
        """Nothing was seen. `nod_deg`: least nod, where it is not the configured one."""
        rules = rules_for(config, nod_deg=nod_deg, is_mirrored=is_mirrored)
        self._tracks = {rule.action: Track(rule) for rule in rules}
        self._last_ms: int | None = None
        self._gone_ms = config.gone_ms
        self._samples: deque[FaceSample] = deque()

    def feed(self, sample: FaceSample) -> tuple[ActionEvent, ...]:
        """The actions that end with this sample. Times rise."""
        if self._last_ms is not None and sample.pts_ms - self._last_ms > self._gone_ms:
            for track in self._tracks.values():
                track.lose()
        self._last_ms = sample.pts_ms
        self._remember(sample)
        events = []
        for action, track in self._tracks.items():
            value = track.rule.read(sample)
            ended = None if value is None else track.feed(sample.pts_ms, value)
            if ended is None:
                continue
            start_ms, peak_ms, end_ms, height = ended
            if self._is_own(action, start_ms, end_ms):
                confidence = min(1.0, 0.5 * height)
                events.append(ActionEvent(action, start_ms, peak_ms, end_ms, confidence))
            else:
                track.best = max(track.best, 0.5)
        return tuple(events)

    def almost(self, action: Action) -> float:
        """0..0.49: how near the best attempt came that did not count."""
        return min(ALMOST, 0.5 * self._tracks[action].best)

    def _remember(self, sample: FaceSample) -> None:
        self._samples.append(sample)
        longest_ms = max(track.rule.lasts_ms[1] for track in self._tracks.values())
        while sample.pts_ms - self._samples[0].pts_ms > longest_ms:
            self._samples.popleft()

    def _is_own(self, action: Action, start_ms: int, end_ms: int) -> bool:
        """Whether this movement is no shadow of a larger one of the head."""
        during = [one for one in self._samples if start_ms <= one.pts_ms <= end_ms]
        yaw, pitch = _swing([one.yaw_deg for one in during]), _swing([one.pitch_deg for one in during])
        match action:
            case Action.SHAKE_LEFT | Action.SHAKE_RIGHT:
                return yaw >= pitch
            case Action.NOD:
                return pitch > yaw
            case Action.MOUTH | Action.BLINK:
                return max(yaw, pitch) <= STEADY_DEG
        return False


def _swing(angles: Sequence[float | None]) -> float:
    known = [angle for angle in angles if angle is not None]
    return max(known) - min(known) if known else 0.0
