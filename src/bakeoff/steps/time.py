"""Step 7: speed, in generations of fresh processes, rounds interleaved across all Candidates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff import host
from bakeoff.records import Workload
from bakeoff.speed import schedule
from bakeoff.speed.samples import MS, Block, BlockMedians, WorkloadSamples, half_width, speedup
from bakeoff.speed.streams import BlockSamples
from bakeoff.speed.telemetry import Telemetry
from bakeoff.steps.context import Context
from bakeoff.steps.team import Team, team
from bakeoff.store import RunFolder

SAVE_EVERY_S = 10.0
PREPARE_PARTS = 6  # of progress: starting, loading and warming up a child takes about as long as this many blocks


def time_all(context: Context) -> None:
    """Time every Trial that is still whole, group by group; what was timed before an interruption counts."""
    todo = [trial for trial in context.run.trials if trial.status == "ok" and not trial.timed]
    if not todo:
        return
    settings = context.settings
    peaks = {trial.candidate.key: trial.peak_memory_bytes for trial in todo}
    groups = context.run.timing.get("groups")  # those of the interrupted Run that this one continues
    if groups is None:
        groups = schedule.groups([*peaks], context.run.reference, peaks, host.available_memory_bytes())
        context.change(
            timing={"block": schedule.BLOCK, "groups": groups, "quick": settings.quick, "threads": context.threads}
        )
    tried_s = sum(one.seconds for one in context.run.shapes)  # `bakeoff tune` takes that from the same budget
    budget_s = max(0.0, settings.time_budget_s - tried_s)
    started = time.monotonic()
    ended: dict[str, str] = {}
    with Telemetry.open(settings.device) as telemetry:
        record = _Record(context.folder, telemetry)
        for number, keys in enumerate(groups):
            group = _Group(context, record, number, keys, budget_s / len(groups))
            for workload, why in group.run().items():
                ended[workload] = max(ended.get(workload, why), why, key=schedule.ENDS.index)
        told = {"sources": telemetry.sources, "unknown": telemetry.unknown, "cost_share": telemetry.cost.share}
    seconds = context.run.timing.get("seconds", 0) + time.monotonic() - started
    generations = max((int(samples.generation.max()) + 1 for samples in record.known.values()), default=0)
    context.change(
        timing={
            **context.run.timing,
            "generations": generations,
            "seconds": seconds,
            "ended": ended,
            "telemetry": told,
        },
        trials=tuple(
            msgspec.structs.replace(trial, timed=True)
            if trial.candidate.key in peaks and trial.status == "ok"
            else trial
            for trial in context.run.trials
        ),
    )


class _Record:
    """All timing samples of the Run and the telemetry beside them: those on disk and those since."""

    def __init__(self, folder: RunFolder, telemetry: Telemetry) -> None:
        self._folder = folder
        self.telemetry = telemetry
        self.known = folder.timings()
        self._windows = folder.telemetry()
        self._first_window = len(self._windows.get("start_ns", ()))
        self._new: dict[tuple[str, str], list[Block]] = {}
        self._medians: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
        for who, samples in self.known.items():
            samples.window[samples.window >= self._first_window] = -1  # windows that a kill did not let us write
            rows = zip(samples.generation.tolist(), samples.round.tolist(), samples.block_medians_ns, strict=True)
            self._medians[who] = list(rows)
        self._saved_at = time.monotonic()

    def add(self, key: str, workload: Workload, generation: int, number: int, samples: BlockSamples) -> float:
        """Keep a block that has just ended, and return its median latency in nanoseconds."""
        who = key, str(workload)
        window = self._first_window + self.telemetry.after_block(key)
        block = Block(generation=generation, round=number, window=window, samples=samples)
        self._new.setdefault(who, []).append(block)
        median_ns = float(np.median(samples.latency_ns))
        self._medians.setdefault(who, []).append((generation, number, median_ns))
        return median_ns

    def medians(self, key: str, workload: Workload, first_round: int, stop_round: int) -> BlockMedians:
        """Return the block medians of a Candidate in some rounds."""
        rows = [row for row in self._medians.get((key, str(workload)), []) if first_round <= row[1] < stop_round]
        return BlockMedians.of(rows)

    def save(self, *, every_s: float = 0.0) -> None:
        """Write what is new, unless that was done less than `every_s` ago."""
        if time.monotonic() - self._saved_at < every_s:
            return
        if self._new:
            for who, blocks in self._new.items():
                samples = WorkloadSamples.gather(blocks)
                known = self.known.get(who)
                self.known[who] = samples if known is None else known.followed_by(samples)
            self._new = {}
            self._folder.put(
                "timing",
                {
                    f"timing/{key}:{workload}/{name}": array
                    for (key, workload), samples in self.known.items()
                    for name, array in samples.arrays().items()
                },
            )
        if not every_s:  # asking for the windows ends the open one, so not while blocks go on
            windows = self._all_windows()
            if len(windows["start_ns"]):
                self._folder.put("telemetry", {f"telemetry/{name}": array for name, array in windows.items()})
        self._saved_at = time.monotonic()

    def _all_windows(self) -> dict[str, npt.NDArray[Any]]:
        """Return the windows of telemetry, those before an interruption first; what one side lacks is unknown there."""
        new = self.telemetry.windows()
        known, count = self._windows, len(new["start_ns"])
        if not known:
            return new
        return {
            name: np.concatenate(
                (
                    known.get(name, np.full(self._first_window, np.nan)),
                    new.get(name, np.full(count, np.nan)),
                )
            )
            for name in {**known, **new}
        }


class _Group:
    """Candidates that are timed together."""

    def __init__(self, context: Context, record: _Record, number: int, keys: Sequence[str], budget_s: float) -> None:
        self._context = context
        self._record = record
        self._number = number
        self._first = number * schedule.GROUP_ROUNDS
        self._keys = list(keys)
        self._budget_s = budget_s

    def run(self) -> dict[str, str]:
        """Time the rounds that are still missing; return why each Workload ended."""
        context, settings = self._context, self._context.settings
        self._next_round = self._first_free_round()
        generation = self._next_generation()
        plan = schedule.Plan(
            base={
                w: schedule.rounds_needed(w, settings.frames, quick=settings.quick)
                for w in settings.workloads
                if any(self._takes(key, w) for key in self._keys)
            },
            done={w: len(self._rounds(w)) for w in settings.workloads},
            target=None if settings.quick else settings.precision_target,
            budget_s=self._budget_s,
            half_width=self._half_width,
            spent_s=context.run.timing.get("spent_s", {}).get(str(self._number), 0.0),
        )
        try:
            while self._is_whole(context.run.reference):
                if plan.begin(generation):
                    self._generation(plan, generation)
                elif generation >= schedule.GENERATIONS - 1:
                    break
                generation += 1
        finally:
            self._record.save()
            spent = {**context.run.timing.get("spent_s", {}), str(self._number): plan.spent_s}
            context.change(timing={**context.run.timing, "spent_s": spent})  # a Run that goes on has so much less
        return {str(workload): plan.ended(workload) for workload in plan.base}

    def _rounds(self, workload: Workload) -> set[int]:
        """Return the rounds that all whole Candidates of the group were in."""
        found = [
            set(self._medians(key, workload).round.tolist())
            for key in self._keys
            if self._takes(key, workload) and self._is_whole(key)
        ]
        return set.intersection(*found) if found else set()

    def _first_free_round(self) -> int:
        """Return the number after the last round that any Candidate was in, an interrupted one too."""
        known = [self._medians(key, w).round for key in self._keys for w in self._context.settings.workloads]
        return max((int(rounds.max()) + 1 for rounds in known if len(rounds)), default=self._first)

    def _next_generation(self) -> int:
        workloads = self._context.settings.workloads
        known = [self._medians(key, workload).generation for key in self._keys for workload in workloads]
        return max((int(generations.max()) + 1 for generations in known if len(generations)), default=0)

    def _medians(self, key: str, workload: Workload) -> BlockMedians:
        return self._record.medians(key, workload, self._first, self._first + schedule.GROUP_ROUNDS)

    def _half_width(self, workload: Workload) -> float | None:
        """Return the half width of the widest interval of a Workload: of speedups, or of the reference's own time."""
        reference = self._medians(self._context.run.reference, workload)
        others = [key for key in self._keys if key != self._context.run.reference]
        others = [key for key in others if self._is_whole(key) and self._takes(key, workload)]
        ratios = [speedup(reference, self._medians(key, workload)) for key in others]
        if not others:
            ratios = [speedup(reference, reference.constant())]
        widths = [None if ratio is None else half_width(ratio) for ratio in ratios]
        known = [width for width in widths if width is not None]
        return max(known) if len(known) == len(widths) else None

    def _takes(self, key: str, workload: Workload) -> bool:
        return self._context.run.trial(key).candidate.takes(workload.batch)

    def _is_whole(self, key: str) -> bool:
        return self._context.run.trial(key).status == "ok"

    def _generation(self, plan: schedule.Plan, generation: int) -> None:
        context = self._context
        workloads = list(plan.base)
        alive = {key: workloads for key in self._keys if self._is_whole(key)}
        context.observer.stage(f"timing, part {generation + 1}", len(alive) * (PREPARE_PARTS + plan.expected()))
        started = time.monotonic()
        with team(context, alive, generation, PREPARE_PARTS) as members:
            if generation >= schedule.GENERATIONS:
                plan.spent_s += time.monotonic() - started
            telemetry = self._record.telemetry
            for pid in members.pids.values():
                telemetry.watch(pid)
            telemetry.start()
            while wanting := plan.wanting(generation):
                for workload in wanting:
                    started = time.monotonic()
                    self._round(members, workload, generation)
                    plan.spent_s += time.monotonic() - started
                    plan.done[workload] += 1
                    self._record.save(every_s=SAVE_EVERY_S)
                if context.run.reference not in members.keys:
                    break
            telemetry.stop()
            for key in members.keys:
                self._keep_peak(key, members.peak_memory_bytes(key))
            for pid in members.pids.values():
                telemetry.unwatch(pid)
            self._record.save()

    def _keep_peak(self, key: str, peak_bytes: int | None) -> None:
        known = self._context.run.trial(key).peak_timed_bytes
        if peak_bytes is not None:
            self._context.change_trial(key, peak_timed_bytes=max(peak_bytes, known or 0))

    def _round(self, members: Team, workload: Workload, generation: int) -> None:
        """One block of each Candidate."""
        number = self._next_round
        first_frame = schedule.first_frame(workload, number - self._first)
        for key in schedule.shuffled(self._keys, self._context.settings.seed, number):
            if members.takes(key, workload):
                samples = members.block(key, workload, first_frame, schedule.BLOCK)
                if samples is not None:
                    median_ns = self._record.add(key, workload, generation, number, samples)
                    self._context.tell_block(key, workload, median_ns * MS)
                self._context.observer.advance(1, f"{workload} {key}")
        self._next_round += 1
