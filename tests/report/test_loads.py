"""What the report says of cameras and sustained load, from records alone."""

from __future__ import annotations

import msgspec
import pytest

from bakeoff.records import CameraLevel, Cameras, Estimate, Sustained, SustainedWindow
from bakeoff.report import cameras, charts, markdown, sustain
from bakeoff.report.table import View, columns, row
from tests.report.test_report import TIMINGS, TRIALS, record


def level(n, *, streams=1, p99=20.0, late=0, dropped=0, service=8.0):
    return CameraLevel(
        streams=streams, cameras=n, repetitions=6, generations=2, frames=600, late=late, dropped=dropped,
        percentile_ms=p99, median_ms=9.0, service_ms=service, wake_up_ms=0.06, holds=p99 is not None and p99 <= 33,
    )  # fmt: skip


def counted(**fields):
    whole = {"fps": 30.0, "slo_ms": 33.0, "percentile": 99.0, "cameras": 3, "low": 2, "high": 4, "streams": 1}
    levels = (level(3), level(4, p99=None, late=85, dropped=24), level(3, streams=2, p99=25.0))
    return Cameras(**{**whole, "near": 3, "settled": True, "levels": levels, **fields})


def loaded(**fields):
    windows = tuple(
        SustainedWindow(begin_s=6.0 * i, seconds=6.0, frames=600, p50_ms=9.0 + i / 100, p95_ms=11.0, frames_per_s=100,
                        telemetry={"cpu_mhz": 3000.0 - i}, throttled=i > 40)
        for i in range(100)
    )  # fmt: skip
    whole = {"asked_s": 600.0, "seconds": 600.0, "complete": True, "frames": 60000, "p50_ms": 9.95, "windows": windows}
    whole |= {"drift": Estimate(value=1.1, low=1.05, high=1.15), "throttling": "counters", "throttled_at_s": 246.0}
    whole |= {"evidence": "the host's counters: thermal", "unknown": {"cpu_power_w": "no RAPL"}}
    return Sustained(**{**whole, **fields})


def view(**fields):
    trials = (TRIALS[0], msgspec.structs.replace(TRIALS[1], **fields), *TRIALS[2:])
    return View.make(record(trials), TIMINGS)


def section(text, title):
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_a_run_without_load_has_neither_sections_nor_charts_of_it(tmp_path):
    text = markdown.render(view(), {})
    assert "How many cameras" not in text
    assert "Sustained load" not in text
    assert list(cameras.lines(view())) == list(sustain.lines(view())) == []
    assert not {"cameras", "sustained"} & set(charts.draw(view(), tmp_path))


def test_the_answer_stands_with_its_interval_its_streams_and_what_was_lost_there_and_at_the_next():
    text = section(markdown.render(view(cameras=counted()), {"cameras": "charts/cameras.png"}), "How many cameras")
    assert "| `b/fp32/dyn` | 3 [2, 4] | 1 | 20.0 | 0 | 0 | dropped | 85 (14.17%) | 24 (4.00%) |" in text
    assert "![How many cameras](charts/cameras.png)" in text
    assert "0.06 ms" in text


def test_the_terminal_gets_a_line_a_candidate():
    (line,) = cameras.lines(view(cameras=counted()))
    assert line == "b/fp32/dyn: cameras at 30 fps: 3 [2, 4] with 1 stream, p99 within 33 ms"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"high": None}, "3 [2, or more]"),
        ({"settled": False}, "one camera more was not measured in full"),
        ({"cameras": None, "low": None, "high": None, "streams": None}, "unknown"),
        ({"cameras": None, "low": None, "high": None, "streams": None}, "points at about 3"),
        ({"cameras": None, "low": 0, "high": 6}, "at most 6"),
        ({"cameras": 0, "low": 0, "high": 0, "levels": (level(1, p99=80.0, service=70.0),)}, "47.0 ms over the limit"),
        ({"cameras": 0, "low": 0, "high": 0, "levels": (level(1, p99=80.0, service=70.0),)}, "no frame rate would do"),
        ({"cameras": 0, "low": 0, "high": 0, "levels": (level(1, p99=35.0),)}, "a lower frame rate might do"),
        ({"cameras": 0, "low": 0, "high": 0, "levels": (level(1, p99=None, dropped=60),)}, "10.0% are dropped"),
    ],
)
def test_what_the_number_would_hide_is_said(fields, said):
    one = view(cameras=counted(**fields))
    assert said in section(markdown.render(one, {}), "How many cameras")
    (line,) = cameras.lines(one)
    assert said in line


def test_the_columns_come_after_all_others_and_are_empty_where_nothing_was_measured():
    one = view(cameras=counted(), sustained=loaded())
    names = columns(one)
    assert names[-8:] == (
        "cameras", "cameras_low", "cameras_high", "cameras_streams",
        "sustained_p50_ms", "sustained_drift", "sustained_drift_low", "sustained_drift_high",
    )  # fmt: skip
    cells = row(one, one.lines[1])
    assert [cells[name] for name in names[-8:]] == [3, 2, 4, 1, 9.95, 1.1, 1.05, 1.15]
    assert [row(one, one.lines[0])[name] for name in names[-8:]] == [None] * 8


def test_sustained_load_is_told_with_its_drift_and_since_when_it_throttled():
    text = section(markdown.render(view(sustained=loaded()), {}), "Sustained load")
    assert "| 10 min | 60000 | 9.00 | 9.95 | 1.100 [1.050, 1.150] | throttled from 4 min 6 s on" in text
    assert "CPU clock, MHz | 3000 | 2901" in text
    assert "Unknown on this host: cpu_power_w" in text
    (line,) = sustain.lines(view(sustained=loaded()))
    assert line.startswith("b/fp32/dyn: 10 min sustained: p50 9.95 ms at the end, drift 1.100 [1.050, 1.150]")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"complete": False, "seconds": 90.0}, "90 s of 10 min: ended early"),
        ({"drift": None}, "unknown (too short)"),
        ({"throttling": "latency", "evidence": "it rose"}, "perhaps throttled from 4 min 6 s on: it rose"),
        ({"throttling": "none", "throttled_at_s": None, "evidence": "none rose"}, "no throttling seen: none rose"),
        ({"throttling": "unknown", "throttled_at_s": None, "evidence": "no counter"}, "throttling unknown: no counter"),
    ],
)
def test_doubt_about_sustained_load_is_said(fields, said):
    assert said in section(markdown.render(view(sustained=loaded(**fields)), {}), "Sustained load")


@pytest.mark.parametrize(
    ("seconds", "said"), [(5.04, "5.0 s"), (90, "90 s"), (600, "10 min"), (3600, "1 h"), (3905, "1 h 5 min 5 s")]
)
def test_durations_read_as_people_write_them(seconds, said):
    assert sustain.duration(seconds) == said


def test_both_charts_are_drawn(tmp_path):
    names = charts.draw(view(cameras=counted(), sustained=loaded()), tmp_path / "charts")
    assert {"cameras", "sustained"} <= set(names)
    for name in ("cameras", "sustained"):
        assert (tmp_path / "charts" / f"{name}.png").stat().st_size > 5000
