"""How long the intervals take: 250 images and ten Candidates, 5,000 COCO-like images, and beside hotcoco's bootstrap.

Boxes and detections are made here, seeded: 6 classes and 12 boxes an image like DeepPCB, 80 classes and 7 boxes like
COCO; up to 300 detections an image, most of them wrong and of low score, as at confidence 0.001. Each case runs in a
process of its own. Seconds are of `resample` alone (1000 resampled sets, all figures, each class), without matching.

hotcoco compares two Candidates, so both sides do that, in turns: two detection sets, matched before, with 1000
resamples on 250 images and, as hotcoco would take long, 20 on 5,000, once. It is no dependency:
`pip install --target /tmp/hotcoco hotcoco`, then `--hotcoco /tmp/hotcoco`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import common
import numpy as np
from observed import peak_kb

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import Evaluation, evaluate
from bakeoff.data.letterbox import Geometry
from bakeoff.host import usable_cores
from bakeoff.stats import paired_ratio

SIDE = 640
RESAMPLES = 1000


@dataclass(frozen=True)
class Case:
    """What a validation set is made of."""

    images: int
    classes: int
    boxes: float  # an image
    detections: tuple[int, int]  # an image, at least and at most


DEEPPCB = Case(250, 6, 12, (40, 300))
COCO = Case(5000, 80, 7.3, (60, 300))


def ground_truth(case: Case) -> GroundTruth:
    """Scatter true boxes; where there are many classes, some are rare."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, case.classes + 1) ** (0.8 if case.classes > 10 else 0)
    image = np.repeat(np.arange(case.images), rng.poisson(case.boxes, case.images)).astype(np.int32)
    xyxy = scatter(rng, len(image))
    return GroundTruth(
        images=case.images,
        class_names=tuple(f"class {i}" for i in range(case.classes)),
        image=image,
        classes=rng.choice(case.classes, len(image), p=share / share.sum()).astype(np.int32),
        canvas_xyxy=xyxy.astype(np.float32),
        frame_xyxy=xyxy,
    )


def scatter(rng: np.random.Generator, count: int) -> np.ndarray:
    wh = np.exp(rng.uniform(np.log(15), np.log(300), (count, 2)))
    corner = rng.uniform(0, SIDE - wh)
    return np.concatenate((corner, corner + wh), 1)


def detections(truth: GroundTruth, case: Case, seed: int) -> DetectionTable:
    """Find nine boxes in ten, the edges off by some percent, and fill the images up with what is wrong."""
    rng = np.random.default_rng(seed)
    seen = rng.uniform(size=len(truth.image)) < 0.9
    hits = int(seen.sum())
    error = rng.gamma(2, 0.03, hits)
    true = truth.frame_xyxy[seen]
    right = true + error[:, None] * rng.normal(size=(hits, 4)) * np.tile(true[:, 2:] - true[:, :2], 2)
    found = rng.integers(*case.detections, truth.images, endpoint=True)
    missing = np.maximum(found - np.bincount(truth.image[seen], minlength=truth.images), 0)
    wrong = int(missing.sum())
    image = np.concatenate((truth.image[seen], np.repeat(np.arange(truth.images), missing)))
    scores = np.concatenate(
        (
            np.clip(0.9 - 4 * error + rng.normal(0, 0.2, hits), 0.001, 0.999),
            np.minimum(0.001 * np.exp(rng.exponential(1, wrong)), 0.95),
        )
    )
    order = np.lexsort((-scores, image))
    return DetectionTable(
        image=image[order].astype(np.int32),
        xyxy=np.concatenate((right, scatter(rng, wrong)))[order].astype(np.float32),
        scores=scores[order].astype(np.float32),
        classes=np.concatenate((truth.classes[seen], rng.choice(case.classes, wrong)))[order].astype(np.int32),
    )


def prepared(case: Case, seed: int) -> tuple[GroundTruth, DetectionTable, Evaluation, float]:
    """Return a case with one Candidate's detections, matched, and the seconds that took."""
    truth = ground_truth(case)
    table = detections(truth, case, seed)
    start = time.perf_counter()
    evaluation = evaluate(truth, table, [Geometry.of((SIDE, SIDE), SIDE)] * case.images)
    return truth, table, evaluation, time.perf_counter() - start


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return seconds, the seconds of all threads together, and what came out."""
    start, cpu = time.perf_counter(), time.process_time()
    done = work()
    return time.perf_counter() - start, time.process_time() - cpu, done


def ours(case: Case, candidates: int) -> dict[str, float]:
    """Time the resampling of so many Candidates, one after the other, and its memory."""
    found = {"evaluate_s": 0.0, "resample_s": 0.0, "resample_cpu_s": 0.0, "resample_peak_mb": 0.0, "detections": 0.0}
    for seed in range(1, candidates + 1):
        truth, table, evaluation, seconds = prepared(case, seed)
        weights = bootstrap.image_weights(case.images, 0, RESAMPLES)
        before = peak_kb() or 0
        resample_s, resample_cpu_s, _ = timed(partial(bootstrap.resample, truth, evaluation, weights))
        found["resample_cpu_s"] += resample_cpu_s
        found["evaluate_s"] += seconds
        found["resample_s"] += resample_s
        found["resample_peak_mb"] = max(found["resample_peak_mb"], ((peak_kb() or 0) - before) * 1024 / 1e6)
        found["detections"] += len(table) / case.images / candidates
    return found


def theirs(truth: GroundTruth, table: DetectionTable) -> Any:
    """Return hotcoco's evaluation of the same detections, matched."""
    import hotcoco

    def xywh(xyxy: np.ndarray) -> np.ndarray:
        return np.concatenate((xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]), 1)

    boxes = xywh(truth.frame_xyxy)
    annotations = [
        {"id": i, "image_id": int(image), "category_id": int(c), "bbox": b.tolist(), "area": b[2] * b[3], "iscrowd": 0}
        for i, (image, c, b) in enumerate(zip(truth.image, truth.classes, boxes, strict=True), 1)
    ]
    coco = hotcoco.COCO(
        {
            "images": [{"id": i, "width": SIDE, "height": SIDE} for i in range(truth.images)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(truth.class_names)],
            "annotations": annotations,
        }
    )
    found = xywh(np.clip(table.xyxy, 0, SIDE).astype(np.float64))
    rows = np.concatenate((table.image[:, None], found, table.scores[:, None], table.classes[:, None]), 1)
    evaluation = hotcoco.COCOeval(coco, coco.load_res(rows.astype(np.float64)), "bbox")
    evaluation.evaluate()
    return evaluation


def beside_hotcoco(case: Case, rounds: int, resamples: int, folder: str) -> dict[str, Any]:
    """Time both bootstraps of one difference in turns, and compare the width of their intervals of mAP50-95."""
    sys.path.append(folder)  # at the end: its NumPy stays unused
    import hotcoco

    sides = [prepared(case, seed)[:3] for seed in (1, 2)]
    evaluations = [theirs(truth, table) for truth, table, _ in sides]

    def own() -> tuple[float, float]:
        reference, candidate = (
            bootstrap.resample(truth, evaluation, bootstrap.image_weights(case.images, 0, resamples)).map50_95
            for truth, _, evaluation in sides
        )
        return bootstrap.interval(candidate - reference)

    def other() -> tuple[float, float]:
        interval = hotcoco.compare(*evaluations, n_bootstrap=resamples, seed=0)["ci"]["AP"]
        return interval["lower"], interval["upper"]

    seconds: dict[str, list[float]] = {"own": [], "hotcoco": []}
    cpu_seconds: dict[str, list[float]] = {"own": [], "hotcoco": []}
    bounds = {}
    for i in range(rounds):
        for name, work in (("own", own), ("hotcoco", other))[:: 1 if i % 2 else -1]:
            took, cpu, bounds[name] = timed(work)
            seconds[name].append(took)
            cpu_seconds[name].append(cpu)
    return {
        "hotcoco": hotcoco.__version__,
        "resamples": resamples,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "hotcoco_over_own": common.ratio(paired_ratio(np.array(seconds["hotcoco"]), np.array(seconds["own"]))),
        "own_interval": bounds["own"],
        "hotcoco_interval": bounds["hotcoco"],
        "hotcoco_width_over_own": float(np.ptp(bounds["hotcoco"]) / np.ptp(bounds["own"])),
    }


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=10, help="on 250 images [10]")
    parser.add_argument("--rounds", type=int, default=3, help="beside hotcoco [3]")
    parser.add_argument("--hotcoco", help="the folder that holds hotcoco; without it that part is left out")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    many = in_child(ours, DEEPPCB, options.candidates)
    large = in_child(ours, COCO, 1)
    beside = None
    if options.hotcoco:
        beside = {
            "250 images, 6 classes": in_child(beside_hotcoco, DEEPPCB, options.rounds, RESAMPLES, options.hotcoco),
            "5000 images, 80 classes": in_child(beside_hotcoco, COCO, 1, RESAMPLES // 50, options.hotcoco),
        }
    else:
        print("hotcoco: left out, see --hotcoco", file=sys.stderr)
    figures = [
        common.figure(
            f"bootstrap of {options.candidates} Candidates, 250 images",
            "< 10 s",
            f"{many['resample_s']:.1f} s",
            "yes" if many["resample_s"] < 10 else "no",
        ),
        common.figure(
            "bootstrap of a Candidate, 5,000 COCO-like images",
            "< 60 s",
            f"{large['resample_s']:.1f} s",
            "yes" if large["resample_s"] < 60 else "no",
        ),
        common.figure(
            "… its memory beyond what stood there before",
            "< 1 GB",
            f"{large['resample_peak_mb']:.0f} MB",
            "yes" if large["resample_peak_mb"] < 1000 else "no",
        ),
    ]
    settings = {"resamples": RESAMPLES, "candidates": options.candidates, "threads": usable_cores()}
    common.write("bootstrap", options.results, settings, figures, deeppcb_like=many, coco_like=large, hotcoco=beside)


if __name__ == "__main__":
    main()
