"""A plug-in whose INT8 loses half of what it should find, and whose mixed form does so until enough is kept in float.

It is ONNX Runtime on the FP32 file, with outputs made worse on purpose: what is tested is what bakeoff makes of it.
"""

from __future__ import annotations

import dataclasses

import msgspec

from bakeoff.backends.onnxruntime import OnnxRuntime
from bakeoff.records import MIXED, Artifact, Candidate


class Lossy(OnnxRuntime):
    name = "lossy"
    title = "Lossy"
    enough = 1  # layers in float that make the mixed form whole

    def propose(self, model, host):
        plain = Candidate(backend=self.name, precision="int8", shape="dyn", title=self.title)
        mixed = Candidate(backend=self.name, precision=MIXED, shape="dyn", title=self.title, on_request=True)
        return [plain, mixed]

    def convert(self, job):
        kept = len(job.recipe.float_layers) if job.recipe else 0
        (job.folder / "dynamic.onnx").write_bytes(job.model.onnx(None).read_bytes())
        seeds = (
            [] if job.calibration is None else [job.calibration.seed, *(float(one.mean()) for one in job.calibration)]
        )
        return Artifact.of(job.folder, lossy=kept < self.enough, float_layers=kept, seeds=seeds)

    def load(self, job):
        fp32 = msgspec.structs.replace(job.candidate, precision="fp32")
        session = super().load(dataclasses.replace(job, candidate=fp32))
        session.precision = job.candidate.precision
        if job.artifact.how["lossy"]:
            honest = session.run
            session.run = lambda images: [worse(honest(images)[0].copy())]
        return session


class Hopeless(Lossy):
    name = "hopeless"
    enough = 1000


class Saturating(Lossy):
    """Whole by itself, but its own graph computed in float says otherwise."""

    name = "saturating"
    enough = 0

    def load(self, job):
        session = super().load(job)
        honest = session.run
        session.run = lambda images: [worse(honest(images)[0].copy())]
        session.emulate = honest
        return session


def worse(head):
    cells = head.shape[2]
    head[:, 4:, : cells // 2] *= 0.01
    return head
