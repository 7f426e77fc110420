"""Quantities that options take: durations, shares, frame rates, bytes. Each function is a click type."""

from __future__ import annotations

import math
from collections.abc import Callable

import click

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
DECIMAL = {unit: 1000**power for power, unit in enumerate(("b", "kb", "mb", "gb", "tb"))}
BINARY = {unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib"), start=1)}
UNITS_BYTES: dict[str, int] = {"": 1, **DECIMAL, **BINARY}
NONE = "none"


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


def data_size(value: str | float) -> int:
    """Return bytes from `500MB`, `1.5GiB` or `1000`; MB is 1000 x 1000 bytes, MiB 1024 x 1024."""
    text = str(value).strip().lower()
    letters = text.lstrip("0123456789.+-e_ ")
    number, unit = _number(text.removesuffix(letters)), UNITS_BYTES.get(letters)
    if number is None or unit is None or round(number * unit) <= 0:
        raise click.BadParameter(f"{value!r} is not a size above 0, such as 500MB or 1.5GiB")
    return round(number * unit)


def or_none(read: Callable[[str], float]) -> Callable[[str | float], float]:
    """Return a click type that also takes `none`, as infinity: a limit that is none."""

    def take(value: str | float) -> float:
        if str(value).strip().lower() == NONE:
            return math.inf
        try:
            return read(str(value))
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is neither a number nor {NONE!r}") from error

    return take


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
