"""From a Candidate's detections to its figures, in Ultralytics' conventions with COCO's beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy.average_precision import ClassRanking, average_precision, rank
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.matching import match
from bakeoff.data.letterbox import Geometry
from bakeoff.records import Accuracy, ClassMetrics

GRID = 1000  # confidences at which precision, recall and F1 curves are read
SMOOTHING = 0.1  # of the grid: the box filter over the mean F1 curve
COCO_DETECTIONS = 100  # of a class in an image


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A Candidate's figures, and what resampling needs to get them again."""

    accuracy: Accuracy
    rankings: list[ClassRanking]


def evaluate(truth: GroundTruth, found: DetectionTable, geometries: Sequence[Geometry]) -> Evaluation:
    """Score one Candidate's detections (confidence 0.001, multi-label) on all images.

    Matching uses unclipped boxes in canvas pixels, as Ultralytics' validation does; COCO's figures use the boxes as
    delivered, in frame pixels.
    """
    correct = match(truth.image, truth.classes, truth.canvas_xyxy, found.image, found.classes, found.xyxy)
    every = np.ones((truth.images, 1))
    boxes = truth.per_class(every)
    rankings = rank(
        found.image,
        found.scores,
        found.classes,
        correct,
        images=truth.images,
        class_count=len(truth.class_names),
    )
    ap = average_precision(rankings, boxes, every, "ultralytics")[..., 0]
    present = boxes[:, 0] > 0
    precision, recall, confidence = _best_f1(found, correct[:, 0], boxes[:, 0])
    per_class = tuple(
        ClassMetrics(
            name=name,
            boxes=int(boxes[i, 0]),
            precision=float(precision[i]) if present[i] else None,
            recall=float(recall[i]) if present[i] else None,
            ap50=float(ap[i, 0]) if present[i] else None,
            ap50_95=float(ap[i].mean()) if present[i] else None,
        )
        for i, name in enumerate(truth.class_names)
    )
    accuracy = Accuracy(
        images=truth.images,
        boxes=len(truth.classes),
        detections=len(found),
        precision=float(precision[present].mean()),
        recall=float(recall[present].mean()),
        map50=float(ap[present, 0].mean()),
        map50_95=float(ap[present].mean()),
        confidence=confidence,
        per_class=per_class,
        coco=_coco(truth, found, geometries),
    )
    return Evaluation(accuracy=accuracy, rankings=rankings)


def _best_f1(
    found: DetectionTable, correct: npt.NDArray[np.bool_], boxes: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Return precision and recall (classes,) at the confidence of best smoothed mean F1, and that confidence.

    The curves are read on a grid of confidences by linear interpolation (Ultralytics, ap_per_class): below the
    lowest score the last value holds; above the highest, recall is 0 and precision 1.
    """
    grid = np.linspace(0, 1, GRID)
    precision, recall = np.zeros((len(boxes), GRID)), np.zeros((len(boxes), GRID))
    for i in np.flatnonzero(boxes):
        mine = np.flatnonzero(found.classes == i)
        if not len(mine):
            continue
        mine = mine[np.argsort(-found.scores[mine], kind="stable")]
        right = np.cumsum(correct[mine])
        falling = -found.scores[mine]
        recall[i] = np.interp(-grid, falling, right / boxes[i], left=0)
        precision[i] = np.interp(-grid, falling, right / np.arange(1, len(mine) + 1), left=1)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[boxes > 0].mean(0)
    half = round(GRID * SMOOTHING * 2) // 2 // 2
    smooth = np.convolve(np.pad(f1, half, mode="edge"), np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
    best = int(smooth.argmax())
    return precision[:, best], recall[:, best], float(grid[best])


def _coco(truth: GroundTruth, found: DetectionTable, geometries: Sequence[Geometry]) -> dict[str, float | None]:
    keep = _first_of_each_class(found, COCO_DETECTIONS)
    image, classes, scores = found.image[keep], found.classes[keep], found.scores[keep]
    correct = match(truth.image, truth.classes, truth.frame_xyxy, image, classes, found.in_frames(geometries)[keep])
    every = np.ones((truth.images, 1))
    boxes = truth.per_class(every)
    rankings = rank(image, scores, classes, correct, images=truth.images, class_count=len(truth.class_names))
    present = boxes[:, 0] > 0
    ap = average_precision(rankings, boxes, every, "coco")[present, :, 0]
    recall = np.stack([ranking.correct.sum(0) for ranking in rankings])[present] / boxes[present]
    return {
        "map50_95": float(ap.mean()),
        "map50": float(ap[:, 0].mean()),
        "map75": float(ap[:, 5].mean()),
        "ar100": float(recall.mean()),
    }


def _first_of_each_class(found: DetectionTable, limit: int) -> npt.NDArray[np.int64]:
    """Return the indices of the `limit` best detections of each class in each image, in order."""
    order = np.lexsort((np.arange(len(found)), found.classes, found.image))
    group = found.image[order].astype(np.int64) * (int(found.classes.max(initial=0)) + 1) + found.classes[order]
    start = np.searchsorted(group, group)
    return np.sort(order[np.arange(len(order)) - start < limit])
