# SPDX-License-Identifier: AGPL-3.0-only
"""One labelled picture: lay out a board, draw its defects, turn it a little, photograph it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from boardgen.camera import Look, paint, photograph
from boardgen.defects import add_defects
from boardgen.layout import SCALE, Layout

SIZES = ((512, 384), (384, 512), (480, 364))
"""Image sizes (width, height) in pixels; none is square, and 480x364 letterboxed to 384 has a fractional side."""

FEWEST, MOST = 2, 12
"""Defects per image."""

_BORDER = 40
_MARGIN = 2.0
_MIN_SIDE = 8.0


@dataclass(frozen=True)
class Scene:
    """A labelled picture.

    image: uint8 (height, width, 3), BGR. classes: class index per defect. boxes: float64 (n, 4), x0 y0 x1 y1 in pixels.
    clean, copper: the copper without and with defects, uint8 (SCALE * height, SCALE * width). labels: int32 of that
    shape, k where the k-th defect (from 1) changed the copper.
    """

    image: np.ndarray
    classes: tuple[int, ...]
    boxes: np.ndarray
    clean: np.ndarray
    copper: np.ndarray
    labels: np.ndarray


def render(seed: tuple[int, ...], look: Look) -> Scene:
    """Render one picture; the same seed and look give the same pixels on one OpenCV and NumPy version."""
    attempt = 0
    while True:
        scene = _attempt(np.random.default_rng((*seed, attempt)), look)
        if scene is not None:
            return scene
        attempt += 1


def _attempt(rng: np.random.Generator, look: Look) -> Scene | None:
    """Render one picture, or None if too few defects found a place on its board."""
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    board = Layout(rng, width + 2 * _BORDER, height + 2 * _BORDER).draw()
    if not board.segments:
        return None
    turn = cv2.getRotationMatrix2D((board.shape[1] / 2, board.shape[0] / 2), rng.uniform(-3.5, 3.5), 1.0)
    turn[:, 2] -= _BORDER * SCALE
    size = width * SCALE, height * SCALE

    inside = np.zeros(size[::-1], np.uint8)
    edge = 12 * SCALE
    inside[edge:-edge, edge:-edge] = 255
    back = cv2.warpAffine(inside, turn, board.shape[::-1], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    labels = np.where(back > 0, 0, -1).astype(np.int32)
    clean = board.copper.copy()
    classes = add_defects(rng, board, labels, int(rng.integers(FEWEST, MOST + 1)), look.size)
    if len(classes) < FEWEST:
        return None

    def warp(mask: np.ndarray, flags: int = cv2.INTER_LINEAR) -> np.ndarray:
        return cv2.warpAffine(mask, turn, size, flags=flags)

    labels = warp(labels.astype(np.float32), cv2.INTER_NEAREST).astype(np.int32)
    boxes = [_box(labels == k, width, height) for k in range(1, len(classes) + 1)]
    sharp = {name: warp(getattr(board, name)) for name in ("copper", "opening", "pads", "holes", "silk")}
    soft = {
        name: cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        for name, mask in sharp.items()
    }
    image = photograph(rng, paint(rng, soft, look), look)
    return Scene(
        image,
        tuple(classes),
        np.array(boxes),
        warp(clean, cv2.INTER_NEAREST),
        warp(board.copper, cv2.INTER_NEAREST),
        labels,
    )


def _box(changed: np.ndarray, width: int, height: int) -> tuple[float, float, float, float]:
    """The box (x0, y0, x1, y1; pixels) around changed sub-pixels: a small margin, a least side, inside the image."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    spans = []
    for low, high, limit in ((columns[0], columns[-1] + 1, width), (rows[0], rows[-1] + 1, height)):
        middle = (low + high) / (2 * SCALE)
        half = max((high - low) / (2 * SCALE) + _MARGIN, _MIN_SIDE / 2)
        spans.append((max(0.0, middle - half), min(float(limit), middle + half)))
    (x0, x1), (y0, y1) = spans
    return float(x0), float(y0), float(x1), float(y1)
