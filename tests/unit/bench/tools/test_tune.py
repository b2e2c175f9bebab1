"""What is kept of what was measured: better, steadily, and with the same findings."""

from __future__ import annotations

import io
import itertools
import sys
import types
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from livegate.core.config import Config, EngineConfig
from livegate.core.errors import EngineError, ErrorCode, LiveGateError, RequestError, SetupError
from livegate.core.profile import Trial, read_profile, this_machine, unlike
from livegate.core.results import Box, Face
from livegate.engines.base import Capability
from livegate.manifests.schema import Precision
from livegate_bench.failure import BenchError
from livegate_bench.main import main
from livegate_bench.picture import load_picture
from livegate_bench.tools.contender import SILENT, Contender, Finding, overlap_of, strays
from livegate_bench.tools.tune import (
    MOST_TIMED,
    Tuner,
    has_precision,
    is_worth,
    sharing_files,
    thread_settings,
)
from support import astronaut, encoded, shipped_manifest

FACE = Face(Box(10, 10, 40, 50), (), 0.9)
SEEN = Finding((FACE,), 0.8)
PICTURE = {"a.jpg": b"a"}
Rates = list[Any] | dict[str, list[Any]]


class Fake:
    """Answers the rates that it was given, one for each round, and remembers that it was ended."""

    tasks = ("everything",)

    def __init__(self, rates: Rates, finding: Finding = SEEN) -> None:
        self._rates = rates if isinstance(rates, dict) else dict.fromkeys((SILENT, "everything"), rates)
        self._finding = finding
        self._turns: Counter[str] = Counter()
        self.seen: list[Sequence[bytes]] = []
        self.is_ended = False

    def rate(self, pictures: Sequence[bytes], tasks: Sequence[str], seconds: float) -> float:
        rates, turn = self._rates[tasks[0]], self._turns[tasks[0]]
        self._turns[tasks[0]] += 1
        self.seen.append(pictures)
        rate = rates[turn % len(rates)]
        if isinstance(rate, Exception):
            raise rate
        return rate

    def find(self, picture: bytes) -> Finding:
        return self._finding if picture != b"nobody" else Finding((), -1.0)

    def end(self) -> None:
        self.is_ended = True


class Bench:
    """Contenders by their number of workers; 0 is the default."""

    def __init__(self, **known: Any) -> None:
        self.made: dict[int, list[Fake]] = {}
        self.known = {"default": [100.0], **known}

    def contend(self, settings: Mapping[str, Any]) -> Contender:
        number = settings.get("server.workers", 0)
        told = self.known["default" if not number else f"w{number}"]
        if isinstance(told, Exception):
            raise told
        rates, finding = told if isinstance(told, tuple) else (told, SEEN)
        self.made.setdefault(number, []).append(Fake(rates, finding))
        return self.made[number][-1]  # type: ignore[return-value]

    def tuner(self, pictures: Mapping[str, bytes] = PICTURE) -> Tuner:
        return Tuner(pictures, 0.02, 4, 0.1, Console(file=io.StringIO()), self.contend)

    def ended(self, number: int) -> list[bool]:
        return [fake.is_ended for fake in self.made[number]]


def test_setting_that_is_better_in_every_round_is_kept_and_the_loser_ended() -> None:
    """The median decides, and the default's engines are given back."""
    bench = Bench(w3=[1.0, 110.0, 120.0, 130.0, 120.0])
    tuner = bench.tuner()
    tuner.attempt({"server.workers": 3})
    assert tuner.changes == {"server.workers": 3}
    assert (bench.ended(0), bench.ended(3)) == ([True], [False])
    (trial,) = tuner.trials
    measured = [trial.ratio, trial.ratio_min, trial.ratio_max]
    assert measured == [pytest.approx(ratio) for ratio in (1.2, 1.1, 1.3)]


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
    assert (bench.ended(0), bench.ended(3)) == ([False], [True])


@pytest.mark.parametrize(
    ("of_everything", "is_kept"), [(99.0, True), (90.0, False)], ids=["as fast", "slower"]
)
def test_setting_of_the_whole_box_makes_no_load_slower(of_everything: float, is_kept: bool) -> None:
    """Silent liveness gains half as much again; who asks for everything must not pay for it."""
    bench = Bench(w3={SILENT: [150.0], "everything": [of_everything]})
    tuner = bench.tuner()
    tuner.attempt({"server.workers": 3})
    assert bool(tuner.changes) is is_kept
    (trial,) = tuner.trials
    assert trial.refused == ("" if is_kept else "everything: 0.90 times as fast")


def test_setting_that_finds_something_else_is_refused_with_the_reason_and_not_timed() -> None:
    """However fast it is."""
    other = Finding((FACE,), 0.7)
    bench = Bench(w3=([1000.0], other))
    tuner = bench.tuner()
    tuner.attempt({"server.workers": 3})
    (trial,) = tuner.trials
    assert (trial.ratio, trial.refused) == (None, "the score of a.jpg is 0.700, not 0.800")
    assert tuner.changes == {}
    assert bench.ended(3) == [True]
    assert bench.made[3][0].seen == []


@pytest.mark.parametrize(
    "told",
    [
        SetupError(ErrorCode.MODELINIT_FAIL, "it strays"),
        [100.0, 120.0, EngineError("it strays")],
    ],
    ids=["when it loads", "in the second round"],
)
def test_setting_that_does_not_run_is_refused_with_the_reason(told: Any) -> None:
    """An engine that strays, a provider that is not here, a device that fails: the rest is tried."""
    bench = Bench(w3=told, w4=[110.0])
    tuner = bench.tuner()
    for workers in (3, 4):
        tuner.attempt({"server.workers": workers})
    assert [trial.refused for trial in tuner.trials] == ["it strays", ""]
    assert tuner.changes == {"server.workers": 4}
    assert all(bench.ended(3) if 3 in bench.made else [True])


def test_next_setting_is_held_to_the_best_so_far_and_to_what_the_default_found() -> None:
    """120 is no progress after 150."""
    bench = Bench(w3=[150.0], w4=[120.0])
    tuner = bench.tuner()
    for workers in (3, 4):
        tuner.attempt({"server.workers": workers})
    assert tuner.changes == {"server.workers": 3}
    assert tuner.trials[1].ratio == pytest.approx(0.8)
    assert tuner.against_default().ratio == pytest.approx(1.5)
    assert bench.ended(0) == [True, True]


@pytest.mark.parametrize(
    ("ratio", "refused", "is_kept"), [(1.5, "", True), (0.98, "", False), (1.5, "slower", False)]
)
def test_what_won_is_kept_only_when_it_wins_against_the_default(
    ratio: float, refused: str, is_kept: bool
) -> None:
    """Measured once more at the end."""
    assert is_worth(Trial(settings={}, ratio=ratio, refused=refused)) is is_kept
    assert not is_worth(None)


def test_pictures_without_a_face_are_held_to_and_not_timed() -> None:
    """No network but the detector would run for them."""
    bench = Bench(w3=[110.0])
    tuner = bench.tuner({"a.jpg": b"a", "b.jpg": b"nobody", "c.jpg": b"c"})
    tuner.attempt({"server.workers": 3})
    assert bench.made[0][0].seen == bench.made[3][0].seen
    assert set(map(tuple, bench.made[3][0].seen)) == {(b"a", b"c")}


def test_pictures_that_are_timed_are_drawn_evenly_from_many() -> None:
    """Every worker of both sides sees all of them."""
    bench = Bench(w3=[110.0])
    tuner = bench.tuner({f"{n}.jpg": bytes([n]) for n in range(64)})
    tuner.attempt({"server.workers": 3})
    assert bench.made[3][0].seen[0] == [bytes([n]) for n in range(0, 64, 64 // MOST_TIMED)]


def test_nobody_in_any_picture_is_told_before_anything_is_tried() -> None:
    """Else noise would be tuned for, and the tolerance could hold nothing."""
    with pytest.raises(RequestError, match=r"no face is seen in b\.jpg"):
        Bench().tuner({"b.jpg": b"nobody"})


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (SEEN, ""),
        (Finding((), 0.8), "a.jpg has 0 faces, not 1"),
        (Finding((FACE, FACE), 0.8), "a.jpg has 2 faces, not 1"),
        (
            Finding((Face(Box(30, 10, 40, 50), (), 0.9),), 0.8),
            "a face of a.jpg overlaps by 0.33 only",
        ),
        (Finding((FACE,), 0.83), "the score of a.jpg is 0.830, not 0.800"),
        (Finding((FACE,), 0.81), ""),
    ],
)
def test_strays_names_the_first_picture_and_what_is_otherwise(found: Finding, why: str) -> None:
    """Faces by number and place, scores by the tolerance."""
    assert strays({"a.jpg": SEEN}, {"a.jpg": found}, overlap=0.9, score=0.02) == why


BOXES = st.builds(Box, *(st.floats(0, 100) for _ in range(4)))


@given(one=BOXES, other=BOXES)
def test_overlap_is_between_0_and_1_and_the_same_both_ways(one: Box, other: Box) -> None:
    """Intersection over union, boxes without a size included."""
    assert 0 <= overlap_of(one, other) <= 1
    assert overlap_of(one, other) == overlap_of(other, one)


@given(st.lists(st.frozensets(st.sampled_from("abcdef"), min_size=1, max_size=3), max_size=6))
def test_models_that_share_a_file_are_one_group(files: list[frozenset[str]]) -> None:
    """Directly or by others between them; each model once."""
    kind = shipped_manifest("lg_face").files[0]
    manifests = [
        msgspec.structs.replace(
            shipped_manifest("lg_face"),
            id=f"m{n}",
            files=tuple(msgspec.structs.replace(kind, sha256=name) for name in sorted(own)),
        )
        for n, own in enumerate(files)
    ]
    groups = sharing_files(manifests)
    assert sorted(one.id for group in groups for one in group) == [one.id for one in manifests]
    held = [frozenset(file.sha256 for one in group for file in one.files) for group in groups]
    assert all(not one & other for one, other in itertools.combinations(held, 2))
    for group in groups:  # none that could be split
        rest, reached = list(group[1:]), {file.sha256 for file in group[0].files}
        while kin := [one for one in rest if reached & {file.sha256 for file in one.files}]:
            reached |= {file.sha256 for one in kin for file in one.files}
            rest = [one for one in rest if one not in kin]
        assert rest == []


def test_models_of_the_package_that_share_a_file_are_moved_together() -> None:
    """Head pose and landmarks are one file."""
    ids = ("lg_detect", "lg_face", "lg_face_pose", "lg_silent")
    groups = sharing_files([shipped_manifest(name) for name in ids])
    assert ["lg_face", "lg_face_pose"] in [sorted(one.id for one in group) for group in groups]


@pytest.mark.parametrize(
    ("model_id", "precisions", "is_had"),
    [
        ("minifasnet_pair", ("fp32", "fp16"), True),
        ("minifasnet_pair", ("fp32",), False),
        ("lg_silent", ("fp32", "fp16"), False),
    ],
    ids=["both have it", "not the backend", "no network"],
)
def test_precision_is_tried_where_backend_and_network_have_it(
    model_id: str, precisions: tuple[Precision, ...], is_had: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the same numbers would be measured once more."""
    capability = Capability("tensorrt", "10", ("gpu",), precisions=precisions)
    backend = types.SimpleNamespace(probe=lambda: capability)
    monkeypatch.setattr("livegate_bench.tools.tune.load_backend", lambda name: backend)
    engine = EngineConfig(backend="tensorrt", precision="fp16")
    assert has_precision(shipped_manifest(model_id), engine) is is_had


@pytest.mark.parametrize("cores", [1, 2, 4, 64])
def test_threads_never_ask_for_more_inside_a_run_than_there_are_cores(cores: int) -> None:
    """And never for the default, which is measured anyhow."""
    tried = [tuple(change.values()) for change in thread_settings(cores)]
    assert tried
    assert (1, cores) not in tried
    assert all(1 <= inside <= cores and at_once >= 1 for inside, at_once in tried)


@pytest.fixture
def door(tmp_path: Path) -> Path:
    """A folder with a photograph of a person."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    folder = tmp_path / "door"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encoded(".jpg", astronaut()[:384]))
    return folder


def quick(door: Path) -> list[str]:
    """As short as can be."""
    return ["tune", "--rounds", "3", "--seconds", "0.01", "--pictures", str(door)]


def test_tune_writes_a_profile_that_a_server_takes(door: Path, tmp_path: Path) -> None:
    """End to end on the networks of the package: the file is read back."""
    file = tmp_path / "own" / "profile.json"
    assert main([*quick(door), "--out", str(file)]) == 0
    profile = read_profile(file)
    assert (profile.pack, profile.use) == ("starter", {})
    assert unlike(profile, Config().models, this_machine()) == ""
    tried = [set(trial.settings) for trial in profile.trials]
    assert {"engine.intra_op_threads", "server.workers"} in tried
    for trial in profile.trials:
        assert trial.refused or trial.ratio
        moved = trial.settings.get("engine.use", {})
        assert ("lg_face" in moved) == ("lg_face_pose" in moved)


def test_tune_leaves_alone_what_the_operator_has_set(
    door: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server would not take it from a profile."""
    file, settings = tmp_path / "profile.json", tmp_path / "livegate.toml"
    settings.write_text("[server]\nworkers = 1\n")
    flags = ["--config", str(settings), "--backend", "onnxruntime"]
    assert main([*quick(door), *flags, "--out", str(file)]) == 0
    assert read_profile(file).trials == ()
    told = " ".join(capsys.readouterr().err.split())
    assert "not tried: backends: engine.backend is set by flag" in told
    assert "not tried: threads: engine.backend is set by flag" in told


def test_tune_says_at_once_that_its_profile_has_no_place(door: Path, tmp_path: Path) -> None:
    """Not after an hour of measuring."""
    (tmp_path / "file").write_bytes(b"")
    for out in (tmp_path, tmp_path / "file" / "profile.json"):
        with pytest.raises(LiveGateError) as caught:
            main([*quick(door), "--out", str(out)])
        assert caught.value.code is ErrorCode.WRITE_FAIL


def test_tune_names_the_picture_that_cannot_be_decoded(door: Path) -> None:
    """Of two hundred."""
    (door / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(RequestError, match=r"b\.jpg"):
        main([*quick(door), "--dry-run"])


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
