"""What telemetry costs on this machine: one sample, and its share of blocks of 10 ms and 100 ms.

A block is a sleep, so nothing else is measured than what the parent does between blocks; after a sleep the caches are
cold, as they are when a real block of a child ends. The parent watches one idle child, as it would watch Candidates.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import common
import numpy as np

from bakeoff.speed.telemetry import COST_SHARE, Telemetry

BLOCKS_MS = (10.0, 100.0)


def one_sample_us(telemetry: Telemetry, count: int) -> np.ndarray:
    """Return what each of `count` samples took, each after a sleep; microseconds."""
    spent = []
    for _ in range(count):
        time.sleep(BLOCKS_MS[0] * 1e-3)
        before = telemetry.cost.spent_s
        telemetry.start()
        spent.append((telemetry.cost.spent_s - before) * 1e6)
    return np.array(spent)


def after_blocks(device: str, pid: int, block_ms: float, seconds: float) -> dict[str, float | int | None]:
    """Return what telemetry took over `seconds` of blocks, and how many of them shared a window."""
    blocks = round(seconds * 1000 / block_ms)
    with Telemetry.open(device) as telemetry:
        telemetry.watch(pid)
        telemetry.start()
        for number in range(blocks):
            time.sleep(block_ms * 1e-3)
            telemetry.after_block(f"candidate {number % 4}")
        cost = telemetry.cost
        windows = telemetry.windows()
    return {
        "block_ms": block_ms,
        "blocks": blocks,
        "windows": len(windows["start_ns"]),
        "median_window_ms": float(np.median(windows["end_ns"] - windows["start_ns"])) * 1e-6,
        "samples": cost.samples,
        "spent_ms": cost.spent_s * 1e3,
        "share": cost.share,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300, help="samples that are timed one by one [300]")
    parser.add_argument("--seconds", type=float, default=30.0, help="of blocks of each length [30]")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda[:N] for the GPU's quantities too [cpu]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        with Telemetry.open(options.device) as telemetry:
            telemetry.watch(child.pid)
            sources, unknown = telemetry.sources, telemetry.unknown
            sample_us = one_sample_us(telemetry, options.samples)
        rows = [after_blocks(options.device, child.pid, block_ms, options.seconds) for block_ms in BLOCKS_MS]
        child.communicate(b"\n")

    median, p95 = float(np.median(sample_us)), float(np.percentile(sample_us, 95))
    table = [("one sample", f"{median:.0f} µs", f"p95 {p95:.0f} µs", "")]
    figures = []
    for row in rows:
        name = f"{row['block_ms']:g} ms"
        alone = median * 1e-3 / float(row["block_ms"] or 1)
        share = row["share"]
        measured = f"{share:.3%}" if share is not None else "unknown"
        reached = "unknown" if share is None else "yes" if share < COST_SHARE else "no"
        table.append(
            (f"blocks of {name}", f"{measured} of the time", f"{row['windows']} windows", f"{alone:.2%} if each")
        )
        figures.append(common.figure(f"telemetry takes, blocks of {name}", f"< {COST_SHARE:.1%}", measured, reached))
    common.table(("telemetry", "cost", "spread", "one sample a block would be"), table)
    given = {"samples": options.samples, "seconds": options.seconds, "device": options.device}
    common.write(
        "telemetry_cost",
        options.results,
        given,
        figures,
        sources=sources,
        unknown=unknown,
        sample_us={"median": median, "p95": p95, "highest": float(sample_us.max())},
        sample_share_of_block={f"{ms:g} ms": median * 1e-3 / ms for ms in BLOCKS_MS},
        blocks=rows,
    )


if __name__ == "__main__":
    main()
