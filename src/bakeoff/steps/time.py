"""Step 7: speed, in generations of fresh processes, rounds interleaved across all Candidates."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

import msgspec

from bakeoff import host
from bakeoff.records import WarmUp, Workload
from bakeoff.speed import schedule
from bakeoff.speed.samples import WorkloadSamples
from bakeoff.speed.streams import BlockSamples
from bakeoff.steps.context import Context
from bakeoff.steps.verify import check_health, load
from bakeoff.store import RunFolder
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

SAVE_EVERY_S = 10.0
PREPARE_PARTS = 6  # of progress: starting, loading and warming up a child takes about as long as this many blocks
GROUP_ROUNDS = 1_000_000  # rounds are numbered from here on in the next group: those of two groups never pair


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
    context.observer.stage(
        "timing",
        sum(
            len(group)
            * (
                schedule.GENERATIONS * PREPARE_PARTS
                + sum(schedule.rounds_needed(w, settings.frames, quick=settings.quick) for w in settings.workloads)
            )
            for group in groups
        ),
    )
    started = time.monotonic()
    record = _Record(context.folder)
    for number, group in enumerate(groups):
        _Group(context, record, number, group).run()
    seconds = context.run.timing.get("seconds", 0) + time.monotonic() - started
    generations = max((int(samples.generation.max()) + 1 for samples in record.known.values()), default=0)
    context.change(
        timing={**context.run.timing, "generations": generations, "seconds": seconds},
        trials=tuple(
            msgspec.structs.replace(trial, timed=True)
            if trial.candidate.key in peaks and trial.status == "ok"
            else trial
            for trial in context.run.trials
        ),
    )


class _Record:
    """All timing samples of the Run: those on disk and those since."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.known = folder.timings()
        self._new: dict[tuple[str, str], list[tuple[int, int, BlockSamples]]] = {}
        self._saved_at = time.monotonic()

    def add(self, key: str, turn: schedule.Turn, samples: BlockSamples) -> None:
        self._new.setdefault((key, str(turn.workload)), []).append((turn.generation, turn.round, samples))

    def save(self, *, every_s: float = 0.0) -> None:
        """Write what is new, unless that was done less than `every_s` ago."""
        if not self._new or time.monotonic() - self._saved_at < every_s:
            return
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
        self._saved_at = time.monotonic()


class _Group:
    """Candidates that are timed together."""

    def __init__(self, context: Context, record: _Record, number: int, keys: Sequence[str]) -> None:
        self._context = context
        self._record = record
        self._number = number
        self._keys = list(keys)

    def run(self) -> None:
        """Time the rounds that are still missing."""
        context, settings = self._context, self._context.settings
        needed: dict[Workload, int] = {}
        generation, first_round = 0, self._number * GROUP_ROUNDS
        for workload in settings.workloads:
            done = []
            for key in self._keys:
                samples = self._record.known.get((key, str(workload)))
                mine = None if samples is None else samples.round // GROUP_ROUNDS == self._number
                if samples is not None and mine is not None and mine.any():
                    generation = max(generation, int(samples.generation[mine].max()) + 1)
                    first_round = max(first_round, int(samples.round[mine].max()) + 1)
                if self._takes(key, workload) and context.run.trial(key).status == "ok":
                    done.append(0 if mine is None else int(mine.sum()))
            rounds = schedule.rounds_needed(workload, settings.frames, quick=settings.quick)
            needed[workload] = max(0, rounds - min(done, default=0))
            context.observer.advance((rounds - needed[workload]) * len(self._keys))
        try:
            for plan in schedule.turns(needed, generation, first_round):
                if plan and context.run.trial(context.run.reference).status == "ok":
                    self._generation(plan)
        finally:
            self._record.save()

    def _takes(self, key: str, workload: Workload) -> bool:
        return self._context.run.trial(key).candidate.takes(workload.batch)

    def _generation(self, plan: Sequence[schedule.Turn]) -> None:
        context = self._context
        with contextlib.ExitStack() as stack:
            workers: dict[str, Worker] = {}
            alive = [key for key in self._keys if context.run.trial(key).status == "ok"]
            for key in alive:
                context.observer.advance(PREPARE_PARTS, f"loading {key}")
                workers[key] = stack.enter_context(context.worker(key))
                self._guard(key, workers, lambda worker, key=key: self._prepare(key, worker, plan))  # type: ignore[misc]
            for turn in plan:
                for key in schedule.shuffled(self._keys, context.settings.seed, turn.round):
                    if key in workers and self._takes(key, turn.workload):
                        self._guard(key, workers, lambda worker, key=key, turn=turn: self._block(key, worker, turn))  # type: ignore[misc]
                    context.observer.advance(1, f"{turn.workload} {key}")
                self._record.save(every_s=SAVE_EVERY_S)

    def _guard(self, key: str, workers: dict[str, Worker], action: Callable[[Worker], None]) -> None:
        """Do something with one Candidate's child; if that fails, the Candidate leaves and the others go on."""
        try:
            action(workers[key])
        except ChildError as error:
            workers.pop(key).kill()
            self._context.fail(key, error.step or "time", error)

    def _prepare(self, key: str, worker: Worker, plan: Sequence[schedule.Turn]) -> None:
        """Load, and warm up for each Workload."""
        context = self._context
        trial = context.run.trial(key)
        cache = str(context.frames.absolute())
        loaded = load(context, trial, worker)
        if trial.load_s is None:  # accuracy was not asked for: these figures come from here
            first = worker.ask(p.Detect(cache=cache, start=0, stop=1), p.Detected)
            check_health([first], worker)
            context.change_trial(
                key,
                session=loaded.facts,
                load_s=loaded.seconds,
                first_run_ms=first.first_run_ns * 1e-6,
                peak_memory_bytes=worker.peak_memory_bytes,
            )
        warm = list(context.run.trial(key).warm_up)
        for workload in dict.fromkeys(turn.workload for turn in plan):
            if self._takes(key, workload):
                context.observer.advance(0, f"warming up {workload} {key}")
                request = p.WarmUpFor(cache=cache, workload=workload, confidence=context.settings.timed_confidence)
                answer = worker.ask(request, p.Warmed)
                warm.append(
                    WarmUp(
                        generation=plan[0].generation,
                        workload=str(workload),
                        block_medians_ms=tuple(ns * 1e-6 for ns in answer.block_medians_ns),
                        settled=answer.settled,
                    )
                )
        context.change_trial(key, warm_up=tuple(warm))

    def _block(self, key: str, worker: Worker, turn: schedule.Turn) -> None:
        request = p.Block(
            cache=str(self._context.frames.absolute()),
            workload=turn.workload,
            confidence=self._context.settings.timed_confidence,
            first_frame=turn.first_frame,
            count=turn.count,
        )
        answer = worker.ask(request, p.Timed)
        samples = BlockSamples(
            pre_ns=answer.pre_ns.get(),
            run_ns=answer.run_ns.get(),
            post_ns=answer.post_ns.get(),
            span_ns=answer.span_ns.get(),
        )
        self._record.add(key, turn, samples)
