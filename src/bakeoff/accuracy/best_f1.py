"""Precision and recall at the confidence of best mean F1: of one image set exactly, of resampled ones on a grid.

Ultralytics' convention (utils/metrics.py, ap_per_class): curves over 1000 confidences, the mean F1 over classes
smoothed by a box filter a tenth of the grid wide, precision and recall read where it is highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

GRID = 1000  # confidences at which the curves are read
WINDOW = 101  # of the box filter, in grid points
Floats = npt.NDArray[np.float64]


def point(
    scores: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int32],
    correct: npt.NDArray[np.bool_],
    boxes: Floats,
) -> tuple[Floats, Floats, float]:
    """Return precision and recall (classes,) at the confidence of best smoothed mean F1, and that confidence.

    Curves are interpolated linearly between scores: below the lowest the last value holds; above the highest, recall
    is 0 and precision 1.

    Args:
        scores: of all detections (n,), with their `classes` (n,).
        correct: whether each is right at IoU 0.5 (n,).
        boxes: true boxes of each class (classes,).
    """
    grid = np.linspace(0, 1, GRID)
    precision, recall = np.zeros((len(boxes), GRID)), np.zeros((len(boxes), GRID))
    for i in np.flatnonzero(boxes):
        mine = np.flatnonzero(classes == i)
        if not len(mine):
            continue
        mine = mine[np.argsort(-scores[mine], kind="stable")]
        right = np.cumsum(correct[mine])
        falling = -scores[mine]
        recall[i] = np.interp(-grid, falling, right / boxes[i], left=0)
        precision[i] = np.interp(-grid, falling, right / np.arange(1, len(mine) + 1), left=1)
    best = int(_best(_f1(precision, recall)[boxes > 0].mean(0)[:, None])[0])
    return precision[:, best], recall[:, best], float(grid[best])


@dataclass(frozen=True, kw_only=True)
class ClassHistogram:
    """One class's detections and correct ones, counted by grid cell of their score and by image: (GRID, images)."""

    found: sparse.csr_array
    right: sparse.csr_array


def histograms(
    image: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int32],
    correct: npt.NDArray[np.bool_],
    *,
    images: int,
    class_count: int,
) -> list[ClassHistogram]:
    """Count each class's detections; a score belongs to the highest grid point that it reaches."""
    cell = np.minimum((scores.astype(np.float64) * (GRID - 1)).astype(np.int64), GRID - 1)

    def count(which: npt.NDArray[np.bool_]) -> sparse.csr_array:
        ones = np.ones(int(which.sum()))
        return sparse.csr_array((ones, (cell[which], image[which])), shape=(GRID, images))

    return [
        ClassHistogram(found=count(classes == index), right=count((classes == index) & correct))
        for index in range(class_count)
    ]


def samples(counted: Sequence[ClassHistogram], boxes: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return mean precision and mean recall (B,), each (resampled set) at its own best F1.

    Args:
        counted: from `histograms`, one a class.
        boxes: weighted number of true boxes (classes, B).
        weights: how often each image stands in each of B image sets (images, B).
    """
    size = weights.shape[1]
    precision = np.empty((len(counted), GRID, size), np.float32)
    recall = np.empty_like(precision)
    for i, (one, total) in enumerate(zip(counted, boxes, strict=True)):
        found = np.cumsum((one.found @ weights)[::-1], axis=0)[::-1]  # with a score of at least the grid point's
        right = np.cumsum((one.right @ weights)[::-1], axis=0)[::-1]
        precision[i] = np.divide(right, found, out=np.ones_like(right), where=found > 0)
        recall[i] = right / np.where(total > 0, total, 1)
    present = boxes > 0
    classes = np.maximum(present.sum(0), 1)
    mean_f1 = (_f1(precision, recall) * present[:, None]).sum(0) / classes
    best = _best(mean_f1)[None, None]
    at_best = [np.take_along_axis(curve, best, 1)[:, 0] for curve in (precision, recall)]
    mean_precision, mean_recall = ((curve * present).sum(0) / classes for curve in at_best)
    return mean_precision, mean_recall


def _f1(precision: npt.NDArray[np.floating], recall: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    total = precision + recall
    return np.asarray(np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0))


def _best(f1: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return the grid point of the highest smoothed value of each column (GRID, B): (B,)."""
    smooth = ndimage.uniform_filter1d(f1.astype(np.float64), WINDOW, axis=0, mode="nearest")
    return np.asarray(smooth.argmax(0))
