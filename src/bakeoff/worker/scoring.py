"""What a child makes of a Candidate's detections: figures, differences to the reference, agreement with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff.accuracy import agreement, bootstrap
from bakeoff.accuracy.boxes import DEPLOYED, DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import Evaluation, evaluate
from bakeoff.accuracy.operating_point import DEFAULT_CONFIDENCE, Judged, Threshold, measure, resampled_recall
from bakeoff.data.letterbox import Geometry
from bakeoff.records import Accuracy, ClassMetrics
from bakeoff.store import RunFolder
from bakeoff.worker import protocol as p

OVERALL = ("map50", "map50_95", "precision", "recall")
OP_RECALL = "op_recall"  # at the operating point
OF_CLASS = ("ap50", "ap50_95", "precision", "recall")
Samples = dict[str, npt.NDArray[np.floating]]  # figure -> (B,), and class_figure -> (classes, B)


def score(
    request: p.Evaluate, found: DetectionTable, deployed: DetectionTable, geometries: Sequence[Geometry]
) -> p.Evaluated:
    """Score one Candidate's detections on all images, against the truth and against the reference's detections.

    Args:
        request: what to compare with.
        found: its detections, multi-label, for the curves.
        deployed: the same with one label a box, for the operating point and agreement.
        geometries: of the images.

    What the reference was found to be on each resampled image set is read from the Run's samples, so that a resumed
    Run measures nothing twice.
    """
    folder = RunFolder(Path(request.run))
    stored = folder.samples("images/names", "truth/", *_of(request.reference))
    parts = found.stored(request.candidate.key) | deployed.stored(request.candidate.key, DEPLOYED)
    reference = None if request.reference is None else DetectionTable.read(stored, request.reference, DEPLOYED)
    result = p.Evaluated()
    if request.labels:
        truth = GroundTruth.stored(stored, len(geometries), request.class_names)
        result, samples = _against_truth(request, truth, (found, deployed), reference, geometries, stored)
        kept = (*OVERALL, OP_RECALL) if request.reference is not None else tuple(samples)  # by class: of the reference
        parts |= {f"resamples/{request.candidate.key}/{name}": samples[name] for name in kept}
    if reference is not None:
        point = result.operating_point
        confidence = request.confidence if point is None else point.confidence
        agreed = agreement.compare(
            reference,
            deployed,
            geometries,
            [str(name) for name in stored["images/names"]],
            DEFAULT_CONFIDENCE if confidence is None else confidence,
            bootstrap.image_weights(len(geometries), request.seed),
        )
        result = msgspec.structs.replace(result, agreement=agreed)
    if request.keep:
        folder.put(f"accuracy-{request.candidate.slug}", parts)
    return result


def _of(key: str | None) -> tuple[str, ...]:
    return () if key is None else (f"{DEPLOYED}/{key}/", f"resamples/{key}/")


def _against_truth(
    request: p.Evaluate,
    truth: GroundTruth,
    both: tuple[DetectionTable, DetectionTable],
    reference: DetectionTable | None,
    geometries: Sequence[Geometry],
    stored: Samples,
) -> tuple[p.Evaluated, Samples]:
    found, deployed = both
    evaluation = evaluate(truth, found, geometries)
    resampled = bootstrap.resample(truth, evaluation, bootstrap.image_weights(truth.images, request.seed))
    samples = {name: getattr(resampled, name) for name in (*OVERALL, *(f"class_{name}" for name in OF_CLASS))}
    known: Samples = {}
    if request.reference is not None:
        prefix = f"resamples/{request.reference}/"
        known = {name.removeprefix(prefix): array for name, array in stored.items() if name.startswith(prefix)}
    values = request.reference_accuracy
    accuracy = _with_intervals(evaluation, samples, values, known)
    deltas = {}
    if values is not None:
        deltas = {
            name: bootstrap.delta(getattr(accuracy, name) - getattr(values, name), known[name], samples[name])
            for name in OVERALL
        }
    own = Judged.of(truth, deployed)
    theirs = None if reference is None else Judged.of(truth, reference)
    if request.confidence is None:
        threshold = Threshold.best(own if theirs is None else theirs, request.seed)
    else:
        threshold = Threshold.given(request.confidence)
    point = measure(own, theirs, threshold, bootstrap.image_weights(truth.images, request.seed))
    samples[OP_RECALL] = resampled_recall(own, threshold, bootstrap.image_weights(truth.images, request.seed))
    result = p.Evaluated(
        accuracy=accuracy,
        map_delta=deltas.get("map50_95"),
        map50_delta=deltas.get("map50"),
        precision_delta=deltas.get("precision"),
        recall_delta=deltas.get("recall"),
        operating_point=point,
    )
    return result, samples


def _with_intervals(evaluation: Evaluation, samples: Samples, reference: Accuracy | None, known: Samples) -> Accuracy:
    """Return the figures with an interval each and, class by class, the differences to the reference's."""
    accuracy = evaluation.accuracy

    def of_class(i: int, metrics: ClassMetrics) -> ClassMetrics:
        if not metrics.boxes:
            return metrics
        deltas = {}
        if reference is not None:
            theirs = reference.per_class[i]
            deltas = {
                name: bootstrap.delta(
                    getattr(metrics, name) - getattr(theirs, name),
                    known[f"class_{name}"][i],
                    samples[f"class_{name}"][i],
                )
                for name in OF_CLASS
            }
        intervals = {name: bootstrap.interval(samples[f"class_{name}"][i]) for name in OF_CLASS}
        return msgspec.structs.replace(metrics, intervals=intervals, deltas=deltas)

    return msgspec.structs.replace(
        accuracy,
        per_class=tuple(of_class(i, metrics) for i, metrics in enumerate(accuracy.per_class)),
        intervals={name: bootstrap.interval(samples[name]) for name in OVERALL},
    )
