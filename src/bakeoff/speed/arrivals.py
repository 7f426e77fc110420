"""Open-loop load, in the child: frames of n cameras come on schedule, whether or not the last one is done.

A closed loop hides a stall: while it waits, it asks for nothing. Here latency counts from the *scheduled* arrival to
Detections, so that waiting, a late wake-up and a stall are in the latency of every frame that came meanwhile.

Nobody hands the frames out: a server that has nothing to do takes the next arrival and sleeps until it is due, in the
kernel. So nothing spins on a core that the runtime needs. Linux wakes such a sleeper late: by its timer slack of
0.05 ms, and by more where the machine or the interpreter is busy. That is part of the latency, and kept by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.data.images import Frame
from bakeoff.speed.quiet import wait_until_quiet
from bakeoff.speed.streams import FrameSource, Predictor

HELD_BYTES = 64 << 20  # of frames in memory: beyond most caches, and little beside a Session
FIRST_PREDICTIONS = 3  # of each server's own thread, once: runtimes keep state by thread
LEAD_NS = 5_000_000  # between the start of the servers and time zero
DROPPED = np.inf  # latency of a frame that nobody took: a violation of every SLO, never left out


def hold_frames(source: FrameSource, count: int, limit_bytes: int = HELD_BYTES) -> list[Frame]:
    """Read up to `count` frames (at least one) into memory, as cameras would have delivered them."""
    held = [source.frame(0)]
    left = limit_bytes - held[0].nbytes
    for i in range(1, count):
        frame = source.frame(i)
        left -= frame.nbytes
        if left < 0:
            break
        held.append(frame)
    return held


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When the frames of C cameras come: frame k of camera c at `phase_ns[c] + k * interval_ns`, k below `frames`."""

    phase_ns: npt.NDArray[np.int64]  # (C,), each below the interval
    interval_ns: int
    frames: int  # of each camera

    @classmethod
    def draw(cls, cameras: int, interval_ns: int, frames: int, seed: Sequence[int]) -> Schedule:
        """Draw the phases: cameras are not synchronised. One camera more leaves those of the others as they are."""
        phases = np.random.default_rng(seed).random(cameras) * interval_ns
        return cls(phase_ns=phases.astype(np.int64), interval_ns=interval_ns, frames=frames)

    @property
    def due_ns(self) -> npt.NDArray[np.int64]:
        """Scheduled arrivals (C, frames), from time zero."""
        return self.phase_ns[:, None] + np.arange(self.frames, dtype=np.int64) * self.interval_ns


class Queue:
    """The frames that have come and wait, by the rule: a camera's newest frame replaces its own older one.

    Frames are numbered camera by camera, as `Schedule.due_ns` does when flattened. Callers hold a lock.
    """

    def __init__(self, schedule: Schedule) -> None:
        due = schedule.due_ns.ravel()
        order = np.argsort(due, kind="stable")
        self._coming = order.tolist()
        self._due = due[order].tolist()
        self._next = 0
        self._frames = schedule.frames
        self._waiting: dict[int, int] = {}  # camera -> frame, in order of arrival
        self.dropped: list[int] = []

    def take(self, now_ns: int) -> tuple[int, int] | None:
        """Return the frame to serve next and when it is due; `None`: there are no more.

        Of those that wait, the one that came first. Where none waits, the next that will come: it is then the
        caller's, who must wait until it is due.
        """
        while self._next < len(self._due) and self._due[self._next] <= now_ns:
            frame = self._coming[self._next]
            self._next += 1
            camera = frame // self._frames
            older = self._waiting.pop(camera, None)
            if older is not None:
                self.dropped.append(older)
            self._waiting[camera] = frame  # at the end: its place is that of its own arrival
        if self._waiting:
            frame = self._waiting.pop(next(iter(self._waiting)))
            return frame, now_ns
        if self._next < len(self._due):
            self._next += 1
            return self._coming[self._next - 1], self._due[self._next - 1]
        return None


@dataclass(frozen=True, kw_only=True)
class Served:
    """What became of each frame (C, frames), from its scheduled arrival; nanoseconds."""

    phase_ns: npt.NDArray[np.int64]  # (C,)
    wait_ns: npt.NDArray[np.float64]  # until a server began with it; infinite where it was dropped
    latency_ns: npt.NDArray[np.float64]  # until its Detections; infinite where it was dropped
    slept: npt.NDArray[np.bool_]  # its server was idle and slept until it was due: its wait is the late wake-up


class ServerPool:
    """S servers that share one Session, a Pipeline and a kept thread each."""

    def __init__(
        self,
        predictors: Sequence[Predictor],
        frames: Sequence[Frame],
        clock: Callable[[], int] = time.perf_counter_ns,
        sleep_s: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take batch-1 predictors and the frames in memory; `clock` is in nanoseconds."""
        self._predictors = predictors
        self._frames = frames
        self._clock = clock
        self._sleep_s = sleep_s
        self._threads = [ThreadPoolExecutor(1) for _ in predictors]
        self._first = FIRST_PREDICTIONS

    def serve(self, schedule: Schedule) -> Served:
        """Let all frames of a schedule come, and serve them; each server makes uncounted predictions before."""
        work = _Work(schedule, len(self._predictors), self._frames, self._clock, self._sleep_s)
        futures = [
            thread.submit(work.server, predictor, self._first)
            for thread, predictor in zip(self._threads, self._predictors, strict=True)
        ]
        errors = [error for future in futures if (error := future.exception()) is not None]
        # the others then stop at the barrier with an error of their own, which says nothing
        for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
            raise error
        self._first = 1
        served = work.served()
        wait_until_quiet()
        return served


class _Work:
    """One schedule's shared state."""

    def __init__(
        self,
        schedule: Schedule,
        servers: int,
        frames: Sequence[Frame],
        clock: Callable[[], int],
        sleep_s: Callable[[float], None],
    ) -> None:
        self._schedule = schedule
        self._queue = Queue(schedule)
        self._frames = frames
        self._clock, self._sleep_s = clock, sleep_s
        self._due = schedule.due_ns.ravel().tolist()
        self._wait = np.full(len(self._due), DROPPED)
        self._latency = np.full(len(self._due), DROPPED)
        self._slept = np.zeros(len(self._due), np.bool_)
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(servers, self._begin)
        self._zero_ns = 0
        self._failed = False

    def served(self) -> Served:
        shape = (len(self._schedule.phase_ns), self._schedule.frames)
        return Served(
            phase_ns=self._schedule.phase_ns,
            wait_ns=self._wait.reshape(shape),
            latency_ns=self._latency.reshape(shape),
            slept=self._slept.reshape(shape),
        )

    def server(self, predictor: Predictor, uncounted: int) -> None:
        try:
            for i in range(uncounted):
                predictor.predict([self._frames[i % len(self._frames)]])
            self._barrier.wait()
            while not self._failed:
                with self._lock:
                    taken = self._queue.take(self._clock() - self._zero_ns)
                if taken is None:
                    return
                self._one(predictor, *taken)
        except BaseException:
            self._failed = True
            self._barrier.abort()
            raise

    def _begin(self) -> None:
        self._zero_ns = self._clock() + LEAD_NS

    def _one(self, predictor: Predictor, number: int, ready_ns: int) -> None:
        zero, due = self._zero_ns, self._due[number]
        while (left := ready_ns - (self._clock() - zero)) > 0:
            self._slept[number] = True
            self._sleep_s(left * 1e-9)
        began = self._clock()
        predictor.predict([self._frames[self._which(number)]])
        self._latency[number] = self._clock() - zero - due
        self._wait[number] = began - zero - due

    def _which(self, number: int) -> int:
        """Return which frame a camera shows: each begins elsewhere in the frames held, and goes on from there."""
        camera, k = divmod(number, self._schedule.frames)
        return (camera * 7 + k) % len(self._frames)
