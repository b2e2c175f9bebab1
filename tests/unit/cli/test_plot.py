"""The picture of a video's movements."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from livegate.cli.plot import plot_verdict, require_plots
from livegate.core.config import ActionsConfig
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.core.results import (
    Action,
    ActionEvent,
    ActionResult,
    FaceSample,
    Reason,
    VideoVerdict,
)
from support import video_verdict

NOD = ActionEvent(Action.NOD, 400, 600, 800, 0.7)
MOUTH = ActionEvent(Action.MOUTH, 1000, 1200, 1400, 0.6)
SAMPLES = tuple(FaceSample(t, None if t == 500 else t / 100, 5.0, 0.1, 0.3) for t in range(0, 2000, 100))
VERDICT = video_verdict(
    is_alive=False,
    reasons=(Reason.ACTION_NOT_ASKED_FOR,),
    actions=(ActionResult(Action.NOD, True, 0.7, NOD), ActionResult(Action.BLINK, False, 0.1)),
    events=(NOD, MOUTH),
    picture=b"jpeg",
    picture_pts_ms=200,
    duration_ms=2000,
    track=SAMPLES,
)


def drawn(tmp_path: Path, verdict: VideoVerdict) -> np.ndarray:
    path = tmp_path / "out.png"
    plot_verdict(verdict, ActionsConfig(), "clip.mp4", path)
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture.astype(int)


def rows_with(picture: np.ndarray, colour: str) -> float:
    """The part of the rows that has that colour's shading, which is a fifth of it on white."""
    blue, green, red = picture[..., 0], picture[..., 1], picture[..., 2]
    if colour == "green":
        shaded = (green - red > 15) & (green - blue > 10)
    else:
        shaded = (red - blue > 25) & (red - green > 10)
    return float((shaded.sum(axis=1) > 60).mean())


def test_plot_marks_what_was_accepted_and_what_was_seen(tmp_path: Path) -> None:
    """Each in its own panel, in its own colour."""
    picture = drawn(tmp_path, VERDICT)
    assert picture.shape == (800, 1000, 3)
    assert 0.1 < rows_with(picture, "green") < 0.3
    assert 0.1 < rows_with(picture, "orange") < 0.3
    bare = drawn(tmp_path, replace(VERDICT, events=(), actions=()))
    assert rows_with(bare, "green") == rows_with(bare, "orange") == 0


@pytest.mark.parametrize("track", [(), SAMPLES[:1], (FaceSample(0, None, None, 0.0, 0.0),)])
def test_plot_of_next_to_nothing_is_a_picture(tmp_path: Path, track: tuple[FaceSample, ...]) -> None:
    """A video without a face has a plot, too."""
    assert drawn(tmp_path, replace(VERDICT, track=track, picture=b"")).shape == (800, 1000, 3)


def test_plot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """No folder; a kind of file that is none."""
    for name, code in (("none/out.png", ErrorCode.WRITE_FAIL), ("out.xyz", ErrorCode.PARAM_FAILURE)):
        with pytest.raises(RequestError) as caught:
            plot_verdict(VERDICT, ActionsConfig(), "clip.mp4", tmp_path / name)
        assert caught.value.code is code


def test_plot_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any work is done."""
    require_plots()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SetupError, match="matplotlib") as caught:
        require_plots()
    assert "livegate[plot]" in caught.value.hint
