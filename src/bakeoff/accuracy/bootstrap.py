"""How sure a difference is in mAP, precision or recall: a paired bootstrap over images.

Reference and Candidate are scored on the same resampled image sets, so what an image adds to both cancels. Images are
resampled, never boxes: the boxes of one image are not independent. Nothing is matched again: a resampled set is a
column of image weights. Percentile interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13): simulated, it keeps its 95% (tests/accuracy/test_coverage.py, decision 0012).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy import best_f1
from bakeoff.accuracy.average_precision import average_precision
from bakeoff.accuracy.boxes import GroundTruth
from bakeoff.accuracy.evaluate import Evaluation
from bakeoff.host import usable_cores
from bakeoff.records import Estimate

RESAMPLES = 1000
CHUNK = 50  # resamples that a thread scores at once
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


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
    """One Candidate's figures on every resampled image set: means over classes (B,), and of each class (classes, B).

    A class without any true box in a resampled set is NaN there and stays out of its means. Precision and recall stand
    at each set's own best F1.
    """

    map50: Floats
    map50_95: Floats
    precision: Floats
    recall: Floats
    class_ap50: Singles
    class_ap50_95: Singles
    class_precision: Singles
    class_recall: Singles


def resample(truth: GroundTruth, evaluation: Evaluation, weights: Iterable[Floats]) -> Resampled:
    """Score a Candidate under image weights, chunks of (images, B)."""
    chunks: list[tuple[Floats, ...]] = []
    remaining, threads = iter(weights), usable_cores()
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(remaining, threads)):  # not all at once: memory
            chunks += pool.map(partial(_chunk, truth, evaluation), some)
    per_class = [np.concatenate(parts, axis=1) for parts in zip(*chunks, strict=True)]
    map50, map50_95, precision, recall = (_mean(one) for one in per_class)
    ap50, ap50_95, class_precision, class_recall = (one.astype(np.float32) for one in per_class)
    return Resampled(
        map50=map50,
        map50_95=map50_95,
        precision=precision,
        recall=recall,
        class_ap50=ap50,
        class_ap50_95=ap50_95,
        class_precision=class_precision,
        class_recall=class_recall,
    )


def interval(samples: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return the 95% percentile interval of resamples (B,); NaN, where a class is absent, is left out.

    Raises:
        ValueError: all are NaN. A class that has true boxes is never absent from all of 1000 resampled sets.
    """
    known = samples[~np.isnan(samples)]
    if not len(known):
        raise ValueError("no interval: the figure is NaN in all resampled sets; ask only for classes with true boxes")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def delta(value: float, reference: npt.NDArray[np.floating], candidate: npt.NDArray[np.floating]) -> Estimate:
    """Return a difference with its 95% interval from paired resamples (B,) of both sides; raises like `interval`."""
    low, high = interval(candidate - reference)
    return Estimate(value=value, low=low, high=high)


def chance_of_less(lost: npt.NDArray[np.floating], margin: float) -> float | None:
    """Return the share of resamples of a loss (B,) below a margin; one exactly at it counts half.

    NaN is left out; `None` where nothing is left.
    """
    known = lost[~np.isnan(lost)]
    return float((known < margin).mean() + (known <= margin).mean()) / 2 if len(known) else None


def _chunk(truth: GroundTruth, evaluation: Evaluation, weights: Floats) -> tuple[Floats, ...]:
    """Return AP50, AP50-95, precision and recall (classes, B)."""
    boxes = truth.per_class(weights)
    ap = average_precision(evaluation.rankings, boxes, weights, "ultralytics")
    precision, recall = best_f1.samples(evaluation.histograms, boxes, weights)
    return ap[:, 0], ap.mean(1), precision, recall


def _mean(per_class: Floats) -> Floats:
    """Return the mean over the classes that have a figure (classes, B): (B,); NaN where none has."""
    count = (~np.isnan(per_class)).sum(0)
    return np.asarray(np.where(count > 0, np.nansum(per_class, axis=0) / np.maximum(count, 1), np.nan))
