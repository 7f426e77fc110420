from __future__ import annotations

import numpy as np
import pytest

from bakeoff import judge
from bakeoff.speed import capacity
from bakeoff.speed.arrivals import Schedule
from bakeoff.speed.cameras import LevelSamples
from bakeoff.speed.capacity import Search, Tally, decide, holds
from tests.speed.queues import MS, simulate

FINE, BAD = Tally(0, 600, 0), Tally(0, 600, 100)


def level(*violations, frames=600, generation=0):
    return [Tally(generation, frames, some) for some in violations]


def run(search, answer, *, limit=400):
    """Let a search measure with `answer(cameras, repetition)` until it wants nothing more; return what it asked."""
    asked = []
    for generation in range(capacity.GENERATIONS):
        while wanted := search.wanted(generation):
            for n in wanted:
                done = search.tallies.setdefault(n, [])
                frames, violations = answer(n, len(done))
                done.append(Tally(generation, frames, violations))
                asked.append(n)
                assert len(asked) < limit
    return asked


def upto(most):
    return lambda n, repetition: (600, 0 if n <= most else 300)


@pytest.mark.parametrize(("percentile", "needed"), [(99, 400), (95, 80), (50, 8), (99.9, 4000), (90, 40)])
def test_a_percentile_takes_the_samples_that_the_judge_asks_for(percentile, needed):
    assert capacity.frames_needed(percentile) == needed
    assert judge.enough_samples(needed, percentile) or percentile == 99.9  # 100 - 99.9 is a little less than 0.1
    assert not judge.enough_samples(needed - 1, percentile)


def test_holding_is_the_percentile_without_interpolation():
    assert holds(400, 4, 99)
    assert not holds(400, 5, 99)
    assert not holds(399, 4, 99), "4 of 399 are more than one in a hundred"
    assert holds(8, 4, 50)


def test_a_single_dropped_frame_in_a_hundred_is_still_a_p99_within_the_slo():
    latency = np.full(100, 5.0)
    latency[0] = np.inf
    assert np.percentile(latency, 99, method="inverted_cdf") == 5
    assert holds(100, 1, 99)


def test_repetitions_are_long_enough_for_the_percentile_and_no_longer_than_the_limit():
    assert capacity.frames_per_camera(10, 30, 33, 99, quick=False) == 60  # two seconds
    assert capacity.frames_per_camera(1, 30, 33, 99, quick=False) == 80  # 400 frames in five repetitions
    assert capacity.frames_per_camera(10, 30, 33, 99, quick=True) == 30
    assert capacity.frames_per_camera(1, 0.5, 33, 99, quick=False) == 20  # twenty intervals
    assert capacity.repetitions_needed(5, 99) == 80
    assert capacity.repetitions_needed(600, 99) == 5


def test_the_answer_is_the_largest_level_that_holds_below_the_first_that_does_not():
    found = decide({3: level(*[0] * 6), 4: level(*[0] * 6), 5: level(*[60] * 6)}, 99, 0)
    assert (found.cameras, found.low, found.high, found.settled) == (4, 4, 4, True)


def test_a_level_that_holds_above_one_that_does_not_is_not_the_answer():
    found = decide({3: level(*[0] * 6), 4: level(*[60] * 6), 5: level(*[0] * 6)}, 99, 0)
    assert (found.cameras, found.high) == (3, 3)


def test_none_is_the_answer_where_one_camera_does_not_hold():
    found = decide({1: level(*[60] * 6)}, 99, 0)
    assert (found.cameras, found.low, found.high, found.settled) == (0, 0, 0, True)


def test_no_answer_where_only_levels_above_it_were_measured():
    found = decide({7: level(*[60] * 6)}, 99, 0)
    assert (found.cameras, found.low, found.high, found.settled) == (None, 0, 6, False)


def test_nothing_bounds_the_answer_where_every_level_measured_holds():
    found = decide({7: level(*[0] * 6)}, 99, 0)
    assert (found.cameras, found.low, found.high, found.settled) == (7, 7, None, False)


def test_a_level_that_fails_in_each_of_three_repetitions_bounds_the_answer_before_it_is_told():
    doubtful = {2: level(*[0] * 6), 3: level(40, 0, 0, 0, 0, 0)}
    assert decide(doubtful, 99, 0).high is None
    assert decide({**doubtful, 5: level(*[300] * 3)}, 99, 0).high == 4
    assert decide({**doubtful, 5: level(*[300] * 2)}, 99, 0).high is None
    assert decide({**doubtful, 5: level(300, 300, 0)}, 99, 0).high is None


def test_levels_with_too_few_repetitions_or_frames_tell_nothing():
    assert decide({4: level(*[0] * 4)}, 99, 0) is None
    assert decide({4: level(*[0] * 5, frames=79)}, 99, 0) is None
    assert decide({4: level(*[0] * 5, frames=80)}, 99, 0).cameras == 4
    assert decide({}, 99, 0) is None


def test_one_bad_repetition_of_many_makes_the_interval_wide_not_the_answer():
    """31 of 3600 frames are late, all in one repetition: the level holds, but not in every resample."""
    tallies = {3: level(*[0] * 6), 4: level(31, 0, 0, 0, 0, 0), 5: level(*[200] * 6)}
    found = decide(tallies, 99, 0)
    assert (found.cameras, found.low, found.high) == (4, 3, 4)
    assert capacity.chances(tallies, 99, 0)[4] == pytest.approx(0.73, abs=0.03)  # it is drawn at most once


def test_the_interval_reaches_up_where_the_next_level_might_hold():
    tallies = {4: level(*[0] * 6), 5: level(40, 0, 0, 0, 0, 0), 6: level(*[200] * 6)}
    found = decide(tallies, 99, 0)
    assert (found.cameras, found.low, found.high) == (4, 4, 5)


def test_with_all_smaller_ones_means_that_doubt_below_lowers_what_stands_above():
    doubtful = level(31, 0, 0, 0, 0, 0)
    share = capacity.chances({3: doubtful, 4: level(*[0] * 6)}, 99, 0)
    assert share[3] == share[4] < 0.975


def test_the_same_samples_give_the_same_interval():
    tallies = {4: level(31, 0, 10, 0, 0, 0), 5: level(40, 0, 0, 9, 0, 0)}
    assert decide(tallies, 99, 3) == decide(tallies, 99, 3)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 8, 13, 40, 100])
@pytest.mark.parametrize("start", [1, 4, 30])
def test_the_search_finds_the_answer_from_any_start_and_measures_both_sides_of_it(most, start):
    search = Search(percentile=99, start=start, seed=0)
    asked = run(search, upto(most))
    found = decide(search.tallies, 99, 0)
    assert (found.cameras, found.low, found.high, found.settled) == (most, most, most, True)
    for n in {most, most + 1} - {0}:
        assert len(search.tallies[n]) >= capacity.REPETITIONS
        assert len({one.generation for one in search.tallies[n]}) >= 2
    assert all(len(some) <= 6 for some in search.tallies.values())
    assert len(asked) - 12 <= 2 * np.log2(max(2, abs(most - start))) + 4, "single repetitions in growing steps"


def test_a_search_that_a_single_bad_repetition_misled_finds_its_way_back():
    search = Search(percentile=99, start=6, seed=0)
    run(search, lambda n, repetition: (600, 35 if repetition == 0 and n == 6 else 0 if n <= 9 else 300))
    assert decide(search.tallies, 99, 0).cameras == 9


def test_where_the_answer_is_in_doubt_the_levels_beside_it_are_measured_too():
    rng = np.random.default_rng(5)
    search = Search(percentile=99, start=8, seed=0)
    run(search, lambda n, repetition: (600, int(rng.integers(0, max(1, 4 * n - 20)))))
    found = decide(search.tallies, 99, 0)
    assert found.low <= found.cameras <= found.high
    assert found.high is not None
    for n in range(max(1, found.low), found.high + 2):
        assert capacity.told(search.tallies[n], 99)


def test_a_search_ends_at_the_most_cameras_that_are_tried():
    search = Search(percentile=99, start=900, seed=0)
    run(search, lambda n, repetition: (6000, 0))
    found = decide(search.tallies, 99, 0)
    assert (found.cameras, found.high, found.settled) == (capacity.LIMIT, None, True)


def test_a_percentile_that_takes_many_short_repetitions_gets_them():
    search = Search(percentile=99, start=1, seed=0)
    run(search, lambda n, repetition: (20, 0 if n <= 2 else 10))
    assert len(search.tallies[2]) == 20
    assert decide(search.tallies, 99, 0).cameras == 2


@pytest.mark.parametrize(("servers", "service_ms", "slo_ms"), [(1, 5, 33), (2, 10, 33), (1, 12, 20)])
def test_a_simulated_server_is_found_to_hold_what_it_holds(servers, service_ms, slo_ms):
    """The search, the schedule and the queue together; truth from 200 repetitions of each level."""
    interval = round(1e9 / 30)

    def measure(n, repetition):
        schedule = Schedule.draw(n, interval, 60, (0, repetition))
        served = simulate(schedule, servers, lambda frame, begin: service_ms * MS)
        (tally,) = LevelSamples.of(0, served).tallies(slo_ms)
        return tally.frames, tally.violations

    search = Search(percentile=99, start=3, seed=0)
    run(search, measure)
    found = decide(search.tallies, 99, 0)
    true = 0
    while holds(*np.sum([measure(true + 1, 1000 + i) for i in range(200)], axis=0), 99):
        true += 1
    assert true <= servers * 33.4 / service_ms
    assert found.low <= true <= found.high
    assert abs(found.cameras - true) <= 1


@pytest.mark.parametrize(("fps", "slo_ms", "service_ms"), [(1, 1000, 20), (5, 200, 10), (30, 33, 2)])
def test_an_overload_of_a_few_percent_breaks_the_slo_within_one_repetition(fps, slo_ms, service_ms):
    """A repetition begins with an empty queue: two seconds of it took 70 cameras for what serves 50."""
    most = round(1000 / fps / service_ms)
    n = round(most * 1.06) + 1
    frames = capacity.frames_per_camera(n, fps, slo_ms, 99, quick=False)
    schedule = Schedule.draw(n, round(1e9 / fps), frames, (0, 0))
    served = simulate(schedule, 1, lambda frame, begin: service_ms * MS)
    (tally,) = LevelSamples.of(0, served).tallies(slo_ms)
    assert not holds(tally.frames, tally.violations, 99)
