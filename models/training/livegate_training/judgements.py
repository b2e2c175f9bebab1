"""The figures of each model: rows of what is measured, ours, the reference's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.core.results import NO_FACE_SCORE, Face, FacePoints, HeadPose
from livegate.evaluation.rates import Rate
from livegate_training.backgrounds import Backgrounds, read_backgrounds
from livegate_training.camera import CameraRanges, photograph, shot_from
from livegate_training.detectscenes import scene_maker
from livegate_training.folders import Folders
from livegate_training.judge import Judged, Pair
from livegate_training.media_sets import Clip, Marked, clips, gifs, marked_faces
from livegate_training.people import Mix, People, open_bank
from livegate_training.person import box_from_points
from livegate_training.portraits import PortraitPack, pack_portraits
from livegate_training.scene import crowd
from livegate_training.seeds import between, seeded
from livegate_training.shards import read_shards
from livegate_training.silenttest import HEADS, frozen_test

Array = NDArray[Any]
Row = tuple[str, str, str]
PRESENTED_IOU = 0.3
"""A face that is found is the presented one when it shares this much with it."""
SEEN = 24
"""Face height from which a face of a composed scene is looked for, pixels."""
Posed = tuple[tuple[Array, Array], Clip]
"""Yaw and pitch of each frame, ours and the reference's, of a clip."""


def face_rows(pair: Pair, folders: Folders, media: Path) -> Iterator[Row]:
    """Landmarks on dlib's faces, pose on the rendered clips."""
    marked = marked_faces(media)
    both = (pair.ours, pair.reference)
    ours, theirs = ([_landmark_error(one, face) for face in marked] for one in both)
    yield "landmarks, 43 dlib faces: mean of outer-eye distance", *_parts(ours, theirs, np.mean)
    yield "landmarks, 43 dlib faces: median", *_parts(ours, theirs, np.median)
    poses: list[Posed] = []
    for clip in clips(media):
        poses.append(((_poses(pair.ours, clip.frames), _poses(pair.reference, clip.frames)), clip))
    for head in ("ict_a", "ict_b", "lps"):
        own = [row for row in poses if row[1].name.startswith(head)]
        yield f"yaw error where |yaw| >= 15, {head}", *_angle_rows(own, "yaw", 0, 15)
        yield f"pitch error where |pitch| >= 5, {head}", *_angle_rows(own, "pitch", 1, 5)
    for angle, name in ((0, "yaw"), (1, "pitch")):
        still = [row for row in poses if row[1].name.endswith("still")]
        worst = [max(abs(float(row[0][n][:, angle].mean())) for row in still) for n in (0, 1)]
        yield f"{name} on still clips, worst mean", f"{worst[0]:.2f} deg", f"{worst[1]:.2f} deg"


def _angle_rows(rows: list[Posed], name: str, angle: int, least: float) -> tuple[str, str]:
    told = np.concatenate([getattr(clip, name) for _, clip in rows])
    chosen = np.abs(told) >= least
    made = []
    for side in (0, 1):
        seen = np.concatenate([row[0][side][:, angle] for row in rows])
        made.append(f"{np.abs(seen - told)[chosen].mean():.2f} deg")
    return made[0], made[1]


def _poses(judged: Judged, frames: list[Array]) -> Array:
    found = [judged.findings(frame, ("head_pose",))["head_pose"] for frame in frames]
    poses: list[HeadPose | None] = found
    return np.array([(np.nan, np.nan) if p is None else (p.yaw_deg, p.pitch_deg) for p in poses])


def _landmark_error(judged: Judged, marked: Marked) -> float:
    """Over the points that the runtime reads: lid corners, lips, mouth corners, nose tip, chin."""
    face = max(_boxes(judged, marked.pixels), key=lambda one: _iou(one, marked.box), default=None)
    if face is None or _iou(face, marked.box) < 0.3:
        return float("nan")
    seen, index = _named(judged.of_face(marked.pixels, face, "landmarks"))
    apart = float(np.linalg.norm(marked.points[36] - marked.points[45]))
    return float(np.linalg.norm(seen - marked.points[index], axis=1).mean() / apart)


def _named(points: FacePoints) -> tuple[Array, Array]:
    """The runtime's points that iBUG's 68 have too, and their numbers."""
    left, right = points.image_left_eye, points.image_right_eye
    rows = [
        (left[0], 36),
        (left[len(left) // 2], 39),
        (right[len(right) // 2], 42),
        (right[0], 45),
        *zip(points.inner_lips, range(60, 68), strict=True),
        *zip(points.mouth_corners, (48, 54), strict=True),
        (points.nose_tip, 30),
        (points.chin, 8),
    ]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def _parts(ours: list[float], theirs: list[float], fold: Callable[..., Any]) -> tuple[str, str]:
    missing = [int(np.isnan(values).sum()) for values in (ours, theirs)]
    told = [f"{100 * float(fold(np.array(v)[~np.isnan(v)])):.2f} %" for v in (ours, theirs)]
    return tuple(f"{t} ({43 - m} faces)" for t, m in zip(told, missing, strict=True))  # type: ignore[return-value]


def silent_rows(pair: Pair, folders: Folders, media: Path) -> Iterator[Row]:
    """The frozen test by slice, photographs as they are, the three stills."""
    scores: dict[str, list[tuple[float, float]]] = {}
    for name, picture, points in frozen_test(folders):
        scores.setdefault(name, []).append(_silent_of_presented(pair, picture, points))
    errors: dict[str, tuple[Rate, Rate]] = {}
    for name, rows in scores.items():
        errors[name] = _rates(rows, _is_below if name == "genuine" else _is_above)
        word = "BPCER" if name == "genuine" else "APCER"
        yield f"frozen test, {name}: {word} at 0.5", _rate(errors[name][0]), _rate(errors[name][1])
    acer = [_acer({name: pair_[n] for name, pair_ in errors.items()}) for n in (0, 1)]
    yield "frozen test: ACER, attacks pooled", acer[0], acer[1]
    untouched = [_silent_of_face(pair, marked) for marked in marked_faces(media)]
    for _, frames in gifs(media):
        untouched += [_silent(pair, frame) for frame in frames]
    genuine = _rates(untouched, _is_above)
    yield "untouched photographs (dlib, gifs) called genuine", _rate(genuine[0]), _rate(genuine[1])
    for name, picture in _stills(media).items():
        ours, theirs = _silent(pair, picture)
        yield f"score of {name}", f"{ours:.3f}", f"{theirs:.3f}"


def _is_above(score: float) -> bool:
    return score >= 0.5


def _is_below(score: float) -> bool:
    return score < 0.5


def _silent(pair: Pair, picture: Array) -> tuple[float, float]:
    return tuple(  # type: ignore[return-value]
        float(one.findings(picture, ("silent_liveness",))["silent_liveness"])
        for one in (pair.ours, pair.reference)
    )


def _silent_of_face(pair: Pair, marked: Marked) -> tuple[float, float]:
    """Of that face, found by the reference detector, not of the largest in the picture."""
    face = max(_boxes(pair.reference, marked.pixels), key=lambda one: _iou(one, marked.box))
    both = (pair.ours, pair.reference)
    scores = [float(one.of_face(marked.pixels, face, "silent_liveness")) for one in both]
    return scores[0], scores[1]


def _silent_of_presented(pair: Pair, picture: Array, points: Array) -> tuple[float, float]:
    """Of the face that is presented, not of somebody who stands about; no face where it is not found."""
    box = box_from_points(points)
    face = max(_boxes(pair.reference, picture), key=lambda one: _iou(one, box), default=None)
    if face is None or _iou(face, box) < PRESENTED_IOU:
        return NO_FACE_SCORE, NO_FACE_SCORE
    both = (pair.ours, pair.reference)
    scores = [float(one.of_face(picture, face, "silent_liveness")) for one in both]
    return scores[0], scores[1]


def _stills(media: Path) -> dict[str, Array]:
    found = {path.stem: cv2.imread(str(path)) for path in sorted((media / "stills").glob("*.jpg"))}
    try:
        from skimage.data import astronaut
    except ImportError:
        pass
    else:
        picture: Any = astronaut()  # type: ignore[no-untyped-call]
        found["astronaut"] = np.ascontiguousarray(picture[..., ::-1])
    return {name: picture for name, picture in found.items() if picture is not None}


def _rates(rows: list[tuple[float, float]], counts: Callable[[float], bool]) -> tuple[Rate, Rate]:
    """Of both; presentations without a face do not count."""
    made = []
    for side in (0, 1):
        seen = [row[side] for row in rows if row[side] >= 0]
        made.append(Rate(sum(map(counts, seen)), len(seen)))
    return made[0], made[1]


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{100 * rate.value:.1f} % ({100 * low:.1f}..{100 * high:.1f}), n {rate.total}"


def _acer(errors: Mapping[str, Rate]) -> str:
    attacks = [rate for name, rate in errors.items() if name != "genuine"]
    apcer = sum(rate.count for rate in attacks) / max(1, sum(rate.total for rate in attacks))
    worst = max(rate.value for rate in attacks)
    bpcer = errors["genuine"].value
    return f"{50 * (apcer + bpcer):.1f} %, worst {50 * (worst + bpcer):.1f} %"


def detect_rows(pair: Pair, folders: Folders, media: Path) -> Iterator[Row]:
    """dlib's faces, pictures of nobody, rendered clips, gifs, composed close-ups."""
    marked = marked_faces(media)
    both = (pair.ours, pair.reference)
    hits = [sum(_is_met(one, m.pixels, m.box) for m in marked) for one in both]
    yield "dlib faces met at IoU 0.35, network at 320", f"{hits[0]} of 43", f"{hits[1]} of 43"
    for name, nobody in (("split off", _split_off(folders)), ("others", _others(folders))):
        counts = [[bool(_boxes(one, picture)) for one in both] for picture in nobody]
        if counts:
            ours, reference = (Rate(sum(made), len(made)) for made in zip(*counts, strict=True))
            yield f"pictures of nobody with a box, {name}", _rate(ours), _rate(reference)
    frames = [frame for clip in clips(media) for frame in clip.frames]
    yield "rendered clips: frames with a face", *_shares(both, frames)
    moving = [frame for _, every in gifs(media) for frame in every]
    yield "gifs: frames with a face", *_shares(both, moving)
    closes = list(_close_ups(folders, 100))
    hits = [sum(_is_met(one, picture, box) for picture, box in closes) for one in both]
    yield "close-ups, face 60..90 % of the picture, IoU 0.35", f"{hits[0]} of 100", f"{hits[1]} of 100"
    placed = list(_placed(folders, 400))
    met = [Rate(sum(_is_met(one, picture, box) for picture, box in placed), len(placed)) for one in both]
    yield f"composed scenes, faces of {SEEN} px and more, IoU 0.35", _rate(met[0]), _rate(met[1])


def _boxes(judged: Judged, picture: Array) -> tuple[Face, ...]:
    faces: tuple[Face, ...] = judged.findings(picture, ("face_detection",))["face_detection"]
    return faces


def _shares(both: tuple[Judged, Judged], frames: list[Array]) -> tuple[str, str]:
    told = [f"{100 * sum(bool(_boxes(one, f)) for f in frames) / len(frames):.1f} %" for one in both]
    return told[0], told[1]


def _is_met(judged: Judged, picture: Array, box: Any) -> bool:
    return any(_iou(face, box) >= 0.35 for face in _boxes(judged, picture))


def _iou(face: Face, box: Any) -> float:
    x, y, w, h = face.box.x, face.box.y, face.box.width, face.box.height
    wide = min(x + w, box[0] + box[2]) - max(x, box[0])
    high = min(y + h, box[1] + box[3]) - max(y, box[1])
    shared = max(0.0, wide) * max(0.0, high)
    return float(shared / (w * h + box[2] * box[3] - shared))


def _others(folders: Folders) -> Iterator[Array]:
    """Photographs of other sources than training's."""
    for path in sorted(folders.nobody.glob("*.jpg")) if folders.nobody else ():
        picture = cv2.imread(str(path))
        if picture is not None:
            yield picture


def _split_off(folders: Folders) -> Iterator[Array]:
    """Photographs of training's sources that it did not see, whole and in quarters."""
    for split in ("test", "validation"):
        for picture in read_backgrounds(folders.photographs, split).photographs:  # type: ignore[arg-type]
            height, width = picture.shape[:2]
            yield picture
            for y in (0, height // 2):
                for x in (0, width // 2):
                    yield np.ascontiguousarray(picture[y : y + height // 2, x : x + width // 2])


def _close_ups(folders: Folders, count: int) -> Iterator[tuple[Array, Any]]:
    people, places = _unseen(folders)
    for number in range(count):
        yield _close_up(people, places, seeded("close-up", number))


def _placed(folders: Folders, count: int) -> Iterator[tuple[Array, Any]]:
    """Every larger face of scenes as training composes them, of people and places it did not see."""
    people, places = _unseen(folders)
    make = scene_maker(people, places, CameraRanges(), "judged")
    for scene in map(make, range(count)):
        for row in scene["faces"]:
            if row[3] >= SEEN:
                yield scene["pixels"], row[:4]


def _unseen(folders: Folders) -> tuple[People, Backgrounds]:
    bank = read_shards(open_bank(folders, "test", HEADS), HEADS)
    people = People(PortraitPack(pack_portraits(folders), "test"), bank, Mix(0.0, 0.4))
    return people, read_backgrounds(folders.photographs, "test")


def _close_up(people: People, places: Backgrounds, rng: np.random.Generator) -> tuple[Array, Any]:
    light = places.make(rng, 640, 480)
    scene = crowd([people.make(rng)], light, [between(rng, (0.6, 0.9))], rng)
    picture = photograph(scene.light, shot_from(rng, CameraRanges(low_light_odds=0.0)))
    return picture, box_from_points(scene.faces[0])


JUDGEMENTS: Mapping[str, Callable[[Pair, Folders, Path], Iterator[Row]]] = {
    "lg_face": face_rows,
    "lg_silent": silent_rows,
    "lg_detect": detect_rows,
}
