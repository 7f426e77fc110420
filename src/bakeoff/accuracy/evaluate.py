"""From a Candidate's detections to its figures, in Ultralytics' conventions with COCO's beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy import best_f1
from bakeoff.accuracy.average_precision import ClassRanking, average_precision, rank
from bakeoff.accuracy.best_f1 import ClassHistogram
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.matching import THRESHOLDS, inside, match
from bakeoff.data.letterbox import Geometry
from bakeoff.records import Accuracy, ClassMetrics

COCO_DETECTIONS = 100  # of a class in an image


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A Candidate's figures, and what resampling needs to get them again."""

    accuracy: Accuracy
    rankings: list[ClassRanking]
    histograms: list[ClassHistogram]


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
    precision, recall, confidence = best_f1.point(found.scores, found.classes, correct[:, 0], boxes[:, 0])
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
    histograms = best_f1.histograms(
        found.image, found.scores, found.classes, correct[:, 0], images=truth.images, class_count=len(boxes)
    )
    return Evaluation(accuracy=accuracy, rankings=rankings, histograms=histograms)


def _coco(truth: GroundTruth, found: DetectionTable, geometries: Sequence[Geometry]) -> dict[str, float | None]:
    keep = _first_of_each_class(found, COCO_DETECTIONS)
    image, classes, scores = found.image[keep], found.classes[keep], found.scores[keep]
    xyxy = found.in_frames(geometries)[keep]
    # of true boxes that overlap a detection equally, pycocotools takes the last
    last = np.lexsort((-np.arange(len(truth.image)), truth.image))
    correct = match(truth.image[last], truth.classes[last], truth.frame_xyxy[last], image, classes, xyxy)
    ignore = truth.ignore
    neutral = ~correct & inside(ignore.image, ignore.classes, ignore.frame_xyxy, image, classes, xyxy)
    every = np.ones((truth.images, 1))
    boxes = truth.per_class(every)
    present = boxes[:, 0] > 0
    # what is neither right nor wrong differs from threshold to threshold, and no ranking holds it
    groups = [(slice(None), np.ones(len(image), bool))]
    if neutral.any():
        groups = [(slice(t, t + 1), ~neutral[:, t]) for t in range(len(THRESHOLDS))]
    parts = []
    for thresholds, counted in groups:
        rankings = rank(
            image[counted],
            scores[counted],
            classes[counted],
            correct[counted, thresholds],
            images=truth.images,
            class_count=len(boxes),
        )
        parts.append(average_precision(rankings, boxes, every, "coco")[present, :, 0])
    precision = np.concatenate(parts, axis=1)
    right = np.zeros((len(boxes), len(THRESHOLDS)))
    np.add.at(right, classes, correct)
    return {
        "map50_95": float(precision.mean()),
        "map50": float(precision[:, 0].mean()),
        "map75": float(precision[:, 5].mean()),
        "ar100": float((right[present] / boxes[present]).mean()),
    }


def _first_of_each_class(found: DetectionTable, limit: int) -> npt.NDArray[np.int64]:
    """Return the indices of the `limit` best detections of each class in each image, in order."""
    order = np.lexsort((np.arange(len(found)), found.classes, found.image))
    group = found.image[order].astype(np.int64) * (int(found.classes.max(initial=0)) + 1) + found.classes[order]
    start = np.searchsorted(group, group)
    return np.sort(order[np.arange(len(order)) - start < limit])
