"""Somebody else's figures, judged by their values alone: there are no samples, so no intervals and no chances."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from bakeoff.judge.limits import Limit, known, margin_verdict
from bakeoff.judge.requirements import LATENCY, MAP_DROP, MEMORY, RECALL_DROP, SIZE
from bakeoff.records import Estimate, Requirements, Trial, Workload

NO_INTERVAL = "no interval"
NOTHING = f"neither mAP nor recall is given, nor its difference to the reference's; {NO_INTERVAL}"
ALIKE = 1e-9  # differences of figures written in decimals are rounded to it: 0.59 - 0.60 is -0.01
PERCENTILES = {50.0: "latency_1x1_ms", 95.0: "latency_1x1_p95_ms", 99.0: "latency_1x1_p99_ms"}
MAP = ("mAP50-95", "map_delta", "val_map50_95")  # in words, column of the difference, column of the figure
MAP50 = ("mAP50", "map50_delta", "val_map50")
RECALL = ("recall", "recall_delta", "val_recall")
OP_RECALL = ("recall at one confidence", "op_recall_delta", "op_recall")


def drops(trial: Trial, reference: Trial, requirements: Requirements) -> tuple[Limit, ...]:
    """Return how a Candidate stands to the allowed losses of accuracy; empty where no accuracy is given."""
    lost = _drop(MAP_DROP, requirements.max_map_drop, trial, reference, (MAP, MAP50, RECALL))
    if lost is None:
        return ()
    if requirements.max_recall_drop is None:
        return (lost,)
    recall = _drop(RECALL_DROP, requirements.max_recall_drop, trial, reference, (OP_RECALL, RECALL))
    if recall is None:
        why = f"recall is not given; {NO_INTERVAL}"
        allowed = requirements.max_recall_drop
        recall = Limit(name=RECALL_DROP, allowed=allowed, verdict="undecided", figure="no recall", why=why)
    return lost, recall


def _drop(
    name: str, margin: float, trial: Trial, reference: Trial, figures: tuple[tuple[str, str, str], ...]
) -> Limit | None:
    """Judge by the first figure that is given."""
    for words, of_difference, of_figure in figures:
        delta = difference(trial, reference, of_difference, of_figure)
        if delta is None:
            continue
        instead = "" if words == figures[0][0] else f" ({figures[0][0]} is not given)"
        figure = f"{words} {delta:+.4f}, {NO_INTERVAL}{instead}"
        verdict, _ = margin_verdict(words, Estimate(value=delta, low=delta, high=delta), margin)
        says = {"accepted": "loses less than", "rejected": "loses more than", "undecided": "loses exactly"}[verdict]
        return Limit(
            name=name,
            allowed=margin,
            verdict=verdict,
            figure=figure,
            why=f"{figure}: {says} {margin:g}",
            needed=-delta,
        )
    return None


def difference(trial: Trial, reference: Trial, of_difference: str, of_figure: str) -> float | None:
    """Return a figure's difference to the reference's, as given or from both sides' figures."""
    own, theirs = trial.reported, reference.reported
    if of_difference in own:
        return own[of_difference]
    return round((own[of_figure] - theirs[of_figure]) / ALIKE) * ALIKE if {of_figure} <= {*own} & {*theirs} else None


def budgets(trial: Trial, requirements: Requirements) -> tuple[Limit, ...]:
    """Return how a Candidate stands to the limits of latency, memory and size that were given."""
    found = []
    if (budget := requirements.latency_budget_ms) is not None:
        found.append(_latency(trial, budget, requirements.percentile))
    memory, size = (trial.reported.get(column) for column in ("peak_memory_bytes", "size_bytes"))
    return (
        *found,
        *known(MEMORY, "memory", None if memory is None else round(memory), requirements.max_memory_bytes),
        *known(SIZE, "size", None if size is None else round(size), requirements.max_size_bytes),
    )


def _latency(trial: Trial, budget: float, percent: float) -> Limit:
    name = f"p{percent:g}"
    value = trial.reported.get(PERCENTILES.get(percent, ""))
    if value is None:
        why = f"{name} not shown to be within {budget:g} ms: it is not given; {NO_INTERVAL}"
        return Limit(name=LATENCY, allowed=budget, verdict="undecided", figure=f"no {name}", why=why)
    within = value <= budget
    figure = f"{name} of {value:.4g} ms, {NO_INTERVAL}"
    why = f"{figure}: {'' if within else 'not '}within {budget:g} ms"
    verdict = "accepted" if within else "rejected"
    return Limit(name=LATENCY, allowed=budget, verdict=verdict, figure=figure, why=why, needed=value)


def scores(trials: Sequence[Trial], reference: str, prefer: str) -> dict[str, float]:
    """Return by key what the preference asks for, higher is better; who does not give it has none.

    All are compared by the same figure: the first of those named here that any of them gives.
    """
    measures: dict[str, tuple[Callable[[Trial], float | None], ...]] = {
        "latency": (_negative("latency_1x1_ms"), _plain("speedup_1x1")),
        "throughput": (_frames_per_s, _closed_loop_frames_per_s),
        "accuracy": tuple(_plain(column) for column in ("val_map50_95", "map_delta", "val_map50", "val_recall")),
        "size": (_negative("size_bytes"),),
    }
    itself = {"speedup_1x1": 1.0, "map_delta": 0.0}  # the reference against itself, which a table need not say
    full = [
        msgspec.structs.replace(trial, reported={**itself, **trial.reported})
        if trial.candidate.key == reference
        else trial
        for trial in trials
    ]
    for measure in measures[prefer]:
        found = {trial.candidate.key: value for trial in full if (value := measure(trial)) is not None}
        if set(found) - {reference}:
            return found
    return {}


def _plain(column: str) -> Callable[[Trial], float | None]:
    return lambda trial: trial.reported.get(column)


def _negative(column: str) -> Callable[[Trial], float | None]:
    return lambda trial: -trial.reported[column] if column in trial.reported else None


def _frames_per_s(trial: Trial) -> float | None:
    found = [value for column, value in trial.reported.items() if re.fullmatch(r"frames_per_s_\d+x\d+", column)]
    return max(found, default=None)


def _closed_loop_frames_per_s(trial: Trial) -> float | None:
    """Return the most frames a second that a latency allows when the next prediction begins as the last one ends."""
    found = []
    for column, value in trial.reported.items():
        if (match := re.fullmatch(r"latency_(\d+x\d+)_ms", column)) and value > 0:
            workload = Workload.parse(match.group(1))
            found.append(workload.streams * workload.batch * 1000 / value)
    return max(found, default=None)
