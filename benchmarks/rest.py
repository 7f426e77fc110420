"""What a block does to the next one if a runtime's threads still spin: two equal processes, with and without the wait.

Two processes hold one network of about 2 ms in ONNX Runtime, two threads. They take turns, a block each, first with the
child's wait for its own threads to rest after a block, then without. Interleaved in parts; a block that follows a pause
of 100 ms stands beside them as the truth.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import common
import numpy as np
from timed_child import TimedChild
from timing_trust import inputs

from bakeoff.speed.schedule import BLOCK
from bakeoff.stats import paired_ratio

WAYS = ("with the wait", "without", "after a pause of 100 ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="of each way [60]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    model, frames = inputs()
    started = {
        way: [TimedChild("onnxruntime", model, frames, 2, rest=way != "without") for _ in range(2)] for way in WAYS
    }
    medians: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for processes in started.values():
        for child in processes:
            child.ready()
    for part in range(options.rounds // 10):
        for way, processes in started.items():
            for number in range(10):
                row = []
                for child in processes:
                    if way == WAYS[2]:
                        time.sleep(0.1)
                    row.append(float(np.median(child.block((part * 10 + number) * (BLOCK + 1), BLOCK))) * 1e-6)
                medians[way].append(row)
            time.sleep(0.2)
    for processes in started.values():
        for child in processes:
            child.close()
    found = {way: np.array(rows) for way, rows in medians.items()}
    measured = {
        way: {
            "median_ms": float(np.median(rows)),
            "sd_of_log_ratio": float(np.log(rows[:, 0] / rows[:, 1]).std(ddof=1)),
            "over_pause": common.ratio(paired_ratio(rows.mean(1), found[WAYS[2]].mean(1))),
        }
        for way, rows in found.items()
    }
    figures = [
        common.figure(f"a prediction's time, {way}", "", f"{one['median_ms']:.2f} ms", "")
        for way, one in measured.items()
    ]
    common.write(
        "rest", options.results, {"rounds": options.rounds, "block": BLOCK, "threads": 2}, figures, ways=measured
    )


if __name__ == "__main__":
    main()
