"""The report of an evaluation, for people and for machines."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from livegate.core.results import EngineInfo
from livegate.evaluation.evaluation import Evaluation, as_json
from livegate.evaluation.figures import det_png, histogram_png
from livegate.evaluation.page import page_from_evaluation, point_row
from livegate.evaluation.rates import Presentation

ENGINE = EngineInfo("minifasnet_pair", "crop_2_7", "ab" * 32, "onnxruntime", "auto", "cpu", "fp32")
NASTY = "<script>alert(1)</script>.jpg"
PEOPLE = (
    Presentation("a.jpg", "", 0.9),
    Presentation(NASTY, "", 0.2),
    Presentation("c.jpg", "", None, "no face was found"),
)
ATTACKS = (Presentation("print/a.jpg", "print", 0.1), Presentation("mask/b.jpg", "mask", 0.8))


def evaluation(**changes: Any) -> Evaluation:
    own: dict[str, Any] = {
        "people": PEOPLE,
        "attacks": ATTACKS,
        "clips_of_people": (),
        "clips_of_attacks": (Presentation("print/a.mp4", "print", 1.0),),
        "threshold": 0.5,
        "engines": (ENGINE,),
    }
    return Evaluation(**{**own, **changes})


class Reader(HTMLParser):
    """What a browser would load, and what it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_json_tells_rates_with_counts_and_what_is_not_known_is_null() -> None:
    """The worst species counts, non-responses are apart, the worst files have names."""
    told = json.loads(msgspec.json.encode(as_json(evaluation())))
    assert told["configured"]["apcer"]["value"] == 1
    assert told["configured"]["worst_species"] == "mask"
    assert told["configured"]["bpcer"] == {
        "value": 0.5,
        "count": 1,
        "total": 2,
        "interval_95": pytest.approx([0.0945, 0.9055], abs=1e-3),
    }
    assert told["configured"]["acer"] == 0.75
    assert told["bpnrr"]["count"] == 1
    assert [one["name"] for one in told["worst"]["people"]] == [NASTY, "a.jpg"]
    assert [one["name"] for one in told["worst"]["attacks"]] == ["mask/b.jpg", "print/a.jpg"]
    assert told["clips"]["bpcer"]["value"] is None
    assert told["clips"]["acer"] is None
    assert as_json(evaluation(clips_of_attacks=()))["clips"] is None


def test_page_stands_alone_and_runs_nothing() -> None:
    """No file from elsewhere; names are text, whatever they look like."""
    reader = Reader()
    figures = {"det.png": b"png", "scores.png": b"png"}
    page = page_from_evaluation(evaluation(), figures, {"machine": "<b>box</b>"})
    reader.feed(page)
    assert len(reader.sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert "script" not in reader.tags
    assert NASTY in reader.text
    assert "no face was found" in reader.text
    assert "<b>box</b>" in reader.text


def test_evaluation_in_which_nobody_has_a_score_still_tells_why() -> None:
    """A wrong folder, faces too small: the list of non-responses is what is wanted then."""
    own = evaluation(people=PEOPLE[2:])
    told = json.loads(msgspec.json.encode(as_json(own)))
    assert told["alternatives"] == []
    assert [one["name"] for one in told["non_responses"]] == ["c.jpg"]
    assert "no face was found" in page_from_evaluation(own, {}, {})


def test_threshold_that_is_told_is_the_one_that_was_measured() -> None:
    """It is typed into a configuration: rounded, it would refuse that person, or let attacks in."""
    people = tuple(Presentation(f"{n}.jpg", "", score) for n, score in enumerate((3.2123e-5, 0.9)))
    attacks = (Presentation("print/a.jpg", "print", 3.2e-5),)
    own = evaluation(people=people, attacks=attacks)
    for (_, point), row in zip(own.alternatives, own_rows(own), strict=True):
        assert (point.bpcer.count, point.apcer.count) == (0, 0)
        assert float(row[1]) == point.threshold


def own_rows(own: Evaluation) -> list[tuple[str, ...]]:
    return [point_row("", point) for _, point in own.alternatives]


@pytest.mark.parametrize(
    "changes", [{}, {"attacks": ATTACKS[:1]}, {"people": PEOPLE[:1]}, {"threshold": 1.0}]
)
def test_figures_are_pictures(changes: dict[str, Any]) -> None:
    """Also of next to nothing."""
    own = evaluation(**changes)
    assert all(draw(own).startswith(b"\x89PNG") for draw in (det_png, histogram_png))
