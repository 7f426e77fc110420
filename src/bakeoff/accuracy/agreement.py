"""How a Candidate's Detections agree with the reference's, at one confidence; needs no labels.

Boxes are paired one to one at IoU 0.5 or more, the best overlaps first: first within each class, then what is left
across classes, which makes class flips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable
from bakeoff.accuracy.matching import iou
from bakeoff.data.letterbox import Geometry
from bakeoff.records import Agreement, Estimate, ImageDifference, SizeAgreement

IOU = 0.5
WORST = 20  # images kept for the report
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}  # COCO's areas, pixels
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """All boxes of both sides at one confidence, and which belong together."""

    reference: npt.NDArray[np.int64]  # (pairs,) rows of the reference's table
    own: npt.NDArray[np.int64]  # (pairs,) rows of the Candidate's
    iou: Floats  # (pairs,)


def compare(
    reference: DetectionTable,
    found: DetectionTable,
    geometries: Sequence[Geometry],
    names: Sequence[str],
    confidence: float,
    weights: Iterable[Floats],
) -> Agreement:
    """Compare two sides' Detections above a confidence on all images.

    Args:
        reference: the reference's detections, one label a box.
        found: the Candidate's.
        geometries: of the images, for boxes in frame pixels.
        names: of the images' files.
        confidence: of both sides.
        weights: how often each image stands in each resampled set, (images, B) at a time.
    """
    images = len(geometries)
    ours, theirs = (table.above(confidence) for table in (found, reference))
    their_xyxy = theirs.in_frames(geometries)
    pairs = pair(theirs, their_xyxy, ours, ours.in_frames(geometries), images)
    shift = (ours.scores[pairs.own] - theirs.scores[pairs.reference]).astype(np.float64)
    flipped = ours.classes[pairs.own] != theirs.classes[pairs.reference]
    where = theirs.image[pairs.reference]

    def per_image(image: npt.NDArray[np.int32], value: npt.NDArray[np.generic] | None = None) -> Floats:
        return np.bincount(image, value, images).astype(np.float64)

    paired, both = per_image(where), per_image(theirs.image) + per_image(ours.image)
    sums = np.stack((2 * paired, both, paired, per_image(where, pairs.iou), per_image(where, shift)))
    sums = np.concatenate((sums, per_image(where, flipped)[None]))
    drawn = np.concatenate([sums @ some for some in weights], axis=1)
    once = sums.sum(1, keepdims=True)

    def estimate(part: int, whole: int, empty: float | None) -> Estimate | None:
        if not once[whole, 0]:
            return None if empty is None else Estimate(value=empty, low=empty, high=empty)
        samples = np.divide(drawn[part], drawn[whole], out=np.full(drawn.shape[1], np.nan), where=drawn[whole] > 0)
        low, high = bootstrap.interval(samples)
        return Estimate(value=float(once[part, 0] / once[whole, 0]), low=low, high=high)

    share = estimate(0, 1, 1.0)  # neither finds anything: they agree
    assert share is not None
    lost, added = unmatched(theirs, pairs.reference), unmatched(ours, pairs.own)
    difference = (
        per_image(where, (1 - pairs.iou) + np.abs(shift) + flipped)
        + per_image(theirs.image[lost], theirs.scores[lost])
        + per_image(ours.image[added], ours.scores[added])
    )
    lost_in, added_in, flips_in = per_image(theirs.image[lost]), per_image(ours.image[added]), per_image(where, flipped)
    worst = [i for i in np.argsort(-difference, kind="stable")[:WORST] if difference[i] > 0]
    return Agreement(
        confidence=confidence,
        reference_boxes=len(theirs),
        boxes=len(ours),
        matched_share=share,
        mean_iou=estimate(3, 2, None),
        score_shift=estimate(4, 2, None),
        class_flips=estimate(5, 2, None),
        by_size=tuple(_by_size(their_xyxy, pairs, shift)),
        worst=tuple(
            ImageDifference(
                image=names[i],
                index=int(i),
                difference=float(difference[i]),
                lost=int(lost_in[i]),
                added=int(added_in[i]),
                flips=int(flips_in[i]),
            )
            for i in worst
        ),
    )


def pair(theirs: DetectionTable, their_xyxy: Floats, ours: DetectionTable, our_xyxy: Floats, images: int) -> Pairs:
    """Pair two sides' boxes, one to one: `theirs` the reference's, boxes (n, 4) in frame pixels."""
    left, right, overlaps = [], [], []
    their_bounds = np.searchsorted(theirs.image, np.arange(images + 1))
    our_bounds = np.searchsorted(ours.image, np.arange(images + 1))
    for i in range(images):
        a, b = slice(*their_bounds[i : i + 2]), slice(*our_bounds[i : i + 2])
        if a.start == a.stop or b.start == b.stop:
            continue
        overlap = iou(their_xyxy[a], our_xyxy[b])
        same = theirs.classes[a][:, None] == ours.classes[b][None]
        for allowed in (same, ~same):
            rows, columns = np.nonzero(allowed & (overlap >= IOU))
            for k in np.argsort(-overlap[rows, columns], kind="stable"):
                row, column = rows[k], columns[k]
                if overlap[row, column] >= IOU:  # neither is taken yet
                    left.append(a.start + row)
                    right.append(b.start + column)
                    overlaps.append(overlap[row, column])
                    overlap[row], overlap[:, column] = 0, 0
    return Pairs(reference=np.array(left, np.int64), own=np.array(right, np.int64), iou=np.array(overlaps, np.float64))


def unmatched(table: DetectionTable, matched: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows of a table that have no partner."""
    return np.setdiff1d(np.arange(len(table)), matched)


def _by_size(xyxy: Floats, pairs: Pairs, shift: Floats) -> Iterable[SizeAgreement]:
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    for size, (low, high) in SIZES.items():
        total = int(((area >= low) & (area < high)).sum())
        mine = (area[pairs.reference] >= low) & (area[pairs.reference] < high)
        some = bool(mine.any())
        yield SizeAgreement(
            size=size,
            reference_boxes=total,
            matched_share=float(mine.sum() / total) if total else None,
            mean_iou=float(pairs.iou[mine].mean()) if some else None,
            score_shift=float(shift[mine].mean()) if some else None,
        )
