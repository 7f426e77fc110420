"""What the harness adds to a prediction of a fake Session that takes 1 ms, for one stream and for two.

Rows: a fake predictor that is busy for 1 ms, one that sleeps for 1 ms, the real Pipeline on a Session that returns at
once, and the real Pipeline on a Session that is busy for 1 ms. All go through `StreamPool.block`, as a timed block
does. What is added to one prediction is the time from its start to the start of the next one, less what the prediction
itself is meant to take: the 1 ms (asleep: the time really slept, since timers oversleep) and, for a Pipeline, its own
pre and post. Being busy lets go of Python's lock, as runtimes do. The target is held against the median: on a machine
that others use, the p95 and the wall time of a block show how long the scheduler gave the core to somebody else.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
import numpy as np
import numpy.typing as npt

from bakeoff.backend import BaseSession, Images, Outputs
from bakeoff.data.images import Frame
from bakeoff.models.tasks.detection import timed
from bakeoff.pipeline import Pipeline, Times
from bakeoff.speed.streams import Predictor, StreamPool

LIMIT_US = 50.0
WORK_NS = 1_000_000
SIDE = 64
_CHUNK = bytes(4096)  # hashlib lets go of the lock from 2048 bytes on; 4096 take a few microseconds
clock = time.perf_counter_ns


def nothing() -> int:
    return 0


def busy() -> int:
    """Work for 1 ms and return 1 ms: overshooting counts as the harness's."""
    end = clock() + WORK_NS
    while clock() < end:
        hashlib.sha256(_CHUNK)
    return WORK_NS


def asleep() -> int:
    """Sleep for 1 ms and return how long it was."""
    start = clock()
    time.sleep(WORK_NS * 1e-9)
    return clock() - start


WORK = {"nothing": nothing, "busy": busy, "asleep": asleep}


class FakePredictor:
    """Takes its time, and notes when each prediction began and what it was meant to take."""

    def __init__(self, work: str) -> None:
        self.starts: list[int] = []
        self.meant: list[int] = []
        self._work = WORK[work]

    def predict(self, frames: Sequence[Frame]) -> tuple[object, Times]:
        """See `Predictor.predict`."""
        self.starts.append(clock())
        spent = self._work()
        self.meant.append(spent)
        return None, Times(pre_ns=0, run_ns=spent, post_ns=0)


class FakeSession(BaseSession):
    """Returns a head in which ten anchors of 84 score, after its time."""

    def __init__(self, work: str) -> None:
        super().__init__()
        self._work = WORK[work]
        head = np.zeros((1, 10, 84), np.float32)
        head[0, :4] = np.random.default_rng(0).uniform(8, 56, (4, 84))
        head[0, 4, :10] = 0.9
        self._outputs = [head]
        self.spent = 0

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        self.spent = self._work()
        return self._outputs


class NotedPipeline:
    """The real Pipeline; notes the same as `FakePredictor`."""

    def __init__(self, work: str) -> None:
        self.starts: list[int] = []
        self.meant: list[int] = []
        self._session = FakeSession(work)
        self._pipeline = Pipeline(self._session, SIDE, 1, timed(), clock)

    def predict(self, frames: Sequence[Frame]) -> tuple[object, Times]:
        """See `Predictor.predict`."""
        self.starts.append(clock())
        found, times = self._pipeline.predict(frames)
        self.meant.append(times.pre_ns + self._session.spent + times.post_ns)
        return found, times


class Frames:
    """One small frame, again and again."""

    def frame(self, i: int) -> Frame:
        """See `FrameSource.frame`."""
        return np.full((SIDE, SIDE, 3), i % 256, np.uint8)


def added_us(make: Any, streams: int, blocks: int, count: int) -> tuple[npt.NDArray[np.float64], float]:
    """Return what was added to each prediction (blocks, …), and by the harness's own wall time; microseconds."""
    samples, spans = [], []
    for number in range(blocks):
        predictors: list[Any] = [make() for _ in range(streams)]
        typed: list[Predictor] = list(predictors)
        block = StreamPool(typed, Frames(), 1).block(number * count, count)
        for stream, predictor in enumerate(predictors):
            starts = np.array(predictor.starts[1 : count + 1], np.int64)  # the first is uncounted
            meant = np.array(predictor.meant[1 : count + 1], np.int64)
            samples.append((np.diff(starts) - meant[:-1]) * 1e-3)
            spans.append((block.span_ns[stream] - meant.sum()) / count * 1e-3)
    return np.stack(samples).reshape(blocks, -1), float(np.median(spans))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="counted predictions a block [500]")
    parser.add_argument("--blocks", type=int, default=10, help="blocks a row [10]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    rows = {
        "fake predictor, busy 1 ms": lambda: FakePredictor("busy"),
        "fake predictor, asleep 1 ms": lambda: FakePredictor("asleep"),
        "Pipeline, Session returns at once": lambda: NotedPipeline("nothing"),
        "Pipeline, Session busy 1 ms": lambda: NotedPipeline("busy"),
    }
    table, figures, added = [], [], {}
    for name, make in rows.items():
        for streams in (1, 2):
            samples, span_us = added_us(make, streams, options.blocks, options.count)
            median, p95 = float(np.median(samples)), float(np.percentile(samples, 95))
            title = f"{name}, {streams}x1"
            table.append((title, f"{median:.1f}", f"{p95:.1f}", f"{span_us:.1f}"))
            added[title] = {
                "median_us": median,
                "p95_us": p95,
                "by_span_us": span_us,
                "block_medians_us": np.round(np.median(samples, 1), 2).tolist(),
                "block_p95_us": np.round(np.percentile(samples, 95, axis=1), 2).tolist(),
            }
            if "1 ms" in name:
                reached = "yes" if median <= LIMIT_US else "no"
                measured = f"median {median:.1f} µs, p95 {p95:.1f} µs, by wall time of a block {span_us:.1f} µs"
                figures.append(common.figure(f"harness adds: {title}", "≤ 50 µs", measured, reached))
    common.table(("added to a prediction, µs", "median", "p95", "by span"), table)
    given = {"count": options.count, "blocks": options.blocks, "work_us": WORK_NS / 1000}
    common.write("harness_overhead", options.results, given, figures, added=added)


if __name__ == "__main__":
    main()
