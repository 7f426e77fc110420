# SPDX-License-Identifier: AGPL-3.0-only
"""Lay out a bare board on a lattice (parts, planes, tracks, vias) and draw it as binary masks.

All masks are `uint8` arrays of shape (height, width) with values 0 or 255, at `SCALE` sub-pixels per image pixel.
Coordinates named `xy` are (x, y) in sub-pixels of the canvas; nodes are (column, row) of the lattice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

SCALE = 3
"""Sub-pixels per image pixel, along each axis."""

_STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
"""The eight directions of a track on the lattice, each 45 degrees from the last."""

Node = tuple[int, int]


@dataclass(frozen=True)
class Segment:
    """A straight piece of track between two neighbouring nodes: ends in sub-pixels, width in sub-pixels."""

    start: tuple[float, float]
    end: tuple[float, float]
    width: float


@dataclass
class Board:
    """A bare board: the masks drawn so far and what the defects need to know about it."""

    pitch: float
    copper: np.ndarray
    opening: np.ndarray
    pads: np.ndarray
    holes: np.ndarray
    silk: np.ndarray
    segments: list[Segment] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the canvas in sub-pixels."""
        height, width = self.copper.shape
        return height, width


class Layout:
    """Places parts and routes tracks for one board; `draw` does it all."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        """Start an empty canvas of `width` x `height` image pixels, with a random lattice pitch and track width."""
        self.rng = rng
        self.pitch = float(rng.uniform(19.0, 25.0)) * SCALE
        self.track = float(rng.uniform(0.34, 0.44)) * self.pitch
        masks = [np.zeros((height * SCALE, width * SCALE), np.uint8) for _ in range(5)]
        self.board = Board(self.pitch, *masks)
        self.columns = int(width * SCALE / self.pitch)
        self.rows = int(height * SCALE / self.pitch)
        self.nets = np.zeros((self.rows, self.columns), np.int32)
        self.diagonals: set[tuple[int, int]] = set()
        self.starts: list[Node] = []
        self.net = 0
        self.part = int(rng.integers(1, 40))

    def draw(self) -> Board:
        """Lay out and draw one board."""
        area = self.columns * self.rows
        for _ in range(max(1, area // 330)):
            self._plane()
        for _ in range(max(2, area // 170)):
            self._place(self._chip)
        for _ in range(max(1, area // 260)):
            self._place(self._header)
        for _ in range(max(3, area // 75)):
            self._place(self._passive)
        self.rng.shuffle(self.starts)
        for node in self.starts:
            self._track(node, int(self.nets[node[1], node[0]]))
        for _ in range(area // 4):
            column, row = int(self.rng.integers(self.columns)), int(self.rng.integers(self.rows))
            if self.nets[row, column] == 0:
                self.net += 1
                self._track((column, row), self.net, via=True)
        self._markings()
        grown = cv2.dilate(self.board.opening, np.ones((7, 7), np.uint8))
        self.board.silk[grown > 0] = 0
        return self.board

    def _xy(self, column: float, row: float) -> tuple[float, float]:
        """Centre of a (fractional) lattice node in sub-pixels."""
        return (column + 0.5) * self.pitch, (row + 0.5) * self.pitch

    def _free(self, column: int, row: int, columns: int, rows: int) -> bool:
        """Whether a block of nodes lies on the lattice and is unused."""
        if column < 0 or row < 0 or column + columns > self.columns or row + rows > self.rows:
            return False
        return not self.nets[row : row + rows, column : column + columns].any()

    def _pad(self, column: int, row: int, half: tuple[float, float], hole: float = 0.0) -> None:
        """An exposed pad of half-size `half` (x, y; sub-pixels), round and drilled if `hole` (a radius) is not 0."""
        board, (x, y), gap = self.board, self._xy(column, row), 0.06 * self.pitch
        centre = round(x), round(y)
        if hole:
            radius = half[0]
            cv2.circle(board.copper, centre, round(radius), 255, -1)
            cv2.circle(board.pads, centre, round(radius), 255, -1)
            cv2.circle(board.opening, centre, round(radius + gap), 255, -1)
            cv2.circle(board.holes, centre, round(hole), 255, -1)
        else:
            for mask, grow in ((board.copper, 0.0), (board.pads, 0.0), (board.opening, gap)):
                low = round(x - half[0] - grow), round(y - half[1] - grow)
                high = round(x + half[0] + grow), round(y + half[1] + grow)
                cv2.rectangle(mask, low, high, 255, -1)
        self.net += 1
        self.nets[row, column] = self.net
        self.starts.append((column, row))

    def _place(self, draw: Callable[[int, int, bool], bool]) -> None:
        """Try a few places for one part; `draw(column, row, upright)` says whether it fitted."""
        for _ in range(12):
            column, row = int(self.rng.integers(self.columns)), int(self.rng.integers(self.rows))
            if draw(column, row, bool(self.rng.random() < 0.5)):
                return

    def _chip(self, column: int, row: int, upright: bool) -> bool:
        """A small-outline footprint: two rows of pads, a silk-screen body with a dot at pin 1."""
        pins, span = int(self.rng.integers(3, 7)), int(self.rng.integers(3, 5))
        columns, rows = (span + 1, pins) if upright else (pins, span + 1)
        if not self._free(column - 1, row - 1, columns + 2, rows + 2):
            return False
        half = 0.44 * self.pitch, 0.27 * self.pitch
        for pin in range(pins):
            for side in (0, span):
                node = (column + side, row + pin) if upright else (column + pin, row + side)
                self._pad(*node, half if upright else half[::-1])
        inner = (0.75, -0.45) if upright else (-0.45, 0.75)
        x0, y0 = self._xy(column + inner[0], row + inner[1])
        x1, y1 = self._xy(column + columns - 1 - inner[0], row + rows - 1 - inner[1])
        self._outline(x0, y0, x1, y1)
        cv2.circle(self.board.silk, (round(x0 + 0.3 * self.pitch), round(y0 + 0.3 * self.pitch)), 2 * SCALE, 255, -1)
        self._name("U", (x0 + x1) / 2, (y0 + y1) / 2)
        return True

    def _header(self, column: int, row: int, upright: bool) -> bool:
        """A row of drilled round pads in a silk-screen box."""
        pins = int(self.rng.integers(3, 7))
        columns, rows = (1, pins) if upright else (pins, 1)
        if not self._free(column - 1, row - 1, columns + 2, rows + 2):
            return False
        radius = 0.34 * self.pitch
        for pin in range(pins):
            node = (column, row + pin) if upright else (column + pin, row)
            self._pad(*node, (radius, radius), 0.15 * self.pitch)
        x0, y0 = self._xy(column - 0.52, row - 0.52)
        x1, y1 = self._xy(column + columns - 0.48, row + rows - 0.48)
        self._outline(x0, y0, x1, y1)
        self._name("J", (x0 + x1) / 2, y0 - 0.3 * self.pitch)
        return True

    def _passive(self, column: int, row: int, upright: bool) -> bool:
        """A two-pad footprint with silk-screen lines beside it."""
        columns, rows = (1, 3) if upright else (3, 1)
        if not self._free(column - 1, row - 1, columns + 2, rows + 2):
            return False
        half = 0.36 * self.pitch, 0.42 * self.pitch
        for end in (0, 2):
            node = (column, row + end) if upright else (column + end, row)
            self._pad(*node, half[::-1] if upright else half)
        block = self.nets[row : row + rows, column : column + columns]
        block[block == 0] = -1
        x0, y0 = self._xy(column - 0.6, row - 0.6)
        x1, y1 = self._xy(column + columns - 0.4, row + rows - 0.4)
        self._outline(x0, y0, x1, y1)
        self._name("R" if self.rng.random() < 0.5 else "C", (x0 + x1) / 2, y0 - 0.3 * self.pitch)
        return True

    def _plane(self) -> None:
        """A solid piece of copper under the mask, with a few vias in it."""
        columns, rows = (int(v) for v in self.rng.integers(2, 6, 2))
        for _ in range(12):
            column = int(self.rng.integers(-1, self.columns - 1))
            row = int(self.rng.integers(-1, self.rows - 1))
            block = self.nets[max(row, 0) : row + rows, max(column, 0) : column + columns]
            if block.size and not block.any():
                break
        else:
            return
        self.net += 1
        block[:] = -1
        cut = 0.5
        x0, y0 = self._xy(column - 0.3, row - 0.3)
        x1, y1 = self._xy(column + columns - 0.7, row + rows - 0.7)
        c = cut * self.pitch
        corners = [(x0 + c, y0), (x1, y0), (x1, y1 - c), (x1 - c, y1), (x0, y1), (x0, y0 + c)]
        cv2.fillPoly(self.board.copper, [np.round(corners).astype(np.int32)], 255)
        for _ in range(int(self.rng.integers(1, 4))):
            self._via(self._xy(column + int(self.rng.integers(columns)), row + int(self.rng.integers(rows))))

    def _via(self, xy: tuple[float, float]) -> None:
        """A drilled via, its ring free of mask about half of the time."""
        centre, radius = (round(xy[0]), round(xy[1])), 0.28 * self.pitch
        cv2.circle(self.board.copper, centre, round(radius), 255, -1)
        cv2.circle(self.board.holes, centre, round(0.12 * self.pitch), 255, -1)
        if self.rng.random() < 0.6:
            cv2.circle(self.board.pads, centre, round(radius), 255, -1)
            cv2.circle(self.board.opening, centre, round(radius + 0.04 * self.pitch), 255, -1)

    def _track(self, node: Node, net: int, via: bool = False) -> None:
        """Route one track from `node` over free nodes, turning by 45 degrees now and then; it ends in a via."""
        column, row = node
        heading, width = int(self.rng.integers(8)), self.track * float(self.rng.choice((1.0, 1.0, 1.0, 1.45)))
        pieces: list[Segment] = []
        for _ in range(int(self.rng.integers(4, 22))):
            turns = (0, 1, -1) if self.rng.random() < 0.8 else (1, -1, 0)
            if not pieces:
                turns = tuple(int(v) for v in self.rng.permutation(8))
            for turn in turns:
                dx, dy = _STEPS[(heading + turn) % 8]
                new = column + dx, row + dy
                if self._free(*new, 1, 1) and not self._crosses(column, row, dx, dy):
                    break
            else:
                break
            heading = (heading + turn) % 8
            if dx and dy:
                self.diagonals.add((2 * column + dx, 2 * row + dy))
            self.nets[row, column] = self.nets[new[1], new[0]] = net
            pieces.append(Segment(self._xy(column, row), self._xy(*new), width))
            column, row = new
        for piece in pieces:
            ends = [tuple(round(v) for v in end) for end in (piece.start, piece.end)]
            cv2.line(self.board.copper, *ends, 255, round(width))
            for end in ends:
                cv2.circle(self.board.copper, end, round(width / 2), 255, -1)
        self.board.segments += pieces
        if pieces:
            self._via(self._xy(column, row))
            if via:
                self._via(pieces[0].start)

    def _crosses(self, column: int, row: int, dx: int, dy: int) -> bool:
        """Whether a step from this node would cross a diagonal track already there."""
        return bool(dx and dy) and (2 * column + dx, 2 * row + dy) in self.diagonals

    def _outline(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A silk-screen rectangle."""
        low, high = (round(x0), round(y0)), (round(x1), round(y1))
        cv2.rectangle(self.board.silk, low, high, 255, round(1.3 * SCALE))

    def _name(self, letter: str, x: float, y: float) -> None:
        """A reference designator such as R12, centred on (x, y)."""
        self.part += 1
        self._text(f"{letter}{self.part}", x, y, 0.32)

    def _text(self, text: str, x: float, y: float, height: float) -> None:
        """Silk-screen text centred on (x, y); `height` is in lattice pitches."""
        size = height * self.pitch / 21
        (width, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        origin = round(x - width / 2), round(y + tall / 2)
        cv2.putText(self.board.silk, text, origin, cv2.FONT_HERSHEY_SIMPLEX, size, 255, round(1.1 * SCALE))

    def _markings(self) -> None:
        """A board name somewhere on it."""
        words = ("BAKEOFF", "INSPECT", "MAIN", "CTRL", "POWER", "DEMO")
        word, letter = words[int(self.rng.integers(len(words)))], "ABCDEF"[int(self.rng.integers(6))]
        text = f"{word} {letter}{self.rng.integers(1, 9)}"
        board, (height, width) = self.board, self.board.shape
        drawn = board.silk.copy()
        taken = cv2.dilate(drawn | board.opening | board.holes, np.ones((13, 13), np.uint8))
        for _ in range(60):
            board.silk[:] = 0
            self._text(text, self.rng.uniform(0.2, 0.8) * width, self.rng.uniform(0.15, 0.85) * height, 0.5)
            if not (board.silk & taken).any():
                drawn |= board.silk
                break
        board.silk[:] = cv2.threshold(drawn, 127, 255, cv2.THRESH_BINARY)[1]
