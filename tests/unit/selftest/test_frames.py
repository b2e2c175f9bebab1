"""The trials of the frame queue, each with something planted that it has to find."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from livegate.core.config import Config, FramesConfig
from livegate.selftest.report import Status
from livegate.selftest.stage import Stage
from livegate.selftest.tears import Tally, check_frame_queue
from livegate.selftest.zerocopy import check_zero_copy, lies_in_memfd, watch_one_frame
from livegate.tasks.face_detection import Plugin
from selftest_parts import course
from support import config_with, shipped_manifest

DETECTORS = ("lg_detect", "yunet_n")


@pytest.mark.parametrize(
    ("producer", "status", "said"),
    [
        ("selftest_parts:torn_frames", Status.FAIL, "frames were torn"),
        pytest.param(
            *("selftest_parts:exchanged_frames", Status.FAIL, "not those of their tickets"),
            marks=pytest.mark.slow,
        ),
        pytest.param("livegate.selftest.tears:produce", Status.PASS, "", marks=pytest.mark.slow),
        ("selftest_parts:refuse", Status.FAIL, "there is no device"),
    ],
)
def test_frame_queue_finds_what_is_planted(
    monkeypatch: pytest.MonkeyPatch, producer: str, status: Status, said: str
) -> None:
    """Whole frames pass; a picture that comes behind its ticket, or is another one, does not."""
    monkeypatch.setattr("livegate.selftest.tears.QUICK_S", 1.0)
    stage = Stage(("frame_queue",), lambda made: check_frame_queue(made, producer=producer))
    (check,) = stage.found(course(monkeypatch, config_with())).checks
    assert (check.status, said in check.reason) == (status, True), check.reason
    if status is Status.PASS:
        assert check.figures[0].value >= 50


@pytest.mark.parametrize("model_id", DETECTORS)
def test_frame_that_is_read_in_place_is_seen_so(model_id: str) -> None:
    """Address, counter and the bytes that were written afterwards agree."""
    detector = Plugin(shipped_manifest(model_id), Config())
    seen = watch_one_frame(detector, FramesConfig(trusted="same_uid"))
    assert list(seen.problems()) == []
    assert (seen.is_inside, seen.copied_bytes, seen.is_followed) == (True, 0, True)


def test_frame_that_was_copied_is_seen_by_every_witness() -> None:
    """The queue's other mode copies once; each of the three finds it."""
    detector = Plugin(shipped_manifest("lg_detect"), Config())
    seen = watch_one_frame(detector, FramesConfig(trusted="none"))
    assert (seen.is_inside, seen.copied_bytes, seen.is_followed) == (False, 1280 * 720 * 3, False)
    assert len(list(seen.problems())) == 3


def test_zero_copy_is_not_run_where_the_configuration_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is a choice, not a fault."""
    made = course(monkeypatch, config_with(frames={"trusted": "none"}))
    (check,) = check_zero_copy(made).checks
    assert (check.status, "as configured" in check.reason) == (Status.NOT_RUN, True)


def test_array_of_our_own_lies_in_no_memfd() -> None:
    """The look at the addresses can say no."""
    assert not lies_in_memfd(np.zeros((4, 4, 3), np.uint8), "selftest")


def test_tally_of_too_few_frames_is_a_problem() -> None:
    """A trial that saw nothing has shown nothing."""
    assert "only 3 frames" in next(Tally(frames=3, seconds=2.0).problems())
    assert list(Tally(frames=500, seconds=2.0).problems()) == []
    torn = msgspec.convert({"frames": 500, "torn": 1}, Tally)
    assert list(torn.problems()) == ["1 of 500 frames were torn"]
