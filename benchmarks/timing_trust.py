"""Do the intervals tell the truth? 400 pairs of equal processes, and 400 with a 5% slow-down injected.

    python timing_trust.py --slice 1 idle      # one batch more, kept in benchmarks/.bench/timing
    python timing_trust.py                     # the result, from all batches there are

A comparison is what a Run does with twelve Candidates, each in a process of its own: eight that are equal and four that
are slowed by 5% (`--processes 16`: twelve and four). They hold one network of about 2 ms; rounds follow in three or
more generations of fresh processes, planned by `bakeoff.speed.schedule.Plan` at the default precision and 250 frames.
It gives 28 pairs of equal ones and 32 of an equal and a slowed one, which share blocks: their outcomes are not
independent, so the counts scatter more than those of as many separate tries would. The comparisons of a batch share
their generations, one after the other in each. One thread: two on two cores would mostly measure what the hypervisor
does to the second. With `load`, one process of one thread is busy half of the time, in bursts of random length.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
import numpy as np
import numpy.typing as npt
from timed_child import SHARE, TimedChild

from bakeoff.records import Settings, Workload
from bakeoff.speed import schedule
from bakeoff.speed.samples import BlockMedians, half_width, speedup
from bakeoff.stats import Ratio

SIDE = 32
SLOWED = (8, 9, 10, 11)  # among the processes; the others are equal
FOLDER = common.SCRATCH / "timing"
ONE = Workload(streams=1, batch=1)
PLAIN = Settings(model="")
COUNTS = ("pairs", "called_different", "called_slower", "interval_covers")
TRUTHS = {"equal": 1.0, "slowed": 1 / (1 + SHARE)}  # how many times faster than the reference
LOAD = """
import random, time
draw = random.Random(0)
while True:
    end = time.perf_counter() + draw.uniform(0, 1)
    while time.perf_counter() < end:
        pass
    time.sleep(draw.uniform(0, 1))
"""


def pairs(processes: int) -> dict[str, list[tuple[int, int]]]:
    """Return the pairs of equal processes, and those of an equal and a slowed one."""
    equal = [number for number in range(processes) if number not in SLOWED]
    return {"equal": list(itertools.combinations(equal, 2)), "slowed": list(itertools.product(equal, SLOWED))}


def inputs() -> tuple[Path, Path]:
    """Return the demo's network at 32 x 32 as ONNX, and frames for it; made on the first call."""
    model, frames = FOLDER / f"demo-{SIDE}.onnx", FOLDER / "frames.npy"
    if not model.exists():
        import bakeoff_demo
        import cv2

        from bakeoff import models

        FOLDER.mkdir(parents=True, exist_ok=True)
        images = sorted(Path(bakeoff_demo.data_path()).parent.rglob("*.jpg"))[:32]
        np.save(frames, np.stack([cv2.resize(cv2.imread(str(image)), (160, 160)) for image in images]))
        models.open_model(Path(bakeoff_demo.model_path()), imgsz=SIDE).export_onnx(1, 17, model)
    return model, frames


@contextlib.contextmanager
def children(count: int) -> Iterator[list[TimedChild]]:
    """Start the processes, and wait until all have warmed up."""
    model, frames = inputs()
    started = [TimedChild("onnxruntime", model, frames, 1) for _ in range(count)]
    try:
        for child in started:
            child.ready()
        yield started
    finally:
        for child in started:
            child.close()


@contextlib.contextmanager
def competing(scenario: str) -> Iterator[None]:
    """Keep the competing load up, if there is to be one."""
    if scenario != "load":
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", LOAD])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@dataclass
class Comparison:
    """Its rounds so far, and the plan that decides how many more there are."""

    rows: list[tuple[float, ...]] = field(default_factory=list)  # generation, the processes' block medians in ns
    plan: schedule.Plan = field(init=False)

    def __post_init__(self) -> None:
        self.plan = schedule.Plan(
            base={ONE: schedule.rounds_needed(ONE, PLAIN.frames, quick=False)},
            done={ONE: 0},
            target=PLAIN.precision_target,
            budget_s=PLAIN.time_budget_s,
            half_width=lambda _: self.half_width(),
        )

    def half_width(self) -> float | None:
        """Return the half width of the widest interval of the others' speedups over the first."""
        if not self.rows:
            return None
        rows = np.array(self.rows)
        found = [ratio(rows, 0, other) for other in range(1, rows.shape[1] - 1)]
        widths = [None if one is None else half_width(one) for one in found]
        return None if None in widths else max(width for width in widths if width is not None)

    def generation(self, number: int, processes: list[TimedChild], draw: random.Random) -> None:
        """Do the rounds of one generation."""
        turns = list(enumerate(processes))
        while self.plan.wanting(number):
            start = time.monotonic()
            draw.shuffle(turns)
            medians = [0.0] * len(turns)
            first = len(self.rows) * (schedule.BLOCK + 1)
            for row, child in turns:
                medians[row] = float(np.median(child.block(first, schedule.BLOCK, slowed=row in SLOWED)))
            self.rows.append((number, *medians))
            self.plan.done[ONE] += 1
            self.plan.spent_s += time.monotonic() - start


def ratio(rows: npt.NDArray[np.float64], slow: int, fast: int) -> Ratio | None:
    """Return one's time over another's from rows of (generation, a median of each process)."""
    generation, number = rows[:, 0].astype(np.int32), np.arange(len(rows), dtype=np.int32)
    sides = [BlockMedians(generation=generation, round=number, median_ns=rows[:, 1 + i]) for i in (slow, fast)]
    return speedup(*sides)


def batch(scenario: str, seed: int, size: int, count: int) -> list[tuple[npt.NDArray[np.float64], str]]:
    """Do so many comparisons of so many processes; return the rows of each and why it ended."""
    comparisons = [Comparison() for _ in range(size)]
    draw = random.Random(seed)
    number = 0
    with competing(scenario):
        while True:
            wanting = [one for one in comparisons if one.plan.begin(number)]
            if not wanting and number >= schedule.GENERATIONS - 1:
                break
            with children(count) as processes:
                for one in wanting:
                    one.generation(number, processes, draw)
            number += 1
    return [(np.array(one.rows), one.plan.ended(ONE)) for one in comparisons]


def records(scenario: str) -> list[tuple[npt.NDArray[np.float64], str]]:
    """Return all comparisons of a scenario that were kept."""
    found = []
    for path in sorted(FOLDER.glob(f"trust-{scenario}-*.pickle")):
        found += pickle.loads(path.read_bytes())
    return found


def outcome(kept: list[tuple[npt.NDArray[np.float64], str]]) -> dict[str, Any]:
    """Return how often the comparisons came out right."""
    result: dict[str, Any] = {
        "comparisons": len(kept),
        "rounds": sorted(len(rows) for rows, _ in kept),
        "generations": sorted(len(np.unique(rows[:, 0])) for rows, _ in kept),
        "ended": {why: sum(ended == why for _, ended in kept) for why in ("precision", "time budget")},
        "median_ms": float(np.median([np.median(rows[:, 1]) for rows, _ in kept])) * 1e-6,
    }
    for name, truth in TRUTHS.items():
        found = [
            one
            for rows, _ in kept
            for pair in pairs(rows.shape[1] - 1)[name]
            if (one := ratio(rows, *pair)) is not None
        ]
        result[name] = {
            "pairs": len(found),
            "truth": truth,
            "called_different": sum(not one.tie for one in found),
            "called_slower": sum(one.high is not None and one.high < 1 for one in found),
            "interval_covers": sum(one.low <= truth <= one.high for one in found),  # type: ignore[operator]
            "mean_log_error": float(np.mean([np.log(one.value / truth) for one in found])),
            "median_half_width": float(np.median([half_width(one) or np.nan for one in found])),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slice", type=int, default=0, help="batches to add")
    parser.add_argument("--batch", type=int, default=3, help="comparisons that share their generations [3]")
    parser.add_argument("--processes", type=int, default=12, help="of a comparison, four of them slowed [12]")
    parser.add_argument("scenario", nargs="?", choices=["idle", "load"], default="idle")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for _ in range(options.slice):
        number = len(list(FOLDER.glob(f"trust-{options.scenario}-*.pickle")))
        done = batch(options.scenario, number, options.batch, options.processes)
        (FOLDER / f"trust-{options.scenario}-{number:03}.pickle").write_bytes(pickle.dumps(done))
        print(options.scenario, number, [(len(rows), ended) for rows, ended in done], flush=True)
    if options.slice:
        return
    measured = {name: outcome(kept) for name in ("idle", "load") if (kept := records(name))}
    both = {name: {field: sum(one[name][field] for one in measured.values()) for field in COUNTS} for name in TRUTHS}
    measured["idle and load"] = both
    figures = []
    for scenario, one in measured.items():
        equal, slowed = one["equal"], one["slowed"]
        figures += [
            _figure(f"{scenario}: equal processes called different", "≤ 7.5%", equal, "called_different", 0.075),
            _figure(f"{scenario}: 5% slow-down detected", "≥ 90%", slowed, "called_slower", 0.9),
            _figure(f"{scenario}: interval covers the true ratio, equal", "≥ 92%", equal, "interval_covers", 0.92),
            _figure(f"{scenario}: interval covers the true ratio, slowed", "≥ 92%", slowed, "interval_covers", 0.92),
        ]
    settings = {
        "frames": PLAIN.frames, "block": schedule.BLOCK, "precision_target": PLAIN.precision_target,
        "slowed_by": SHARE, "runtime": "onnxruntime, 1 thread", "imgsz": SIDE,
    }  # fmt: skip
    common.write("timing_trust", options.results, settings, figures, **measured)


def _figure(name: str, target: str, outcome: dict[str, Any], field: str, limit: float) -> dict[str, str]:
    count, pairs = outcome[field], outcome["pairs"]
    reached = count <= limit * pairs if target.startswith("≤") else count >= limit * pairs
    return common.figure(name, target, f"{count} of {pairs}: {count / pairs:.1%}", "yes" if reached else "no")


if __name__ == "__main__":
    main()
