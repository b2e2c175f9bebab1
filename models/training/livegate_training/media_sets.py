"""What models are judged on, never trained on: the media of the project's shared folder."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TRUTH = ("testing_with_face_landmarks.xml", "training_with_face_landmarks.xml")


@dataclass(frozen=True, slots=True)
class Marked:
    """A face marked by hand: picture (H, W, 3), box as left, top, width, height, points (68, 2)."""

    name: str
    pixels: Array
    box: Array
    points: Array


@dataclass(frozen=True, slots=True)
class Clip:
    """A rendered clip: frames (H, W, 3), yaw, pitch in degrees and jaw of each."""

    name: str
    frames: list[Array]
    yaw: Array
    pitch: Array


def marked_faces(media: Path) -> list[Marked]:
    """dlib's 43 faces."""
    made = []
    for name in TRUTH:
        for picture in ElementTree.parse(media / "dlib_faces" / name).iter("image"):
            file = picture.attrib["file"]
            pixels = cv2.imread(str(media / "dlib_faces" / file))
            assert pixels is not None
            made += [_marked(file, pixels, box) for box in picture.iter("box")]
    return made


def _marked(file: str, pixels: Array, box: ElementTree.Element) -> Marked:
    sides = np.array([float(box.attrib[key]) for key in ("left", "top", "width", "height")])
    parts = sorted(box.iter("part"), key=lambda part: int(part.attrib["name"]))
    points = np.array([(float(part.attrib["x"]), float(part.attrib["y"])) for part in parts])
    return Marked(file, pixels, sides, points)


def clips(media: Path) -> Iterator[Clip]:
    """The rendered clips with their truth."""
    for path in sorted((media / "rendered").glob("*.mp4")):
        told = json.loads(path.with_suffix(".json").read_text())
        yield Clip(path.stem, frames_of(path), np.array(told["yaw"]), np.array(told["pitch"]))


def gifs(media: Path) -> Iterator[tuple[str, list[Array]]]:
    """Real people, every fifth frame."""
    for path in sorted((media / "gifs").glob("*.gif")):
        yield path.stem.rsplit("-", 1)[-1], frames_of(path)[::5]


def frames_of(path: Path) -> list[Array]:
    """Every frame of a file, BGR."""
    with av.open(str(path)) as clip:
        return [frame.to_ndarray(format="bgr24") for frame in clip.decode(video=0)]
