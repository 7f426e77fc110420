"""Three whole Runs of the demo, one after the other: do they recommend the same Candidate, and rank alike?"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from pathlib import Path

import common

COLUMNS = (
    "candidate",
    "verdict",
    "tied_with",
    "speedup_1x1",
    "speedup_1x1_low",
    "speedup_1x1_high",
    "timing_ended_1x1",
)


def rows(folder: Path) -> list[dict[str, str]]:
    """Return what the table says of each Candidate."""
    with (folder / "table.csv").open(newline="") as file:
        return [{name: row[name] for name in COLUMNS} for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="whole Runs [3]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    parser.add_argument("options", nargs="*", help="more options of `bakeoff demo`, after --")
    options = parser.parse_args()
    runs = []
    for number in range(options.runs):
        folder = common.SCRATCH / f"stable-{number}"
        if not (folder / "table.csv").exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = [sys.executable, "-m", "bakeoff", "demo", "--out", str(folder), *options.options]
            common.execute(command, common.SCRATCH / f"stable-{number}.log")
        runs.append(rows(folder))
    recommended = [next((row["candidate"] for row in run if row["verdict"] == "recommended"), "") for run in runs]
    same = len(set(recommended)) == 1
    agree, pairs = 0, 0
    for key in {row["candidate"] for row in runs[0]}:
        found = [row for run in runs for row in run if row["candidate"] == key and row["speedup_1x1_low"]]
        for i, one in enumerate(found):
            for other in found[i + 1 :]:
                pairs += 1
                low = max(float(one["speedup_1x1_low"]), float(other["speedup_1x1_low"]))
                agree += low <= min(float(one["speedup_1x1_high"]), float(other["speedup_1x1_high"]))
    figures = [
        common.figure(
            f"recommended by {len(runs)} whole Runs", "the same", ", ".join(recommended), "yes" if same else "no"
        ),
        common.figure("1x1 speedups of two Runs whose intervals overlap", "", f"{agree} of {pairs}", ""),
    ]
    common.write("stable_runs", options.results, {"options": options.options}, figures, runs=runs)


if __name__ == "__main__":
    main()
