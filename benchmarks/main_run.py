"""The main job on the shared model and its 250 images: the Run whose table the README shows.

Runs `bakeoff run` as a user would, from the repository's root so that the record holds relative paths, and keeps the
table, the report, the charts and the record (not the artifacts and raw samples) under `results/deeppcb-cpu`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from common import HERE, RESULTS, SCRATCH, SHARED

KEPT = ("table.csv", "report.md", "results.json", "charts")


def main() -> int:
    """Run, keep, return the Run's exit code; further arguments go to `bakeoff run`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="deeppcb-cpu", help="folder under results/")
    arguments, more = parser.parse_known_args()
    repo = HERE.parent
    shared = Path(os.path.relpath(SHARED, repo))
    out = SCRATCH / arguments.name
    shutil.rmtree(out, ignore_errors=True)
    command = [
        str(Path(sys.executable).with_name("bakeoff")), "run", str(shared / "models" / "yolov8n-deeppcb.pt"),
        "--data", str(shared / "deeppcb" / "data.yaml"), "--out", str(out.relative_to(repo)), *more,
    ]  # fmt: skip
    code = subprocess.run(command, cwd=repo, check=False).returncode
    if (out / "table.csv").exists():
        target = RESULTS / arguments.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in KEPT:
            if (out / name).is_dir():
                shutil.copytree(out / name, target / name)
            elif (out / name).exists():
                shutil.copy(out / name, target / name)
    return code


if __name__ == "__main__":
    sys.exit(main())
