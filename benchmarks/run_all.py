"""Run every benchmark, one after the other, and end with one table: figure, target, measured, met.

Exit code 0 also where a target is missed (the table says so); 1 where a benchmark could not run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import common

QUICK = {  # seconds instead of minutes, to see that all of it runs: the figures mean little
    "verify_four": ["--images", "8"],
    "predict_frame": ["--rounds", "2", "--generations", "1", "--frames", "4"],
    "harness_overhead": ["--count", "100", "--blocks", "2"],
    "parent_memory": ["--images", "20", "60"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=QUICK, default=list(QUICK), help="benchmarks to run [all]")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; results go to benchmarks/.bench/quick")
    parser.add_argument("--seed", type=int, default=0, help="of the orders [0]")
    parser.add_argument("--verify-rounds", type=int, help="rounds of verify_four")
    parser.add_argument("--predict-rounds", type=int, help="rounds a generation of predict_frame")
    parser.add_argument("--results", type=Path, help="folder of the JSON files [benchmarks/results]")
    options = parser.parse_args()
    results = options.results or (common.SCRATCH / "quick" if options.quick else common.RESULTS)
    given: dict[str, list[str]] = {name: list(QUICK[name]) if options.quick else [] for name in QUICK}
    for name, rounds in (("verify_four", options.verify_rounds), ("predict_frame", options.predict_rounds)):
        given[name] += ["--seed", str(options.seed), *(["--rounds", str(rounds)] if rounds else [])]

    broken = []
    for name in options.only:
        print(f"== {name}", flush=True)
        words = [sys.executable, str(common.HERE / f"{name}.py"), *given[name]]
        words += [] if results == common.RESULTS else ["--results", str(results)]
        if subprocess.run(words, check=False).returncode:
            broken.append(name)

    rows = []
    for name in options.only:
        if name in broken:
            rows.append((name, "", "did not run: see above", "unknown"))
            continue
        figures = json.loads((results / f"{name}.json").read_text())["figures"]
        rows += [(one["figure"], one["target"], one["measured"], one["met"]) for one in figures]
    print("== all figures", flush=True)
    common.table(("figure", "target", "measured", "met"), rows)
    missed = sum(row[3].startswith("no") for row in rows)
    open_ = sum(row[3] in ("undecided", "unknown") for row in rows)
    print(f"{len(rows) - missed - open_} of {len(rows)} met, {missed} missed, {open_} undecided or unknown")
    if options.quick:
        print("Quick sizes: this shows that the benchmarks run, not what they measure.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
