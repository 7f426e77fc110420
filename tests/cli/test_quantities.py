from __future__ import annotations

import math

import click
import pytest

from bakeoff.cli import quantities


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("1.5m", 90), ("0", 0), (90, 90)]
)
def test_durations_are_seconds_minutes_or_hours(text, seconds):
    assert quantities.duration(text) == seconds


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), ("0.02", 0.02), ("±2%", 0.02), ("50%", 0.5), (0.02, 0.02)])
def test_shares_are_percent_or_plain(text, share):
    assert quantities.share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["30fps", "30", "30 FPS", "30.0"])
def test_frame_rates_may_carry_their_unit(text):
    assert quantities.frame_rate(text) == 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000), ("1.5GiB", 1_610_612_736), ("2 kib", 2048), ("1kB", 1000), ("3TB", 3 * 10**12),
        ("7", 7), (7, 7), ("10B", 10), ("1e6", 1_000_000),
    ],
)  # fmt: skip
def test_sizes_are_decimal_or_binary(text, size):
    assert quantities.data_size(text) == size


def test_none_takes_a_limit_away_and_anything_else_is_read():
    take = quantities.or_none(float)
    assert (take("none"), take("None"), take("4.5"), take(4.5)) == (math.inf, math.inf, 4.5, 4.5)
    assert quantities.or_none(quantities.data_size)("5MB") == 5_000_000
    with pytest.raises(click.BadParameter, match="neither a number nor 'none'"):
        take("nothing")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        *((quantities.duration, text) for text in ("", "ten", "-1s", "10d", "infs", "nan", "1sm", "m")),
        *((quantities.share, text) for text in ("", "2", "0", "100%", "-1%", "nan", "x%")),
        *((quantities.data_size, text) for text in ("", "MB", "0", "-5MB", "nan", "inf", "5 M", "5MBs", "1e-9MB")),
        *((quantities.frame_rate, text) for text in ("", "0fps", "-5", "fps", "inf")),
    ],
)
def test_anything_else_is_refused_with_an_example(function, text):
    with pytest.raises(click.BadParameter, match="such as"):
        function(text)
