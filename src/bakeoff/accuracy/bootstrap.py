"""How sure a difference is in mAP, precision or recall: a paired bootstrap over images.

Reference and Candidate are scored on the same resampled image sets, so what an image adds to both cancels. Images are
resampled, never boxes: the boxes of one image are not independent. Percentile interval (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy import best_f1
from bakeoff.accuracy.average_precision import average_precision
from bakeoff.accuracy.boxes import GroundTruth
from bakeoff.accuracy.evaluate import Evaluation
from bakeoff.records import Delta

RESAMPLES = 1000
CHUNK = 50  # resamples in memory at once
Floats = npt.NDArray[np.float64]


def image_weights(images: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """Yield how often each image is drawn into each resampled set, (images, 50) at a time; columns sum to `images`.

    The same for a seed, so that every Candidate is scored on the same sets; thousands of images never stand in memory
    for all sets at once.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        drawn = rng.integers(0, images, (size, images))
        yield np.stack([np.bincount(one, minlength=images) for one in drawn], axis=1).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """One Candidate's figures on every resampled image set, (resamples,) each."""

    map50_95: Floats
    precision: Floats
    recall: Floats


def resample(truth: GroundTruth, evaluation: Evaluation, weights: Iterable[Floats]) -> Resampled:
    """Score a Candidate under image weights (images, B); classes absent from a resample are left out of its means."""
    parts: list[tuple[Floats, Floats, Floats]] = []
    for some in weights:
        boxes = truth.per_class(some)
        ap = average_precision(evaluation.rankings, boxes, some, "ultralytics").mean(1)
        present = ~np.isnan(ap)
        count = present.sum(0)
        total = np.where(present, ap, 0).sum(0)
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        parts.append((mean, *best_f1.samples(evaluation.histograms, boxes, some)))
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return Resampled(map50_95=joined[0], precision=joined[1], recall=joined[2])


def delta(value: float, reference: Floats, candidate: Floats) -> Delta:
    """Return a difference with its 95% interval from paired resamples (B,) of both sides."""
    low, high = np.percentile(candidate - reference, [2.5, 97.5])
    return Delta(value=value, low=float(low), high=float(high))
