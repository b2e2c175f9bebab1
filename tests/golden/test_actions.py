"""Action liveness on rendered heads and on real people: each clip its own action and no other.

Needs the project's shared folder (weights, clips); skips with a reason where it is absent.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from heads3d import Head
from livegate.app.build import build_pipeline
from livegate.core.config import Config
from livegate.core.frame import Frame
from livegate.core.results import Action, Reason
from livegate.core.telemetry import StageClock
from livegate.engines.denormals import flush_denormals
from livegate.engines.pool import EnginePool
from livegate.ingest.image import frame_from_bytes
from livegate.ingest.video import VideoReader
from livegate.manifests.store import ModelStore
from livegate.pipelines.action_session import ActionSession
from livegate.pipelines.pipeline import Pipeline
from livegate.preprocess.scratch import Scratch
from support import REFERENCE, config_with, shared

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")

PACKS = {"starter": config_with(), "reference": config_with(**REFERENCE)}
CONFIG = PACKS["starter"]
"""What does not depend on the models."""
OWN = {
    "nod": Action.NOD,
    "mouth": Action.MOUTH,
    "turn_image_left": Action.SHAKE_RIGHT,
    "turn_image_right": Action.SHAKE_LEFT,
    "still": None,
}
"""The face that turns to the image's right turns to its own left."""
CLIPS = [(head, move) for head in ("ict_a", "ict_b") for move in OWN]
CLIPS += [("lps", move) for move in OWN if move != "mouth"]
FPS = 15
Pictures = list[np.ndarray]
Judge = Callable[..., ActionSession]


@pytest.fixture(scope="module", params=PACKS)
def pack(request: pytest.FixtureRequest) -> Config:
    """Whose models; every test of actions holds for both packs."""
    config: Config = PACKS[request.param]
    return config


@pytest.fixture(scope="module")
def pipeline(pack: Config) -> Any:
    """Every task with the weights of the pack."""
    folders = [shared("models", "reference")] if pack.models.pack == "reference" else []
    return build_pipeline(pack, ModelStore(folders))


@pytest.fixture(scope="module")
def judge(pipeline: Pipeline) -> Any:
    """A session that has seen (time, picture) pairs, in a worker."""
    pool = EnginePool(1, 4)

    def run(track: Iterable[tuple[int, np.ndarray]], **keys: Any) -> ActionSession:
        def work() -> ActionSession:
            flush_denormals()
            session, scratch = ActionSession(pipeline, CONFIG, **keys), Scratch()
            session.expect(3000)
            for pts_ms, pixels in track:
                session.look(pts_ms, Frame(pixels, 0), StageClock(), scratch)
            return session

        return pool.submit(work).result()

    yield run
    pool.close()


def pictures(path: Path) -> Pictures:
    """A clip, decoded."""
    with av.open(str(path)) as clip:
        return [frame.to_ndarray(format="bgr24") for frame in clip.decode(video=0)]


def rendered(name: str) -> Pictures:
    """A rendered clip."""
    return pictures(shared("media", "rendered", f"{name}.mp4"))


def timed(*parts: Pictures, fps: float = FPS) -> Iterator[tuple[int, np.ndarray]]:
    """Clips one after another."""
    for number, pixels in enumerate(itertools.chain(*parts)):
        yield round(number * 1000 / fps), pixels


def seen(session: ActionSession) -> list[Action]:
    """The actions, the same one again left out."""
    every = [event.action for event in session.word([Action.NOD]).events]
    return [one for n, one in enumerate(every) if n == 0 or every[n - 1] is not one]


@pytest.mark.parametrize(("head", "move"), CLIPS)
def test_clip_accepts_exactly_its_own_action(judge: Judge, head: str, move: str) -> None:
    """Read as a client's video: its own action makes it alive, any other does not."""
    own = OWN[move]
    content = shared("media", "rendered", f"{head}_{move}.mp4").read_bytes()
    with VideoReader(content, CONFIG.video) as reader:
        session = judge((one.pts_ms, one.frame.pixels) for one in reader)
    for action in Action:
        word = session.word([action])
        assert word.is_alive is (action is own), (action, word.reasons)
        assert word.actions[0].is_accepted is (action is own)
        assert (word.actions[0].confidence >= 0.5) is (action is own)
    assert reader.facts.sample_fps == FPS
    assert word.samples == 45


def test_clip_that_is_asked_for_nothing_may_move(judge: Judge) -> None:
    """What was seen is told; no movement speaks against the video, because none was asked for."""
    session = judge(timed(rendered("ict_a_nod")))
    word = session.word(())
    assert [event.action for event in word.events][:1] == [Action.NOD]
    assert word.actions == ()
    assert word.reasons == ()


@pytest.mark.parametrize("move", ["turn_image_left", "turn_image_right", "nod"])
def test_mirrored_clip_swaps_the_sides(judge: Judge, move: str) -> None:
    """A mirrored picture gives the other side; told so, the right one."""
    flipped = [np.ascontiguousarray(one[:, ::-1]) for one in rendered(f"ict_a_{move}")]
    other = {Action.SHAKE_LEFT: Action.SHAKE_RIGHT, Action.SHAKE_RIGHT: Action.SHAKE_LEFT}
    own = OWN[move]
    assert own is not None
    assert seen(judge(timed(flipped))) == [other.get(own, own)]
    assert seen(judge(timed(flipped), is_mirrored=True)) == [own]


def test_joined_clips_accept_their_order_only(judge: Judge) -> None:
    """Left, nod, mouth in one take: five wrong orders, and each part of it, are refused."""
    parts = [rendered(f"ict_a_{move}") for move in ("turn_image_right", "nod", "mouth")]
    session = judge(timed(*parts))
    right = (Action.SHAKE_LEFT, Action.NOD, Action.MOUTH)
    for order in itertools.permutations(right):
        word = session.word(order)
        assert word.is_alive is (order == right), (order, word.reasons)
    for wanted in (right[:1], right[:2], right[1:]):
        assert session.word(wanted).reasons == (Reason.ACTION_NOT_ASKED_FOR,)
    windows = [(0, 3000), (3000, 6000), (6000, 9000)]
    assert session.word(right, windows).is_alive
    assert session.word(right, windows[::-1]).reasons == (Reason.ACTION_OUTSIDE_WINDOW,)


def test_another_head_midway_is_not_one_person(judge: Judge) -> None:
    """A nod of one and a turn of another: the actions are there, continuity is not."""
    session = judge(timed(rendered("ict_a_nod"), rendered("lps_turn_image_left")))
    word = session.word([Action.NOD, Action.SHAKE_RIGHT])
    assert all(result.is_accepted for result in word.actions)
    assert not word.is_alive
    assert Reason.PERSON_CHANGED in word.reasons or Reason.VIDEO_CUT in word.reasons


def test_face_that_leaves_midway_is_lost(judge: Judge) -> None:
    """A second without anybody."""
    clip = rendered("ict_a_nod")
    session = judge(timed(clip, [np.full_like(clip[0], clip[0][2, 2])] * FPS, rendered("ict_a_still")))
    assert Reason.FACE_LOST in session.word([Action.NOD]).reasons


def test_nobody_is_no_face(judge: Judge) -> None:
    """A wall."""
    word = judge(timed([np.full((480, 640, 3), 90, np.uint8)] * 20)).word([Action.NOD])
    assert word.reasons == (Reason.ACTION_MISSING, Reason.NO_FACE)
    assert word.portrait is None


def test_picture_is_frontal_and_of_the_face(judge: Judge) -> None:
    """The best picture of a turn is not from its middle, and its box lies in it."""
    session = judge(timed(rendered("ict_b_turn_image_left")))
    portrait = session.word([Action.SHAKE_RIGHT]).portrait
    assert portrait is not None
    assert not 900 < portrait.pts_ms < 2100
    frame = frame_from_bytes(portrait.jpeg, CONFIG.limits)
    assert (frame.width, frame.height) == (640, 480)
    assert 0 < portrait.box.x < portrait.box.x + portrait.box.width < 640


def test_turning_person_gives_turns(judge: Judge) -> None:
    """A real head that turns from side to side, played twice: both sides, no mouth, no nod."""
    clip = pictures(shared("media", "gifs", "intel_preview_head-pose-face-detection-female.gif"))
    found = set(seen(judge(timed(clip, clip[::-1], clip, fps=12))))
    assert {Action.SHAKE_LEFT, Action.SHAKE_RIGHT} <= found
    assert not found & {Action.MOUTH, Action.NOD}


@pytest.mark.parametrize("who", ["male", "female-and-male"])
def test_smiling_people_open_no_mouth(judge: Judge, who: str) -> None:
    """A steady smile is a level; nothing else is done either, but blinks."""
    clip = pictures(shared("media", "gifs", f"intel_preview_head-pose-face-detection-{who}.gif"))
    assert set(seen(judge(timed(clip, fps=12)))) <= {Action.BLINK}


@pytest.fixture(scope="module")
def drawn() -> Any:
    """Pictures of a drawn head by how far eyes and mouth are shut and open, in sixteenths."""
    head = Head(shared("training", "heads3d", "ict_facekit_compact.npz"))
    known: dict[tuple[int, int], np.ndarray] = {}

    def draw(blink: float, jaw: float) -> np.ndarray:
        key = (round(blink * 16), round(jaw * 16))
        if key not in known:
            known[key] = head.picture(blink=key[0] / 16, jaw=key[1] / 16)
        return known[key]

    return draw


def lids(t_s: float, *, shut_s: float) -> float:
    """Eyes that begin to close after a second, in 0.1 s, stay shut, and open again in 0.13 s."""
    return float(np.interp(t_s, [1, 1.1, 1.1 + shut_s, 1.23 + shut_s], [0, 1, 1, 0]))


@pytest.mark.parametrize(
    ("shut_s", "expected"), [(0.05, [Action.BLINK]), (0.15, [Action.BLINK]), (2, [])]
)
def test_drawn_blink_is_a_blink(
    judge: Judge, drawn: Callable[..., np.ndarray], shut_s: float, expected: list[Action]
) -> None:
    """An ordinary and a slow one; eyes that stay shut for two seconds sleep."""
    track = [drawn(lids(n / FPS, shut_s=shut_s), 0.0) for n in range(4 * FPS)]
    session = judge(timed(track))
    assert seen(session) == expected
    assert session.word([Action.BLINK]).actions[0].is_accepted is bool(expected)


def test_drawn_jaw_is_a_mouth(judge: Judge, drawn: Callable[..., np.ndarray]) -> None:
    """The same head opens its mouth once."""
    track = [drawn(0.0, 0.8 * max(0.0, np.sin((n / FPS - 1) * 3))) for n in range(3 * FPS)]
    assert seen(judge(timed(track[: 2 * FPS + 12]))) == [Action.MOUTH]


@pytest.mark.parametrize(
    ("container", "codec", "size"),
    [
        ("mov", "libx265", (640, 480)),
        ("avi", "libx264", (640, 480)),
        ("flv", "flv", (640, 480)),
        ("webm", "libvpx", (640, 480)),
        ("webm", "libvpx-vp9", (640, 480)),
        ("asf", "libx264", (640, 480)),
        ("avi", "h263", (352, 288)),
        ("avi", "h261", (352, 288)),
    ],
)
@pytest.mark.parametrize("move", ["nod", "mouth", "turn_image_left", "turn_image_right"])
@pytest.mark.slow
def test_every_container_and_codec_keeps_the_action(
    judge: Judge, move: str, container: str, codec: str, size: tuple[int, int]
) -> None:
    """Coded again by what can be coded here, each action is still the only one."""
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as target:
        # H.261 and H.263 know 30000/1001 only; every picture stands for two.
        rate = 30 if codec in ("h261", "h263") else FPS
        stream: Any = target.add_stream(codec, rate=rate, options={"b": "2000000"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for pixels in rendered(f"ict_b_{move}"):
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(*size, "yuv420p")
            for _ in range(rate // FPS):
                frame.pts = None
                target.mux(stream.encode(frame))
        target.mux(stream.encode())
    with VideoReader(sink.getvalue(), CONFIG.video) as reader:
        session = judge((one.pts_ms, one.frame.pixels) for one in reader)
    assert seen(session) == [OWN[move]]
