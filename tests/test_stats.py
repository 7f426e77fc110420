from __future__ import annotations

import numpy as np
import pytest

from bakeoff.stats import LAYOUT, LogRatio, paired_log, paired_ratio, standard_error


def test_a_constant_ratio_is_found_exactly():
    base = np.random.default_rng(0).uniform(5, 10, 50)
    ratio = paired_ratio(base * 2, base)
    assert ratio.value == pytest.approx(2)
    assert ratio.low == pytest.approx(2)
    assert not ratio.tie


def test_swapping_the_sides_inverts_ratio_and_interval():
    rng = np.random.default_rng(1)
    a, b = rng.lognormal(2, 0.1, 40), rng.lognormal(2.05, 0.1, 40)
    one, other = paired_ratio(a, b), paired_ratio(b, a)
    assert one.value == pytest.approx(1 / other.value)
    assert one.low == pytest.approx(1 / other.high)


def test_few_rounds_have_no_interval_and_count_as_a_tie():
    ratio = paired_ratio(np.array([2.0, 2.1]), np.array([1.0, 1.0]))
    assert ratio.low is None
    assert ratio.tie


@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_intervals_cover_the_truth_about_as_often_as_they_say(correlation):
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        noise = rng.normal(0, 0.03, 60)
        for i in range(1, 60):
            noise[i] += correlation * noise[i - 1]
        ratio = paired_ratio(np.exp(np.log(1.05) + noise), np.ones(60))
        covered += ratio.low <= 1.05 <= ratio.high
    # the correction for correlated rounds is known to fall a little short
    assert 400 * (0.92 if correlation == 0 else 0.86) <= covered <= 400 * 0.985


def test_correlation_widens_and_never_narrows_the_standard_error():
    rng = np.random.default_rng(2)
    independent = rng.normal(size=200)
    correlated = np.cumsum(rng.normal(size=200))
    naive = correlated.std(ddof=1) / np.sqrt(200)
    assert standard_error(correlated)[0] > 1.5 * naive
    assert standard_error(independent)[0] >= independent.std(ddof=1) / np.sqrt(200) * 0.999


def test_intervals_cover_the_truth_where_generations_of_processes_differ():
    rng = np.random.default_rng(5)
    generation = np.repeat(np.arange(3), 30)
    by_rounds = by_generations = 0
    for _ in range(400):
        layout = rng.normal(0, 0.006, 3)[generation]  # as measured: benchmarks/results/timing_intervals.json
        times = np.exp(layout + rng.normal(0, 0.03, 90))
        one, other = paired_ratio(times, np.ones(90)), paired_ratio(times, np.ones(90), generation)
        by_rounds += one.low <= 1 <= one.high
        by_generations += other.low <= 1 <= other.high
    assert by_generations >= 400 * 0.92 > 400 * 0.88 > by_rounds


def test_generations_that_agree_still_leave_what_the_study_found_of_their_spread():
    series = np.tile(np.random.default_rng(3).normal(0, 0.001, 40), 3)
    error, freedom = standard_error(series, np.repeat(np.arange(3), 40))
    assert 0.5 * LAYOUT / 3**0.5 < error < LAYOUT / 3**0.5
    assert freedom == pytest.approx(4, abs=0.1)


def test_generations_of_one_round_each_still_give_an_interval():
    ratio = paired_ratio(np.array([2.0, 2.1, 2.2]), np.ones(3), np.arange(3))
    assert ratio.low < 2.1 < ratio.high


def test_a_ratio_over_another_runs_covers_the_truth_about_as_often_as_it_says():
    """Rounds spread by 3%, generations by 0.6%: the figures of docs/timing.md."""
    rng, generation = np.random.default_rng(3), np.repeat(np.arange(3), 20)

    def run(ratio: float) -> LogRatio:
        layout = rng.normal(0, LAYOUT, 3)[generation]
        return paired_log(ratio * np.exp(layout + rng.normal(0, 0.03, 60)), np.ones(60), generation)

    found = [run(2.1).over(run(2.0)).ratio for _ in range(400)]
    assert 0.92 <= np.mean([one.low <= 1.05 <= one.high for one in found]) <= 0.99
    assert np.median([one.high / one.low for one in found]) < 1.06


def test_over_a_run_of_one_generation_or_few_rounds_there_is_no_interval():
    generation = np.repeat(np.arange(3), 20)
    whole = paired_log(np.linspace(1, 1.1, 60), np.ones(60), generation)
    for other in (paired_log(np.linspace(1, 1.1, 60), np.ones(60)), paired_log(np.ones(2), np.ones(2), np.arange(2))):
        for ratio in (whole.over(other).ratio, other.over(whole).ratio):
            assert (ratio.low, ratio.high) == (None, None)
    assert whole.over(whole).ratio.value == 1
