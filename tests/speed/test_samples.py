from __future__ import annotations

import numpy as np
import pytest

from bakeoff.records import Workload
from bakeoff.speed.samples import Block, WorkloadSamples, half_width, speedup, summarise
from bakeoff.speed.streams import BlockSamples
from bakeoff.stats import Ratio

ONE = Workload.parse("1x1")


def make(rounds, latency_ns):
    blocks = []
    for n in rounds:
        table = np.full((1, 4), latency_ns, np.int64)
        zero = np.zeros((1, 4), np.int64)
        samples = BlockSamples(pre_ns=zero, run_ns=table, post_ns=zero, span_ns=table.sum(1))
        blocks.append(Block(generation=0, round=n, window=-1, samples=samples))
    return WorkloadSamples.gather(blocks)


def test_speedup_pairs_equal_rounds_only():
    reference = make(range(10), 2_000_000)
    ratio = speedup(reference.medians, make(range(5, 15), 1_000_000).medians)
    assert ratio.value == pytest.approx(2)
    assert speedup(reference.medians, make(range(100, 110), 1_000_000).medians) is None


def test_a_summary_counts_wall_time_scaled_to_the_frames_asked_for():
    summary = summarise(make(range(10), 2_000_000), Workload.parse("1x2"), 250)
    assert summary.median_ms == pytest.approx(2)
    assert summary.frames_s == pytest.approx(0.25)
    assert summary.frames_per_s == pytest.approx(1000)
    assert summary.p99_ms is None
    assert summarise(make(range(100), 2_000_000), Workload.parse("1x1"), 250).p99_ms == pytest.approx(2)


def random_samples(rounds: int, seed: int, *, blocks_differ: float = 0.0) -> WorkloadSamples:
    """Latencies around 10 ms; `blocks_differ` is what all predictions of a block have in common."""
    rng = np.random.default_rng(seed)
    ms = 10 * np.exp(rng.normal(0, 0.1, (rounds, 1, 4)) + rng.normal(0, blocks_differ, (rounds, 1, 1)))
    run = (ms * 1e6).astype(np.int64)
    zero = np.zeros_like(run)
    return WorkloadSamples(
        generation=np.arange(rounds, dtype=np.int32) * 3 // rounds,
        round=np.arange(rounds, dtype=np.int32),
        pre_ns=zero,
        run_ns=run,
        post_ns=zero,
        span_ns=run.sum(2),
        rest_ns=np.full(rounds, 2_000_000),
        window=np.full(rounds, -1),
    )


@pytest.mark.parametrize("blocks_differ", [0.0, 0.1])
def test_percentiles_and_throughput_have_intervals_that_cover_the_truth_where_blocks_are_correlated(blocks_differ):
    spread = np.hypot(0.1, blocks_differ)
    truth = {
        "median_ms": 10.0,
        "p95_ms": 10 * np.exp(1.645 * spread),
        "p99_ms": 10 * np.exp(2.326 * spread),
        "frames_per_s": 100 / np.exp(spread**2 / 2),
    }
    covered = dict.fromkeys(truth, 0)
    for seed in range(200):
        intervals = summarise(random_samples(120, seed, blocks_differ=blocks_differ), ONE, 250).intervals
        for name, value in truth.items():
            low, high = intervals[name]
            covered[name] += low <= value <= high
    assert min(covered["median_ms"], covered["p95_ms"], covered["frames_per_s"]) >= 0.9 * 200
    assert covered["p99_ms"] >= 0.8 * 200  # with 480 samples, 5 lie beyond: a bootstrap falls a little short there


def test_correlated_blocks_widen_the_intervals():
    def width(samples):
        low, high = summarise(samples, ONE, 250).intervals["median_ms"]
        return high - low

    widths = [width(random_samples(60, 1, blocks_differ=d)) for d in (0.0, 0.2)]
    assert widths[1] > 2 * widths[0]


def test_a_p99_that_has_too_few_samples_says_how_many_more_it_needs():
    few, enough = summarise(random_samples(63, 0), ONE, 250), summarise(random_samples(100, 0), ONE, 250)
    assert (few.p99_ms, few.missing_for_p99) == (None, 400 - 252)
    assert "p99_ms" not in few.intervals
    assert enough.p99_ms is not None
    assert enough.missing_for_p99 == 0


def test_the_worst_prediction_is_named_and_jitter_is_the_mean_step_within_a_block():
    samples = make(range(8), 2_000_000)
    samples.run_ns[5, 0] = [2_000_000, 9_000_000, 2_000_000, 2_000_000]
    summary = summarise(samples, ONE, 32)
    assert (summary.worst.ms, summary.worst.round) == (9.0, 5)
    assert summary.jitter_ms == pytest.approx(14 / 24)


def test_few_rounds_have_no_intervals():
    assert summarise(random_samples(5, 0), ONE, 20).intervals == {}


def test_a_half_width_is_a_share_and_unknown_without_an_interval():
    assert half_width(Ratio(value=1, low=1 / 1.02, high=1.02)) == pytest.approx(0.02)
    assert half_width(Ratio(value=1, low=None, high=None)) is None
