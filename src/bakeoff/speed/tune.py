"""What a tune makes of its timings: who is recommended for each Workload, and how to serve another camera; pure.

Candidates of one precision compete: a tune measures no accuracy. Of those that tie with the fastest the plainest is
recommended: a proposed shape before another one, default settings of loading before others, then the Run's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bakeoff.records import RunRecord, Shapes, Sweep
from bakeoff.speed.samples import BlockMedians, Timings, speedup
from bakeoff.speed.schedule import GROUP_ROUNDS
from bakeoff.speed.sweep import best_latency
from bakeoff.stats import Ratio

GENERATION_ROUNDS = 10_000  # more than a generation has passes


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How one Candidate stands at one Workload."""

    plain: str  # the key of the plain Candidate that it is a shape or setting of
    gain: Ratio | None  # the plain one's time over its own; None: it is that one, or that one takes no such batch
    word: str  # recommended, tie (with the recommended one) or slower


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Who is recommended for a Workload, among the Candidates of one precision."""

    workload: str
    precision: str
    key: str
    tied: tuple[str, ...]  # what these measurements can't tell from it


@dataclass(frozen=True, kw_only=True)
class Question:
    """One frame of each of `cameras` cameras: one batch of them, or as many streams?"""

    cameras: int
    plain: str | None  # whose batch-1 form has the streams; None: the best of all families
    precision: str
    batch: str  # key of the Candidate that is best at 1xN
    streams: str  # key of the one that is best at Nx1
    ratio: Ratio | None  # the streams' time over the batch's, paired by pass; None: never timed in one pass

    @property
    def winner(self) -> str | None:
        """`batch`, `streams`, or `None`: undecided."""
        if self.ratio is None or self.ratio.tie:
            return None
        return "batch" if self.ratio.value > 1 else "streams"

    @property
    def workloads(self) -> tuple[str, str]:
        """The Workloads of the batch and of the streams."""
        return f"1x{self.cameras}", f"{self.cameras}x1"


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """All that a tune says."""

    choices: tuple[Choice, ...]
    standings: Mapping[tuple[str, str], Standing]  # by key and Workload
    questions: tuple[Question, ...]


def fastest_shapes(family: Shapes, workloads: Sequence[str]) -> dict[str, str]:
    """Return which shape was the fastest at each Workload when they were screened; the plain one wins ties."""
    found = {}
    for workload in workloads:
        if family.screened is None:
            continue
        best = best_latency(family.screened, workload)
        there = [point for point in family.screened.points if point.workload == workload]
        if best is not None:
            found[workload] = best.point.key if best.sure else family.key
        elif there:  # the plain one takes no such batch
            found[workload] = min(there, key=lambda one: one.latency_ms).key
    return found


def winning_settings(sweep: Sweep, target: float, workloads: Sequence[str]) -> list[str]:
    """Return the settings that beat their plain form beyond doubt, and by more than a share, at some Workload."""
    found = [best_latency(sweep, workload) for workload in workloads]
    won = [one for one in found if one is not None and one.sure and one.ratio is not None]
    return list(dict.fromkeys(one.point.key for one in won if one.ratio is not None and one.ratio.value > 1 + target))


def plain_of(run: RunRecord, key: str) -> str | None:
    """Return the key of the plain Candidate that this one is a shape or a setting of; `None`: it is not tuned."""
    form = run.trial(key).candidate.plain.key
    return next((one.key for one in run.shapes if {key, form} & {one.key, *one.shapes}), None)


def tuned(run: RunRecord, timings: Timings) -> Tuned | None:
    """Return what a Run's timings say; `None` where it is no tune."""
    if not run.shapes:
        return None
    choices, standings, questions = [], {}, []
    for precision, keys in _contests(run).items():
        for workload in map(str, run.settings.workloads):
            choice = _choose(run, timings, workload, precision, keys)
            if choice is None:
                continue
            choices.append(choice)
            standings.update(_standings(run, timings, choice, keys))
        for cameras in sorted({workload.batch for workload in run.settings.workloads} - {1}):
            questions += _questions(run, timings, cameras, precision, keys)
    order = {str(workload): number for number, workload in enumerate(run.settings.workloads)}
    choices.sort(key=lambda one: order[one.workload])
    return Tuned(choices=tuple(choices), standings=standings, questions=tuple(questions))


def _contests(run: RunRecord) -> dict[str, list[str]]:
    """Return the keys of the Candidates that compete, by precision, the plainest first."""
    found: dict[str, list[tuple[bool, bool, int, str]]] = {}
    for number, trial in enumerate(run.trials):
        plain = plain_of(run, trial.candidate.key)
        if trial.status == "ok" and plain is not None:
            of_shape = trial.candidate.plain.key != plain
            rank = (bool(trial.candidate.tuning), of_shape, number, trial.candidate.key)
            found.setdefault(trial.candidate.precision, []).append(rank)
    return {precision: [rank[-1] for rank in sorted(ranks)] for precision, ranks in found.items()}


def _choose(run: RunRecord, timings: Timings, workload: str, precision: str, keys: Sequence[str]) -> Choice | None:
    """Return who is recommended: the fastest, or the plainest of those that tie with it."""
    timed = [key for key in keys if (key, workload) in timings]
    if not timed:
        return None
    yardstick = run.reference if (run.reference, workload) in timings else timed[0]

    def rate(key: str) -> float:
        ratio = _ratio(timings, workload, yardstick, key)
        return 0.0 if ratio is None else ratio.value

    best = max(timed, key=rate)
    plainest = next(key for key in timed if key == best or _tie(timings, workload, key, best))
    tied = [key for key in timed if key != plainest and _tie(timings, workload, plainest, key)]
    return Choice(workload=workload, precision=precision, key=plainest, tied=tuple(tied))


def _standings(
    run: RunRecord, timings: Timings, choice: Choice, keys: Sequence[str]
) -> dict[tuple[str, str], Standing]:
    found = {}
    for key in keys:
        plain = plain_of(run, key)
        if plain is None or (key, choice.workload) not in timings:
            continue
        known = key != plain and (plain, choice.workload) in timings
        found[key, choice.workload] = Standing(
            plain=plain,
            gain=_ratio(timings, choice.workload, plain, key) if known else None,
            word="recommended" if key == choice.key else "tie" if key in choice.tied else "slower",
        )
    return found


def _questions(run: RunRecord, timings: Timings, cameras: int, precision: str, keys: Sequence[str]) -> list[Question]:
    """Return the question about so many cameras: over all families, and for each that has a batch-1 form."""

    def ask(plain: str | None, batches: Sequence[str], streams: Sequence[str]) -> list[Question]:
        together, apart = f"1x{cameras}", f"{cameras}x1"
        one = _choose(run, timings, together, precision, batches)
        other = _choose(run, timings, apart, precision, streams)
        if one is None or other is None:
            return []
        ratio = speedup(by_pass(timings[other.key, apart].medians), by_pass(timings[one.key, together].medians))
        return [
            Question(cameras=cameras, plain=plain, precision=precision, batch=one.key, streams=other.key, ratio=ratio)
        ]

    found = ask(None, keys, keys)
    for family in run.shapes:
        own = [key for key in keys if plain_of(run, key) == family.key]
        single = [key for key in own if not run.trial(key).candidate.takes(cameras)]
        if single:
            found += ask(family.key, own, single)
    return found


def by_pass(medians: BlockMedians) -> BlockMedians:
    """Return block medians numbered by pass: in each, every Workload that still goes on has one round after the other.

    Rounds have numbers of their own at each Workload. So renumbered, those of two Workloads pair that lie side by side.
    """
    group = medians.round // GROUP_ROUNDS
    numbers = np.zeros_like(medians.round)
    for first, generation in {*zip(group.tolist(), medians.generation.tolist(), strict=True)}:
        (at,) = np.nonzero((group == first) & (medians.generation == generation))
        ranks = np.argsort(np.argsort(medians.round[at]))
        numbers[at] = first * GROUP_ROUNDS + generation * GENERATION_ROUNDS + ranks
    return replace(medians, round=numbers)


def _ratio(timings: Timings, workload: str, of: str, over: str) -> Ratio | None:
    """Return the time of one Candidate over that of another."""
    return speedup(timings[of, workload].medians, timings[over, workload].medians)


def _tie(timings: Timings, workload: str, one: str, other: str) -> bool:
    ratio = _ratio(timings, workload, one, other)
    return ratio is None or ratio.tie
