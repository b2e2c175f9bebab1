"""A second reading of the reference models, in plain NumPy and onnxruntime.

Written from the text of manifest.json beside the weights ("preprocessing"), not from LiveGate's
code: nothing of livegate is imported here. Two readings that agree are the proof that neither has
misunderstood the models.

What that text leaves open is taken from elsewhere, and said here:
- Resizing is bilinear with half-pixel centres and clamped edges, done below in NumPy with OpenCV's
  11-bit weights and cut-off sums. Exact bilinear differs from it by one level in 12 % of the bytes,
  and that alone moves a silent score by up to 0.005.
- The letterbox keeps the long side's size exactly and rounds the short side to the nearest pixel.
- The crop's rounding is upstream's (minivision-ai/Silent-Face-Anti-Spoofing, generate_patches.py):
  the face box and the crop's corners are cut to whole pixels, and both corners belong to the crop.
- Pictures are decoded by OpenCV, which turns them as their Exif says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

LONG_SIDE = 320
MIN_SCORE, MAX_IOU = 0.6, 0.3
STRIDES = (8, 16, 32)
DETECTOR = "yunet_n_dynamic.onnx"
LIVENESS = ((2.7, "2.7_80x80_MiniFASNetV2.onnx"), (4.0, "4_0_0_80x80_MiniFASNetV1SE.onnx"))


@dataclass(frozen=True)
class FaceReading:
    """One face in frame pixels: (left, top, width, height), five points, score."""

    box: np.ndarray
    points: np.ndarray
    score: float


@dataclass(frozen=True)
class Reading:
    """What one picture comes to: faces by falling score, and P[1] of the largest; None without."""

    faces: list[FaceReading]
    genuine: float | None


class Reader:
    """The three networks, each in a session of its own."""

    def __init__(self, reference: Path) -> None:
        """Open the files that manifest.json in this folder lists."""
        listed = json.loads((reference / "manifest.json").read_text(encoding="utf-8"))["files"]
        paths = {Path(entry["file"]).name: reference / entry["file"] for entry in listed}
        self._detector = _session(paths[DETECTOR])
        self._liveness = [(scale, _session(paths[name])) for scale, name in LIVENESS]

    def read(self, content: bytes) -> Reading:
        """Detect, then judge the largest face."""
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        faces = self._detect(picture)
        if not faces:
            return Reading([], None)
        largest = max(faces, key=lambda face: face.box[2] * face.box[3])
        odds = [
            _softmax(_run(session, _resize(_crop(picture, largest.box, scale), 80, 80))["output"][0])
            for scale, session in self._liveness
        ]
        return Reading(faces, float((odds[0] + odds[1])[1] / 2))

    def _detect(self, picture: np.ndarray) -> list[FaceReading]:
        height, width = picture.shape[:2]
        scale = LONG_SIDE / max(height, width)
        small_w, small_h = int(np.rint(width * scale)), int(np.rint(height * scale))
        padded = np.zeros((_up_to_32(small_h), _up_to_32(small_w), 3), np.uint8)
        padded[:small_h, :small_w] = _resize(picture, small_w, small_h)
        outputs = _run(self._detector, padded)
        back = np.array([width / small_w, height / small_h])
        found = []
        for stride in STRIDES:
            columns = padded.shape[1] // stride
            rows = zip(
                *(outputs[f"{name}_{stride}"][0] for name in ("cls", "obj", "bbox", "kps")),
                strict=True,
            )
            for cell, (cls, obj, box, kps) in enumerate(rows):
                score = float(np.sqrt(min(max(cls[0], 0), 1) * min(max(obj[0], 0), 1)))
                if score < MIN_SCORE:
                    continue
                place = np.array([cell % columns, cell // columns], np.float64)
                centre = (place + box[:2]) * stride * back
                size = np.exp(box[2:].astype(np.float64)) * stride * back
                points = (place + kps.reshape(5, 2)) * stride * back
                found.append(FaceReading(np.concatenate([centre - size / 2, size]), points, score))
        return _without_doubles(found)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: Any, picture: np.ndarray) -> dict[str, np.ndarray]:
    """BGR bytes as float32 NCHW, 0..255."""
    tensor = np.ascontiguousarray(picture.astype(np.float32).transpose(2, 0, 1)[None])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": tensor}), strict=True))


def _up_to_32(length: int) -> int:
    return (length + 31) // 32 * 32


def _resize(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear with half-pixel centres and clamped edges, in OpenCV's fixed point."""
    left, right, left_weight, right_weight = _taps(picture.shape[1], width)
    top, bottom, top_weight, bottom_weight = _taps(picture.shape[0], height)
    wide = picture.astype(np.int64)
    wide = wide[:, left] * left_weight[:, None] + wide[:, right] * right_weight[:, None]
    upper = (wide[top] >> 4) * top_weight[:, None, None] >> 16
    lower = (wide[bottom] >> 4) * bottom_weight[:, None, None] >> 16
    return ((upper + lower + 2) >> 2).astype(np.uint8)


def _taps(old: int, new: int) -> tuple[np.ndarray, ...]:
    """For each new pixel of one axis: the two old ones, and their weights in 1/2048."""
    where = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    low = np.clip(np.floor(where).astype(int), 0, old - 1)
    weight = np.where((where < 0) | (low == old - 1), np.float32(0), where - low)
    weights = (np.rint(part * 2048).astype(np.int64) for part in (1 - weight, weight))
    return low, np.minimum(low + 1, old - 1), *weights


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    corner = np.maximum(a[:2], b[:2])
    width, height = np.maximum(np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - corner, 0)
    shared = width * height
    return float(shared / (a[2] * a[3] + b[2] * b[3] - shared))


def _without_doubles(faces: list[FaceReading]) -> list[FaceReading]:
    kept: list[FaceReading] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(iou(face.box, better.box) <= MAX_IOU for better in kept):
            kept.append(face)
    return kept


def _crop(picture: np.ndarray, box: np.ndarray, scale: float) -> np.ndarray:
    """The box enlarged about its centre, shifted to stay inside, by at most what there is room for."""
    height, width = picture.shape[:2]
    x, y, w, h = (int(number) for number in box)
    scale = min(scale, (height - 1) / h, (width - 1) / w)
    left, top = x + w / 2 - w * scale / 2, y + h / 2 - h * scale / 2
    right, bottom = x + w / 2 + w * scale / 2, y + h / 2 + h * scale / 2
    if left < 0:
        left, right = 0, right - left
    if top < 0:
        top, bottom = 0, bottom - top
    if right > width - 1:
        left, right = left - (right - width + 1), width - 1
    if bottom > height - 1:
        top, bottom = top - (bottom - height + 1), height - 1
    return picture[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum()
