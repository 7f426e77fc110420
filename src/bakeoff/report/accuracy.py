"""The parts of `report.md` that tell accuracy: at one threshold, against the reference, class by class, INT8."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bakeoff.accuracy.operating_point import FIGURES
from bakeoff.records import Estimate, OperatingPoint, Trial
from bakeoff.report.table import Line, View
from bakeoff.report.words import number, plain, signed, table
from bakeoff.view import Difference

CLASSES_SHOWN = 30
IMAGES_SHOWN = 5
NOTABLE = 0.05  # what two FP32 runtimes differ by is far less


def with_half_width(value: float, bounds: tuple[float, float] | None) -> str:
    """Return a figure and half the width of its 95% interval."""
    shown = f"{round(value, 3) + 0.0:.3f}"  # never -0.000
    return shown if bounds is None else f"{shown} ±{(bounds[1] - bounds[0]) / 2:.3f}"


def difference(delta: Estimate | Difference | None, digits: int = 4) -> str:
    """Return a difference with its 95% interval, or that it has none."""
    if delta is None:
        return ""
    if delta.low is None or delta.high is None:
        return f"{signed(delta.value, digits)} (no interval)"
    value, low, high = (signed(one, digits) for one in (delta.value, delta.low, delta.high))
    return f"{value} [{low}, {high}]"


def sections(view: View) -> Iterable[str]:
    """Yield the sections that this Run has figures for."""
    yield from _at_one_threshold(view)
    yield from _agreement(view)
    yield from _int8(view)
    yield from _classes(view)


def _lines(view: View) -> Iterable[tuple[Line, Trial]]:
    return ((line, line.trial) for line in view.lines if line.trial.session is not None)


def _at_one_threshold(view: View) -> Iterable[str]:
    points = [(line, trial.operating_point) for line, trial in _lines(view) if trial.operating_point is not None]
    if not points:
        return
    first = points[0][1]
    where = "given by `--conf`" if first.given else "the reference's best F1, cross-fitted on two halves of the images"
    yield "## At one threshold"
    yield (
        f"What a deployed detector does at confidence {first.confidence:.3f} ({where}), the same for every Candidate, "
        "all classes together, one label a box, with 95% intervals. *Restores recall*: the confidence that finds as "
        "many boxes as the reference, and the false alarms an image that it costs. *D-ECE*: how far scores are from "
        "the share that is right, in the mean."
    )
    head = ["Candidate", "P", "R", "F1", "false alarms/image", "misses/image", "Δ R", "restores recall", "D-ECE", "Δ"]
    yield table(head, [[f"`{line.key}`", *_point(point)] for line, point in points])


def _point(point: OperatingPoint) -> list[str]:
    figures: list[Estimate] = [getattr(point, name) for name in FIGURES]
    if point.restoring_confidence is not None:
        restores = f"{point.restoring_confidence:.3f} ({number(point.restoring_false_alarms_per_image, '.2f')})"
    else:
        restores = "never" if point.deltas else ""
    return [
        *(with_half_width(one.value, (one.low, one.high)) for one in figures),
        difference(point.deltas.get("recall"), 3),
        restores,
        "" if point.d_ece is None else with_half_width(point.d_ece.value, (point.d_ece.low, point.d_ece.high)),
        difference(point.d_ece_delta, 3),
    ]


def _agreement(view: View) -> Iterable[str]:
    compared = [(line, trial.agreement) for line, trial in _lines(view) if trial.agreement is not None]
    if not compared:
        return
    confidence = compared[0][1].confidence
    yield "## Agreement with the reference"
    yield (
        f"Boxes above confidence {confidence:.3f}, paired at IoU 0.5; no labels needed. *Matched*: share of both "
        "sides' boxes that have a partner. *Raw error*: the largest difference of a raw output on the first images, "
        "boxes in pixels and scores."
    )
    rows = []
    for line, one in compared:
        sizes = "/".join(number(size.matched_share, ".3f") or "none" for size in one.by_size)
        parity = line.trial.parity
        errors = [] if parity is None else [f"{group.max_error:.2g}" for group in parity.reference]
        rows.append(
            [
                f"`{line.key}`",
                *(
                    "" if e is None else with_half_width(e.value, (e.low, e.high))
                    for e in (one.matched_share, one.mean_iou, one.score_shift, one.class_flips)
                ),
                sizes,
                " px, ".join(errors),
            ]
        )
    head = ["Candidate", "matched", "mean IoU", "score shift", "class flips", "matched small/medium/large", "raw error"]
    yield table(head, rows)
    yield from _worst(view)


def _worst(view: View) -> Iterable[str]:
    rows = [
        [f"`{line.key}`", f"[{plain(one.image.rpartition('/')[2])}]({one.kept})", f"{one.difference:.2f}",
         str(one.lost), str(one.added), str(one.flips)]
        for line, trial in _lines(view)
        if trial.agreement is not None
        for one in trial.agreement.worst[:IMAGES_SHOWN]
        if one.difference >= NOTABLE
    ]  # fmt: skip
    if rows:
        yield "Images that differ most (twenty a Candidate are kept):"
        yield table(["Candidate", "image", "difference", "boxes lost", "added", "class flips"], rows)


def _int8(view: View) -> Iterable[str]:
    draws = [(line, trial) for line, trial in _lines(view) if trial.calibration_draws and trial.accuracy is not None]
    if draws:
        yield "## Other draws of calibration images"
        yield (
            "The same INT8 Candidate converted from other draws. A Verdict concerns the first; the spread comes on top "
            "of its sampling interval."
        )
        yield table(
            ["Candidate", "draws", "mAP50-95 of each", "lowest", "highest", "sampling interval"],
            [[f"`{line.key}`", *_spread(trial)] for line, trial in draws],
        )
    repaired = [(line, trial) for line, trial in _lines(view) if trial.repair]
    if repaired:
        yield "## INT8 repair"
        yield (
            "Layers ranked by the error that quantising each alone brings in, on calibration images; the worst are "
            "kept in float, twice as many at each attempt. The last attempt stands. Each attempt is one more look at "
            "the same validation images."
        )
        rows = [
            [f"`{line.key}`", str(one.float_layers), difference(one.map_delta), one.verdict]
            for line, trial in repaired
            for one in trial.repair
        ]
        yield table(["Candidate", "layers in float", "Δ mAP50-95 [95%]", "verdict"], rows)


def _spread(trial: Trial) -> list[str]:
    assert trial.accuracy is not None
    values = [trial.accuracy.map50_95, *(draw.map50_95 for draw in trial.calibration_draws)]
    low, high = trial.accuracy.intervals.get("map50_95", (None, None))
    return [
        str(len(values)),
        ", ".join(f"{value:.4f}" for value in values),
        f"{min(values):.4f}",
        f"{max(values):.4f}",
        f"{number(low, '.4f')} to {number(high, '.4f')}",
    ]


def _classes(view: View) -> Iterable[str]:
    scored = [(line, trial.accuracy) for line, trial in _lines(view) if trial.accuracy is not None]
    if not scored or len(view.run.model.class_names) > CLASSES_SHOWN:
        return
    names = [plain(metric.name) for metric in scored[0][1].per_class]
    rows: list[Sequence[str]] = []
    for line, accuracy in scored:
        cells = []
        for metric in accuracy.per_class:
            shown = "" if metric.ap50_95 is None else with_half_width(metric.ap50_95, metric.intervals.get("ap50_95"))
            delta = metric.deltas.get("ap50_95")
            lost = delta is not None and delta.high < 0
            cells.append(f"**{shown}** ({signed(delta.value, 3)})" if lost and delta is not None else shown)
        rows.append([f"`{line.key}`", *cells])
    yield "## mAP50-95 by class"
    yield "In bold: what is measured to be below the reference, and by how much."
    yield table(["Candidate", *names], rows)
