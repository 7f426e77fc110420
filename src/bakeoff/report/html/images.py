"""The images on which a Candidate differs most from the reference, with both sides' boxes to draw."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy.agreement import pair, unmatched
from bakeoff.accuracy.boxes import DEPLOYED, DetectionTable
from bakeoff.data.letterbox import Geometry
from bakeoff.records import Agreement, ImageDifference
from bakeoff.report.accuracy import NOTABLE
from bakeoff.report.html.rows import Row
from bakeoff.report.table import View
from bakeoff.store import RunFolder

A_CANDIDATE = 3  # images shown of each
LONGER_SIDE = 480
QUALITY = 72
BUDGET_BYTES = 2_400_000  # of all pictures together, as text: the page stays under 5 MB with its charting library

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Box:
    """One box as drawn, in frame pixels."""

    left: float
    top: float
    width: float
    height: float
    word: str  # both, one (no partner on the other side) or flip (a partner of another class)
    label: str


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One image, and what each side sees in it."""

    name: str
    index: int
    frame_wh: tuple[int, int]
    difference: ImageDifference
    reference: tuple[Box, ...]
    own: tuple[Box, ...]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """What there is to show: pictures once each, as data, and the pairs that use them, by Candidate."""

    pictures: Mapping[int, str]
    frame_wh: Mapping[int, tuple[int, int]]
    shown: Sequence[tuple[Row, Sequence[Pair]]]
    confidence: float
    left_out: int  # pairs that had no room


def gallery(view: View, rows: Sequence[Row], folder: RunFolder) -> Gallery | None:
    """Return the images that differ most; `None` where none differs notably or none was kept."""
    wanted = [(row, agreement, _notable(agreement)) for row in rows if (agreement := row.line.trial.agreement)]
    if not any(worst for _, _, worst in wanted):
        return None
    keys = [view.run.reference, *(row.key for row, _, worst in wanted if worst)]
    stored = folder.samples("images/", *(f"{DEPLOYED}/{key}/" for key in keys))
    if "images/frame_wh" not in stored or any(f"{DEPLOYED}/{key}/scores" not in stored for key in keys):
        return None
    pictures: dict[int, str] = {}
    spent, left_out = 0, 0
    chosen: dict[str, list[ImageDifference]] = {}
    for key, one in _in_turn([(row.key, worst) for row, _, worst in wanted]):
        if one.index not in pictures:
            picture = _picture(folder.path, one)
            if picture is None or spent + len(picture) > BUDGET_BYTES:
                left_out += 1
                continue
            pictures[one.index], spent = picture, spent + len(picture)
        chosen.setdefault(key, []).append(one)
    if not chosen:
        return None
    geometries = [Geometry.of((int(w), int(h)), view.run.model.imgsz) for w, h in stored["images/frame_wh"]]
    names = view.run.model.class_names
    reference = DetectionTable.read(stored, view.run.reference, DEPLOYED)
    shown = []
    for row, agreement, _ in wanted:
        if row.key in chosen:
            sides = (reference, DetectionTable.read(stored, row.key, DEPLOYED))
            shown.append((row, list(_pairs(sides, chosen[row.key], agreement.confidence, geometries, names))))
    return Gallery(
        pictures=pictures,
        frame_wh={index: geometries[index].frame_wh for index in pictures},
        shown=shown,
        confidence=wanted[0][1].confidence,
        left_out=left_out,
    )


def _notable(agreement: Agreement) -> list[ImageDifference]:
    return [one for one in agreement.worst[:A_CANDIDATE] if one.difference >= NOTABLE and one.kept is not None]


def _in_turn(wanted: Sequence[tuple[str, Sequence[ImageDifference]]]) -> Iterator[tuple[str, ImageDifference]]:
    """Yield everybody's worst image first, so that a small budget is shared."""
    turns = zip_longest(*([(key, one) for one in worst] for key, worst in wanted))
    yield from (one for turn in turns for one in turn if one is not None)


def _picture(folder: Path, one: ImageDifference) -> str | None:
    """Return a kept image as data, smaller; `None` where it is gone, or lies outside of the Run's folder."""
    import cv2

    path = (folder / str(one.kept)).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    frame = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        return None
    scale = LONGER_SIDE / max(frame.shape[:2])
    if scale < 1:
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}" if done else None


def _pairs(
    sides: tuple[DetectionTable, DetectionTable],
    chosen: Sequence[ImageDifference],
    confidence: float,
    geometries: Sequence[Geometry],
    names: Sequence[str],
) -> Iterator[Pair]:
    for one in chosen:
        geometry = geometries[one.index]
        here = [_on_image(table.above(confidence), one.index) for table in sides]
        boxes = [table.in_frames([geometry]) for table in here]
        together = pair(here[0], boxes[0], here[1], boxes[1], 1)
        flips = here[0].classes[together.reference] != here[1].classes[together.own]
        drawn = [
            _boxes(table, xyxy, names, alone=unmatched(table, mine), flipped=mine[flips])
            for table, xyxy, mine in zip(here, boxes, (together.reference, together.own), strict=True)
        ]
        yield Pair(
            name=one.image.rpartition("/")[2],
            index=one.index,
            frame_wh=geometry.frame_wh,
            difference=one,
            reference=drawn[0],
            own=drawn[1],
        )


def _on_image(table: DetectionTable, index: int) -> DetectionTable:
    """Return the detections of one image alone, as if it were the only one."""
    found = table.where(table.image == index)
    return replace(found, image=np.zeros_like(found.image))


def _boxes(
    table: DetectionTable,
    xyxy: npt.NDArray[np.float64],
    names: Sequence[str],
    *,
    alone: npt.NDArray[np.int64],
    flipped: npt.NDArray[np.int64],
) -> tuple[Box, ...]:
    found = []
    for i, (left, top, right, bottom) in enumerate(xyxy.round(1).tolist()):
        number = int(table.classes[i])
        name = names[number] if number < len(names) else str(number)
        word = "one" if i in alone else "flip" if i in flipped else "both"
        label = f"{name} {float(table.scores[i]):.2f}"
        size = {"width": round(right - left, 1), "height": round(bottom - top, 1)}
        found.append(Box(left=left, top=top, word=word, label=label, **size))
    return tuple(found)
