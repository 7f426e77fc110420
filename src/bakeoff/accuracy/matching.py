"""Which detections are right: greedy matching to ground truth, best score first, at ten IoU thresholds.

Each detection, best first, takes the unclaimed true box of its class that it overlaps most, if the IoU reaches the
threshold. That is pycocotools' rule (cocoeval.py, evaluateImg) and Ultralytics' since 8.4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

THRESHOLDS = np.linspace(0.5, 0.95, 10)


def match(
    true_image: npt.NDArray[np.int32],
    true_class: npt.NDArray[np.int32],
    true_xyxy: npt.NDArray[np.floating],
    found_image: npt.NDArray[np.int32],
    found_class: npt.NDArray[np.int32],
    found_xyxy: npt.NDArray[np.floating],
) -> npt.NDArray[np.bool_]:
    """Return whether each detection (n,) is correct at each threshold: (n, 10).

    Both tables are ordered by image; detections within an image by descending score. Box arithmetic is done in the
    boxes' own type.
    """
    correct = np.zeros((len(found_image), len(THRESHOLDS)), bool)
    images = int(max(true_image.max(initial=-1), found_image.max(initial=-1))) + 1
    true_bounds = np.searchsorted(true_image, np.arange(images + 1))
    found_bounds = np.searchsorted(found_image, np.arange(images + 1))
    for image in range(images):
        t = slice(true_bounds[image], true_bounds[image + 1])
        f = slice(found_bounds[image], found_bounds[image + 1])
        if t.start == t.stop or f.start == f.stop:
            continue
        overlap = iou(true_xyxy[t], found_xyxy[f])
        overlap[true_class[t][:, None] != found_class[f][None]] = 0
        correct[f] = _greedy(overlap)
    return correct


def iou(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the IoU of corner boxes (n, 4) and (m, 4): (n, m); 0 where both are empty."""
    left, right = a[:, None], b[None]
    wh = np.minimum(left[..., 2:], right[..., 2:]) - np.maximum(left[..., :2], right[..., :2])
    shared = np.maximum(wh[..., 0], 0) * np.maximum(wh[..., 1], 0)
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union = area_a[:, None] + area_b[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _greedy(overlap: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Match the columns of (true, found), in order, at every threshold at once."""
    thresholds = THRESHOLDS.astype(overlap.dtype)
    every = np.arange(len(thresholds))
    correct = np.zeros((overlap.shape[1], len(thresholds)), bool)
    claimed = np.zeros((overlap.shape[0], len(thresholds)), bool)
    for j in np.flatnonzero(overlap.max(0) >= thresholds[0]):
        free = np.where(claimed, 0, overlap[:, j, None])
        best = free.argmax(0)
        correct[j] = free[best, every] >= thresholds
        claimed[best, every] |= correct[j]
    return correct
