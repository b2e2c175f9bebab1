"""A camera whose frames are not all judged says what one says whose frames are: word for word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest

from livegate.app.build import build_pipeline, build_store
from livegate.core.config import AttentionConfig, Config
from livegate.core.frame import Frame
from livegate.core.results import GateDecision, Reason
from livegate.core.settings import load
from livegate.core.telemetry import StageClock
from livegate.core.view import View
from livegate.pipelines.holder import PipelineHolder
from livegate.pipelines.session import EVERY_FRAME, Session
from livegate.preprocess.scratch import Scratch
from support import astronaut, shared

pytestmark = pytest.mark.slow
av = pytest.importorskip("av")
Pictures = list[np.ndarray]
Word = tuple[int, GateDecision]
"""The number of a frame, and what was said at it."""
WIDTH, HEIGHT, FPS = 640, 360, 25
MOST_APART = 5
"""Frames between a word that comes with every frame judged and the same one otherwise: 200 ms."""
WALL = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


@pytest.fixture(scope="module", params=["starter", "reference"])
def holder(request: pytest.FixtureRequest) -> Iterator[PipelineHolder]:
    """Each pack's networks."""
    flags = {"models.pack": request.param}
    if request.param == "reference":
        flags["models.dirs"] = [str(shared("models", "reference"))]
    config = load(flags=flags).config
    pipeline = build_pipeline(config, build_store(config))
    yield PipelineHolder(pipeline)
    pipeline.close()


def frames_of(path: Path) -> Pictures:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def held(picture: np.ndarray, count: int) -> Pictures:
    """So many frames of something that a hand holds before the camera, which has some noise."""
    scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    high, wide = small.shape[:2]
    top, left = (HEIGHT - high) // 2, (WIDTH - wide) // 2
    scene = WALL.copy()
    scene[top : top + high, left : left + wide] = small
    rng, place, made = np.random.default_rng(1), np.zeros(2), []
    for _ in range(count):
        place = place * 0.9 + rng.normal(0, 0.8, 2)
        matrix = np.array(((1, 0, place[0]), (0, 1, place[1])))
        moved = cv2.warpAffine(scene, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        noise = cv2.randn(np.empty(moved.shape, np.int16), 0, 2)
        made.append(cv2.add(moved.astype(np.int16), noise, dtype=cv2.CV_8U))
    return made


def still(name: str) -> np.ndarray:
    picture = cv2.imread(str(shared("media", "stills", f"image_{name}.jpg")))
    assert picture is not None
    return picture


def empty(count: int) -> Pictures:
    return held(WALL, count)


def person() -> np.ndarray:
    return astronaut()[:384]


SEQUENCES: dict[str, Callable[[], Pictures]] = {
    "T1, then F1": lambda: held(still("T1"), 40) + held(still("F1"), 50),
    "T1, then F2": lambda: held(still("T1"), 40) + held(still("F2"), 50),
    "a person, then F1": lambda: held(person(), 40) + held(still("F1"), 50),
    "a person, then F2": lambda: held(person(), 40) + held(still("F2"), 50),
    "F1 for 5 s": lambda: held(still("F1"), 125),
    "F2 for 5 s": lambda: held(still("F2"), 125),
    "somebody else": lambda: held(person(), 40) + held(still("T1"), 40),
    "leaves and returns": lambda: held(person(), 40) + empty(30) + held(person(), 40),
}


def played(
    holder: PipelineHolder, pictures: Pictures, attention: AttentionConfig
) -> tuple[list[Word], int]:
    """What was decided, and how many frames were judged."""
    now_ns, judged, scratch = [0], 0, Scratch()
    words: list[Word] = []
    session = Session(
        holder.lease,
        (1031, 9001),
        View(),
        Config().gate,
        attention,
        now_ns=lambda: now_ns[0],
        draw=Random(1).random,
    )
    for number, pixels in enumerate(pictures):
        now_ns[0] = (number + 1) * 1_000_000_000 // FPS
        look = session.look(Frame(pixels, now_ns[0]), now_ns[0], StageClock(), scratch)
        judged += Reason.UNCHANGED not in look.reasons
        if look.gate in (GateDecision.OPEN, GateDecision.DENY):
            words.append((number, look.gate))
    return words, judged


def compare(holder: PipelineHolder, pictures: Pictures) -> list[Word]:
    """Both ways say OPEN and DENY in the same order, at the same frame or nearly; the second's words.

    HOLD is no decision: where a box jumps when something is held up, one way may take it for somebody
    else, whom it asks to wait, and the other for the same person, who is denied as well.
    """
    every, judged_all = played(holder, pictures, EVERY_FRAME)
    seldom, judged = played(holder, pictures, AttentionConfig())
    assert [word for _, word in seldom] == [word for _, word in every]
    for (one, _), (other, _) in zip(seldom, every, strict=True):
        assert abs(one - other) <= MOST_APART
    assert judged < judged_all == len(pictures)
    return seldom


@pytest.mark.parametrize("name", SEQUENCES)
def test_composed_sequence_gets_the_same_words(name: str, holder: PipelineHolder) -> None:
    """Attacks that come in from the middle, that stay, other people, people who leave."""
    compare(holder, SEQUENCES[name]())


@pytest.mark.parametrize("holder", ["reference"], indirect=True)
@pytest.mark.parametrize("name", ["F1", "F2"])
def test_attack_that_replaces_a_person_is_denied_and_opens_nothing(
    name: str, holder: PipelineHolder
) -> None:
    """With networks that know both attacks: DENY occurs, and no OPEN after the exchange."""
    words = compare(holder, held(person(), 40) + held(still(name), 50))
    after = [word for number, word in words if number >= 40]
    assert after == [GateDecision.DENY]


def test_every_clip_of_the_shared_folder_gets_the_same_words(holder: PipelineHolder) -> None:
    """Rendered heads that turn, nod and speak; filmed people."""
    media = shared("media")
    clips = [*sorted((media / "rendered").glob("*.mp4")), *sorted((media / "gifs").glob("*.gif"))]
    assert len(clips) >= 10
    for clip in clips:
        compare(holder, frames_of(clip))
