"""Cutting a person out of a portrait: a colour model between what is surely body and surely wall.

GrabCut (C. Rother, V. Kolmogorov, A. Blake, "GrabCut", 2004) at a quarter of the pixels, seeded by
the landmarks: face and chest inside, the strips beside and above the hair outside.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def cover_of(pixels: Array, points: Array) -> Array:
    """(H, W) uint8, 255 where the person is, with a soft edge."""
    half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    mask = _guess(half.shape[:2], points / 2)
    models: tuple[Array, Array] = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(half, mask, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
    inside: Array = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    inside = _with_the_face(inside, points / 2)
    cover = cv2.resize(inside * np.uint8(255), pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    cover = cv2.erode(cover, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), 1.2))


def _guess(shape: tuple[int, int], points: Array) -> Array:
    """What GrabCut starts from: a face, a head around it, shoulders below, wall elsewhere."""
    height, _width = shape
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), (w, h) = (low + high) / 2, high - low
    mask = np.full(shape, cv2.GC_BGD, np.uint8)
    cv2.ellipse(mask, _ellipse(x, y - 0.25 * h, 1.05 * w, 1.25 * h), cv2.GC_PR_BGD, -1)
    shoulders = np.array(
        ((x - 2.4 * w, height), (x - 0.6 * w, high[1]), (x + 0.6 * w, high[1]), (x + 2.4 * w, height))
    )
    cv2.fillConvexPoly(mask, shoulders.astype(np.int32), cv2.GC_PR_FGD)
    cv2.ellipse(mask, _ellipse(x, y - 0.2 * h, 0.72 * w, 0.95 * h), cv2.GC_PR_FGD, -1)
    chest = np.array(
        ((x - 0.8 * w, height), (x - 0.3 * w, high[1]), (x + 0.3 * w, high[1]), (x + 0.8 * w, height))
    )
    cv2.fillConvexPoly(mask, chest.astype(np.int32), cv2.GC_FGD)
    cv2.ellipse(mask, _ellipse(x, y - 0.08 * h, 0.45 * w, 0.6 * h), cv2.GC_FGD, -1)
    return mask


def _ellipse(x: float, y: float, a: float, b: float) -> Any:
    return (float(x), float(y)), (float(2 * a), float(2 * b)), 0.0


def _with_the_face(inside: Array, points: Array) -> Array:
    """The connected part that holds the face, without its holes."""
    _, parts = cv2.connectedComponents(inside)
    x, y = points[30].astype(int)
    own = parts[min(y, parts.shape[0] - 1), min(x, parts.shape[1] - 1)]
    kept = (parts == own).astype(np.uint8) if own else inside
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(kept), outlines, -1, 1, cv2.FILLED))
