# SPDX-License-Identifier: AGPL-3.0-only
"""Draw the six kinds of defect into a board's copper, each defined by what it does to the copper's topology.

| class           | copper  | pieces of copper nearby |
| --------------- | ------- | ----------------------- |
| open            | removed | one more                |
| short           | added   | one fewer               |
| mouse-bite      | removed | as many                 |
| spur            | added   | as many                 |
| spurious-copper | added   | one more                |
| pin-hole        | removed | as many, one more hole  |
"""

from __future__ import annotations

import cv2
import numpy as np

from boardgen.layout import SCALE, Board

CLASSES = ("open", "short", "mouse-bite", "spur", "spurious-copper", "pin-hole")
"""Class names; a class's index is its place here."""

ADDS = (False, True, False, True, True, False)
"""Whether each class adds copper (else it removes some)."""

_EXTRA_PIECES = (1, -1, 0, 0, 1, 0)
_WINDOW = 30 * SCALE
_CLEARANCE = 2 * SCALE
_APART = 7 * SCALE
_TRIES = 60


def count_pieces(mask: np.ndarray) -> int:
    """Number of 8-connected pieces in a binary mask of shape (height, width)."""
    return cv2.connectedComponents(mask, connectivity=8)[0] - 1


def add_defects(rng: np.random.Generator, board: Board, frame: np.ndarray, count: int, size: float) -> list[int]:
    """Draw up to `count` defects into `board.copper` and return their classes.

    `frame` is an int32 label map of the canvas's shape: -1 where no defect may lie, else 0; the changed sub-pixels of
    the k-th defect (from 1) are set to k in it. `size` scales the defects (1 is normal). Fewer come back only if no
    place was found for the rest.
    """
    classes: list[int] = []
    for _ in range(count):
        for kind in rng.permutation(len(CLASSES)):
            if _add(rng, board, frame, int(kind), size, len(classes) + 1):
                classes.append(int(kind))
                break
    return classes


def _add(rng: np.random.Generator, board: Board, frame: np.ndarray, kind: int, size: float, label: int) -> bool:
    """Try to draw one defect of class `kind`; True if a fitting place was found."""
    for _ in range(_TRIES):
        shape = _PROPOSE[kind](rng, board, size)
        if shape is None:
            continue
        x, y = (int(v) for v in shape.mean(axis=0))
        height, width = board.shape
        if not (_WINDOW < x < width - _WINDOW and _WINDOW < y < height - _WINDOW):
            continue
        view = np.s_[y - _WINDOW : y + _WINDOW, x - _WINDOW : x + _WINDOW]
        drawn = np.zeros((2 * _WINDOW, 2 * _WINDOW), np.uint8)
        cv2.fillPoly(drawn, [np.round(shape - (x - _WINDOW, y - _WINDOW)).astype(np.int32)], 255)
        changed = _change(kind, drawn, board.copper[view], board.holes[view])
        if changed is None:
            continue
        ring = cv2.dilate(changed, np.ones((2 * _APART + 1, 2 * _APART + 1), np.uint8)) > 0
        near = cv2.dilate(changed, np.ones((2 * SCALE + 1, 2 * SCALE + 1), np.uint8)) > 0
        if frame[view][ring].any() or board.silk[view][near].any() or board.holes[view][near].any():
            continue
        board.copper[view][changed > 0] = 255 if ADDS[kind] else 0
        board.pads[view][changed > 0] = board.opening[view][changed > 0] if ADDS[kind] else 0
        frame[view][changed > 0] = label
        return True
    return False


def _change(kind: int, drawn: np.ndarray, copper: np.ndarray, holes: np.ndarray) -> np.ndarray | None:
    """The sub-pixels a shape changes (uint8 mask), or None if the result would not be a defect of that class."""
    changed = drawn & ~copper if ADDS[kind] else drawn & copper
    if np.count_nonzero(changed) < 9 * SCALE * SCALE or count_pieces(changed) != 1 or (drawn & holes).any():
        return None
    before = count_pieces(copper)
    grown = cv2.dilate(drawn, np.ones((2 * _CLEARANCE + 1, 2 * _CLEARANCE + 1), np.uint8))
    name = CLASSES[kind]
    after = copper | changed if ADDS[kind] else copper & ~changed
    if count_pieces(after) - before != _EXTRA_PIECES[kind]:
        return None
    if name in ("spur", "spurious-copper") and count_pieces(copper | grown) - before != _EXTRA_PIECES[kind]:
        return None
    holes_made = count_pieces(~after) - count_pieces(~copper)
    if name == "pin-hole":
        fits = holes_made == 1 and not (grown & ~copper).any()
    else:
        fits = holes_made == 0 or name == "short"
    return changed if fits else None


def blob(rng: np.random.Generator, xy: tuple[float, float], along: float, across: float, angle: float) -> np.ndarray:
    """An irregular ellipse as a polygon, float array of shape (24, 2): half-axes in sub-pixels, `angle` in radians."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rough = 1 + sum(rng.uniform(-0.14, 0.14) * np.cos(k * turn + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5))
    x, y = along * np.cos(turn) * rough, across * np.sin(turn) * rough
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([xy[0] + cos * x - sin * y, xy[1] + sin * x + cos * y], axis=1)


def _on_track(rng: np.random.Generator, board: Board) -> tuple[np.ndarray, np.ndarray, float]:
    """A random point on a random track: (x, y), the track's unit direction, its width; sub-pixels."""
    segment = board.segments[int(rng.integers(len(board.segments)))]
    start, end = np.asarray(segment.start), np.asarray(segment.end)
    return start + rng.uniform(0.15, 0.85) * (end - start), (end - start) / np.linalg.norm(end - start), segment.width


def _open(rng: np.random.Generator, board: Board, size: float) -> np.ndarray | None:
    """A ragged cut right across a track."""
    point, way, width = _on_track(rng, board)
    side, half = np.array([-way[1], way[0]]), 0.5 * size * rng.uniform(3.5, 7.5) * SCALE
    across = np.linspace(-0.5 * width - SCALE, 0.5 * width + SCALE, 6)
    first = [point - way * half * rng.uniform(0.75, 1.2) + side * a for a in across]
    last = [point + way * half * rng.uniform(0.75, 1.2) + side * a for a in across[::-1]]
    return np.array(first + last)


def _short(rng: np.random.Generator, board: Board, size: float) -> np.ndarray | None:
    """A bridge from a track to whatever lies beside it."""
    point, way, width = _on_track(rng, board)
    side = np.array([-way[1], way[0]]) * rng.choice((-1, 1))
    reach = np.arange(round(0.5 * width), round(1.5 * board.pitch))
    line = np.round(point + side * reach[:, None]).astype(int)
    if (line < 0).any() or (line >= board.shape[::-1]).any():
        return None
    free = board.copper[line[:, 1], line[:, 0]] == 0
    starts, ends = np.flatnonzero(free), np.flatnonzero(~free)
    ends = ends[ends > starts[0]] if len(starts) else ends
    if not len(starts) or not len(ends) or ends[0] - starts[0] < 3 * SCALE:
        return None
    half, gap = 0.5 * size * rng.uniform(2.6, 5.5) * SCALE, (reach[starts[0]] - SCALE, reach[ends[0]] + SCALE)
    along = np.linspace(*gap, 6)
    first = [point + side * a - way * half * rng.uniform(0.6, 1.3) for a in along]
    last = [point + side * a + way * half * rng.uniform(0.6, 1.3) for a in along[::-1]]
    return np.array(first + last)


def _mouse_bite(rng: np.random.Generator, board: Board, size: float) -> np.ndarray | None:
    """A bite out of a track's edge."""
    point, way, width = _on_track(rng, board)
    side = np.array([-way[1], way[0]]) * rng.choice((-1, 1))
    depth = min(size * rng.uniform(0.38, 0.62), 0.68) * width
    centre = point + side * 0.5 * width
    return blob(rng, tuple(centre), depth * rng.uniform(0.8, 1.4), depth, float(np.arctan2(way[1], way[0])))


def _spur(rng: np.random.Generator, board: Board, size: float) -> np.ndarray | None:
    """A tongue of copper that grows out of a track's edge and reaches nothing."""
    point, way, width = _on_track(rng, board)
    side = np.array([-way[1], way[0]]) * rng.choice((-1, 1))
    length = size * rng.uniform(3.5, 6.5) * SCALE
    centre = point + side * (0.5 * width + 0.3 * length)
    angle = float(np.arctan2(side[1], side[0])) + rng.uniform(-0.4, 0.4)
    return blob(rng, tuple(centre), 0.75 * length, length * rng.uniform(0.3, 0.6), angle)


def _spurious_copper(rng: np.random.Generator, board: Board, size: float) -> np.ndarray | None:
    """An island of copper where there should be none."""
    height, width = board.shape
    xy = float(rng.uniform(0, width)), float(rng.uniform(0, height))
    radius = size * rng.uniform(2.4, 4.6) * SCALE
    return blob(rng, xy, radius * rng.uniform(1.0, 1.5), radius, rng.uniform(0, np.pi))


def _pin_hole(rng: np.random.Generator, board: Board, size: float) -> np.ndarray | None:
    """A small hole in wide copper: a plane, a pad or a broad track."""
    rows, columns = np.nonzero(board.copper[::8, ::8])
    if not len(rows):
        return None
    pick = int(rng.integers(len(rows)))
    xy = columns[pick] * 8.0 + rng.uniform(0, 8), rows[pick] * 8.0 + rng.uniform(0, 8)
    radius = size * rng.uniform(1.8, 3.4) * SCALE
    return blob(rng, xy, radius * rng.uniform(1.0, 1.25), radius, rng.uniform(0, np.pi))


_PROPOSE = (_open, _short, _mouse_bite, _spur, _spurious_copper, _pin_hole)
