from __future__ import annotations

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
    ("function", "text"),
    [
        *((quantities.duration, text) for text in ("", "ten", "-1s", "10d", "infs", "nan", "1sm", "m")),
        *((quantities.share, text) for text in ("", "2", "0", "100%", "-1%", "nan", "x%")),
        *((quantities.frame_rate, text) for text in ("", "0fps", "-5", "fps", "inf")),
    ],
)
def test_anything_else_is_refused_with_an_example(function, text):
    with pytest.raises(click.BadParameter, match="such as"):
        function(text)
