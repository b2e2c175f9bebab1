"""What the whole says: fit only when everything that a door needs has passed, in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from livegate.app.engines import load_backend
from livegate.core.config import Config
from livegate.selftest.apart import PartError
from livegate.selftest.course import LIMIT_S, NEEDED, STAGES, run_selftest
from livegate.selftest.heat import feel_heat
from livegate.selftest.report import CHECKS, Check, Report, Status
from livegate.selftest.setup import look_at_setup
from livegate.selftest.stage import OVER, Choice, Course, Found, Stage, one
from support import config_with
from sysfs_kit import cool_box, write


class StillClock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def passes(name: str) -> Stage:
    return Stage((name,), lambda course: one(Check(name=name, status=Status.PASS)))


def ends(name: str, status: Status, reason: str = "because") -> Stage:
    return Stage((name,), lambda course: one(Check(name=name, status=status, reason=reason)))


def run(
    *planted: Stage,
    config: Config | None = None,
    clock: Callable[[], float] | None = None,
    **options: object,
) -> Report:
    """A selftest in which every check passes but the planted ones."""
    own = {name: stage for stage in planted for name in stage.names}
    stages = [own.get(name, passes(name)) for name in CHECKS]
    return run_selftest(config or Config(), stages=stages, clock=clock or StillClock(), **options)


def test_every_check_passed_is_fit() -> None:
    """And nothing else is said."""
    report = run()
    assert (report.is_fit, report.verdict, report.reasons) == (True, "fit to guard a door", ())
    assert [check.name for check in report.checks] == list(CHECKS)


def test_stages_are_every_check_in_order() -> None:
    """What is published is what is run."""
    assert tuple(name for stage in STAGES for name in stage.names) == CHECKS
    assert set(NEEDED) < set(CHECKS)
    assert LIMIT_S < 300


@pytest.mark.parametrize("name", CHECKS)
def test_any_failed_check_is_not_fit_with_its_reason(name: str) -> None:
    """Whichever it is."""
    report = run(ends(name, Status.FAIL, "it burns"))
    assert not report.is_fit
    assert report.verdict == f"not fit: {name.replace('_', ' ')}: it burns"


@pytest.mark.parametrize("name", CHECKS)
def test_check_that_was_not_run_counts_where_a_door_needs_it(name: str) -> None:
    """A box without GPU or sensors is fit; one on which no network ran is not."""
    assert run(ends(name, Status.NOT_RUN)).is_fit is (name not in NEEDED)


@pytest.mark.parametrize("name", NEEDED)
def test_check_that_is_missing_is_not_fit(name: str) -> None:
    """Nothing passes by being left out."""
    stages = [passes(other) for other in CHECKS if other != name]
    assert not run_selftest(Config(), stages=stages, clock=StillClock()).is_fit


def test_all_reasons_are_told_in_one_line() -> None:
    """The last line has each of them."""
    report = run(ends("speed", Status.FAIL, "one"), ends("kernels", Status.FAIL, "two\nlines"))
    assert report.verdict == "not fit: kernels: two lines; speed: one"


def test_part_that_dies_fails_its_check_only() -> None:
    """The others are run all the same."""

    def die(course: Course) -> Found:
        raise PartError("its process was ended by SIGSEGV")

    report = run(Stage(("engines", "golden_gate"), die))
    found = {check.name: check.status for check in report.checks}
    assert found["engines"] is found["golden_gate"] is Status.FAIL
    assert found["speed"] is Status.PASS
    assert "SIGSEGV" in report.verdict


def test_time_that_is_over_stops_the_rest_and_is_not_fit() -> None:
    """What comes after is not run, with that reason."""
    clock = StillClock()

    def dawdle(course: Course) -> Found:
        clock.now_s += 300
        return one(Check(name="kernels", status=Status.PASS))

    report = run(Stage(("kernels",), dawdle), clock=clock)
    behind = [check for check in report.checks if check.name in ("zero_copy", "speed")]
    assert [(check.status, check.reason) for check in behind] == [(Status.NOT_RUN, OVER)] * 2
    assert not report.is_fit
    assert OVER in report.verdict


def test_time_that_ends_before_what_no_door_needs_is_not_fit_either() -> None:
    """Nobody knows what the rest would have told."""
    clock = StillClock()

    def dawdle(course: Course) -> Found:
        clock.now_s += 300
        return one(Check(name="speed", status=Status.PASS))

    report = run(Stage(("speed",), dawdle), clock=clock)
    assert report.reasons == (f"heat and power: {OVER}",)


def test_weights_for_pilots_are_said_in_the_last_line() -> None:
    """The box may be fit, and the judgement of its models may not."""

    def choose(course: Course) -> Found:
        parts = {"task": "t", "backend": "b", "provider": "p", "precisions": {}, "computes": True}
        course.choices = tuple(
            Choice(model=model, is_for_pilots=model == "drawn", **parts) for model in ("drawn", "real")
        )
        return one(Check(name="setup", status=Status.PASS))

    report = run(Stage(("setup",), choose))
    assert report.verdict == "fit to guard a door, with weights that are for pilots: drawn"
    assert report.pilot_models == ("drawn",)


def test_quick_look_says_that_it_was_one() -> None:
    """In the last line and in the report."""
    report = run(is_quick=True)
    assert report.verdict == "fit to guard a door, as far as a quick look tells"
    assert report.settings.is_quick


def test_each_check_is_shown_when_it_has_ended() -> None:
    """In order, as it stands in the report."""
    shown: list[Check] = []
    assert tuple(shown) == () != run(show=shown.append).checks == tuple(shown)


def test_provider_that_is_missing_is_not_fit() -> None:
    """The real look at a configuration that asks for what is not here."""
    setup = Stage(("setup",), look_at_setup)
    report = run(setup, config=config_with(engine={"provider": "cann"}), clock=time.monotonic)
    assert report.verdict == (
        "not fit: setup: engine: 1013: the provider 'cann' is required, but onnxruntime "
        f"{onnxruntime_version()} has only: cpu"
    )
    assert all(check.status is Status.PASS for check in report.checks[1:])


def onnxruntime_version() -> str:
    return load_backend("onnxruntime").probe().version


def test_null_backend_is_not_fit() -> None:
    """It computes nothing."""
    setup = Stage(("setup",), look_at_setup)
    report = run(setup, config=config_with(engine={"backend": "null"}), clock=time.monotonic)
    assert "lg_detect runs on null, which computes nothing" in report.verdict


def test_box_that_overheats_is_not_fit(tmp_path: Path) -> None:
    """The real look at a sensor that is too hot."""
    sysfs = cool_box(tmp_path)
    write(sysfs / "class/thermal/thermal_zone0/temp", 99_500)
    report = run(Stage(("heat_and_power",), feel_heat), sysfs=sysfs)
    assert report.verdict == (
        "not fit: heat and power: cpu-thermal is at 100 degrees Celsius, and 99 stops the box"
    )
