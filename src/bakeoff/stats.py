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
TAILS = (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2)
RESAMPLES = 500
LAYOUT = 0.006  # by how much processes with the same model differ: standard deviation of ln, docs/timing.md
LAYOUT_FREEDOM = 2
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


@dataclass(frozen=True, kw_only=True)
class LogRatio:
    """The mean of ln(numerator / denominator) over rounds, and how sure it is."""

    mean: float
    error: float | None  # standard error; `None`: too few rounds
    freedom: float  # degrees of freedom of the error
    generations: int  # of processes

    @property
    def ratio(self) -> Ratio:
        """The ratio itself, with a t interval."""
        value = math.exp(self.mean)
        if self.error is None:
            return Ratio(value=value, low=None, high=None)
        half = self.error * float(special.stdtrit(self.freedom, 0.5 + LEVEL / 2))
        return Ratio(value=value, low=value * math.exp(-half), high=value * math.exp(half))

    def over(self, other: LogRatio) -> LogRatio:
        """Return this ratio over one from other processes; Satterthwaite's degrees of freedom.

        Without an error where either side has too few rounds, or one generation alone: other processes with the same
        model differ, and one generation does not tell by how much.
        """
        mean, generations = self.mean - other.mean, min(self.generations, other.generations)
        if self.error is None or other.error is None or generations < 2:
            return LogRatio(mean=mean, error=None, freedom=0.0, generations=generations)
        variances = (self.error**2, other.error**2)
        total = sum(variances)
        parts = sum(v**2 / f for v, f in zip(variances, (self.freedom, other.freedom), strict=True))
        freedom = total**2 / parts if parts else self.freedom + other.freedom
        return LogRatio(mean=mean, error=math.sqrt(total), freedom=freedom, generations=generations)


def paired_ratio(
    numerator: npt.NDArray[np.float64],
    denominator: npt.NDArray[np.float64],
    generation: npt.NDArray[np.int32] | None = None,
) -> Ratio:
    """Return exp(mean of ln(numerator / denominator)) over paired rounds (n,), with a t interval.

    `generation` (n,) tells which processes each round was measured in; `None`: the same for all.

    What drifts cancels within a round. Left are the rounds' own spread and that of generations of processes, since
    memory layout differs from load to load (`standard_error`). Chosen by its coverage: docs/timing.md.
    """
    return paired_log(numerator, denominator, generation).ratio


def paired_log(
    numerator: npt.NDArray[np.float64],
    denominator: npt.NDArray[np.float64],
    generation: npt.NDArray[np.int32] | None = None,
) -> LogRatio:
    """Return what `paired_ratio` is made of, to be set against other Runs."""
    logs = np.log(numerator / denominator)
    mean, generations = float(logs.mean()), 1 if generation is None else len(np.unique(generation))
    if len(logs) < 3:
        return LogRatio(mean=mean, error=None, freedom=0.0, generations=generations)
    error, freedom = standard_error(logs, generation)
    return LogRatio(mean=mean, error=error, freedom=freedom, generations=generations)


def standard_error(
    series: npt.NDArray[np.float64], generation: npt.NDArray[np.int32] | None = None
) -> tuple[float, float]:
    """Return the standard error of the mean of a series (n,) taken in several generations, and its degrees of freedom.

    Its square is the sum of two variances. That within generations is of a correlated series (Newey and West,
    Econometrica 55, 1987, Bartlett weights, floor(4 (n/100)^(2/9)) lags), never smaller than of an independent one.
    That between generations is what their means differ beyond it: the one-way random-effects estimate (Searle, Casella
    and McCulloch, Variance Components, 1992, section 3.6). A few generations hardly tell it, so it is averaged with
    the study's as if that were `LAYOUT_FREEDOM` generations more (as in Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004).
    The degrees of freedom of the sum are Satterthwaite's (Biometrics Bulletin 2, 1946).
    """
    n = len(series)
    within = _newey_west(series) / n
    groups = [] if generation is None else [series[generation == g] for g in np.unique(generation)]
    if len(groups) < 2 or n <= len(groups):
        return math.sqrt(within), n - 1
    sizes = np.array([len(group) for group in groups])
    means = np.array([group.mean() for group in groups])
    spread_within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / (n - len(groups))
    spread_between = float((sizes * (means - series.mean()) ** 2).sum()) / (len(groups) - 1)
    effective = (n - float((sizes**2).sum()) / n) / (len(groups) - 1)
    freedom = LAYOUT_FREEDOM + len(groups) - 1
    found = (spread_between - spread_within) / effective
    layout = max(0.0, (LAYOUT_FREEDOM * LAYOUT**2 + (len(groups) - 1) * found) / freedom)
    between = layout * float(((sizes / n) ** 2).sum())
    if between == 0:
        return math.sqrt(within), n - 1
    share = within / (within + between)
    freedom_of_sum = 1 / (share**2 / (n - len(groups)) + (1 - share) ** 2 / freedom)
    return math.sqrt(within + between), freedom_of_sum


def _newey_west(series: npt.NDArray[np.float64]) -> float:
    """Return the long-run variance of a series (n,); see `standard_error`."""
    n = len(series)
    centred = series - series.mean()
    independent = float(centred @ centred) / (n - 1)
    variance = float(centred @ centred) / n
    lags = math.floor(4 * (n / 100) ** (2 / 9))
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    return max(variance, independent)


def drawn_rounds(generation: npt.NDArray[np.int32], resamples: int = RESAMPLES) -> npt.NDArray[np.int64]:
    """Return how often each round (R,) is in each resample (resamples, R): drawn anew within its own generation."""
    rng = np.random.default_rng(0)
    counts = np.zeros((resamples, len(generation)), np.int64)
    for g in np.unique(generation):
        (rounds,) = np.nonzero(generation == g)
        counts[:, rounds] = rng.multinomial(len(rounds), np.full(len(rounds), 1 / len(rounds)), resamples)
    return counts


def resampled_percentiles(
    samples: npt.NDArray[np.floating[Any]], counts: npt.NDArray[np.int64], percents: Sequence[float]
) -> list[npt.NDArray[np.floating[Any]]]:
    """Return percentiles (B,) of samples (R, k) whose rounds were drawn `counts` (B, R) times."""
    order = np.argsort(samples, axis=None)
    ordered = samples.ravel()[order]
    below = np.cumsum(counts[:, order // samples.shape[1]], axis=1)
    return [ordered[(below < percent / 100 * below[:, -1:]).sum(axis=1)] for percent in percents]


def percentile_intervals(
    samples: npt.NDArray[np.floating[Any]], counts: npt.NDArray[np.int64], percents: Sequence[float]
) -> list[tuple[float, float]]:
    """Return 95% bootstrap intervals of percentiles of samples (R, k) whose rounds were drawn `counts` (B, R) times."""
    intervals = []
    for resampled in resampled_percentiles(samples, counts, percents):
        low, high = np.percentile(resampled, TAILS)
        intervals.append((float(low), float(high)))
    return intervals


def percentile(samples: Sequence[float] | npt.NDArray[Any], percent: float) -> float:
    """Return a percentile by linear interpolation between order statistics."""
    return float(np.percentile(np.asarray(samples, np.float64), percent))
