"""Which interval of a paired ratio covers the truth: ten methods on the comparisons that `timing_trust.py` recorded.

Each pair is judged twice: on all its rounds, whose number depends on the interval in use, and on the first 20 of each
of its first three generations, which is the same for all methods. Pairs of a kind share no block.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
import numpy.typing as npt
from scipy import special, stats
from timed_child import SHARE
from timing_trust import records

from bakeoff.stats import paired_ratio

Series = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]
Bounds = tuple[float, float]
Method = Callable[[Series, Numbers], Bounds]
CHOSEN = "rounds and generations"
FIXED = 20  # rounds of each of three generations
PAIRS = {"equal": ((0, 1), (2, 3), (4, 5), (6, 7)), "5% slower": ((0, 8), (1, 9), (2, 10), (3, 11))}
TRUTHS = {"equal": 0.0, "5% slower": -float(np.log1p(SHARE))}


def quantile(freedom: float) -> float:
    return float(special.stdtrit(freedom, 0.975))


def around(middle: float, half: float) -> Bounds:
    return float(middle - half), float(middle + half)


def t_on_rounds(x: Series, g: Numbers) -> Bounds:
    return around(x.mean(), quantile(len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5)


def chosen(x: Series, g: Numbers) -> Bounds:
    ratio = paired_ratio(np.exp(x), np.ones_like(x), g)
    assert ratio.low is not None
    assert ratio.high is not None
    return float(np.log(ratio.low)), float(np.log(ratio.high))


def newey_west(x: Series, g: Numbers) -> Bounds:
    return chosen(x, np.zeros_like(g))


def bootstrap(statistic: Callable[..., Series], length: int = 1) -> Method:
    """Return the percentile bootstrap, of blocks of `length` rounds that follow each other."""

    def bounds(x: Series, g: Numbers) -> Bounds:
        starts = np.random.default_rng(0).integers(0, len(x) - length + 1, (500, -(-len(x) // length)))
        drawn = (starts[..., None] + np.arange(length)).reshape(500, -1)[:, : len(x)]
        low, high = np.percentile(statistic(x[drawn], axis=1), (2.5, 97.5))
        return float(low), float(high)

    return bounds


def order_statistics(x: Series, g: Numbers) -> Bounds:
    k = int(stats.binom.ppf(0.025, len(x), 0.5))
    ordered = np.sort(x)
    return float(ordered[k - 1]), float(ordered[len(x) - k])


def trimmed(x: Series, g: Numbers) -> Bounds:
    k = len(x) // 10
    ordered, h = np.sort(x), len(x) - 2 * k
    spread = np.clip(x, ordered[k], ordered[-k - 1]).std(ddof=1)
    return around(ordered[k : len(x) - k].mean(), quantile(h - 1) * spread / (0.8 * len(x) ** 0.5))


def t_on_generations(x: Series, g: Numbers) -> Bounds:
    return t_on_rounds(np.array([x[g == one].mean() for one in np.unique(g)]), g)


METHODS: dict[str, Method] = {
    CHOSEN: chosen,
    "t on rounds": t_on_rounds,
    "Newey-West on rounds": newey_west,
    "bootstrap over rounds, mean": bootstrap(np.mean),
    "bootstrap over rounds, median": bootstrap(np.median),
    "bootstrap of blocks of 5 rounds": bootstrap(np.mean, 5),
    "bootstrap of blocks of 15 rounds": bootstrap(np.mean, 15),
    "order statistics, median": order_statistics,
    "t on 10% trimmed rounds": trimmed,
    "t on the means of generations": t_on_generations,
}


def fixed(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the first rounds of each of the first three generations."""
    return np.concatenate([rows[rows[:, 0] == g][:FIXED] for g in range(3)])


def study(kept: list[npt.NDArray[np.float64]], name: str) -> dict[str, Any]:
    """Return what each method says of the pairs of some kind."""
    bounds: dict[str, list[Bounds]] = {method: [] for method in METHODS}
    for rows in kept:
        for slow, fast in PAIRS[name]:
            x = np.log(rows[:, 1 + slow] / rows[:, 1 + fast])
            for method, interval in METHODS.items():
                bounds[method].append(interval(x, rows[:, 0].astype(np.int32)))
    result: dict[str, Any] = {}
    for method, found in bounds.items():
        low, high = np.array(found).T
        result[method] = {
            "covers": float(((low <= TRUTHS[name]) & (TRUTHS[name] <= high)).mean()),
            "called_different": float(((low > 0) | (high < 0)).mean()),
            "half_width": float(np.mean((high - low) / 2)),
        }
    return result


def described(kept: list[npt.NDArray[np.float64]]) -> dict[str, float]:
    """Return the spread of rounds and of generations, the correlation of neighbours and the weight of the tails."""
    series = [
        np.log(rows[:, 1 + a] / rows[:, 1 + b])[rows[:, 0] == g]
        for rows in kept
        for a, b in PAIRS["equal"]
        for g in np.unique(rows[:, 0])
    ]
    series = [x for x in series if len(x) >= FIXED]
    centred = np.concatenate([(x - x.mean()) * (len(x) / (len(x) - 1)) ** 0.5 for x in series])
    within = float((centred**2).mean())
    explained = float(np.mean([within / len(x) for x in series]))
    return {
        "sd_of_rounds": within**0.5,
        "sd_of_generations": max(0.0, float(np.var([x.mean() for x in series])) - explained) ** 0.5,
        "lag_1_correlation": float(np.mean([np.corrcoef(x[1:], x[:-1])[0, 1] for x in series])),
        "excess_kurtosis": float(stats.kurtosis(centred)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    spreads, studies, lines, figures = {}, [], [], []
    for scenario in ("idle", "load"):
        kept = [rows for rows, _ in records(scenario)]
        if not kept:
            continue
        spreads[scenario] = described(kept)
        for rounds, some in (("all", kept), (f"{3 * FIXED}", [fixed(rows) for rows in kept])):
            for name in PAIRS:
                methods = study(some, name)
                pairs = len(kept) * len(PAIRS[name])
                studies.append({"load": scenario, "rounds": rounds, "truth": name, "pairs": pairs, "methods": methods})
                lines += [
                    (scenario, rounds, name, method, *(f"{value:.1%}" for value in of.values()))
                    for method, of in methods.items()
                ]
    common.table(("load", "rounds", "truth", "method", "covers", "called different", "half width"), lines)
    worst = min(one["methods"][CHOSEN]["covers"] for one in studies)
    reached = "yes" if worst >= 0.92 else "no"
    figures.append(
        common.figure(f"worst coverage of {len(studies)} studies: {CHOSEN}", "≥ 92%", f"{worst:.1%}", reached)
    )
    settings = {"slowed_by": SHARE, "chosen": CHOSEN, "fixed_rounds_a_generation": FIXED}
    common.write("timing_intervals", options.results, settings, figures, spreads=spreads, studies=studies)


if __name__ == "__main__":
    main()
