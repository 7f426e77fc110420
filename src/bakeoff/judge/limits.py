"""How one measured Candidate stands to each Requirement: whether it is shown to meet it, and how likely it does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy.bootstrap import chance_of_less
from bakeoff.judge.requirements import LATENCY, MAP_DROP, MEMORY, RECALL_DROP, SIZE
from bakeoff.records import Estimate, Requirements, Trial
from bakeoff.speed.capacity import frames_needed
from bakeoff.speed.samples import MS, WorkloadSamples, resampled_percentile
from bakeoff.stats import TAILS, percentile

SINGLE = "1x1"
MIN_IMAGES = 10  # fewer make a bootstrap interval that means nothing
Resamples = Mapping[str, Mapping[str, npt.NDArray[np.floating[Any]]]]  # key -> figure -> (B,), `RunFolder.resamples`


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How one Candidate stands to one Requirement."""

    name: str  # as on the command line
    allowed: float  # a share, ms or bytes
    verdict: str  # accepted: shown to be met; rejected: shown not to be; undecided
    figure: str  # the Candidate's, in words
    why: str  # the verdict, in words
    needed: float | None = (
        None  # the least allowance with which it would be met (a drop: it must be more); None: unknown
    )
    seems: float | None = None  # where `needed` is unknown: what it might be; it decides nothing
    cure: str = ""  # what would decide it
    chance: float | None = None  # that it is met, from the resamples; None: can't be told


def drops(trial: Trial, reference: str, requirements: Requirements, resamples: Resamples) -> tuple[Limit, ...]:
    """Return how a Candidate stands to the allowed losses of accuracy; empty where no loss was measured."""
    if trial.map_delta is None:
        return ()
    images = None if trial.accuracy is None else trial.accuracy.images
    own, theirs = (resamples.get(key, {}) for key in (trial.candidate.key, reference))

    def chance(figure: str, margin: float) -> float | None:
        return chance_of_less(theirs[figure] - own[figure], margin) if figure in own and figure in theirs else None

    margin = requirements.max_map_drop
    found = [_drop(MAP_DROP, "mAP50-95", trial.map_delta, margin, images, chance("map50_95", margin))]
    margin_of_recall, point = requirements.max_recall_drop, trial.operating_point
    if margin_of_recall is not None and point is None:
        why = "recall at one confidence was not measured"
        found.append(
            Limit(name=RECALL_DROP, allowed=margin_of_recall, verdict="undecided", figure="no recall", why=why)
        )
    elif margin_of_recall is not None and point is not None:
        words, likely = f"recall at confidence {point.confidence:.3f}", chance("op_recall", margin_of_recall)
        found.append(_drop(RECALL_DROP, words, point.deltas["recall"], margin_of_recall, images, likely))
    return tuple(found)


def _drop(name: str, words: str, delta: Estimate, margin: float, images: int | None, chance: float | None) -> Limit:
    if images is not None and images < MIN_IMAGES:
        cure, few = f"at least {MIN_IMAGES} images are needed", f"{images} images tell nothing"
        return Limit(name=name, allowed=margin, verdict="undecided", figure=few, why=few, cure=cure)
    verdict, why = margin_verdict(words, delta, margin, images)
    return Limit(
        name=name,
        allowed=margin,
        verdict=verdict,
        figure=_shown(words, delta),
        why=why,
        needed=-delta.low,
        cure=images_needed(delta, margin, images) if verdict == "undecided" and images is not None else "",
        chance=chance,
    )


def margin_verdict(name: str, delta: Estimate, margin: float, images: int | None = None) -> tuple[str, str]:
    """Return accepted, rejected or undecided, and why; undecided says about how many images would decide it."""
    shown = _shown(name, delta)
    if delta.low > -margin:
        return "accepted", f"{shown}: loses less than {margin:g}"
    if delta.high < -margin:
        return "rejected", f"{shown}: loses more than {margin:g}"
    why = f"{shown}: these images can't tell whether it loses more than {margin:g}"
    if images is not None:
        why += f"; {images_needed(delta, margin, images)}"
    return "undecided", why


def _shown(name: str, delta: Estimate) -> str:
    return f"{name} {delta.value:+.4f} [{delta.low:+.4f}, {delta.high:+.4f}]"


def images_needed(delta: Estimate, margin: float, images: int) -> str:
    """Return about how many images would put the whole interval on one side of the margin, in words."""
    count = images_to_decide(delta, margin, images)
    if count is None:
        return f"it stands so close to the margin that {images * 100} images might not decide it"
    return f"about {count} images like these would decide it"


def images_to_decide(delta: Estimate, margin: float, images: int) -> int | None:
    """Return about how many images it would take, to the next ten; `None`: it stands too close to the margin to say.

    An interval shrinks with the square root of the number of images; the difference itself is taken as it stands.
    """
    distance = delta.value + margin
    half = delta.value - delta.low if distance > 0 else delta.high - delta.value
    if abs(distance) * 20 <= half:
        return None
    return math.ceil(images * (half / distance) ** 2 / 10) * 10


def budgets(trial: Trial, single: WorkloadSamples | None, requirements: Requirements) -> tuple[Limit, ...]:
    """Return how a Candidate stands to the limits of latency, memory and size that were given.

    Args:
        trial: the Candidate's.
        single: its samples at 1x1; `None`: it was not timed there.
        requirements: with the limits.
    """
    found = []
    if requirements.latency_budget_ms is not None:
        found.append(_latency(single, requirements.latency_budget_ms, requirements.percentile))
    size = None if trial.artifact is None else trial.artifact.size_bytes
    return (
        *found,
        *known(MEMORY, "memory", trial.peak_memory_bytes, requirements.max_memory_bytes),
        *known(SIZE, "size", size, requirements.max_size_bytes),
    )


def _latency(samples: WorkloadSamples | None, budget: float, percent: float) -> Limit:
    """Return how the 1x1 latency stands at a percentile: the budget is met where the samples can tell it and it is."""
    name, why = f"p{percent:g}", f"p{percent:g} not shown to be within {budget:g} ms"
    if samples is None:
        why, cure = f"{why}: {SINGLE} was not timed", f"--workload {SINGLE} would tell"
        return Limit(name=LATENCY, allowed=budget, verdict="undecided", figure=f"no {name}", why=why, cure=cure)
    count, value = samples.latency_ns.size, percentile(samples.latency_ns, percent) * MS
    if not enough_samples(count, percent):
        wanted = frames_needed(percent)
        return Limit(
            name=LATENCY,
            allowed=budget,
            verdict="undecided",
            figure=f"{name} of perhaps {value:.4g} ms, by {count} samples",
            why=f"{why}: {count} samples can't tell it",
            seems=value,
            cure=f"{wanted} samples can tell a {name}: --frames {wanted}",
        )
    resampled = resampled_percentile(samples, percent)
    chance = None if resampled is None else float((resampled <= budget).mean())
    within = value <= budget
    missed = not within and chance is not None and chance < TAILS[0] / 100
    return Limit(
        name=LATENCY,
        allowed=budget,
        verdict="accepted" if within else "rejected" if missed else "undecided",
        figure=f"{name} of {value:.4g} ms",
        why=f"{name} of {value:.4g} ms is within {budget:g} ms" if within else f"{why}: it is {value:.4g} ms",
        needed=value,
        cure="" if within or missed else _frames_needed(value, budget, resampled, count),
        chance=chance,
    )


def _frames_needed(value: float, budget: float, resampled: npt.NDArray[np.floating[Any]] | None, count: int) -> str:
    """Return about how many frames would put the interval beyond the budget, in words, as `images_needed` does."""
    half = 0.0 if resampled is None else value - float(np.percentile(resampled, TAILS[0]))
    if half <= 0 or (value - budget) * 20 <= half:
        return "it stands so close to the budget that more frames might not decide it"
    return f"about {math.ceil(count * (half / (value - budget)) ** 2 / 10) * 10} frames would decide it"


def enough_samples(count: int, percent: float) -> bool:
    """Whether a percentile can be told from so many samples: four beyond it, so a p99 needs 400."""
    return count >= frames_needed(percent)


def known(name: str, words: str, value: int | None, allowed: int | None) -> tuple[Limit, ...]:
    """Return how a figure without doubt, in bytes, stands to its limit; empty where no limit was given."""
    if allowed is None:
        return ()
    if value is None:
        why = f"{words} not shown to be within {megabytes(allowed)}: it was not measured"
        return (Limit(name=name, allowed=allowed, verdict="undecided", figure=f"no {words}", why=why),)
    within = value <= allowed
    return (
        Limit(
            name=name,
            allowed=allowed,
            verdict="accepted" if within else "rejected",
            figure=f"{words} of {megabytes(value)}",
            why=f"{words} of {megabytes(value)} is {'' if within else 'not '}within {megabytes(allowed)}",
            needed=value,
            chance=float(within),
        ),
    )


def megabytes(value: float) -> str:
    """Return bytes in words."""
    return f"{value / 1e6:.6g} MB"
