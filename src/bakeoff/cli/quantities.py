"""Quantities that options take: durations, shares, frame rates. Each function is a click type."""

from __future__ import annotations

import math

import click

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(value: str | float) -> float:
    """Return seconds from `90`, `90s`, `10m` or `1h`."""
    text = str(value).strip().lower()
    number = text.rstrip("smh")
    unit = UNITS_S.get(text[len(number) :])
    seconds = _number(number)
    if unit is None or seconds is None or seconds < 0:
        raise click.BadParameter(f"{value!r} is not a duration such as 90s, 10m or 1h")
    return seconds * unit


def share(value: str | float) -> float:
    """Return a share between 0 and 1 from `2%` or `0.02`."""
    text = str(value).strip().lstrip("±")
    number = _number(text.removesuffix("%"))
    found = number if number is None or not text.endswith("%") else number / 100
    if found is None or not 0 < found < 1:
        raise click.BadParameter(f"{value!r} is not a share such as 2% or 0.02")
    return found


def frame_rate(value: str | float) -> float:
    """Return frames a second from `30fps` or `30`."""
    rate = _number(str(value).strip().lower().removesuffix("fps").strip())
    if rate is None or rate <= 0:
        raise click.BadParameter(f"{value!r} is not a frame rate above 0, such as 30fps")
    return rate


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
