"""The children of one generation: each holds one Candidate, loaded and warm; where one fails, the others go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from bakeoff.records import WarmUp, Workload
from bakeoff.speed.streams import BlockSamples
from bakeoff.steps.context import Context
from bakeoff.steps.verify import check_health, load, load_figures
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

Answer = TypeVar("Answer")


class Team:
    """Children that are timed together. Ask one of them at a time: the others sleep on their pipes."""

    def __init__(self, context: Context, workers: dict[str, Worker]) -> None:
        self._context = context
        self._workers = workers
        self._cache = str(context.frames.absolute())

    @property
    def keys(self) -> tuple[str, ...]:
        """The Candidates that are still whole, in their order."""
        return tuple(self._workers)

    @property
    def pids(self) -> dict[str, int]:
        """The process of each."""
        return {key: worker.pid for key, worker in self._workers.items()}

    def peak_memory_bytes(self, key: str) -> int | None:
        """Return the peak resident memory of a Candidate's process so far; `None` where it failed."""
        return self._workers[key].peak_memory_bytes if key in self._workers else None

    def takes(self, key: str, workload: Workload) -> bool:
        """Whether a Candidate is here and its shape takes the Workload's batch."""
        return key in self._workers and self._context.run.trial(key).candidate.takes(workload.batch)

    def ask(self, key: str, request: p.Request, answer: type[Answer], *, lasts_s: float = 0.0) -> Answer | None:
        """Ask one child; where it fails, its Trial gets the Failure and the answer is `None`.

        `lasts_s` is what the request takes by its own nature, beside the time that a step may take.
        """
        worker = self._workers[key]
        try:
            return worker.ask(request, answer, timeout_s=worker.timeout_s + lasts_s)
        except ChildError as error:
            self._leave(key, error)
            return None

    def block(self, key: str, workload: Workload, first_frame: int, count: int) -> BlockSamples | None:
        """Time one block; `None` where the child failed."""
        confidence = self._context.settings.timed_confidence
        request = p.Block(
            cache=self._cache, workload=workload, confidence=confidence, first_frame=first_frame, count=count
        )
        answer = self.ask(key, request, p.Timed)
        if answer is None:
            return None
        return BlockSamples(
            pre_ns=answer.pre_ns.get(),
            run_ns=answer.run_ns.get(),
            post_ns=answer.post_ns.get(),
            span_ns=answer.span_ns.get(),
            rest_ns=answer.rest_ns,
        )

    def prepare(self, key: str, workloads: Sequence[Workload], generation: int) -> None:
        """Load one Candidate, and warm it up for each Workload that it takes; where that fails, it leaves."""
        try:
            self._load(key)
            warm = tuple(self._warm_up(key, w, generation) for w in workloads if self.takes(key, w))
        except ChildError as error:
            self._leave(key, error)
            return
        known = self._context.run.trial(key).warm_up
        self._context.change_trial(key, warm_up=(*known, *warm))

    def _load(self, key: str) -> None:
        context, worker = self._context, self._workers[key]
        trial = context.run.trial(key)
        loaded = load(context, trial, worker)
        ready_s = worker.age_s
        if trial.load_s is None:  # accuracy was not asked for: these figures come from here
            first = worker.ask(p.Detect(cache=self._cache, start=0, stop=1), p.Detected)
            check_health([first], worker)
            context.change_trial(key, **load_figures(loaded, ready_s, first, worker))

    def _warm_up(self, key: str, workload: Workload, generation: int) -> WarmUp:
        self._context.observer.advance(0, f"warming up {workload} {key}")
        confidence = self._context.settings.timed_confidence
        request = p.WarmUpFor(cache=self._cache, workload=workload, confidence=confidence)
        answer = self._workers[key].ask(request, p.Warmed)
        return WarmUp(
            generation=generation,
            workload=str(workload),
            block_medians_ms=tuple(ns * 1e-6 for ns in answer.block_medians_ns),
            settled=answer.settled,
        )

    def _leave(self, key: str, error: ChildError) -> None:
        self._workers.pop(key).kill()
        self._context.fail(key, error.step or "time", error)


@contextlib.contextmanager
def team(
    context: Context, workloads: Mapping[str, Sequence[Workload]], generation: int, parts: int = 1
) -> Iterator[Team]:
    """Start a child for each Candidate that is whole, load it, and warm it up for its Workloads.

    Args:
        context: the Run at work.
        workloads: by Candidate key, in the order in which they start.
        generation: its number, for the record.
        parts: of progress that getting one ready counts for.
    """
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        members = Team(context, workers)
        for key, wanted in workloads.items():
            if context.run.trial(key).status != "ok":
                continue
            context.observer.advance(parts, f"loading {key}")
            workers[key] = stack.enter_context(context.worker(key))
            members.prepare(key, wanted, generation)
        yield members
