"""A plug-in whose shapes take known times: what a tune must find out. `WAY` says which way of two frames is faster."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from bakeoff.backend import other_shapes, tuning_of
from bakeoff.records import Candidate
from bakeoff.testing import FakeBackend

HERE = Path(os.environ.get("BAKEOFF_TEST_SHAPED", "."))
WAY = os.environ.get("BAKEOFF_TEST_WAY", "batch")
ALONE_S = {"dyn": 0.024, "static": 0.024, "b1": 0.012}  # of one image
TOGETHER_S = {"batch": 0.004, "streams": 0.030}  # of a batch of two
SHARE = {"fast": 0.4, "slow": 1.5}  # of the time, with these settings of loading


class Shaped(FakeBackend):
    """One device at a time, as a GPU: two streams wait for each other where a batch is the better way."""

    name = "shaped"
    title = "Shaped"

    def propose(self, model, host):
        return [Candidate(backend=self.name, precision="fp32", shape="dyn", title=self.title)]

    def shapes(self, candidate, batches):
        note(f"shapes {candidate.key} {list(batches)}")
        return other_shapes(candidate, batches)

    def tunings(self, candidate, host, threads):
        return [("fast",)] if candidate.shape == "b1" else [("slow",)]

    def convert(self, job):
        note(f"convert {job.candidate.key}")
        return super().convert(job)

    def load(self, job):
        note(f"load {job.candidate.key}")
        asked = tuning_of(job.candidate, words=("fast", "slow"))
        stop = HERE / "stop-at"
        if stop.exists() and stop.read_text() == job.candidate.key:
            (HERE / "reached").touch()
            time.sleep(300)
        session = super().load(job)
        plain_run, lock = session.run, threading.Lock()
        share = SHARE.get(next(iter(asked), ""), 1.0)

        def run(images):
            shape = job.candidate.shape
            seconds = ALONE_S[shape] if len(images) == 1 else TOGETHER_S[WAY] * (3 if shape == "static" else 1)
            if WAY == "batch":
                with lock:
                    time.sleep(seconds * share)
            else:
                time.sleep(seconds * share)
            outputs = plain_run(images)
            if (HERE / "wrong").exists() and job.candidate.shape == "static":
                outputs[0][:, 4:] *= 0.5
            return outputs

        session.run = run
        return session


def note(text):
    with (HERE / "trace").open("a") as file:
        file.write(text + "\n")
