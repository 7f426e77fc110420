"""Artifacts to predict with: made by hand, so that a test needs no conversion."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from bakeoff import models
from bakeoff.records import Artifact, Candidate, SavedArtifact
from bakeoff.steps.scripts import SAVED


def artifact_folder(folder: Path, model: Path, *, backend: str = "onnxruntime", **fields: object) -> Path:
    """Write the folder that `bakeoff convert --to BACKEND/fp32/dyn` makes of an ONNX file."""
    folder.mkdir(parents=True)
    shutil.copyfile(model, folder / "dynamic.onnx")
    made = Artifact.of(folder)
    values = {
        "folder": "elsewhere",
        "files": made.files,
        "candidate": Candidate(backend=backend, precision="fp32", shape="dyn"),
        "model": msgspec.structs.replace(models.open_model(model).model, path="/gone/model.pt"),
        "confidence": 0.25,
        **fields,
    }
    (folder / SAVED).write_bytes(msgspec.json.encode(SavedArtifact(**values)))
    return folder


CRASHING = """
import os, signal, time
from pathlib import Path
from bakeoff.testing import FakeBackend, FakeSession

class Session(FakeSession):
    count = 0
    def run(self, images):
        self.count += 1
        if self.count == 3 and self.how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "slow":
            time.sleep(0.05)
        return super().run(images)

class Crashing(FakeBackend):
    name = "crash"
    how = "crash"
    def load(self, job):
        session = Session(len(job.model.model.class_names))
        session.how = self.how
        return session

class Slow(Crashing):
    name = how = "slow"
"""
