"""What a sweep's samples say, from samples alone."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from bakeoff.records import Estimate, Sweep, SweepPoint, Workload
from bakeoff.speed import sweep
from bakeoff.speed.samples import WorkloadSamples

PLAIN, T1, S2 = "x/fp32/dyn", "x/fp32/dyn/t1", "x/fp32/dyn/s2"
ALL = ("1x1", "1x2", "2x1")


def samples(workload, ms, *, rounds=range(10), noise=0.002):
    w = Workload.parse(workload)
    rng = np.random.default_rng(zlib.crc32(f"{workload} {ms}".encode()))
    run = (ms * 1e6 * np.exp(rng.normal(0, noise, (len(rounds), w.streams, 4)))).astype(np.int64)
    return WorkloadSamples(
        generation=np.array([number // 5 for number in rounds], np.int32), round=np.array(rounds, np.int32),
        pre_ns=run * 0, run_ns=run, post_ns=run * 0, span_ns=run.sum(2),
        rest_ns=np.zeros(len(rounds), np.int64), window=np.full(len(rounds), -1),
    )  # fmt: skip


def swept(**ms):
    """A Sweep of latencies in ms by `KEY_WORKLOAD`."""
    keys = {"plain": PLAIN, "t1": T1, "s2": S2}
    timings = {}
    for name, value in ms.items():
        key, _, workload = name.partition("_")
        timings[keys[key], workload] = samples(workload, value)
    return Sweep(key=PLAIN, points=sweep.points(PLAIN, timings))


def point(key, workload, latency_ms, frames_per_s):
    return SweepPoint(key=key, workload=workload, samples=1, latency_ms=latency_ms, latency_interval_ms=None,
                      p95_ms=latency_ms, frames_per_s=frames_per_s)  # fmt: skip


@pytest.mark.parametrize(("cores", "streams"), [(1, {1, 2}), (2, {1, 2}), (4, {1, 2, 4}), (6, {1, 2, 4})])
def test_the_grid_has_powers_of_two_up_to_the_cores_by_batches(cores, streams):
    assert {str(w) for w in sweep.grid(cores)} == {f"{s}x{b}" for s in streams for b in (1, 2, 4)}


def test_points_give_latency_rate_and_the_ratio_to_the_plain_form_at_the_same_workload():
    plain, tuned = swept(plain_1x1=10, t1_1x1=8).points
    assert plain.speedup is None
    assert plain.gain is None
    assert tuned.latency_ms == pytest.approx(8, rel=0.01)
    assert tuned.frames_per_s == pytest.approx(125, rel=0.01)
    assert tuned.samples == 40
    assert tuned.speedup.low < 1.25 < tuned.speedup.high
    assert tuned.latency_interval_ms[0] <= tuned.latency_ms <= tuned.latency_interval_ms[1]


def test_a_gain_is_held_against_the_plain_form_where_that_has_the_most_frames_a_second():
    one = swept(plain_1x1=10, plain_2x1=12, t1_1x1=9, t1_2x1=11)
    gains = {(p.key, p.workload): p.gain for p in one.points}
    assert gains[T1, "2x1"].value == pytest.approx(12 / 11, rel=0.01)
    assert gains[T1, "1x1"].value == pytest.approx((1 / 9) / (2 / 12), rel=0.01)


def test_without_a_plain_form_there_are_points_but_no_ratios():
    one = swept(t1_1x1=9)
    assert one.points[0].speedup is None
    assert one.points[0].gain is None
    assert sweep.best_latency(one) is None
    assert sweep.winners(one, 0.02, ALL) == []


def test_too_few_rounds_make_no_ratio_and_no_winner():
    timings = {(PLAIN, "1x1"): samples("1x1", 10, rounds=range(2)), (T1, "1x1"): samples("1x1", 5, rounds=range(2))}
    one = Sweep(key=PLAIN, points=sweep.points(PLAIN, timings))
    assert one.points[1].speedup is None
    assert sweep.winners(one, 0.02, ALL) == []


def test_the_frontier_holds_what_nothing_beats_in_both():
    points = [point("a", "1x1", 5, 100), point("b", "1x1", 5, 90), point("a", "2x1", 8, 180), point("b", "2x1", 9, 170)]
    assert sweep.frontier(points) == {("a", "1x1"), ("a", "2x1")}
    assert sweep.frontier(points[:1] * 2) == {("a", "1x1")}
    assert sweep.frontier([]) == frozenset()


def test_a_setting_that_is_faster_beyond_doubt_wins_one_for_latency_and_one_for_throughput():
    one = swept(plain_1x1=10, plain_2x1=20, t1_1x1=15, t1_2x1=15, s2_1x1=9, s2_2x1=18)
    assert sweep.winners(one, 0.02, ALL) == [S2, T1]
    assert sweep.best_latency(one).point.key == S2
    assert sweep.best_throughput(one).point.key == T1
    assert sweep.best_throughput(one).sure


def test_one_setting_that_wins_both_is_added_once():
    one = swept(plain_1x1=10, plain_2x1=20, t1_1x1=5, t1_2x1=10)
    assert sweep.winners(one, 0.02, ALL) == [T1]


def test_only_workloads_that_trials_are_timed_at_decide():
    one = swept(plain_1x1=10, plain_2x1=20, t1_1x1=15, t1_2x1=10)
    assert sweep.winners(one, 0.02, ["1x1"]) == []
    assert sweep.winners(one, 0.02, ["2x1"]) == [T1]


def test_a_win_smaller_than_the_precision_target_is_none():
    one = swept(plain_1x1=10, t1_1x1=9.0)
    assert sweep.winners(one, 0.02, ALL) == [T1]
    assert sweep.winners(one, 0.2, ALL) == []


def test_doubt_is_never_a_win_but_named_a_tie():
    timings = {(PLAIN, "1x1"): samples("1x1", 10, noise=0.5), (T1, "1x1"): samples("1x1", 9, noise=0.5)}
    one = Sweep(key=PLAIN, points=sweep.points(PLAIN, timings))
    tied = Estimate(value=1.1, low=0.8, high=1.5)
    doubtful = Sweep(key=PLAIN, points=(one.points[0], _with_ratio(one.points[1], tied)))
    assert sweep.winners(doubtful, 0.02, ALL) == []
    assert sweep.best_latency(doubtful).point.key == T1
    assert not sweep.best_latency(doubtful).sure


def test_a_sure_win_is_preferred_to_a_larger_one_in_doubt():
    one = swept(plain_1x1=10, t1_1x1=9, s2_1x1=9)
    by_key = {p.key: p for p in one.points}
    doubt = _with_ratio(by_key[S2], Estimate(value=1.5, low=0.9, high=2.4))
    assert sweep.best_latency(Sweep(key=PLAIN, points=(by_key[PLAIN], by_key[T1], doubt))).point.key == T1


def test_where_nothing_is_faster_the_plain_form_is_best():
    one = swept(plain_1x1=10, plain_2x1=12, t1_1x1=12, t1_2x1=14)
    assert sweep.best_latency(one).point.key == PLAIN
    assert sweep.best_latency(one).ratio is None
    assert (sweep.best_throughput(one).point.key, sweep.best_throughput(one).point.workload) == (PLAIN, "2x1")


def _with_ratio(one, ratio):
    import msgspec

    return msgspec.structs.replace(one, speedup=ratio, gain=ratio)


@pytest.mark.parametrize("cores", [96, 128, 256])
def test_machines_of_many_cores_are_swept_with_64_frames_at_once_at_most(cores):
    grid = sweep.grid(cores)
    assert max(w.streams * w.batch for w in grid) == 64
    assert [Workload.parse(str(w)) for w in grid] == list(grid)
