"""A plug-in that offers a check: its FP32 has a warning, its FP16 what calibration it got, its INT8 a fatal problem."""

from __future__ import annotations

from bakeoff.records import Candidate, Problem
from bakeoff.testing import FakeBackend


class Picky(FakeBackend):
    name = "picky"

    def propose(self, model, host):
        return [Candidate(backend=self.name, precision=one, shape="dyn") for one in ("fp32", "fp16", "int8")]

    def check(self, job):
        size = job.model.onnx(None).stat().st_size
        shared = Problem(node="all", what=f"a graph of {size} bytes", cure="none needed", fatal=False)
        seen = (
            "no images" if job.calibration is None else f"{len(job.calibration)} images, {len(list(job.calibration))}"
        )
        own = Problem(node="seen", what=seen, cure="none needed", fatal=False)
        last = Problem(node="conv", what="will not do", cure="leave it out", fatal=True)
        return [shared] + {"fp32": [], "fp16": [own], "int8": [own, last]}[job.candidate.precision]


class Content(FakeBackend):
    name = "content"

    def check(self, job):
        return []
