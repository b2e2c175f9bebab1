"""What is kept of what was measured: better, steadily, and with the same findings."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.profile import read_profile
from livegate.core.results import Box, Face
from livegate_bench.failure import BenchError
from livegate_bench.main import main
from livegate_bench.picture import load_picture
from livegate_bench.tools.contender import Contender, Finding, overlap_of, strays
from livegate_bench.tools.tune import Tuner, _threads
from support import encoded, noise

FACE = Face(Box(10, 10, 40, 50), (), 0.9)
SEEN = Finding((FACE,), 0.8)


class Fake:
    """Answers the rates that it was given, one for each round, and remembers that it was ended."""

    def __init__(self, settings: Mapping[str, Any], rates: list[float], finding: Finding = SEEN) -> None:
        self.settings = dict(settings)
        self._rates = rates
        self._finding = finding
        self._turn = -1
        self.is_ended = False

    def rate(self, pictures: Any, task: str, seconds: float) -> float:
        self._turn += 1
        return self._rates[self._turn % len(self._rates)]

    def find(self, picture: bytes) -> Finding:
        return self._finding

    def end(self) -> None:
        self.is_ended = True


class Bench:
    """Contenders by their number of workers; 0 is the default."""

    def __init__(self, **known: Any) -> None:
        self.made: dict[int, Fake] = {}
        self.known = {"default": [100.0], **known}

    def contend(self, settings: Mapping[str, Any]) -> Contender:
        number = settings.get("server.workers", 0)
        told = self.known["default" if not number else f"w{number}"]
        if isinstance(told, Exception):
            raise told
        rates, finding = told if isinstance(told, tuple) else (told, SEEN)
        self.made[number] = Fake(settings, rates, finding)
        return self.made[number]  # type: ignore[return-value]

    def tuner(self) -> Tuner:
        console = Console(file=io.StringIO())
        return Tuner({"models.pack": "starter"}, [b"1"], 0.02, 4, 0.1, console, self.contend)


def test_setting_that_is_better_in_every_round_is_kept_and_the_loser_ended() -> None:
    """The median decides, and the default's engines are given back."""
    bench = Bench(w3=[1.0, 110.0, 120.0, 130.0, 120.0])
    tuner = bench.tuner()
    tuner.attempt({"server.workers": 3})
    assert tuner.changes == {"server.workers": 3}
    assert (bench.made[0].is_ended, bench.made[3].is_ended) == (True, False)
    (trial,) = tuner.trials
    assert (trial.ratio, trial.ratio_min, trial.ratio_max) == (1.2, 1.1, 1.3)


@pytest.mark.parametrize(
    "rates",
    [[1.0, 99.0, 150.0, 150.0, 150.0], [1.0, 101.0, 102.0, 102.0, 102.0], [90.0]],
    ids=["one round was worse", "hardly better", "worse"],
)
def test_setting_that_is_not_surely_better_is_not_kept(rates: list[float]) -> None:
    """A box is not moved by noise."""
    bench = Bench(w3=rates)
    tuner = bench.tuner()
    tuner.attempt({"server.workers": 3})
    assert tuner.changes == {}
    assert (bench.made[0].is_ended, bench.made[3].is_ended) == (False, True)


def test_setting_that_finds_something_else_is_refused_with_the_reason_and_not_timed() -> None:
    """However fast it is."""
    other = Finding((FACE,), 0.7)
    bench = Bench(w3=([1000.0], other))
    tuner = bench.tuner()
    tuner.attempt({"server.workers": 3})
    (trial,) = tuner.trials
    assert (trial.ratio, trial.refused) == (None, "the score of picture 1 is 0.700, not 0.800")
    assert tuner.changes == {}
    assert bench.made[3].is_ended


def test_setting_that_does_not_load_is_refused_with_the_reason() -> None:
    """An engine that strays from its golden outputs, or a provider that is not here."""
    bench = Bench(w3=SetupError(ErrorCode.MODELINIT_FAIL, "it strays"))
    tuner = bench.tuner()
    tuner.attempt({"server.workers": 3})
    assert [trial.refused for trial in tuner.trials] == ["it strays"]
    assert not bench.made[0].is_ended


def test_next_setting_is_held_to_the_best_so_far_and_to_what_the_default_found() -> None:
    """120 is no progress after 150."""
    bench = Bench(w3=[150.0], w4=[120.0])
    tuner = bench.tuner()
    for workers in (3, 4):
        tuner.attempt({"server.workers": workers})
    assert tuner.changes == {"server.workers": 3}
    assert tuner.trials[1].ratio == pytest.approx(0.8)
    assert tuner.against_default().ratio == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (SEEN, ""),
        (Finding((), 0.8), "picture 1 has 0 faces, not 1"),
        (Finding((FACE, FACE), 0.8), "picture 1 has 2 faces, not 1"),
        (
            Finding((Face(Box(30, 10, 40, 50), (), 0.9),), 0.8),
            "a face of picture 1 overlaps by 0.33 only",
        ),
        (Finding((FACE,), 0.83), "the score of picture 1 is 0.830, not 0.800"),
        (Finding((FACE,), 0.81), ""),
    ],
)
def test_strays_names_the_first_picture_and_what_is_otherwise(found: Finding, why: str) -> None:
    """Faces by number and place, scores by the tolerance."""
    assert strays([SEEN], [found], overlap=0.9, score=0.02) == why


BOXES = st.builds(Box, *(st.floats(0, 100) for _ in range(4)))


@given(one=BOXES, other=BOXES)
def test_overlap_is_between_0_and_1_and_the_same_both_ways(one: Box, other: Box) -> None:
    """Intersection over union, boxes without a size included."""
    assert 0 <= overlap_of(one, other) <= 1
    assert overlap_of(one, other) == overlap_of(other, one)


@pytest.mark.parametrize("cores", [1, 2, 4, 64])
def test_threads_never_ask_for_more_inside_a_run_than_there_are_cores(cores: int) -> None:
    """And never for the default, which is measured anyhow."""
    tried = [tuple(change.values()) for change in _threads(cores)]
    assert tried
    assert (1, cores) not in tried
    assert all(1 <= inside <= cores and at_once >= 1 for inside, at_once in tried)


def test_tune_writes_a_profile_that_a_server_takes(tmp_path: Path) -> None:
    """End to end on the networks of the package, as short as can be: the file is read back."""
    file = tmp_path / "profile.json"
    (tmp_path / "noise.jpg").write_bytes(encoded(".jpg", noise(320, 240)))
    quick = ["--rounds", "1", "--seconds", "0.02", "--pictures", str(tmp_path)]
    assert main(["tune", *quick, "--out", str(file)]) == 0
    profile = read_profile(file)
    assert profile.pack == "starter"
    assert len(profile.trials) >= 3
    assert json.loads(file.read_bytes())["format"] == "livegate.profile/1"


def test_default_portrait_that_is_not_here_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A box that only serves has no scikit-image."""
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(BenchError, match="--picture FILE"):
        load_picture(None)


def test_tune_without_pictures_in_the_folder_says_so(tmp_path: Path) -> None:
    """1016 and the endings that it looks for."""
    with pytest.raises(Exception, match=r"1016 .* has no \.jpg") as caught:
        main(["tune", "--pictures", str(tmp_path)])
    assert caught.value.code is ErrorCode.NO_EXIST  # type: ignore[attr-defined]
