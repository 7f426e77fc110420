"""Before the main timing: settings of loading, or shapes, swept over Workloads, and the best settings made Trials.

One Candidate's settings at a time, beside its plain form, in a few interleaved rounds. What is found here decides what
gets a Trial, never what a Trial is said to be: those are timed afresh with all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bakeoff import host, judge, plan
from bakeoff.records import Candidate, RunRecord, Sweep, Trial, Workload
from bakeoff.speed import schedule, sweep
from bakeoff.speed.samples import Block, WorkloadSamples
from bakeoff.speed.streams import BlockSamples
from bakeoff.steps.context import Context
from bakeoff.steps.convert import share_all
from bakeoff.steps.prepare import Inputs
from bakeoff.steps.team import Team, team
from bakeoff.steps.verify import verify_all

GENERATIONS = 2
ROUNDS, QUICK_ROUNDS = 5, 3  # of each generation; all Workloads are one round, so they pair too
PREPARE_PARTS = 6  # of progress: starting, loading and warming up a child takes about as long as this many blocks
PREFIXES = {"settings": "sweep", "shapes": "shapes"}  # of the samples
NO_WINDOW = -1  # no telemetry is taken here


@dataclass(frozen=True, kw_only=True)
class Family:
    """A plain Candidate's Trial, and those of its settings, which share its Artifact, or of its other shapes."""

    plain: Trial
    tuned: tuple[Trial, ...]

    @property
    def key(self) -> str:
        """The plain form's."""
        return self.plain.candidate.key

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All of them."""
        return (self.plain, *self.tuned)


def sweep_all(context: Context, inputs: Inputs) -> None:
    """Sweep what is not swept yet; with `--tune`, add the settings that won, and verify them like all others."""
    settings = context.settings
    if not (settings.sweep or settings.tune) or context.run.timing:
        return  # timing has begun: a Run that was interrupted there keeps the Trials that it has
    done = {one.key for one in context.run.sweep}
    for family in families(context.run):
        if family.key not in done:
            found = swept(context, family, workloads(context.run))
            context.change(sweep=(*context.run.sweep, found))
    if settings.tune:
        _add_winners(context, inputs)


def workloads(run: RunRecord) -> list[Workload]:
    """Return the Workloads to sweep: the grid asked for, and those that a Trial of the winner is timed at."""
    settings = run.settings
    return list(dict.fromkeys((*settings.sweep, *(settings.workloads if settings.tune else ()))))


def families(run: RunRecord) -> Iterator[Family]:
    """Yield what is to be swept: each Candidate that is ok, with its settings, those not requested too.

    The reference's only where it was selected itself. Without a sweep asked for, those are left out that have no
    settings, or whose accuracy is rejected.
    """
    settings = run.settings
    selected = plan.asked_for(run.trials, run.reference, settings.only, settings.skip)
    chosen = {trial.candidate.plain.key for trial in selected}
    ok = {trial.candidate.key: trial for trial in run.trials if trial.status == "ok" and trial.artifact is not None}
    known = {trial.candidate.key for trial in run.trials}
    for key in dict.fromkeys(trial.candidate.plain.key for trial in ok.values()):
        if key not in chosen or (key in known and key not in ok):
            continue  # not asked for, or nothing to pair its settings with
        one = ok.get(key) or next(t for t in ok.values() if t.candidate.plain.key == key)
        plain = ok.get(key) or fresh(one, one.candidate.plain)
        own = [trial for trial in ok.values() if trial.candidate.tuning and trial.candidate.plain.key == key]
        offered = [c for c in run.offered if c.tuning and c.plain.key == key and c.key not in known]
        tuned = (*own, *(fresh(plain, candidate) for candidate in offered))
        rejected = judge.by_accuracy(plain, run.reference, settings.requirements).verdict == "rejected"
        if settings.sweep or (tuned and not rejected):
            yield Family(plain=plain, tuned=tuned)


def fresh(trial: Trial, candidate: Candidate) -> Trial:
    """Return a Trial that has nothing yet but the same Artifact."""
    return Trial(
        candidate=candidate,
        artifact=trial.artifact,
        convert_s=trial.convert_s,
        repair=trial.repair,
        not_measured=trial.not_measured,
    )


class _Aside(Context):
    """A Run at work on Trials of its own: nothing of it is kept, and what fails here is not the Run's."""

    def __init__(self, context: Context, trials: Sequence[Trial]) -> None:
        super().__init__(context.folder, msgspec.structs.replace(context.run, trials=tuple(trials)), context.observer)

    def change(self, **fields: Any) -> None:
        """See `Context.change`; nothing is saved."""
        self.run = msgspec.structs.replace(self.run, **fields)


def swept(context: Context, family: Family, grid: Sequence[Workload], of: str = "settings") -> Sweep:
    """Time one family, keep the samples, and return what they say; `of` is what differs, `settings` or `shapes`."""
    aside = _Aside(context, family.trials)
    peaks = {trial.candidate.key: trial.peak_memory_bytes or family.plain.peak_memory_bytes for trial in family.trials}
    groups = schedule.groups([*peaks], family.key, peaks, host.available_memory_bytes())
    rounds = QUICK_ROUNDS if context.settings.quick else ROUNDS
    blocks: dict[tuple[str, str], list[Block]] = {(key, str(w)): [] for w in grid for key in peaks}
    total = sum(len(keys) for keys in groups) * GENERATIONS * (PREPARE_PARTS + rounds * len(grid))
    context.observer.stage(f"trying {of} of {family.key}", total)
    prefix = PREFIXES[of]
    number = 0
    for generation, keys in enumerate(keys for keys in groups for _ in range(GENERATIONS)):
        with team(aside, dict.fromkeys(keys, grid), generation, PREPARE_PARTS) as members:
            for _ in range(rounds):
                for workload in grid:
                    for key in schedule.shuffled(keys, context.settings.seed, number):
                        context.observer.advance(1, f"{workload} {key}")
                        if (samples := _block(members, key, workload, number)) is not None:
                            one = Block(generation=generation, round=number, window=NO_WINDOW, samples=samples)
                            blocks[key, str(workload)].append(one)
                number += 1
    timings = {who: WorkloadSamples.gather(some) for who, some in blocks.items() if some}
    context.folder.put(
        f"{prefix}-{family.plain.candidate.slug}",
        {
            f"{prefix}/{key}:{workload}/{name}": array
            for (key, workload), samples in timings.items()
            for name, array in samples.arrays().items()
        },
    )
    failures = {t.candidate.key: t.failure.cause for t in aside.run.trials if t.failure is not None}
    return Sweep(key=family.key, points=sweep.points(family.key, timings), failures=failures)


def _block(members: Team, key: str, workload: Workload, number: int) -> BlockSamples | None:
    if not members.takes(key, workload):
        return None
    return members.block(key, workload, schedule.first_frame(workload, number), schedule.BLOCK)


def _add_winners(context: Context, inputs: Inputs) -> None:
    """Append a Trial for each setting that won, and verify it where that is asked."""
    settings = context.settings
    timed_at = [str(workload) for workload in settings.workloads]
    won = {key for one in context.run.sweep for key in sweep.winners(one, settings.precision_target, timed_at)}
    add_settings(context, won)
    if settings.accuracy:
        verify_all(context, inputs)


def add_settings(context: Context, keys: Collection[str]) -> None:
    """Append a Trial for each of these settings that has none yet, with its plain form's Artifact."""
    known = {trial.candidate.key: trial.not_measured for trial in context.run.trials}
    new = [
        Trial(candidate=candidate, not_measured=known.get(candidate.plain.key, {}))
        for candidate in context.run.offered
        if candidate.key in keys and candidate.key not in known
    ]
    for trial in new:
        context.observer.say(f"faster than by default: adding {trial.candidate.key}")
    if new:
        context.change(trials=(*context.run.trials, *new))
    share_all(context)
