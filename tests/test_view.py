"""A Run as its readers see it: measured figures from samples, somebody else's from their table."""

from __future__ import annotations

from bakeoff.report.table import row
from tests.takeaways.views import ORT, PYTORCH, SAME, imported, measured


def test_somebody_elses_medians_make_speedups_without_an_interval():
    view = imported({PYTORCH: {"latency_1x1_ms": 10}, ORT: {"latency_1x1_ms": 4}}, {})
    ratio = view.lines[1].speedups["1x1"]
    assert (ratio.value, ratio.low, ratio.high) == (2.5, None, None)
    assert view.ratio(view.lines[1], view.lines[0], "1x1").value == 0.4
    latency = view.lines[1].latencies["1x1"]
    assert (latency.median_ms, latency.samples, latency.p95_ms, latency.intervals) == (4, None, None, {})


def test_a_speedup_that_the_table_states_stands_above_the_ratio_of_medians():
    said = {"latency_1x1_ms": 4, "speedup_1x1": 2.4, "speedup_1x1_low": 2.3, "speedup_1x1_high": 2.5}
    view = imported({PYTORCH: {"latency_1x1_ms": 10}, ORT: said}, {})
    ratio = view.lines[1].speedups["1x1"]
    assert (ratio.value, ratio.low, ratio.high) == (2.4, 2.3, 2.5)
    assert view.lines[0].speedups == {}


def test_frames_a_second_are_those_stated_or_follow_from_the_time_of_250_frames_a_stream():
    said = {"latency_2x1_ms": 8.0, "frames_2x1_s": 2.0, "latency_1x1_ms": 5.0, "frames_per_s_1x1": 190.0}
    latencies = imported({PYTORCH: said}, {}).lines[0].latencies
    assert (latencies["2x1"].frames_per_s, latencies["1x1"].frames_per_s) == (250.0, 190.0)
    assert imported({PYTORCH: {"latency_1x1_ms": 5.0}}, {}).lines[0].latencies["1x1"].frames_per_s is None


def test_a_change_of_map_follows_from_two_figures_or_is_the_one_stated():
    rows = {PYTORCH: {"val_map50_95": 0.6}, ORT: {"val_map50_95": 0.59}}
    assert imported(rows, {}).lines[1].map_delta.value == -0.01
    rows[ORT]["map_delta"] = -0.012
    assert imported(rows, {}).lines[1].map_delta.value == -0.012
    assert imported(rows, {}).lines[0].map_delta is None
    assert imported({PYTORCH: {}, ORT: {"val_map50_95": 0.59}}, {}).lines[1].map_delta is None


def test_counts_and_bytes_come_back_whole():
    figures = {"size_bytes": 123_456_789.0, "images": 250.0, "latency_1x1_ms": 3.0}
    view = imported({PYTORCH: figures}, {})
    cells = row(view, view.lines[0])
    assert (cells["size_bytes"], cells["images"], cells["latency_1x1_ms"]) == (123_456_789, 250, 3.0)
    assert isinstance(cells["size_bytes"], int)
    assert cells["speedup_1x1"] == 1
    assert cells["speedup_1x1_low"] is None


def test_measured_lines_have_their_own_figures():
    view = measured({PYTORCH: (100, None), ORT: (50, SAME)})
    assert view.lines[1].accuracy("map50_95") == 0.6
    assert view.lines[1].map_delta.low == 0
    assert view.ratio(view.lines[0], view.lines[1], "1x1") == view.lines[1].speedups["1x1"]
