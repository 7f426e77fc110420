"""Small Runs made by hand: true boxes, detections that find some of them, and timing samples that drift."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import Evaluation, evaluate
from bakeoff.data.letterbox import Geometry
from bakeoff.records import (
    Artifact,
    ArtifactFile,
    BackendStatus,
    Candidate,
    Dataset,
    Host,
    Model,
    RunRecord,
    SessionFacts,
    Settings,
    Trial,
    Verdict,
)
from bakeoff.speed.samples import WorkloadSamples
from bakeoff.store import RunFolder

IMAGES, BOXES, SIDE = 40, 3, 64
NAMES = ("x", "y")
REFERENCE = "a/fp32/dyn"
FIGURES = ("map50_95", "map50", "precision", "recall")
HOST = Host(
    cpu="A CPU", architecture="x86_64", cores_physical=2, cores_usable=2, instruction_sets=("avx2",),
    memory_bytes=8 << 30, os="an OS", kernel="1", python="3", governor="performance", container=None, virtual=None,
    load_1m=0.1, cpus_usable=4,
)  # fmt: skip
VERSIONS = {"numpy": "2.4.6", "opencv-python-headless": "5.0"}


@dataclass(kw_only=True)
class Made:
    """What a Run is made of; latencies and hits are by backend, the first is the reference."""

    latencies: Mapping[str, float] = field(default_factory=lambda: {"a": 10.0, "b": 5.0, "c": 2.0})
    hits: Mapping[str, float] = field(default_factory=dict)  # share of the true boxes that are found; default 0.9
    drift: float = 1.0  # by how much the machine is slower
    seed: int = 0  # of the noise
    generations: int = 3
    rounds: int = 30
    size: int = 1000
    resamples: bool = True
    record: Mapping[str, Any] = field(default_factory=dict)  # fields of the RunRecord that differ
    trials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # fields of Trials that differ, by backend

    def write(self, path: Path) -> Path:
        """Write the Run's folder."""
        rng = np.random.default_rng(self.seed)
        run, arrays = self.described(), dict(truth().arrays())
        arrays["images/names"] = np.array([f"{i}.jpg" for i in range(IMAGES)])
        arrays["images/frame_wh"] = np.full((IMAGES, 2), SIDE, np.int32)
        with RunFolder.create(path) as folder:
            folder.save(run)
            for name in self.latencies:
                found = detections(self.hits.get(name, 0.9))
                arrays |= found.stored(f"{name}/fp32/dyn")
                if self.resamples:
                    drawn = resampled(self.hits.get(name, 0.9), run.settings.seed)
                    arrays |= {f"resamples/{name}/fp32/dyn/{one}": getattr(drawn, one) for one in FIGURES}
            folder.put("accuracy", arrays)
            together = rng.normal(0, 0.05, self.rounds)  # the machine's drift within the Run: the same for all
            for workload in ("1x1", "2x1"):
                for name, latency_ms in self.latencies.items():
                    samples = self._timing(latency_ms, together, rng, 2 if workload == "2x1" else 1)
                    folder.put(
                        f"timing-{name}-{workload}",
                        {f"timing/{name}/fp32/dyn:{workload}/{k}": v for k, v in samples.arrays().items()},
                    )
            folder.consolidate()
        return path

    def _timing(
        self, latency_ms: float, together: np.ndarray, rng: np.random.Generator, streams: int
    ) -> WorkloadSamples:
        generation = np.sort(np.arange(self.rounds) % self.generations).astype(np.int32)
        layout = rng.normal(0, 0.006, self.generations)[generation]
        noise = rng.normal(0, 0.01, self.rounds)
        median_ns = latency_ms * streams * self.drift * 1e6 * np.exp(together + layout + noise)
        run = np.broadcast_to(median_ns[:, None, None], (self.rounds, streams, 4)).astype(np.int64)
        zero = np.zeros_like(run)
        return WorkloadSamples(
            generation=generation, round=np.arange(self.rounds, dtype=np.int32), pre_ns=zero, run_ns=run, post_ns=zero,
            span_ns=run.sum(2), rest_ns=np.zeros(self.rounds, np.int64), window=np.full(self.rounds, -1),
        )  # fmt: skip

    def described(self) -> RunRecord:
        """Return its record."""
        trials, verdicts = [], []
        for name in self.latencies:
            accuracy = score(self.hits.get(name, 0.9)).accuracy
            trial = Trial(
                candidate=Candidate(backend=name, precision="fp32", shape="dyn"),
                accuracy=accuracy,
                session=SessionFacts(device="cpu", precision="fp32"),
                artifact=Artifact(folder="", files=(ArtifactFile(path="x", sha256="", size_bytes=self.size),)),
                verified=True,
                timed=True,
            )
            trials.append(msgspec.structs.replace(trial, **self.trials.get(name, {})))
            key = trial.candidate.key
            verdicts.append(Verdict(key=key, verdict="reference" if key == REFERENCE else "accepted"))
        run = RunRecord(
            created="2026-01-01T00:00:00+00:00",
            settings=Settings(model="m.onnx", data="d.yaml"),
            bakeoff="0",
            versions=VERSIONS,
            host=HOST,
            reference=REFERENCE,
            model=Model(
                path="m.onnx", sha256="0" * 64, size_bytes=1, format="onnx", task="detect", class_names=NAMES,
                stride=32, imgsz=SIDE,
            ),
            dataset=Dataset(
                path="d.yaml", class_names=NAMES, images=IMAGES, boxes=IMAGES * BOXES, sha256="1" * 64,
                background_images=0, duplicate_boxes=0,
            ),
            backends=tuple(BackendStatus(name=name, title=name, version="1.0") for name in self.latencies),
            trials=tuple(trials),
            verdicts=tuple(verdicts),
            finished="later",
        )  # fmt: skip
        return msgspec.structs.replace(run, **self.record)


def truth() -> GroundTruth:
    """Return three boxes an image."""
    image = np.repeat(np.arange(IMAGES, dtype=np.int32), BOXES)
    left = np.tile(np.array([2, 22, 42], np.float32), IMAGES)
    xyxy = np.stack((left, np.full_like(left, 10), left + 16, np.full_like(left, 26)), 1)
    return GroundTruth(
        images=IMAGES, class_names=NAMES, image=image, classes=(np.arange(len(image)) % 2).astype(np.int32),
        canvas_xyxy=xyxy, frame_xyxy=xyxy.astype(np.float64),
    )  # fmt: skip


def detections(hits: float) -> DetectionTable:
    """Return detections of about this share of the true boxes."""
    true, rng = truth(), np.random.default_rng(1)
    keep = rng.random(len(true.image)) < hits
    keep[0] = True
    scores = rng.uniform(0.3, 0.9, len(true.image)).astype(np.float32)
    order = np.lexsort((-scores[keep], true.image[keep]))
    shifted = true.canvas_xyxy + np.array([1, 0, 1, 0], np.float32)
    return DetectionTable(
        image=true.image[keep][order],
        xyxy=shifted[keep][order],
        scores=scores[keep][order],
        classes=true.classes[keep][order],
    )


@functools.cache
def score(hits: float) -> Evaluation:
    """Score such detections on all images."""
    return evaluate(truth(), detections(hits), [Geometry.of((SIDE, SIDE), SIDE)] * IMAGES)


@functools.cache
def resampled(hits: float, seed: int) -> bootstrap.Resampled:
    """Score them on the image sets of a seed."""
    return bootstrap.resample(truth(), score(hits), bootstrap.image_weights(IMAGES, seed))
