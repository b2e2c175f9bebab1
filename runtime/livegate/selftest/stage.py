"""What every stage of the selftest is given, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from livegate.core.config import Config
from livegate.selftest.apart import Apart, PartError
from livegate.selftest.report import Check, CheckName, EngineRun, SetupFinding, Status

T = TypeVar("T")
SYSFS = Path("/sys")


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration would run a model on; `precisions` by network."""

    model: str
    task: str
    backend: str
    provider: str
    precisions: dict[str, str]
    computes: bool
    is_for_pilots: bool


@dataclass(slots=True)
class Course:
    """One run of the selftest; stages add to what later ones need."""

    config: Config
    until_s: float
    sysfs: Path = SYSFS
    clock: Callable[[], float] = time.monotonic
    choices: tuple[Choice, ...] = ()
    is_quick: bool = False
    """Shorter trials: for a look, not for a report that is sent."""
    throttled_before: dict[str, int] = field(default_factory=dict)

    @property
    def left_s(self) -> float:
        """Seconds until everything has to be over."""
        return self.until_s - self.clock()

    def apart(
        self, part: str, asked: object, kind: type[T], *, wait_s: float, until_s: float | None = None
    ) -> Iterator[T]:
        """What a part yields that runs in a process of its own, until the end of the course or sooner.

        Raises:
            PartError: as Apart.
        """
        with Apart(part, msgspec.json.encode(asked), clock=self.clock) as process:
            end_s = self.until_s if until_s is None else min(until_s, self.until_s)
            for answer in process.answers(wait_s=wait_s, until_s=end_s):
                yield msgspec.json.decode(answer, type=kind)


@dataclass(frozen=True, slots=True)
class Found:
    """What a stage found."""

    checks: tuple[Check, ...]
    engines: tuple[EngineRun, ...] = ()
    findings: tuple[SetupFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """A function that answers for one check or several."""

    names: tuple[CheckName, ...]
    run: Callable[[Course], Found]

    def found(self, course: Course) -> Found:
        """Run it; whatever goes wrong is a failed check. The clock is this method's business."""
        begun_s = course.clock()
        if course.left_s <= 0:
            return Found(
                tuple(Check(name=name, status=Status.NOT_RUN, reason=OVER) for name in self.names)
            )
        try:
            found = self.run(course)
        except PartError as error:
            reason = OVER if course.left_s <= 0 else str(error)
            found = Found(
                tuple(Check(name=name, status=Status.FAIL, reason=reason) for name in self.names)
            )
        took_s = round(course.clock() - begun_s, 3)
        first, *others = found.checks
        timed = msgspec.structs.replace(first, seconds=took_s)
        return Found((timed, *others), found.engines, found.findings)


OVER = "the 5 minutes are over"


def one(check: Check) -> Found:
    """What a stage of one check found."""
    return Found((check,))
