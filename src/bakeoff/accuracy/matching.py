"""Which detections are right: greedy matching to ground truth, best score first, at ten IoU thresholds.

Each detection, best first, takes the unclaimed true box of its class that it overlaps most, if the IoU reaches the
threshold. That is pycocotools' rule (cocoeval.py, evaluateImg) and Ultralytics' since 8.4.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    for t, f in _images_of_both(true_image, found_image):
        overlap = iou(true_xyxy[t], found_xyxy[f])
        overlap[true_class[t][:, None] != found_class[f][None]] = 0
        correct[f] = _greedy(overlap)
    return correct


def inside(
    region_image: npt.NDArray[np.int32],
    region_class: npt.NDArray[np.int32],
    region_xyxy: npt.NDArray[np.floating],
    found_image: npt.NDArray[np.int32],
    found_class: npt.NDArray[np.int32],
    found_xyxy: npt.NDArray[np.floating],
) -> npt.NDArray[np.bool_]:
    """Return whether a region of its class holds each detection (n,), as far as each threshold asks: (n, 10).

    The measure is pycocotools' for crowds: the share of the detection's own area. A region holds any number of them.
    """
    share = np.zeros(len(found_image), found_xyxy.dtype)
    for r, f in _images_of_both(region_image, found_image):
        part = np.where(region_class[r][:, None] == found_class[f][None], _shared(region_xyxy[r], found_xyxy[f]), 0)
        own = _areas(found_xyxy[f])
        share[f] = np.divide(part.max(0), own, out=np.zeros_like(own), where=own > 0)
    return np.asarray(share[:, None] >= THRESHOLDS)


def _images_of_both(a_image: npt.NDArray[np.int32], b_image: npt.NDArray[np.int32]) -> Iterator[tuple[slice, slice]]:
    """Yield the rows of two tables, each ordered by image, that belong to the same image."""
    images = int(min(a_image.max(initial=-1), b_image.max(initial=-1))) + 1
    a_bounds, b_bounds = (np.searchsorted(image, np.arange(images + 1)) for image in (a_image, b_image))
    for image in range(images):
        a, b = (slice(*bounds[image : image + 2]) for bounds in (a_bounds, b_bounds))
        if a.start < a.stop and b.start < b.stop:
            yield a, b


def iou(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the IoU of corner boxes (n, 4) and (m, 4): (n, m); 0 where both are empty."""
    shared = _shared(a, b)
    union = _areas(a)[:, None] + _areas(b)[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _shared(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    left, right = a[:, None], b[None]
    wh = np.minimum(left[..., 2:], right[..., 2:]) - np.maximum(left[..., :2], right[..., :2])
    return np.asarray(np.maximum(wh[..., 0], 0) * np.maximum(wh[..., 1], 0))


def _areas(boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


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
