"""How a build gets on: one part, one forecast, from phases inside phases."""

from __future__ import annotations

import pytest

from livegate.engines.builds import BuildBoard, BuildProgress, Watch


class Seconds:
    """A clock that is told."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def told() -> list[BuildProgress]:
    """What was reported."""
    return []


@pytest.fixture
def clock() -> Seconds:
    """At zero."""
    return Seconds()


@pytest.fixture
def watch(told: list[BuildProgress], clock: Seconds) -> Watch:
    """A build that begins now."""
    return Watch("yunet_n", "detector", told.append, now_s=clock)


def test_part_counts_steps_of_the_outermost_phase(watch: Watch, told: list[BuildProgress]) -> None:
    """Two of four steps are a half; the phase inside fills the step that is under way."""
    watch.phase_start("Building engine", "", 4)
    assert watch.step_complete("Building engine", 0)
    assert watch.step_complete("Building engine", 1)
    assert told[-1].part == 0.5
    watch.phase_start("Timing", "Building engine", 10)
    for step in range(5):
        watch.step_complete("Timing", step)
    assert told[-1] == BuildProgress("yunet_n", "detector", "Timing", 0.625, 0.0, 0.0)


def test_part_never_falls(watch: Watch, told: list[BuildProgress]) -> None:
    """A phase may end before its last step, and its parent's step is told later."""
    watch.phase_start("Building engine", "", 2)
    watch.phase_start("Timing", "Building engine", 2)
    watch.step_complete("Timing", 0)
    watch.phase_finish("Timing")
    watch.step_complete("Building engine", 0)
    watch.phase_finish("Building engine")
    parts = [progress.part for progress in told]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_left_is_forecast_from_the_part(watch: Watch, told: list[BuildProgress], clock: Seconds) -> None:
    """A quarter in 30 s leaves 90 s."""
    watch.phase_start("Building engine", "", 4)
    assert told[-1].left_s is None
    clock.now = 30.0
    watch.step_complete("Building engine", 0)
    assert (told[-1].elapsed_s, told[-1].left_s) == (30.0, 90.0)


def test_left_is_forecast_from_the_last_build(told: list[BuildProgress], clock: Seconds) -> None:
    """Without a part that says anything, what the last build took has to do; it never falls below 0."""
    watch = Watch("m", "n", told.append, forecast_s=100.0, now_s=clock)
    clock.now = 40.0
    watch.phase_start("building", "", 1)
    assert told[-1].left_s == 60.0
    clock.now = 140.0
    watch.phase_start("still building", "building", 1)
    assert told[-1].left_s == 0.0


def test_cancel_is_told_to_the_builder_at_its_next_step(watch: Watch) -> None:
    """The builder hears it as the answer to a step."""
    watch.phase_start("Building engine", "", 2)
    assert watch.step_complete("Building engine", 0)
    watch.cancel()
    assert not watch.step_complete("Building engine", 1)
    assert watch.is_cancelled


def test_step_of_an_unknown_phase_is_harmless(watch: Watch, told: list[BuildProgress]) -> None:
    """A builder may tell of what it did not announce."""
    assert watch.step_complete("nothing", 3)
    assert told == []


def test_board_shows_what_is_under_way() -> None:
    """One build at a time, or none."""
    board = BuildBoard()
    assert board.current is None
    progress = BuildProgress("m", "n", "p", 0.5, 1.0, 1.0)
    board.show(progress)
    assert board.current is progress
    board.clear()
    assert board.current is None
