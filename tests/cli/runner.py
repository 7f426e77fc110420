"""The command line in a process of its own, as a user starts it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

import bakeoff as bakeoff_package

SOURCE = Path(bakeoff_package.__file__).parents[1]  # what the tests import is what the command runs
FAST = ("--quick", "--frames", "16", "--workload", "1x1")


def start(
    *arguments: object, cwd: Path, plugins: Sequence[Path] = (), code: str = "", **options: object
) -> subprocess.Popen[str]:
    """Start `bakeoff ARGUMENTS`; `plugins` are folders with distributions, `code` runs before it."""
    environment = {**os.environ, "COLUMNS": "200"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, [*plugins, SOURCE]))
    program = f"{code}\nfrom bakeoff.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def bakeoff(*arguments: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `bakeoff ARGUMENTS` to its end."""
    process = start(*arguments, cwd=cwd, **options)  # type: ignore[arg-type]
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(path: Path, process: subprocess.Popen[str], limit_s: float = 120) -> None:
    """Wait until this file is there; the process, which is to make it, must go on."""
    deadline = time.monotonic() + limit_s
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_with(plugins: Path) -> list[list[str]]:
    """Return the command lines of all processes that have this folder of plug-ins in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(plugins) in process.environ().get("PYTHONPATH", "") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def rows(run: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a Run's `table.csv` by Candidate key, in its order."""
    with (run / "table.csv").open(encoding="utf-8", newline="") as file:
        return {row["candidate"]: row for row in csv.DictReader(file)}
