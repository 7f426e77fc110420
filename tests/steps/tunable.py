"""A plug-in with settings of loading, one much faster than the default, one that does not load; it keeps a trace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from bakeoff.backend import tuning_of
from bakeoff.records import Candidate
from bakeoff.testing import FakeBackend

HERE = Path(os.environ.get("BAKEOFF_TEST_TUNABLE", "."))


class Tunable(FakeBackend):
    name = "tunable"

    def propose(self, model, host):
        plain = Candidate(backend=self.name, precision="fp32", shape="dyn", title="Tunable")
        return [plain, msgspec.structs.replace(plain, options=("other",))]

    def tunings(self, candidate, host, threads):
        return [("fast",), ("t3",), ("broken",)] if not candidate.options else [("fast",)]

    def convert(self, job):
        note(f"convert {job.candidate.key}")
        return super().convert(job)

    def load(self, job):
        note(f"load {job.candidate.key} {job.threads} {os.environ['OMP_NUM_THREADS']}")
        stop = HERE / "stop-at"
        if stop.exists() and stop.read_text() == job.candidate.key:
            (HERE / "reached").touch()
            time.sleep(300)
        asked = tuning_of(job.candidate, numbers=("t",), words=("fast", "broken"))
        if "broken" in asked:
            raise RuntimeError("this setting is not in force")
        session = super().load(job)
        session._sleep_s = 0.001 if "fast" in asked else 0.03
        session.details = {"threads": job.threads, "fast": "fast" in asked}
        return session


def note(text):
    with (HERE / "trace").open("a") as file:
        file.write(text + "\n")
