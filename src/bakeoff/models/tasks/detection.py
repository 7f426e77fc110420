"""Detection: from a YOLO head's raw output to boxes, by thresholds and non-maximum suppression.

The conventions are those of Ultralytics' validation: sort by score, drop a box whose IoU with a kept box of its class
exceeds the threshold, keep 300 at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_DETECTIONS = 300
MAX_BOXES = 30_000  # before suppression
CLASS_OFFSET = np.float32(7680)  # moves classes apart, so that one pass suppresses within each
BLOCK = 128

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Detections:
    """One image's detections, best first: boxes (n, 4) `xyxy` in pixels, scores (n,), class ids (n,)."""

    xyxy: Floats
    scores: Floats
    classes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """How raw outputs become Detections."""

    confidence: float
    iou: float = 0.7
    multi_label: bool


def timed(confidence: float = 0.25) -> Thresholds:
    """What a deployed detector does, and what is timed."""
    return Thresholds(confidence=confidence, multi_label=False)


SCORED = Thresholds(confidence=0.001, multi_label=True)
DEPLOYED = Thresholds(confidence=0.001, multi_label=False)  # of which any confidence to deploy with takes the first


def decode(head: Floats, thresholds: Thresholds) -> Detections:
    """Turn one image's head output (4 + classes, anchors) into Detections in canvas pixels.

    Rows 0 to 3 are centre x, centre y, width, height; the others are class scores in 0..1.
    """
    scores = head[4:]
    # NaN compares false: an anchor with a NaN score yields nothing, here and in the health check that reports it
    anchors = np.flatnonzero(scores.max(0) > thresholds.confidence)
    some = scores[:, anchors].T
    if thresholds.multi_label and len(scores) > 1:
        rows, classes = np.nonzero(some > thresholds.confidence)
        confidence = some[rows, classes]
        anchors = anchors[rows]
    else:
        classes = some.argmax(1) if len(some) else np.zeros(0, np.int64)
        confidence = some[np.arange(len(some)), classes]
    order = np.argsort(-confidence, kind="stable")[:MAX_BOXES]
    xywh = head[:4, anchors[order]].T
    half = xywh[:, 2:] / 2
    xyxy = np.concatenate((xywh[:, :2] - half, xywh[:, :2] + half), 1)
    classes, confidence = classes[order], confidence[order]
    keep = _suppress(xyxy + (classes * CLASS_OFFSET).astype(np.float32)[:, None], np.float32(thresholds.iou))
    return Detections(xyxy=xyxy[keep], scores=confidence[keep], classes=classes[keep].astype(np.int32))


def _suppress(boxes: Floats, iou: np.float32) -> npt.NDArray[np.int64]:
    """Return the indices kept by greedy suppression of boxes (n, 4) sorted by score, at most 300.

    A block at a time: against all boxes kept before it, then within itself. It stops at 300, so the tail of
    low scores is mostly never looked at.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = np.empty(0, np.int64)
    for start in range(0, len(boxes), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(boxes)))
        if len(kept):
            block = block[~_overlap(boxes, areas, kept, block, iou).any(0)]
        within = _overlap(boxes, areas, block, block, iou)
        dead = np.zeros(len(block), bool)
        for i in np.flatnonzero(within.sum(1) > 1):  # the others overlap only themselves
            if not dead[i]:
                dead[i + 1 :] |= within[i, i + 1 :]
        kept = np.concatenate((kept, block[~dead]))
        if len(kept) >= MAX_DETECTIONS:
            return kept[:MAX_DETECTIONS]
    return kept


def _overlap(
    boxes: Floats, areas: Floats, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], iou: np.float32
) -> npt.NDArray[np.bool_]:
    """Whether IoU exceeds the threshold, (len(a), len(b))."""
    left, right = boxes[a][:, None], boxes[b][None]
    width = np.minimum(left[..., 2], right[..., 2]) - np.maximum(left[..., 0], right[..., 0])
    height = np.minimum(left[..., 3], right[..., 3]) - np.maximum(left[..., 1], right[..., 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    # inter / union > iou, without dividing by an empty union
    return np.asarray(shared > iou * (areas[a][:, None] + areas[b][None] - shared))
