"""Challenges in front of a camera, on rendered heads: who does it passes, whatever else does not.

Needs the project's shared folder (weights, clips); skips with a reason where it is absent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from challenge_kit import FPS, Kiosk, Pictures, acted, pictures_of, prompts_for, rendered
from livegate.app.build import build_pipeline
from livegate.core.challenge import ChallengeOutcome, PromptKind
from livegate.core.results import Action, Reason
from livegate.engines.denormals import flush_denormals
from livegate.engines.pool import EnginePool
from livegate.ingest.image import frame_from_bytes
from livegate.manifests.store import ModelStore
from support import HANG_S, REFERENCE, config_with, null_pipeline, shared

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")

CONFIG = config_with(**REFERENCE)
LEFT, RIGHT, NOD, MOUTH = Action.SHAKE_LEFT, Action.SHAKE_RIGHT, Action.NOD, Action.MOUTH
ASKED = (LEFT, NOD, MOUTH)
At = Callable[..., Kiosk]


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """Every task with the reference weights."""
    return build_pipeline(CONFIG, ModelStore([shared("models", "reference")]))


@pytest.fixture(scope="module")
def kiosk(pipeline: Any) -> Any:
    """Shows pictures to a camera on which these actions are asked for, in a worker."""
    pool = EnginePool(1, 4)

    def run(actions: tuple[Action, ...], *parts: Pictures, fps: float = FPS, **keys: Any) -> Kiosk:
        def work() -> Kiosk:
            flush_denormals()
            return Kiosk(pipeline, CONFIG, *actions, **keys).play(itertools.chain(*parts), fps=fps)

        return pool.submit(work).result()

    yield run
    pool.close()


def wall(seconds: float) -> Pictures:
    """Nobody, in the light of the rendered clips."""
    corner = rendered("ict_a", "still")[0][2, 2]
    return [np.full((480, 640, 3), corner, np.uint8) for _ in range(round(seconds * FPS))]


def hidden(pixels: np.ndarray, seconds: float) -> Pictures:
    """The picture with something in front of the face."""
    covered = pixels.copy()
    covered[120:330, 230:410] = pixels[2, 2]
    return [covered] * round(seconds * FPS)


@pytest.mark.parametrize(
    ("head", "actions"),
    [("ict_a", ASKED), ("ict_b", (MOUTH, RIGHT, NOD)), ("lps", (RIGHT, NOD, LEFT))],
)
def test_person_who_does_it_is_led_through_and_passes(
    kiosk: At, head: str, actions: tuple[Action, ...]
) -> None:
    """Prompt by prompt; the gate opens once, with a good picture and silent liveness."""
    seen = kiosk(actions, acted(head, actions), rendered(head, "still"))
    assert seen.prompts == prompts_for(*actions)
    assert seen.gate == ["HOLD", "OPEN"]
    assert seen.ends == [ChallengeOutcome.PASSED]
    verdict = seen.verdict
    assert verdict.reasons == ()
    assert [one.action for one in verdict.actions] == list(actions)
    assert all(one.is_accepted and one.confidence >= 0.5 for one in verdict.actions)
    # The first picture, and one after each action at least.
    assert len(verdict.silent.image_scores) >= 1 + len(actions)
    assert frame_from_bytes(verdict.picture, CONFIG.limits).width == 640
    assert 0 < verdict.picture_box.x < 640
    assert 6000 < verdict.duration_ms < 12_000


@pytest.mark.parametrize("order", [one for one in itertools.permutations(ASKED) if one != ASKED])
def test_any_other_order_fails_at_its_first_wrong_action(kiosk: At, order: tuple[Action, ...]) -> None:
    """A recording that was made for another challenge."""
    seen = kiosk(ASKED, acted("ict_b", order))
    well = next(n for n, (one, other) in enumerate(zip(order, ASKED, strict=True)) if one != other)
    assert seen.prompts[:-1] == prompts_for(*ASKED)[: 2 * well + 1]
    assert seen.prompts[-1] is PromptKind.FAILED
    assert seen.verdict.reasons[0] is Reason.ACTION_OUT_OF_ORDER
    assert seen.gate == ["HOLD", "DENY"]


def test_side_that_was_not_asked_for_fails(kiosk: At) -> None:
    """The person's own left is not the image's."""
    seen = kiosk((LEFT, NOD, RIGHT), rendered("lps", "turn_image_left"))
    assert seen.verdict.reasons[0] is Reason.ACTION_OUT_OF_ORDER
    seen = kiosk((LEFT, NOD, LEFT), rendered("lps", "turn_image_left"))
    assert seen.verdict.reasons[0] is Reason.ACTION_NOT_ASKED_FOR


def test_person_who_leaves_midway_fails(kiosk: At) -> None:
    """More than half a second out of sight; coming back does not help."""
    turned = rendered("ict_a", "turn_image_right")
    seen = kiosk(ASKED, turned, hidden(turned[-1], 1), acted("ict_a", (NOD, MOUTH)))
    assert seen.verdict.reasons == (Reason.FACE_LOST, Reason.ACTION_MISSING)
    assert seen.gate == ["HOLD", "DENY"]


def test_another_head_midway_fails(kiosk: At) -> None:
    """One turns, another would nod."""
    seen = kiosk((LEFT, NOD), rendered("ict_a", "turn_image_right"), rendered("lps", "nod"))
    assert {Reason.PERSON_CHANGED, Reason.VIDEO_CUT} & set(seen.verdict.reasons)
    assert seen.gate == ["HOLD", "DENY"]


def test_someone_else_before_the_first_prompt_spoils_nothing(kiosk: At) -> None:
    """Nobody stands there, somebody looks aside and goes, then the person comes."""
    aside = rendered("lps", "turn_image_left")[18:26]
    actions = (LEFT, NOD)
    seen = kiosk(actions, wall(1), aside, wall(1), acted("ict_a", actions), rendered("ict_a", "still"))
    kinds = [PromptKind.SHOW_FACE, PromptKind.LOOK_STRAIGHT, PromptKind.SHOW_FACE]
    assert seen.prompts == [*kinds, *prompts_for(*actions)]
    assert seen.gate == ["HOLD", "OPEN"]


def test_person_far_away_is_asked_to_come_closer(kiosk: At) -> None:
    """A face of less than actions.min_face_side pixels."""
    far = []
    for pixels in rendered("lps", "still")[:10]:
        scene = np.full((480, 640, 3), pixels[2, 2], np.uint8)
        scene[200:280, 260:367] = cv2.resize(pixels, (107, 80), interpolation=cv2.INTER_AREA)
        far.append(scene)
    assert PromptKind.COME_CLOSER in kiosk(ASKED, far).prompts


def test_nothing_that_happens_until_the_deadline_fails(kiosk: At) -> None:
    """A person who stands still, or a picture of one."""
    seen = kiosk(ASKED, rendered("ict_a", "still") * 2, lifetime_ms=4000)
    assert seen.prompts == [("DO", LEFT), PromptKind.FAILED]
    assert seen.verdict.reasons == (Reason.TIMEOUT, Reason.ACTION_MISSING)
    assert seen.ends == [ChallengeOutcome.EXPIRED]


@pytest.mark.parametrize("name", ["image_F1.jpg", "image_F2.jpg"])
def test_print_and_replay_fail(kiosk: At, name: str) -> None:
    """The known pictures of pictures: they neither move nor are they genuine."""
    still = cv2.imread(str(shared("media", "stills", name)))
    seen = kiosk(ASKED, [still] * 3 * FPS, lifetime_ms=2000)
    assert not seen.verdict.is_alive
    assert {Reason.TIMEOUT, Reason.ACTION_MISSING} <= set(seen.verdict.reasons)
    assert "OPEN" not in seen.gate


def test_twelve_pictures_a_second_are_enough_and_two_are_not(kiosk: At) -> None:
    """A slow box or camera is named; it never looks like a person who passes."""
    clip = [*acted("lps", (LEFT, NOD)), *rendered("lps", "still")]
    slower = [clip[int(n * FPS / 12)] for n in range(int(len(clip) * 12 / FPS))]
    assert kiosk((LEFT, NOD), slower, fps=12).verdict.is_alive
    assert kiosk((LEFT, NOD), clip[::7], fps=FPS / 7).verdict.reasons[0] is Reason.TOO_FEW_FRAMES


def test_real_person_who_turns_both_ways_is_seen_doing_so(kiosk: At) -> None:
    """Asked to turn to one side first, the other one is a failure: a person, not a rendering."""
    path = shared("media", "gifs", "intel_preview_head-pose-face-detection-female.gif")
    clip = pictures_of(path)
    looped = [*clip, *clip[::-1], *clip]
    told = [kiosk((side,), looped, fps=12).prompts for side in (LEFT, RIGHT)]
    assert sum(("GOOD", side) in one for side, one in zip((LEFT, RIGHT), told, strict=True)) == 1


def test_models_that_change_under_a_challenge_do_not_touch_it() -> None:
    """From its middle on the box has models that call everybody a spoof; the person passes."""
    pool = EnginePool(1, 4)
    own = build_pipeline(CONFIG, ModelStore([shared("models", "reference")]))
    pictures = acted("ict_a", ASKED)
    middle = len(pictures) // 2

    def work() -> tuple[Kiosk, Any]:
        flush_denormals()
        kiosk = Kiosk(own, CONFIG, *ASKED).play(pictures[:middle])
        retirement = kiosk.holder.swap(null_pipeline(CONFIG))
        kiosk.play(pictures[middle:])
        return kiosk, retirement

    shown, retirement = pool.submit(work).result()
    assert shown.gate == ["HOLD", "OPEN"]
    assert shown.verdict.is_alive
    assert retirement.wait(HANG_S)
    pool.close()
