from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from bakeoff.pipeline import Times
from bakeoff.speed.streams import StreamPool, warm_up


class Frames:
    def __init__(self):
        self.asked = []

    def frame(self, i):
        self.asked.append(i)
        return np.full((2, 2, 3), i % 250, np.uint8)


class Fake:
    """A predictor that sleeps, and remembers the frames that it saw and who else was at work."""

    active = 0
    lock = threading.Lock()

    def __init__(self, seconds=0.0, run_ns=lambda n: 1000):
        self.seconds, self.run_ns = seconds, run_ns
        self.seen, self.alone = [], []

    def predict(self, frames):
        with Fake.lock:
            Fake.active += 1
        self.seen.append([int(frame[0, 0, 0]) for frame in frames])
        time.sleep(self.seconds)
        with Fake.lock:
            self.alone.append(Fake.active == 1)
            Fake.active -= 1
        return [], Times(pre_ns=10, run_ns=self.run_ns(len(self.seen)), post_ns=1)


def test_the_first_prediction_of_a_block_is_not_counted():
    fake = Fake(run_ns=lambda n: 1_000_000 if n == 1 else n)
    samples = StreamPool([fake], Frames(), 1).block(0, 3)
    assert samples.run_ns.tolist() == [[2, 3, 4]]
    assert samples.latency_ns.tolist() == [[13, 14, 15]]
    assert fake.seen == [[0], [1], [2], [3]]


def test_batches_and_streams_get_frames_of_their_own():
    fakes = [Fake(), Fake()]
    StreamPool(fakes, Frames(), 2).block(10, 1)
    assert fakes[0].seen[:2] == [[10, 11], [12, 13]]
    assert fakes[1].seen[:2] == [[14, 15], [16, 17]]


def test_a_fast_stream_keeps_the_slow_one_company_until_it_is_done():
    slow, fast = Fake(0.02), Fake(0.002)
    samples = StreamPool([slow, fast], Frames(), 1).block(0, 4)
    assert samples.pre_ns.shape == (2, 4)
    assert len(slow.seen) == 5
    assert len(fast.seen) > 5
    assert sum(slow.alone) <= 1, "the slow stream is never timed alone"


def test_a_stream_that_fails_ends_the_block_with_its_error():
    def explode(n):
        raise RuntimeError("no luck")

    with pytest.raises(RuntimeError, match="no luck"):
        StreamPool([Fake(0.001), Fake(run_ns=explode)], Frames(), 1).block(0, 3)


def test_warm_up_goes_on_while_blocks_get_faster_and_then_stops():
    falling = Fake(run_ns=lambda n: max(1000, 5000 - 300 * n))
    medians, settled = warm_up(StreamPool([falling], Frames(), 1))
    assert settled
    assert medians[0] > 3000
    assert medians[-1] == pytest.approx(1011)


def test_what_never_settles_says_so():
    medians, settled = warm_up(StreamPool([Fake(run_ns=lambda n: int(10**9 * 0.95**n))], Frames(), 1))
    assert not settled
    assert len(medians) == 12
