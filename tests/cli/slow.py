"""A backend that writes down what it does, and sleeps at the point that a file names; installed by the tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bakeoff.testing import FakeBackend

HERE = Path(os.environ.get("BAKEOFF_TEST_SLOW", "."))


def reach(point: str) -> None:
    """Note that a point is reached; sleep if it is the one."""
    with (HERE / "trace").open("a") as file:
        file.write(point + "\n")
    stop = HERE / "stop-at"
    if stop.exists() and stop.read_text() == point:
        (HERE / "reached").touch()
        time.sleep(300)


class Slow(FakeBackend):
    name = "slow"

    def probe(self):
        reach("probe")
        return "1.0"

    def convert(self, job):
        reach("convert")
        return super().convert(job)

    def load(self, job):
        trace = HERE / "trace"
        loads = trace.read_text().split().count("load") if trace.exists() else 0
        reach("load")
        if loads == 2:  # one to verify, one for the first generation of timing: its rounds are measured now
            reach("time")
        session = super().load(job)
        honest, runs = session.run, [0]

        def run(images):
            runs[0] += 1
            if runs[0] == 3:
                reach("verify")
            return honest(images)

        session.run = run
        return session
