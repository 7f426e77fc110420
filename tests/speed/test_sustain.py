from __future__ import annotations

import numpy as np
import pytest

from bakeoff.pipeline import Times
from bakeoff.speed import sustain
from bakeoff.speed.sustain import SustainedSamples, predict_for, step
from bakeoff.testing import FakeClock

MS = 1_000_000
HARDWARE = {"cpu_throttle_events": "thermal_throttle of 2 cores"}
QUOTA = {"cgroup_throttled_ms": "cpu.stat"}


class OnClock:
    def __init__(self, clock, ms):
        self.clock, self.ms, self.seen = clock, ms, []

    def predict(self, frames):
        self.seen.append(frames[0])
        self.clock.advance(self.ms + 1)  # a millisecond between two predictions
        return [], Times(pre_ns=MS, run_ns=(self.ms - 2) * MS, post_ns=MS)


def load(medians_ms, *, per_stretch=10, seconds=1.0, noise=0.0, seed=0):
    """A load whose stretches last `seconds` each and have these median latencies."""
    rng = np.random.default_rng(seed)
    parts = []
    for i, ms in enumerate(medians_ms):
        latency = (ms * np.exp(noise * rng.standard_normal(per_stretch)) * MS).astype(np.int64)
        parts.append(SustainedSamples.of(latency.tolist(), round(i * seconds * 1e9), round(seconds * 1e9), i))
    return SustainedSamples.join(parts)


def telemetry(count, **arrays):
    start = np.arange(count, dtype=np.int64) * 1_000_000_000
    whole = {"start_ns": start, "end_ns": start + 1_000_000_000, "throttled": np.zeros(count, np.bool_)}
    return whole | {name: np.asarray(array) for name, array in arrays.items()}


def answer(samples, windows=None, sources=None, *, complete=True):
    return sustain.answer(samples, samples.seconds, windows or {}, sources or {}, {}, complete=complete, seed=0)


def test_predictions_follow_each_other_until_the_time_is_over():
    clock = FakeClock()
    predictor = OnClock(clock, 9)
    latencies, span = predict_for(predictor, ["a", "b", "c"], 0.05, 1, clock)
    assert latencies == [9 * MS] * 5
    assert span == 50 * MS, "wall time: what lies between predictions is in it"
    assert predictor.seen == ["b", "c", "a", "b", "c"]


def test_there_is_always_one_prediction_however_slow():
    clock = FakeClock()
    assert len(predict_for(OnClock(clock, 500), ["a"], 0.05, 0, clock)[0]) == 1


def test_short_loads_have_shorter_stretches():
    assert sustain.stretch_s(600) == 1
    assert sustain.stretch_s(5) == pytest.approx(0.05)


def test_windows_are_about_a_hundred_and_hold_every_frame_once():
    found = answer(load([5.0] * 600))
    assert len(found.windows) == 100
    assert sum(window.frames for window in found.windows) == found.frames == 6000
    assert sum(window.seconds for window in found.windows) == pytest.approx(found.seconds)
    assert [window.begin_s for window in found.windows][:3] == [0, 6, 12]
    assert found.windows[7].frames_per_s == pytest.approx(10)


def test_a_short_load_has_a_window_for_each_stretch():
    found = answer(load([5.0, 6.0]))
    assert [window.p50_ms for window in found.windows] == [5, 6]
    assert found.drift is None, "two stretches have no interval"


def test_drift_is_the_last_tenth_over_the_first():
    medians = [5.0] * 60 + [7.0] * 480 + [6.0] * 60
    found = answer(load(medians, noise=0.02))
    assert found.drift.value == pytest.approx(1.2, rel=0.01)
    assert found.drift.low < 1.2 < found.drift.high
    assert found.drift.low > 1.1
    assert found.p50_ms == pytest.approx(6, rel=0.01), "the median of the last tenth"


def test_the_interval_of_drift_covers_no_drift_in_nearly_all_steady_loads():
    """Latency that wanders (AR(1), 0.5) but goes nowhere; 95% is the aim, 85% of 100 the floor here."""
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        wander = [0.0]
        for shock in rng.standard_normal(599):
            wander.append(0.5 * wander[-1] + 0.02 * shock)
        drift = sustain.drift(load(5 * np.exp(wander), per_stretch=3))
        covered += drift.low <= 1 <= drift.high
    assert covered >= 85


def test_a_lasting_step_is_found_where_it_happened():
    rng = np.random.default_rng(1)
    series = 5 * np.exp(0.03 * rng.standard_normal(100))
    series[60:] *= 1.2
    at, rise = step(series, 0)
    assert abs(at - 60) <= 2
    assert rise == pytest.approx(1.2, abs=0.03)


def test_noise_is_hardly_ever_a_step_and_small_steps_are_none():
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found += step(5 * np.exp(0.1 * rng.standard_normal(100)), 0) is not None
    assert found <= 2
    assert step([5.0] * 50 + [5.2] * 50, 0) is None, "4% is what machines drift by"
    assert step([5.0] * 10, 0) is None, "too few windows"
    assert step([6.0] * 50 + [5.0] * 50, 0) is None, "getting faster is no throttling"


def test_one_slow_window_is_no_step():
    series = [5.0] * 100
    series[50] = 50.0
    assert step(series, 0) is None


def test_the_hosts_counters_come_before_latency():
    throttled = np.zeros(100, np.bool_)
    throttled[40:] = True
    windows = telemetry(100, throttled=throttled, cpu_throttle_events=np.where(throttled, 3.0, 0.0))
    found = answer(load([5.0] * 60 + [7.0] * 40), windows, HARDWARE)
    assert (found.throttling, found.throttled_at_s) == ("counters", 40)
    assert "thermal_throttle" in found.evidence
    assert found.windows[50].throttled is True
    assert found.windows[50].telemetry["cpu_throttle_events"] == 3


def test_without_counters_a_step_of_latency_tells_and_says_so():
    found = answer(load([5.0] * 60 + [7.0] * 40))
    assert found.throttling == "latency"
    assert found.throttled_at_s == pytest.approx(60)
    assert "rose 1.40 times for good" in found.evidence
    assert "no throttle counter" in found.evidence
    assert found.windows[0].throttled is None


def test_no_throttling_is_said_only_where_the_hardware_is_counted():
    steady = load([5.0] * 100)
    assert answer(steady, telemetry(100), HARDWARE).throttling == "none"
    quota = answer(steady, telemetry(100), QUOTA)
    assert quota.throttling == "unknown"
    assert "cpu.stat" in quota.evidence
    assert "no throttle counter of its hardware" in quota.evidence
    assert answer(steady).throttling == "unknown"


def test_telemetry_is_averaged_over_a_window_and_what_is_not_known_is_absent():
    mhz = np.arange(600.0)
    energy = np.full(600, 12.0)
    windows = telemetry(600, cpu_mhz=mhz, cpu_energy_j=energy, cpu_temperature_c=np.full(600, np.nan))
    found = answer(load([5.0] * 600), windows)
    assert found.windows[1].telemetry == {"cpu_mhz": 8.5, "cpu_power_w": 12}


def test_stretches_without_a_window_of_telemetry_have_none():
    samples = SustainedSamples.of([MS], 0, MS, 7)
    assert answer(samples, telemetry(3, cpu_mhz=np.ones(3))).windows[0].telemetry == {}


def test_samples_are_stored_by_name():
    stored = sustain.arrays("a/fp32/dyn", load([5.0, 6.0]), {"cpu_mhz": np.ones(2)})
    assert stored["sustained/a/fp32/dyn/count"].tolist() == [10, 10]
    assert stored["sustained/a/fp32/dyn/latency_ns"].shape == (20,)
    assert "sustained/a/fp32/dyn/telemetry/cpu_mhz" in stored


@pytest.mark.parametrize("at", [5, 9, 18, 84, 92])
def test_throttling_that_begins_early_or_late_is_found_too(at):
    rng = np.random.default_rng(at)
    series = 5 * np.exp(0.01 * rng.standard_normal(100))
    series[at:] *= 1.3
    found = step(series, 0)
    assert found is not None
    assert abs(found[0] - at) <= 1


def test_latency_that_wanders_is_hardly_ever_a_step():
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        wander = [0.0]
        for shock in rng.standard_normal(99):
            wander.append(0.5 * wander[-1] + 0.05 * shock)
        found += step(5 * np.exp(wander), 0) is not None
    assert found <= 4
