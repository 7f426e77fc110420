"""The figures worked out in the most obvious way, in plain loops. What the fast code is held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

THRESHOLDS = [float(t) for t in np.linspace(0.5, 0.95, 10)]
RECALLS = [float(x) for x in np.linspace(0, 1, 101)]
CONFIDENCES = [float(x) for x in np.linspace(0, 1, 1000)]


class Box(NamedTuple):
    image: int
    klass: int
    xyxy: tuple[int, int, int, int]
    score: float = 1.0


def matches(true: Sequence[Box], found: Sequence[Box], threshold: float, number: type) -> list[bool]:
    """Say which detections are right; found is ordered by image, best first. `number` is what IoU is computed in."""
    claimed: set[int] = set()
    right = []
    for one in found:
        best, best_iou = None, number(threshold)
        for i, box in enumerate(true):
            if box.image == one.image and box.klass == one.klass and i not in claimed:
                overlap = iou(box.xyxy, one.xyxy, number)
                if overlap > best_iou or (best is None and overlap == best_iou):
                    best, best_iou = i, overlap
        if best is not None:
            claimed.add(best)
        right.append(best is not None)
    return right


def iou(a: Sequence[int], b: Sequence[int], number: type) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return number(shared) / number(union)


def average_precision(right: Sequence[bool], boxes: int, convention: str) -> float:
    """Return AP of one class; `right` is ordered by falling score."""
    points, hits = [], 0
    for rank, one in enumerate(right, 1):
        hits += one
        points.append((hits / boxes, hits / rank))
    if not hits:
        return 0
    if convention == "coco":
        return sum(max((p for r, p in points if r >= x), default=0) for x in RECALLS) / 101
    heights = [max((p for r, p in points if r > x), default=0) for x in RECALLS]
    return sum((one + other) / 2 * 0.01 for one, other in pairwise(heights))


def class_ap(true: Sequence[Box], found: Sequence[Box], classes: int, convention: str) -> dict[int, list[float]]:
    """Return AP at each threshold of each class that has true boxes."""
    number = float if convention == "coco" else np.float32
    result: dict[int, list[float]] = {}
    for threshold in THRESHOLDS:
        judged = list(zip(found, matches(true, found, threshold, number), strict=True))
        judged.sort(key=lambda pair: -pair[0].score)
        for c in range(classes):
            boxes = sum(box.klass == c for box in true)
            if boxes:
                right = [ok for one, ok in judged if one.klass == c]
                result.setdefault(c, []).append(average_precision(right, boxes, convention))
    return result


def mean_recall(true: Sequence[Box], found: Sequence[Box]) -> float:
    """Return the recall that all detections reach, mean over classes with true boxes and thresholds."""
    recalls = []
    for threshold in THRESHOLDS:
        right = matches(true, found, threshold, float)
        for c in {box.klass for box in true}:
            hits = sum(ok for one, ok in zip(found, right, strict=True) if one.klass == c)
            recalls.append(hits / sum(box.klass == c for box in true))
    return sum(recalls) / len(recalls)


@dataclass(frozen=True)
class Curves:
    """At each of 1000 confidences: precision and recall of each class, and the smoothed mean F1."""

    precision: dict[int, list[float]]
    recall: dict[int, list[float]]
    f1: list[float]


def curves(true: Sequence[Box], found: Sequence[Box]) -> Curves:
    """Read precision and recall at IoU 0.5 between the scores, which are distinct."""
    right = matches(true, found, 0.5, np.float32)
    precision, recall = {}, {}
    for c in sorted({box.klass for box in true}):
        mine = sorted(((one.score, ok) for one, ok in zip(found, right, strict=True) if one.klass == c), reverse=True)
        boxes = sum(box.klass == c for box in true)
        hits = [sum(ok for _, ok in mine[: n + 1]) for n in range(len(mine))]
        scores = [score for score, _ in mine]
        precision[c] = [between(x, scores, [h / (n + 1) for n, h in enumerate(hits)], 1) for x in CONFIDENCES]
        recall[c] = [between(x, scores, [h / boxes for h in hits], 0) for x in CONFIDENCES]
        if not mine:
            precision[c] = [0.0] * len(CONFIDENCES)  # Ultralytics leaves its zeros where a class has no detection
    mean = []
    for k in range(len(CONFIDENCES)):
        pairs = [(precision[c][k], recall[c][k]) for c in precision]
        mean.append(sum(2 * p * r / (p + r) if p + r else 0 for p, r in pairs) / len(pairs))
    padded = [mean[0]] * 50 + mean + [mean[-1]] * 50
    return Curves(precision, recall, [sum(padded[k : k + 101]) / 101 for k in range(len(mean))])


def between(x: float, scores: Sequence[float], values: Sequence[float], above: float) -> float:
    """Return the value at a confidence: linear between scores (falling), the last one below, `above` above them."""
    if not scores or x > scores[0]:
        return above
    for i in range(len(scores) - 1):
        if scores[i + 1] <= x:
            share = (x - scores[i + 1]) / (scores[i] - scores[i + 1])
            return values[i + 1] + share * (values[i] - values[i + 1])
    return values[-1]
