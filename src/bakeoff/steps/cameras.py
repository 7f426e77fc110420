"""How many cameras each Candidate serves: interleaved repetitions of levels, in two or three generations of processes.

Which level is next is decided by `bakeoff.speed.capacity`, what a level says by `bakeoff.speed.cameras`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from bakeoff import plan
from bakeoff.errors import InputError
from bakeoff.records import Settings, Trial, Workload
from bakeoff.speed import cameras, capacity, schedule
from bakeoff.speed.arrivals import Served
from bakeoff.speed.samples import summarise
from bakeoff.steps.context import Context
from bakeoff.steps.team import Team, team
from bakeoff.worker import protocol as p

SAVE_EVERY_S = 10.0
PREPARE_S = 4.0  # of progress: starting, loading and warming up a child
SHARES = (0.55, 1.0, 1.0)  # of a Candidate's seconds that may be spent by the end of each generation
REPETITIONS = 30  # whose time of arrivals each number of streams gets by default
QUICK_REPETITIONS = 20
MOST_FPS = 10_000
START_SHARE = 0.75  # of the closed loop's frames/s: where the search begins; queueing costs the rest


def count_all(context: Context) -> None:
    """Count the cameras of each Candidate that was asked for; what was measured before an interruption counts."""
    settings, run = context.settings, context.run
    chosen = plan.asked_for(run.trials, run.reference, settings.only, settings.skip)
    keys = [trial.candidate.key for trial in chosen if _open(trial)]
    groups = [[key for key in group if key in keys] for group in run.timing.get("groups", [keys])]
    done: set[str] = set()
    for group in groups:  # those that fit in memory together; the reference stands in each
        members = [key for key in group if key not in done]
        done.update(members)
        if members:
            _Group(context, members).run()


def streams_of(workloads: Sequence[Workload]) -> list[int]:
    """Return the numbers of streams of the Workloads with batch 1."""
    return sorted({workload.streams for workload in workloads if workload.batch == 1})


def _open(trial: Trial) -> bool:
    return trial.status == "ok" and trial.cameras is None and trial.candidate.takes(1)


class _Group:
    """Candidates that are measured together."""

    def __init__(self, context: Context, keys: Sequence[str]) -> None:
        settings = context.settings
        assert settings.cameras_fps is not None
        assert settings.slo_ms is not None
        self._context, self._keys = context, list(keys)
        self._fps, self._slo_ms, self._percentile = settings.cameras_fps, settings.slo_ms, settings.slo_percentile
        self._streams = streams_of(settings.workloads)
        shortest_s = capacity.shortest_s(self._fps, self._slo_ms, quick=settings.quick)
        limit = (QUICK_REPETITIONS if settings.quick else REPETITIONS) * shortest_s * len(self._streams)
        self._limit_s = settings.camera_seconds or limit
        known = cameras.read(context.folder.samples(cameras.PREFIX))
        self._levels = {key: known.get(key, {}) for key in keys}
        starts = self._starts()
        self._searches = {
            key: cameras.searches(
                self._levels[key], self._streams, starts[key], self._slo_ms, self._percentile, settings.seed
            )
            for key in keys
        }
        self._unsaved: set[str] = set()
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Measure what is still missing, and give each Trial its answer."""
        begun = [int(s.generation.max()) + 1 for levels in self._levels.values() for s in levels.values()]
        first = max(begun, default=0)
        try:
            for generation in range(first, max(first + 1, capacity.GENERATIONS)):
                alive = [key for key in self._keys if self._whole(key) and self._wanted(key, generation)]
                if alive:
                    self._generation(alive, generation)
        finally:
            self._save()
        for key in self._keys:
            if self._whole(key):
                found = cameras.answer(
                    self._levels[key], self._fps, self._slo_ms, self._percentile, seed=self._context.settings.seed
                )
                self._context.change_trial(key, cameras=found)

    def _generation(self, keys: list[str], generation: int) -> None:
        context = self._context
        left = sum(max(0.0, self._may_spend(generation) - self._spent_s(key)) for key in keys)
        stage = f"cameras {generation + 1}/{max(generation + 1, capacity.GENERATIONS - 1)}"
        context.observer.stage(stage, max(1, round(left + PREPARE_S * len(keys))))
        workloads = [Workload(streams=s, batch=1) for s in self._streams]
        number = int(context.run.timing.get("generations", 0)) + generation
        with team(context, dict.fromkeys(keys, workloads), number, round(PREPARE_S)) as members:
            turn = 0
            while wanting := [key for key in members.keys if self._wanted(key, generation)]:
                for key in schedule.shuffled(wanting, context.settings.seed, turn):
                    for streams, n in self._wanted(key, generation):
                        self._repetition(members, key, streams, n, generation)
                turn += 1

    def _wanted(self, key: str, generation: int) -> list[tuple[int, int]]:
        """Return the levels (streams, cameras) of which one Candidate wants a repetition now, within its time."""
        searches = self._searches[key] if generation == 0 else self._promising(key)
        wanted, spent = [], self._spent_s(key)
        for streams, search in searches.items():
            for n in search.wanted(generation):
                spent += self._seconds(n)
                if spent <= self._may_spend(generation):
                    wanted.append((streams, n))
        return wanted

    def _promising(self, key: str) -> dict[int, capacity.Search]:
        """Return the searches that may have the answer; where there is no time for all of them, the best one alone."""
        searches = self._searches[key]
        best = max(searches, key=lambda streams: (searches[streams].bracket()[0], -streams))
        most = searches[best].bracket()[0]
        rest = {s: one for s, one in searches.items() if (high := one.bracket()[1]) is None or high >= most}
        short_s = sum(count * self._seconds(n) for one in rest.values() for n, count in one.missing().items())
        return rest if short_s <= self._limit_s - self._spent_s(key) else {best: searches[best]}

    def _repetition(self, members: Team, key: str, streams: int, n: int, generation: int) -> None:
        context, settings = self._context, self._context.settings
        if key not in members.keys:
            return
        context.observer.advance(0, f"{n} cameras on {streams}x1 {key}")
        tallies = self._searches[key][streams].tallies.setdefault(n, [])
        request = p.ServeCameras(
            cache=str(context.frames.absolute()),
            confidence=settings.timed_confidence,
            streams=streams,
            cameras=n,
            interval_ns=round(1e9 / self._fps),
            frames=self._frames(n),
            seed=(settings.seed, len(tallies)),  # the same phases for every Candidate, others in each repetition
        )
        answer = members.ask(key, request, p.ServedCameras, lasts_s=self._seconds(n))
        context.observer.advance(max(1, round(self._seconds(n))))
        if answer is None:
            return
        served = Served(
            phase_ns=answer.phase_ns.get(),
            wait_ns=answer.wait_ns.get(),
            latency_ns=answer.latency_ns.get(),
            slept=answer.slept.get(),
        )
        new = cameras.LevelSamples.of(generation, served)
        known = self._levels[key].get((streams, n))
        self._levels[key] = {**self._levels[key], (streams, n): new if known is None else known.followed_by(new)}
        tallies += new.tallies(self._slo_ms)
        self._unsaved.add(key)
        if time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        for key in sorted(self._unsaved):
            name = self._context.run.trial(key).candidate.slug
            self._context.folder.put(f"cameras-{name}", cameras.arrays(key, self._levels[key]))
        self._unsaved.clear()
        self._saved_at = time.monotonic()

    def _starts(self) -> dict[str, dict[int, int]]:
        """Return where each search begins: near what the closed loop served, where that was timed."""
        timings = self._context.folder.timings()
        starts = {}
        for key in self._keys:
            own = {}
            for s in self._streams:
                workload = Workload(streams=s, batch=1)
                samples = timings.get((key, str(workload)))
                one = None if samples is None else summarise(samples, workload, 1)
                fits = one is not None and one.median_ms <= self._slo_ms
                own[s] = max(1, int(START_SHARE * one.frames_per_s / self._fps)) if one is not None and fits else 1
            starts[key] = own
        return starts

    def _frames(self, n: int) -> int:
        quick = self._context.settings.quick
        return capacity.frames_per_camera(n, self._fps, self._slo_ms, self._percentile, quick=quick)

    def _seconds(self, n: int) -> float:
        """Return how long one repetition of a level lasts."""
        return self._frames(n) / self._fps

    def _spent_s(self, key: str) -> float:
        """Return how long all repetitions of one Candidate so far lasted."""
        return sum(len(samples.generation) * self._seconds(n) for (_, n), samples in self._levels[key].items())

    def _may_spend(self, generation: int) -> float:
        return self._limit_s * SHARES[min(generation, len(SHARES) - 1)]

    def _whole(self, key: str) -> bool:
        return self._context.run.trial(key).status == "ok"


def check(settings: Settings) -> None:
    """Refuse Settings that ask for no answer.

    Raises:
        InputError: one line.
    """
    fps, slo_ms = settings.cameras_fps, settings.slo_ms
    if fps is None:
        given = {"slo-ms": slo_ms, "camera-seconds": settings.camera_seconds}
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name} {value:g} says nothing without cameras; give --cameras 30fps as well")
        return
    if not settings.speed:
        raise InputError("cameras are counted only where speed is measured; use bakeoff time")
    if not 0 < fps <= MOST_FPS:
        raise InputError(f"cameras {fps:g}fps is not a frame rate above 0 and up to {MOST_FPS}; give --cameras 30fps")
    if slo_ms is None:
        raise InputError(
            "cameras needs slo-ms: how late Detections may be, from the frame's arrival, as in --slo-ms 33"
        )
    if not 0 < slo_ms < math.inf:
        raise InputError(f"slo-ms {slo_ms:g} is not positive; give milliseconds such as --slo-ms 33")
    if not 0 < settings.slo_percentile < 100:
        raise InputError(f"percentile {settings.slo_percentile:g} is not between 0 and 100")
    if settings.camera_seconds is not None and not 0 < settings.camera_seconds < math.inf:
        raise InputError(f"camera-seconds {settings.camera_seconds:g} is not positive")
    if not streams_of(settings.workloads):
        raise InputError("cameras needs a Workload of batch 1, for its number of streams; give --workload 1x1")
