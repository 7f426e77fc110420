"""Average precision, for one image set or for thousands of resampled ones at once.

Both conventions read the precision envelope at 101 recalls. Ultralytics (utils/metrics.py, compute_ap) takes, at
recall x, the best precision at any recall above x, and integrates by trapezoids; COCO (cocoeval.py, accumulate) at
any recall not below x, and takes the mean. Between two true positives precision only falls, so the envelope is fixed
by the true positives alone: all other detections enter as counts. A resampled image set is a column of image weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

Convention = Literal["ultralytics", "coco"]
Floats = npt.NDArray[np.float64]
_GRID = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True)
class ClassRanking:
    """One class's detections, best first, reduced to those that are right at some threshold ("points")."""

    segments: sparse.csr_array  # (points, images): detections ranked after the last point, up to this one
    image: npt.NDArray[np.int64]  # (points,)
    correct: npt.NDArray[np.bool_]  # (points, thresholds)


def rank(
    image: npt.NDArray[np.int32],
    scores: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int32],
    correct: npt.NDArray[np.bool_],
    *,
    images: int,
    class_count: int,
) -> list[ClassRanking]:
    """Rank each class's detections over all images; equal scores keep their order."""
    rankings = []
    for index in range(class_count):
        mine = np.flatnonzero(classes == index)
        mine = mine[np.argsort(-scores[mine], kind="stable")]
        points = np.flatnonzero(correct[mine].any(1))
        segment = np.searchsorted(points, np.arange(len(mine)))
        inside = segment < len(points)  # what follows the last point never matters
        segments = sparse.csr_array(
            (np.ones(int(inside.sum())), (segment[inside], image[mine][inside])), shape=(len(points), images)
        )
        rankings.append(
            ClassRanking(segments=segments, image=image[mine[points]].astype(np.int64), correct=correct[mine[points]])
        )
    return rankings


def average_precision(
    rankings: Sequence[ClassRanking], boxes: Floats, weights: Floats, convention: Convention
) -> Floats:
    """Return AP (classes, thresholds, B) under image weights (images, B).

    Args:
        rankings: from `rank`, one a class.
        boxes: weighted number of true boxes (classes, B); a class without any gets NaN.
        weights: how often each image stands in each of B image sets.
        convention: whose 101 points.
    """
    thresholds = rankings[0].correct.shape[1]
    result = np.zeros((len(rankings), thresholds, weights.shape[1]))
    for ranking, total, ap in zip(rankings, boxes, result, strict=True):
        if len(ranking.image):
            ranked = np.cumsum(ranking.segments @ weights, axis=0)
            ranked[ranked == 0] = 1  # no detection yet: precision 0 / 1
            own = weights[ranking.image]
            for t in range(thresholds):
                points = np.flatnonzero(ranking.correct[:, t])
                if len(points):
                    right = np.cumsum(own[points], axis=0)
                    ap[t] = _area(right, ranked[points], np.where(total > 0, total, 1), convention)
        ap[:, total == 0] = np.nan
    return result


def _area(right: Floats, ranked: Floats, boxes: Floats, convention: Convention) -> Floats:
    """Return the mean precision (B,) over the grid's recalls.

    Args:
        right: true positives so far, at each of them (n, B).
        ranked: detections so far, likewise.
        boxes: true boxes (B,).
        convention: whose grid.
    """
    precision = right / ranked
    rising = precision[::-1]
    np.maximum.accumulate(rising, axis=0, out=rising)  # the envelope, in place
    covered = _covered(right, boxes, convention)
    area = precision[0] * covered[0] + np.einsum("ij,ij->j", precision[1:], np.diff(covered, axis=0))
    if convention == "coco":
        return np.asarray(area / 101)
    return np.asarray((area - precision[0] / 2) / 100)  # trapezoids: the point at recall 0 counts half


def _covered(right: Floats, boxes: Floats, convention: Convention) -> Floats:
    """Return how many grid points a recall covers: those below it, or (COCO) up to it; none where nothing is right.

    Both tools compare recalls with the grid as floating-point numbers: 35 of 100 boxes are a recall of 0.35, but the
    grid's point lies one bit above that. None lies below its hundredth, though. So the points below a recall are those
    whose hundredths are, and only COCO's count, of points up to a recall, needs the grid itself.
    """
    if convention == "coco":
        recall = right / boxes
        return np.asarray(np.where(recall > 0, np.searchsorted(_GRID, recall, side="right"), 0), np.float64)
    covered = 100 * right
    covered /= boxes  # exact wherever it is whole
    return np.asarray(np.ceil(covered, out=covered))
