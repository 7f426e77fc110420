"""What a deployed detector does: precision, recall, false alarms and misses at one threshold, all classes together.

The threshold is given, or it is that of the reference's best F1, cross-fitted: each half of the images is judged at
the threshold found on the other half, so that no image helps to choose the threshold that it is judged at. It is the
same for every Candidate, because a threshold in a configuration file does not follow a conversion's scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.best_f1 import GRID, WINDOW
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.matching import match
from bakeoff.records import Estimate, OperatingPoint, ReliabilityBin

DEFAULT_CONFIDENCE = 0.25  # where the reference finds nothing right
FIGURES = ("precision", "recall", "f1", "false_alarms_per_image", "misses_per_image")
EDGES = np.linspace(0.1, 1, 19)  # of the reliability curve; what scores less is hardly ever deployed, but abounds
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A Candidate's detections as deployed, one label a box, and whether each is right at IoU 0.5."""

    image: npt.NDArray[np.int32]  # (n,)
    scores: npt.NDArray[np.float32]  # (n,)
    right: npt.NDArray[np.bool_]  # (n,)
    boxes: npt.NDArray[np.int64]  # true ones of each image (images,)

    @classmethod
    def of(cls, truth: GroundTruth, found: DetectionTable) -> Judged:
        """Match what a deployed detector would deliver; suppression and matching take the best first, so that any
        confidence only cuts off the end.
        """
        correct = match(truth.image, truth.classes, truth.canvas_xyxy, found.image, found.classes, found.xyxy)
        boxes = np.bincount(truth.image, minlength=truth.images)
        return cls(image=found.image, scores=found.scores, right=correct[:, 0], boxes=boxes)

    def counts(self, confidences: npt.NDArray[np.floating]) -> Floats:
        """Return hits, false alarms and misses of each image at its confidence (images,): (3, images)."""
        shown = self.scores > confidences[self.image]
        images = len(self.boxes)
        hits = np.bincount(self.image[shown & self.right], minlength=images)
        alarms = np.bincount(self.image[shown & ~self.right], minlength=images)
        return np.stack((hits, alarms, self.boxes - hits)).astype(np.float64)

    def bins(self) -> Floats:
        """Return detections, sum of their scores and right ones, by bin of the score and image: (3, bins, images)."""
        cell = np.searchsorted(EDGES, self.scores, side="right") - 1
        cell = np.where(self.scores >= 1, len(EDGES) - 2, cell)
        inside = cell >= 0
        table = np.zeros((3, len(EDGES) - 1, len(self.boxes)))
        where = (cell[inside], self.image[inside])
        values = np.stack((np.ones(len(self.scores)), self.scores, self.right))[:, inside]
        for row, value in zip(table, values, strict=True):
            np.add.at(row, where, value)
        return table


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The confidence to deploy, and the one that each image is judged at."""

    confidence: float
    folds: tuple[float, ...]  # of the two halves; empty where the confidence was given
    seed: int  # of the halves

    @classmethod
    def given(cls, confidence: float) -> Threshold:
        """Take the user's."""
        return cls(confidence=confidence, folds=(), seed=0)

    @classmethod
    def best(cls, reference: Judged, seed: int) -> Threshold:
        """Find the reference's best F1, on all images and on each half; a half that tells nothing takes the whole's."""
        images = len(reference.boxes)
        whole = _best_f1(reference, np.ones(images, bool), DEFAULT_CONFIDENCE)
        second = _second_half(images, seed)
        folds = tuple(_best_f1(reference, other, whole) for other in (second, ~second))
        return cls(confidence=whole, folds=folds, seed=seed)

    def per_image(self, images: int) -> npt.NDArray[np.float64]:
        """Return the confidence that each image is judged at (images,)."""
        if not self.folds:
            return np.full(images, self.confidence)
        return np.where(_second_half(images, self.seed), self.folds[1], self.folds[0])


def _second_half(images: int, seed: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(images, bool)
    mask[np.random.default_rng(seed).permutation(images)[images // 2 :]] = True
    return mask


def _best_f1(judged: Judged, images: npt.NDArray[np.bool_], otherwise: float) -> float:
    """Return the confidence of best F1 over some images, smoothed as Ultralytics smooths its curve.

    `otherwise` where nothing in them is right.
    """
    mine = images[judged.image]
    falling = [
        np.cumsum(np.histogram(judged.scores[mine & which], GRID - 1, (0, 1))[0][::-1])[::-1]
        for which in (judged.right, np.ones(len(judged.right), bool))
    ]
    hits, shown = falling
    total = shown + judged.boxes[images].sum()
    f1 = np.divide(2 * hits, total, out=np.zeros(len(hits)), where=total > 0)
    if not f1.any():
        return otherwise
    smooth = ndimage.uniform_filter1d(f1, WINDOW, mode="nearest")
    best = np.flatnonzero(smooth > smooth.max() - 1e-9)  # a detector sure of itself has a plateau: take its middle
    return float(np.linspace(0, 1, GRID)[best[len(best) // 2]])


def measure(
    judged: Judged, reference: Judged | None, threshold: Threshold, weights: Iterable[Floats]
) -> OperatingPoint:
    """Return a Candidate's figures at the threshold, with intervals by resampling images.

    Args:
        judged: the Candidate's detections.
        reference: the reference's; `None` for the reference itself.
        threshold: the same for every Candidate.
        weights: how often each image stands in each resampled set, (images, B) at a time.
    """
    images = len(judged.boxes)
    at = threshold.per_image(images)
    sides = [judged] if reference is None else [judged, reference]
    parts = [np.concatenate((side.counts(at), side.bins().reshape(-1, images))) for side in sides]
    sums = np.concatenate(parts)
    resampled = np.concatenate([sums @ some for some in weights], axis=1)
    once = _figures(sums.sum(1, keepdims=True), len(sides), images)
    drawn = _figures(resampled, len(sides), images)
    own = {name: _estimate(float(np.nan_to_num(once[0][name][0])), drawn[0][name]) for name in once[0]}
    deltas = {}
    if reference is not None:
        deltas = {
            name: _estimate(
                float(np.nan_to_num(once[0][name][0]) - np.nan_to_num(once[1][name][0])),
                drawn[0][name] - drawn[1][name],
            )
            for name in once[0]
        }
    restoring = None if reference is None else _restoring(judged, reference, at)
    shown, scores, right = judged.bins().sum(2)
    return OperatingPoint(
        confidence=threshold.confidence,
        given=not threshold.folds,
        fold_confidences=threshold.folds,
        **{name: own[name] for name in FIGURES},
        deltas={name: deltas[name] for name in FIGURES if name in deltas},
        restoring_confidence=None if restoring is None else restoring[0],
        restoring_false_alarms_per_image=None if restoring is None else restoring[1],
        d_ece=own["d_ece"] if shown.any() else None,
        d_ece_delta=deltas.get("d_ece") if shown.any() and (reference is None or reference.bins().any()) else None,
        reliability=tuple(
            ReliabilityBin(detections=int(n), confidence=float(s / n), precision=float(r / n))
            for n, s, r in zip(shown, scores, right, strict=True)
            if n
        ),
    )


def resampled_recall(judged: Judged, threshold: Threshold, weights: Iterable[Floats]) -> Floats:
    """Return recall at the threshold on every resampled image set (B,); NaN where a set has no true box."""
    hits, _, misses = judged.counts(threshold.per_image(len(judged.boxes)))
    found, missed = (np.concatenate(part) for part in zip(*((hits @ w, misses @ w) for w in weights), strict=True))
    return _ratio(found, found + missed)


def _figures(sums: Floats, sides: int, images: int) -> list[dict[str, Floats]]:
    """Return each side's figures (B,) from its sums over images; NaN where nothing defines one."""
    result = []
    for side in np.split(sums, sides):
        hits, alarms, misses = side[:3]
        shown, scores, right = side[3:].reshape(3, len(EDGES) - 1, -1)
        result.append(
            {
                "precision": _ratio(hits, hits + alarms),
                "recall": _ratio(hits, hits + misses),
                "f1": _ratio(2 * hits, 2 * hits + alarms + misses),
                "false_alarms_per_image": alarms / images,
                "misses_per_image": misses / images,
                # Kueppers et al., Multivariate Confidence Calibration for Object Detection, CVPR workshops 2020
                "d_ece": _ratio(np.abs(scores - right).sum(0), shown.sum(0)),
            }
        )
    return result


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0))


def _estimate(value: float, samples: Floats) -> Estimate:
    if np.isnan(samples).all():  # nothing was detected in any set: precision, for one, is not defined
        return Estimate(value=value, low=value, high=value)
    low, high = bootstrap.interval(samples)
    return Estimate(value=value, low=low, high=high)


def _restoring(judged: Judged, reference: Judged, at: npt.NDArray[np.floating]) -> tuple[float, float] | None:
    """Return the highest confidence at which as many boxes are found as by the reference, and its false alarms."""
    wanted = int(reference.counts(at)[0].sum())
    hits = np.sort(judged.scores[judged.right])[::-1]
    if not 0 < wanted <= len(hits):
        return None
    confidence = float(np.floor(np.nextafter(hits[wanted - 1], np.float32(0)) * 1e4) / 1e4)
    alarms = judged.counts(np.full(len(judged.boxes), confidence))[1].sum()
    return confidence, float(alarms / len(judged.boxes))
