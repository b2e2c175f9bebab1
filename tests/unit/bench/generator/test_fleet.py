"""What cameras show, and what becomes of their frames."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from e2e.pictures import jpeg
from livegate.core.config import Config
from livegate.core.errors import ErrorCode
from livegate.core.results import Decision
from livegate.shm.layout import DropReason
from livegate.shm.outcome import FrameResult, Outcome
from livegate_bench.generator.fleet import Camera, Fleet, taken_from_cameras
from livegate_bench.generator.scene import FRAME_HEIGHT, FRAME_WIDTH, PERIOD_S, Scene, left_at
from livegate_bench.scenarios.camera_fleet import keeps_up
from livegate_bench.sut import Box
from livegate_bench.system import Place, System


def test_somebody_comes_stands_and_goes() -> None:
    """From outside the picture to its middle, and out at the other side; then nobody is there."""
    width = 640
    at = {moment: left_at("turnstile", moment, width) for moment in (0.0, 0.5, 2.0, 4.5, 4.999)}
    assert at[0.0] == -width
    assert -width < at[0.5] < at[2.0] < at[4.5] < at[4.999] <= FRAME_WIDTH
    assert abs(at[2.0] - (FRAME_WIDTH - width) / 2) <= 3
    assert left_at("turnstile", 5.5, width) is None
    assert left_at("turnstile", PERIOD_S + 2.0, width) == pytest.approx(at[2.0], abs=6)


def test_scene_writes_whole_frames_and_no_two_alike() -> None:
    """Also where the person is half outside; the wall is there when nobody is."""
    scene = Scene(jpeg(320, 240), "turnstile", seed=1)
    pixels = np.empty((FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
    shown = []
    for number, moment in enumerate((0.1, 2.0, 2.0, 4.9, 5.5)):
        scene.paint(pixels, number, moment)
        shown.append(pixels.copy())
    assert np.ptp(shown[4]) <= 6  # the wall and its noise
    assert np.ptp(shown[0][:, :320]) > 100
    assert np.ptp(shown[0][:, 640:]) <= 6
    assert not np.array_equal(shown[1], shown[2])


def result(number: int, reason: DropReason = DropReason.JUDGED, **outcome: object) -> FrameResult:
    return FrameResult(number, Outcome(**outcome), reason, 0, 0)  # type: ignore[arg-type]


def test_camera_counts_each_frame_once() -> None:
    """Verdicts by age, drops by reason, failures by code; what nobody asked for is nobody's."""
    camera = Camera(str(Path("/nowhere")), "a")
    due_ns = time.monotonic_ns() - 50_000_000
    camera.due_ns.update(dict.fromkeys(range(4), due_ns))
    camera.hear(result(0, decision=Decision.GENUINE))
    camera.hear(result(1, DropReason.REPLACED, code=ErrorCode.QUEUE_FULL))
    camera.hear(result(2, code=ErrorCode.MODELINFER_FAIL))
    camera.hear(result(2, code=ErrorCode.MODELINFER_FAIL))
    found = taken_from_cameras([camera], 2.0)
    assert (found.requests, found.drops, found.errors) == (1, {"replaced": 1}, {"1030": 1})
    assert found.latencies_s[0] >= 0.05
    assert list(camera.due_ns) == [3]


def test_fleet_that_is_not_let_in_has_its_code_and_no_frames(tmp_path: Path) -> None:
    """As of a server without memory for so many: the number of cameras does not hold."""
    nowhere = str(tmp_path / "frames.sock")
    box = Box(pid=1, tcp="", socket="", frames=nowhere, http="", metrics="")
    system = System(Place(Config(), jpeg(320, 240), box))
    taken = Fleet(2, fps=25, seconds=60, seed=1).run(system)
    assert (taken.requests, taken.errors) == (0, {"1025": 1})
    assert not keeps_up(taken, None, 200.0)


def test_frames_before_all_have_joined_are_led_in_and_not_measured() -> None:
    """Their verdicts share the cost, their drops stand as 0; what fails counts whenever it did."""
    camera = Camera(str(Path("/nowhere")), "a")
    camera.lead_in = 3
    camera.due_ns.update(dict.fromkeys(range(6), time.monotonic_ns()))
    camera.hear(result(0, decision=Decision.GENUINE))
    camera.hear(result(1, DropReason.REPLACED, code=ErrorCode.QUEUE_FULL))
    camera.hear(result(2, code=ErrorCode.MODELINFER_FAIL))
    camera.hear(result(3, decision=Decision.GENUINE))
    camera.hear(result(4, DropReason.EXPIRED, code=ErrorCode.TIMEOUT))
    found = taken_from_cameras([camera], 2.0, 0.5)
    assert (found.requests, found.led_in, found.answered, found.lead_in_s) == (1, 1, 2, 0.5)
    assert found.drops == {"replaced": 0, "expired": 1}
    assert found.errors == {"1030": 1}


def test_cameras_join_before_it_begins_and_all_are_measured_for_as_long() -> None:
    """A frame every 40 ms up to the moment when measuring begins, and from there the whole time."""
    fleet = Fleet(3, fps=25, seconds=2, seed=1, joining_s=0.5)
    dues_s = fleet.dues_s(lead_in=5)
    assert len(dues_s[dues_s >= 0]) == 50
    assert dues_s[0] == pytest.approx(-0.2)
    assert np.diff(dues_s) == pytest.approx(0.04)
