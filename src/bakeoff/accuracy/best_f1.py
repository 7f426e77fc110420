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
    """One class's detections and correct ones, counted by grid cell of their score, the highest first, and by image.

    Only cells that hold a detection have a row.
    """

    found: sparse.csr_array  # (cells + 1, images): the first row is empty
    right: sparse.csr_array
    last: npt.NDArray[np.int64]  # (GRID,): the row of the lowest cell at or above each grid point


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
    below_top = GRID - 1 - np.minimum((scores.astype(np.float64) * (GRID - 1)).astype(np.int64), GRID - 1)
    result = []
    for index in range(class_count):
        mine = np.flatnonzero(classes == index)
        cells, row = np.unique(below_top[mine], return_inverse=True)
        found, right = (
            sparse.csr_array(
                (np.ones(len(which), np.float32), (row[which] + 1, image[mine[which]])),
                shape=(len(cells) + 1, images),
            )
            for which in (np.arange(len(mine)), np.flatnonzero(correct[mine]))
        )
        last = np.searchsorted(cells, np.arange(GRID)[::-1], side="right")
        result.append(ClassHistogram(found=found, right=right, last=last))
    return result


def samples(counted: Sequence[ClassHistogram], boxes: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return precision and recall (classes, B), each resampled set at its own best mean F1; NaN without true boxes.

    Args:
        counted: from `histograms`, one a class.
        boxes: weighted number of true boxes (classes, B).
        weights: how often each image stands in each of B image sets (images, B).
    """
    singles = weights.astype(np.float32)  # they count, so nothing is lost below 2^24 detections of a class
    curves = [tuple(np.cumsum(counts @ singles, axis=0) for counts in (one.found, one.right)) for one in counted]
    mean_f1 = np.zeros((GRID, weights.shape[1]))
    for one, (found, right), total in zip(counted, curves, boxes, strict=True):
        # 2PR / (P + R) with P = right / found and R = right / total; 0 where nothing is right, as in an absent class
        f1 = 2 * right / np.maximum(found + total.astype(np.float32), 1)
        mean_f1 += f1[one.last]
    present = boxes > 0
    best = _best(mean_f1 / np.maximum(present.sum(0), 1))
    every = np.arange(len(best))
    at_best = [[curve[one.last[best], every] for curve in pair] for one, pair in zip(counted, curves, strict=True)]
    found, right = np.asarray(at_best, np.float64).swapaxes(0, 1)
    # above the highest score precision is 1, as `point` has it; a class without any detection has 0
    some = np.stack([pair[0][-1] > 0 for pair in curves])
    precision = np.divide(right, found, out=some.astype(np.float64), where=found > 0)
    recall = right / np.where(present, boxes, 1)
    return np.where(present, precision, np.nan), np.where(present, recall, np.nan)


def _f1(precision: npt.NDArray[np.floating], recall: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    total = precision + recall
    return np.asarray(np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0))


def _best(f1: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return the grid point of the highest smoothed value of each column (GRID, B): (B,)."""
    smooth = ndimage.uniform_filter1d(f1.astype(np.float64), WINDOW, axis=0, mode="nearest")
    return np.asarray(smooth.argmax(0))
