"""Streams and blocks, in the child: S closed loops at once on one loaded Session.

A block is one uncounted prediction a stream, then k counted ones. All streams start on a barrier, and one that is
done goes on, uncounted, until the others are: so all S are active during every counted prediction.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bakeoff.data.images import Frame
from bakeoff.pipeline import Times
from bakeoff.speed.quiet import wait_until_quiet

Nanoseconds = npt.NDArray[np.int64]

WARM_BLOCK = 3  # predictions a stream in one block of warm-up
WARM_FLOOR, WARM_CEILING = 3, 12  # blocks
WARM_LIMIT_NS = 15_000_000_000
SETTLED = 0.97  # a block that takes at least this share of the best before it got no faster


class Predictor(Protocol):
    """What a stream calls; `bakeoff.pipeline.Pipeline` is one."""

    def predict(self, frames: Sequence[Frame]) -> tuple[object, Times]:
        """Predict one batch."""
        ...


class FrameSource(Protocol):
    """Where a stream's frames come from; `bakeoff.data.frames.FrameCache` is one."""

    def frame(self, i: int) -> Frame:
        """Return a private copy of frame `i`, cycled."""
        ...


@dataclass(frozen=True, kw_only=True)
class BlockSamples:
    """Durations of the counted predictions (streams, count), and each stream's wall time for them (streams,).

    `rest_ns` is how long the process's threads kept running afterwards.
    """

    pre_ns: Nanoseconds
    run_ns: Nanoseconds
    post_ns: Nanoseconds
    span_ns: Nanoseconds
    rest_ns: int = 0

    @property
    def latency_ns(self) -> Nanoseconds:
        """Latency of each prediction (streams, count)."""
        return self.pre_ns + self.run_ns + self.post_ns


class StreamPool:
    """The streams of one Workload: a thread each, kept, since runtimes keep state by thread."""

    def __init__(self, predictors: Sequence[Predictor], frames: FrameSource, batch: int) -> None:
        self._predictors = predictors
        self._frames = frames
        self._batch = batch
        self._threads = [ThreadPoolExecutor(1) for _ in predictors]

    def block(self, first_frame: int, count: int) -> BlockSamples:
        """Time one block of `count` counted predictions a stream, on frames from `first_frame` on."""
        streams = len(self._predictors)
        batches = [self._batches(first_frame + s * (count + 1) * self._batch, count + 1) for s in range(streams)]
        run = _Block(streams, count)
        if streams == 1:
            rows = [run.stream(self._predictors[0].predict, batches[0])]
        else:
            futures = [
                thread.submit(run.stream, predictor.predict, own)
                for thread, predictor, own in zip(self._threads, self._predictors, batches, strict=True)
            ]
            errors = [error for future in futures if (error := future.exception()) is not None]
            # the others then stop at the barrier with an error of their own, which says nothing
            for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
                raise error
            rows = [future.result() for future in futures]
        table = np.array([row for row, _ in rows], np.int64).reshape(streams, count, 3)
        return BlockSamples(
            pre_ns=table[..., 0],
            run_ns=table[..., 1],
            post_ns=table[..., 2],
            span_ns=np.array([span for _, span in rows], np.int64),
            rest_ns=wait_until_quiet(),
        )

    def _batches(self, start: int, predictions: int) -> list[list[Frame]]:
        """Read frames into memory before the block, as a camera would have delivered them."""
        return [
            [self._frames.frame(start + i * self._batch + b) for b in range(self._batch)] for i in range(predictions)
        ]


class _Block:
    """One block's shared state."""

    def __init__(self, streams: int, count: int) -> None:
        self._count = count
        self._barrier = threading.Barrier(streams)
        self._running = streams
        self._lock = threading.Lock()
        self._all_done = threading.Event()

    def stream(
        self, predict: Callable[[Sequence[Frame]], tuple[object, Times]], batches: list[list[Frame]]
    ) -> tuple[list[tuple[int, int, int]], int]:
        """Run one stream; return its counted durations and their wall time."""
        try:
            self._barrier.wait()
            predict(batches[0])
            rows = []
            start = time.perf_counter_ns()
            for frames in batches[1:]:
                times = predict(frames)[1]
                rows.append((times.pre_ns, times.run_ns, times.post_ns))
            span = time.perf_counter_ns() - start
        except BaseException:
            self._all_done.set()
            self._barrier.abort()
            raise
        with self._lock:
            self._running -= 1
            if not self._running:
                self._all_done.set()
        while not self._all_done.is_set():
            predict(batches[0])
        return rows, span


def warm_up(pool: StreamPool) -> tuple[list[float], bool]:
    """Run blocks until they stop getting faster.

    Returns:
        The blocks' median latencies in nanoseconds, and whether the last two were no faster than the best before.
    """
    medians: list[float] = []
    spent = 0.0
    while len(medians) < WARM_CEILING and spent < WARM_LIMIT_NS:
        latency = pool.block(len(medians) * WARM_BLOCK, WARM_BLOCK).latency_ns
        medians.append(float(np.median(latency)))
        spent += float(latency.sum())
        if len(medians) >= WARM_FLOOR and _settled(medians):
            return medians, True
    return medians, False


def _settled(medians: Sequence[float]) -> bool:
    best = min(medians[:-2])
    return min(medians[-2:]) >= SETTLED * best
