from __future__ import annotations

import numpy as np
import pytest

from bakeoff.speed import cameras, capacity
from bakeoff.speed.arrivals import Schedule, Served
from bakeoff.speed.cameras import LevelSamples
from tests.speed.queues import MS, simulate


def served(latency_ms, *, wait_ms=0.0, slept=False):
    latency = np.array(latency_ms, np.float64) * MS
    wait = np.where(np.isinf(latency), np.inf, wait_ms * MS)
    return Served(
        phase_ns=np.zeros(len(latency), np.int64),
        wait_ns=wait,
        latency_ns=latency,
        slept=np.full(latency.shape, slept),
    )


def repetitions(*rows, **options):
    whole = LevelSamples.of(0, served(rows[0], **options))
    for number, row in enumerate(rows[1:], 1):
        whole = whole.followed_by(LevelSamples.of(number % 2, served(row, **options)))
    return whole


def simulated(most, *, repetitions_each=6, frames=60):
    """Levels around a capacity, from a queue with a service of 33.3 ms / most."""
    levels = {}
    for n in range(1, most + 3):
        for r in range(repetitions_each):
            schedule = Schedule.draw(n, 33 * MS, frames, (0, r))
            one = LevelSamples.of(r % 2, simulate(schedule, 1, lambda frame, begin: 33 * MS // most))
            levels[1, n] = levels[1, n].followed_by(one) if (1, n) in levels else one
    return levels


def test_a_dropped_frame_violates_the_slo_as_a_late_one_does():
    samples = repetitions(*[[[10, np.inf, 40, 33]]] * 5)
    assert samples.tallies(33)[0] == capacity.Tally(0, 4, 2)
    figures = cameras.level(1, samples, 33, 75)
    assert (figures.frames, figures.late, figures.dropped, figures.holds) == (20, 5, 5, False)
    assert figures.percentile_ms == pytest.approx(40)
    dropped = cameras.level(1, samples, 33, 80)
    assert (dropped.percentile_ms, dropped.holds) == (None, False), "the 80th percentile is a dropped frame"


def test_too_few_frames_have_no_percentile():
    figures = cameras.level(1, repetitions(*[[[10, 11, 12, 13]]] * 5), 33, 99)
    assert (figures.percentile_ms, figures.holds) == (None, None)


def test_frames_are_those_done_in_time_late_or_dropped():
    levels = simulated(3)
    for (streams, _), samples in levels.items():
        figures = cameras.level(streams, samples, 20, 95)
        in_time = int((samples.latency_ns <= 20 * MS).sum())
        assert figures.frames == in_time + figures.late + figures.dropped == samples.latency_ns.size


@pytest.mark.parametrize("percentile", [50, 75, 90, 95, 99])
def test_the_percentile_shown_is_within_the_slo_exactly_where_the_level_holds(percentile):
    rng = np.random.default_rng(percentile)
    for _ in range(200):
        row = rng.choice([5.0, 33.0, 34.0, np.inf], 100, p=[0.9, 0.05, 0.03, 0.02])
        figures = cameras.level(1, repetitions(*[[row]] * 5), 33, percentile)
        within = figures.percentile_ms is not None and figures.percentile_ms <= 33
        violations = figures.late + figures.dropped
        assert within == capacity.holds(figures.frames, violations, percentile)


def test_a_level_that_is_too_short_does_not_say_whether_it_holds():
    assert cameras.level(1, repetitions([[5] * 100], [[5] * 100]), 33, 99).holds is None
    assert cameras.level(1, repetitions(*[[[5] * 100]] * 5), 33, 99).holds is True


def test_late_wake_ups_are_told_and_none_where_no_stream_was_ever_idle():
    assert cameras.level(1, repetitions([[5] * 9], wait_ms=0.5, slept=True), 33, 50).wake_up_ms == 0.5
    assert cameras.level(1, repetitions([[5] * 9], wait_ms=0.5), 33, 50).wake_up_ms is None


def test_service_is_the_time_after_the_wait():
    assert cameras.level(1, repetitions([[5, 6, 7, np.inf]], wait_ms=2), 33, 50).service_ms == pytest.approx(4)


def test_the_answer_names_the_streams_that_serve_most_and_the_fewest_of_equals():
    one = simulated(3)
    better = {(2, n): samples for (_, n), samples in simulated(5).items()}
    found = cameras.answer({**one, **better}, 30, 33, 95, seed=0)
    alone = cameras.answer(better, 30, 33, 95, seed=0)
    assert found.streams == 2
    assert (found.cameras, found.low, found.high, found.settled) == (
        alone.cameras,
        alone.low,
        alone.high,
        alone.settled,
    )
    assert len(found.levels) == len(one) + len(better)
    same = {(2, n): samples for (_, n), samples in one.items()}
    assert cameras.answer({**one, **same}, 30, 33, 95, seed=0).streams == 1


def test_the_answer_lies_in_its_interval_and_its_levels_can_be_looked_up():
    found = cameras.answer(simulated(4), 30, 33, 95, seed=0)
    assert found.low <= found.cameras <= found.high
    assert found.level(found.cameras).holds
    assert not found.level(found.cameras + 1).holds
    assert found.level(99) is None


def test_without_enough_repetitions_there_is_no_answer_but_what_they_point_at():
    levels = simulated(3, repetitions_each=1)
    found = cameras.answer(levels, 30, 33, 95, seed=0)
    assert (found.cameras, found.low, found.high, found.streams) == (None, None, None, None)
    assert found.near == 2 or found.near == 3
    assert found.seconds == pytest.approx(len(levels) * 60 / 30)


def test_samples_come_back_from_the_store_as_they_went_in():
    levels = simulated(2)
    stored = cameras.arrays("onnxruntime/fp32/static", levels) | {"timing/x:1x1/round": np.zeros(1)}
    found = cameras.read(stored)
    assert list(found) == ["onnxruntime/fp32/static"]
    again = found["onnxruntime/fp32/static"]
    assert list(again) == list(levels)
    for at, samples in levels.items():
        for name, array in samples.arrays().items():
            assert np.array_equal(again[at].arrays()[name], array)
    assert cameras.answer(again, 30, 33, 95, seed=1) == cameras.answer(levels, 30, 33, 95, seed=1)
