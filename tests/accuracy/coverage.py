"""Do the bootstrap's intervals keep their promise? Image sets drawn from a population whose figures are known.

The population is finite and drawn from with replacement, so the true figure is the population's own and exact. Each of
its images stands there twice: as it is, and with the detections of two equally good detectors exchanged. So these two
have equal figures on the population, to the last bit, though their detections differ on every image. A third detector
is worse. Detections are matched once; a drawn set only picks images.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy import best_f1, bootstrap
from bakeoff.accuracy.average_precision import rank
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import Evaluation, evaluate
from bakeoff.accuracy.matching import match
from bakeoff.data.letterbox import Geometry
from bakeoff.records import Accuracy

IMAGES = 1000  # of the population, each standing twice
DRAWN = 200
SHARES = (0.5, 0.3, 0.2)  # of the classes
SIDE = 640
SEED = 0
FIGURES = ("map50_95", "map50", "precision", "recall")
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Law:
    """How a detector errs: logit of a miss, relative error of a box's edges, standard deviation of scores' logits."""

    miss: float = -2.5
    jitter: float = 0.04
    noise: float = 0.7
    alarm: float = 0.6  # chance that it falls for a lure


GOOD, WORSE = Law(), Law(miss=-2.4, jitter=0.043, noise=0.75, alarm=0.63)


@dataclass(frozen=True, kw_only=True)
class Detector:
    """One detector on the whole population: detections by image, matched, and the true figures."""

    table: DetectionTable
    correct: npt.NDArray[np.bool_]
    figures: Accuracy


@dataclass(frozen=True, kw_only=True)
class Population:
    truth: GroundTruth
    reference: Detector
    equal: Detector
    worse: Detector


@cache
def population(seed: int) -> Population:
    rng = np.random.default_rng(seed)
    image, classes, xyxy = _scatter(rng, 3)
    boxes = len(image)
    hard = rng.normal(size=boxes)  # the same for all detectors: what makes their errors alike
    lures = _scatter(rng, 1.5)  # what looks like a box to each of them

    def detect(law: Law) -> list[Array]:
        """Return image, class, box and score of each detection."""
        seen = rng.uniform(size=boxes) > _sigmoid(law.miss + hard)
        number = int(seen.sum())
        error = law.jitter * np.exp(0.5 * hard[seen] + rng.normal(0, 0.3, number))
        moved = xyxy[seen] + error[:, None] * rng.normal(size=(number, 4)) * np.tile(_wh(xyxy[seen]), 2)
        scores = _sigmoid(1.5 - hard[seen] + law.noise * rng.normal(size=number))
        fooled = rng.uniform(size=len(lures[0])) < law.alarm
        low = _sigmoid(rng.normal(-2, 1 + law.noise, int(fooled.sum())))
        right, wrong = (image[seen], classes[seen], moved, scores), (*(part[fooled] for part in lures), low)
        return [np.concatenate(parts) for parts in zip(right, wrong, strict=True)]

    both, both_classes, both_xyxy = _on_twins((image, classes, xyxy), (image, classes, xyxy))
    truth = GroundTruth(
        images=2 * IMAGES,
        class_names=tuple("abc"),
        image=both.astype(np.int32),
        classes=both_classes.astype(np.int32),
        canvas_xyxy=both_xyxy.astype(np.float32),
        frame_xyxy=both_xyxy,
    )
    one, other, worse = detect(GOOD), detect(GOOD), detect(WORSE)
    return Population(
        truth=truth,
        reference=_matched(truth, _on_twins(one, other)),
        equal=_matched(truth, _on_twins(other, one)),
        worse=_matched(truth, _on_twins(worse, worse)),
    )


def _scatter(rng: np.random.Generator, mean: float) -> tuple[Array, Array, Array]:
    """Return image, class and corners of boxes, so many an image on average."""
    image = np.repeat(np.arange(IMAGES), rng.poisson(mean, IMAGES))
    wh = np.exp(rng.uniform(np.log(20), np.log(200), (len(image), 2)))
    corner = rng.uniform(0, SIDE - wh)
    return image, rng.choice(len(SHARES), len(image), p=SHARES), np.concatenate((corner, corner + wh), 1)


def _on_twins(first: Sequence[Array], second: Sequence[Array]) -> list[Array]:
    """Put the first columns (image, …) on the images, the second on their twins."""
    image, *rest = zip(first, second, strict=True)
    return [np.concatenate((image[0], image[1] + IMAGES)), *(np.concatenate(pair) for pair in rest)]


def _wh(xyxy: Array) -> Array:
    return xyxy[:, 2:] - xyxy[:, :2]


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _matched(truth: GroundTruth, found: Sequence[Array]) -> Detector:
    image, classes, xyxy, scores = found
    order = np.lexsort((-scores, image))
    table = DetectionTable(
        image=image[order].astype(np.int32),
        xyxy=xyxy[order].astype(np.float32),
        scores=scores[order].astype(np.float32),
        classes=classes[order].astype(np.int32),
    )
    correct = match(truth.image, truth.classes, truth.canvas_xyxy, table.image, table.classes, table.xyxy)
    figures = evaluate(truth, table, [Geometry.of((SIDE, SIDE), SIDE)] * truth.images).accuracy
    return Detector(table=table, correct=correct, figures=figures)


def draw(truth: GroundTruth, detector: Detector, images: Array) -> tuple[GroundTruth, Evaluation]:
    """Return the drawn images (repeats stand for themselves) as a set of their own, without matching again."""
    rows, image = _pick(truth.image, images)
    some = GroundTruth(
        images=len(images),
        class_names=truth.class_names,
        image=image,
        classes=truth.classes[rows],
        canvas_xyxy=truth.canvas_xyxy[rows],
        frame_xyxy=truth.frame_xyxy[rows],
    )
    rows, image = _pick(detector.table.image, images)
    scores, classes, correct = detector.table.scores[rows], detector.table.classes[rows], detector.correct[rows]
    size = {"images": len(images), "class_count": len(truth.class_names)}
    return some, Evaluation(
        accuracy=detector.figures,
        rankings=rank(image, scores, classes, correct, **size),
        histograms=best_f1.histograms(image, scores, classes, correct[:, 0], **size),
    )


def _pick(image: Array, wanted: Array) -> tuple[Array, npt.NDArray[np.int32]]:
    """Return the rows of a table ordered by image that belong to the wanted images, and their new images."""
    start, stop = np.searchsorted(image, wanted), np.searchsorted(image, wanted, side="right")
    rows = [np.arange(a, b) for a, b in zip(start, stop, strict=True)]
    return np.concatenate(rows), np.repeat(np.arange(len(wanted), dtype=np.int32), stop - start)


def _differences(number: int, once: bool) -> Array:
    """Return differences to the reference (2 rivals, figures, 3) in one drawn set: its own, the interval's bounds."""
    known = population(SEED)
    rng = np.random.default_rng((SEED, number))
    images = rng.integers(0, known.truth.images, DRAWN)
    weights = [np.ones((DRAWN, 1)), *bootstrap.image_weights(DRAWN, int(rng.integers(2**32)))]
    if once:
        weights = [np.minimum(some, 1) for some in weights]
    reference, *rivals = (
        bootstrap.resample(*draw(known.truth, detector, images), weights)
        for detector in (known.reference, known.equal, known.worse)
    )
    samples = [[getattr(rival, figure) - getattr(reference, figure) for figure in FIGURES] for rival in rivals]
    return np.array([[(one[0], *bootstrap.interval(one[1:])) for one in of_rival] for of_rival in samples])


def simulate(draws: int, *, once: bool = False) -> list[dict[str, Any]]:
    """Return one row for each rival and figure: how often its interval covers the true difference, and excludes 0.

    `covered_basic` is for comparison: the same interval mirrored at the drawn set's own difference. `once` counts an
    image that is drawn repeatedly once, which is not what bakeoff does.
    """
    known = population(SEED)
    with ProcessPoolExecutor(2) as pool:
        found = np.array(list(pool.map(partial(_differences, once=once), range(draws), chunksize=10)))
    rows = []
    for i, (name, rival) in enumerate((("equal", known.equal), ("worse", known.worse))):
        for j, figure in enumerate(FIGURES):
            own, low, high = found[:, i, j].T
            truth = getattr(rival.figures, figure) - getattr(known.reference.figures, figure)
            rows.append(
                {
                    "rival": name,
                    "figure": figure,
                    "true_delta": truth,
                    "covered": float(((low <= truth) & (truth <= high)).mean()),
                    "covered_basic": float(((2 * own - high <= truth) & (truth <= 2 * own - low)).mean()),
                    "called_different": float(((low > 0) | (high < 0)).mean()),
                    "mean_width": float((high - low).mean()),
                }
            )
    return rows
