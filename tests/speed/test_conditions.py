from __future__ import annotations

import numpy as np
import pytest

from bakeoff.speed.conditions import conditions
from tests.speed.test_samples import random_samples


def windows(count: int, **quantities):
    plain = {"start_ns": np.arange(count), "end_ns": np.arange(count) + 1}
    flags = {name: np.zeros(count, bool) for name in ("busy", "throttled", "owner_pure")}
    return {**plain, **flags, **{name: np.asarray(values) for name, values in quantities.items()}}


def samples_in(window):
    samples = random_samples(len(window), 0)
    samples.window[:] = window
    return samples


def test_blocks_of_busy_and_throttled_windows_are_counted_and_kept():
    timings = {("a", "1x1"): samples_in([0, 0, 1, 2]), ("b", "1x1"): samples_in([1, 3, 3, 3])}
    found = conditions(timings, windows(4, busy=[0, 1, 0, 0], throttled=[0, 0, 0, 1]))
    assert (found["a", "1x1"].busy, found["a", "1x1"].throttled, found["a", "1x1"].blocks) == (1, 0, 4)
    assert (found["b", "1x1"].busy, found["b", "1x1"].throttled, found["b", "1x1"].flagged) == (1, 3, 4)


def test_energy_is_that_of_windows_with_one_candidates_blocks_alone_over_all_their_predictions():
    timings = {("a", "1x1"): samples_in([0, 0, 1]), ("b", "1x1"): samples_in([1, 2, 2])}
    found = conditions(timings, windows(3, cpu_energy_j=[5.0, 100.0, 20.0]))
    assert found["a", "1x1"].energy_j_per_frame == pytest.approx(5 / 10)  # two blocks of 4 counted and 1 uncounted
    assert found["b", "1x1"].energy_j_per_frame == pytest.approx(20 / 10)


def test_what_no_counter_told_is_unknown():
    timings = {("a", "1x1"): samples_in([0, 1])}
    found = conditions(timings, windows(2, cpu_energy_j=[np.nan, np.nan], cpu_mhz=[np.nan, 2000.0]))["a", "1x1"]
    assert found.energy_j_per_frame is None
    assert found.means == {"cpu_mhz": 2000.0}


def test_a_run_without_telemetry_has_no_conditions():
    assert conditions({("a", "1x1"): samples_in([-1, -1])}, {}) == {}
    assert conditions({("a", "1x1"): samples_in([-1, -1])}, windows(1)) == {}


def test_energy_of_several_streams_is_unknown_since_those_that_are_done_go_on_uncounted():
    samples = random_samples(2, 0)
    samples.window[:] = [0, 1]
    found = conditions({("a", "2x1"): samples}, windows(2, cpu_energy_j=[5.0, 6.0]))["a", "2x1"]
    assert found.energy_j_per_frame is None
