"""Percentiles and intervals for timing samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

LEVEL = 0.95
P99_SAMPLES = 400  # fewer say nothing about one in a hundred


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio of times with its 95% interval; the bounds are `None` where too few rounds were paired."""

    value: float
    low: float | None
    high: float | None

    @property
    def tie(self) -> bool:
        """Whether the interval holds 1, or there is none: doubt is never a win."""
        return self.low is None or self.high is None or self.low <= 1 <= self.high


def paired_ratio(numerator: npt.NDArray[np.float64], denominator: npt.NDArray[np.float64]) -> Ratio:
    """Return exp(mean of ln(numerator / denominator)) over paired rounds (n,), with a t interval.

    Rounds drift together, so the standard error is that of a correlated series (Newey and West, Econometrica 55,
    1987, Bartlett weights, floor(4 (n/100)^(2/9)) lags), never smaller than that of independent rounds.
    """
    logs = np.log(numerator / denominator)
    value = math.exp(float(logs.mean()))
    if len(logs) < 3:
        return Ratio(value=value, low=None, high=None)
    half = standard_error(logs) * float(special.stdtrit(len(logs) - 1, 0.5 + LEVEL / 2))
    return Ratio(value=value, low=value * math.exp(-half), high=value * math.exp(half))


def standard_error(series: npt.NDArray[np.float64]) -> float:
    """Return the standard error of the mean of an autocorrelated series (n,); see `paired_ratio`."""
    n = len(series)
    centred = series - series.mean()
    independent = float(centred @ centred) / (n - 1)
    variance = float(centred @ centred) / n
    lags = math.floor(4 * (n / 100) ** (2 / 9))
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    return math.sqrt(max(variance, independent) / n)


def percentile(samples: Sequence[float] | npt.NDArray[Any], percent: float) -> float:
    """Return a percentile by linear interpolation between order statistics."""
    return float(np.percentile(np.asarray(samples, np.float64), percent))
