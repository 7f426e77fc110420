"""How often the bootstrap's 95% intervals cover the true difference, and how often equal detectors are told apart.

The simulation is that of `tests/accuracy/coverage.py`, whose test holds the same rates to the same bounds: image sets
drawn from a population whose figures are known. A second, shorter one counts each drawn image once, as hotcoco's
bootstrap does (decision 0012).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import common

sys.path.insert(0, str(common.HERE.parent))
from tests.accuracy import coverage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000, help="image sets [1000]")
    parser.add_argument("--once-draws", type=int, default=300, help="image sets that count each drawn image once [300]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    rows = coverage.simulate(options.draws)
    once = coverage.simulate(options.once_draws, once=True)
    figures = []
    for row in rows:
        name, covered, told = f"{row['rival']}, {row['figure']}", row["covered"], row["called_different"]
        reached = "yes" if 0.92 <= covered <= 0.98 else "no"
        figures.append(common.figure(f"{name}: intervals that cover the truth", "92-98%", f"{covered:.1%}", reached))
        if row["rival"] == "equal":
            reached = "yes" if told <= 0.07 else "no"
            figures.append(common.figure(f"{name}: called different", "≤ 7%", f"{told:.1%}", reached))
    settings = {
        "draws": options.draws,
        "once_draws": options.once_draws,
        "images_a_draw": coverage.DRAWN,
        "population_images": coverage.population(coverage.SEED).truth.images,
        "seed": coverage.SEED,
    }
    common.write("coverage", options.results, settings, figures, rates=rows, rates_each_image_once=once)


if __name__ == "__main__":
    main()
