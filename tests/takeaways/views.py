"""Views of hand-made Runs: measured ones with samples, and imported ones with figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from bakeoff.judge import judge
from bakeoff.records import (
    Accuracy,
    Artifact,
    ArtifactFile,
    Candidate,
    Estimate,
    Failure,
    Host,
    Model,
    OperatingPoint,
    Requirements,
    RunRecord,
    Settings,
    Trial,
    Verdict,
)
from bakeoff.speed.samples import WorkloadSamples
from bakeoff.takeaways import draw
from bakeoff.view import View

SAME, LESS, MORE = (0.0, 0.0, 0.0), (-0.004, -0.006, -0.002), (0.015, 0.011, 0.019)
LOST, UNSURE = (-0.1, -0.12, -0.08), (-0.008, -0.018, 0.002)
PYTORCH, CHANNELS_LAST, TORCHSCRIPT = "pytorch/fp32/dyn", "pytorch/fp32/dyn/channels-last", "torchscript/fp32/static"
ORT, OPENVINO, BF16, INT8 = "onnxruntime/fp32/dyn", "openvino/fp32/dyn", "openvino/bf16/dyn", "openvino/int8/dyn"
TRT, TRT_B1, TRT_FP16 = "tensorrt/fp32/d1-2", "tensorrt/fp32/b1", "tensorrt/fp16/d1-2"


def candidate(key: str) -> Candidate:
    backend, precision, shape, *options = key.split("/")
    return Candidate(backend=backend, precision=precision, shape=shape, options=tuple(options))


def samples(ms: float, streams: int = 1, noise: float = 0.01, rounds: int = 24, seed: int = 0) -> WorkloadSamples:
    """Blocks of four predictions; the same seed is the same noise, so that equal times are equal."""
    rng = np.random.default_rng([seed, int(ms * 1000)])
    run = (ms * 1e6 * np.exp(rng.normal(0, noise, (rounds, streams, 4)))).astype(np.int64)
    zero = np.zeros_like(run)
    return WorkloadSamples(
        generation=np.arange(rounds, dtype=np.int32) // 8, round=np.arange(rounds, dtype=np.int32),
        pre_ns=zero, run_ns=run, post_ns=zero, span_ns=run.sum(2),
        rest_ns=np.zeros(rounds, np.int64), window=np.full(rounds, -1),
    )  # fmt: skip


def trial(key: str, delta: tuple[float, float, float] | None = None, **fields: Any) -> Trial:
    whole: dict[str, Any] = {
        "accuracy": Accuracy(
            images=250, boxes=9, detections=9, precision=0.9, recall=0.9, map50=0.9, confidence=0.4, per_class=(),
            coco={}, map50_95=0.6 + (delta[0] if delta else 0),
        ),
        "map_delta": None if delta is None else Estimate(value=delta[0], low=delta[1], high=delta[2]),
        "artifact": Artifact(folder="", files=(ArtifactFile(path="x", sha256="", size_bytes=10_000_000),)),
    }  # fmt: skip
    return Trial(candidate=candidate(key), **{**whole, **fields})


def record(trials: list[Trial], **fields: Any) -> RunRecord:
    whole: dict[str, Any] = {
        "created": "2026-01-01", "settings": Settings(model="m.pt", data="d.yaml"), "bakeoff": "0", "versions": {},
        "host": Host.unknown(), "model": Model.unknown(), "reference": trials[0].candidate.key,
        "trials": tuple(trials), "finished": "later",
    }  # fmt: skip
    return RunRecord(**{**whole, **fields})


def measured(
    figures: Mapping[str, tuple[float, tuple[float, float, float] | None]],
    *,
    more: tuple[Trial, ...] = (),
    noise: float = 0.01,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    accuracy: bool = True,
    rounds: int = 24,
    **requirements: Any,
) -> View:
    """Return a View of a judged Run: key to 1x1 latency in ms and ΔmAP50-95; the first is the reference.

    1x2 takes 1.5 and 2x1 1.9 times as long; what takes no batch of two has no 1x2.
    """
    none = {} if accuracy else {"accuracy": None, "map_delta": None}
    trials = [trial(key, delta, **{**none, **(fields or {}).get(key, {})}) for key, (_, delta) in figures.items()]
    timings = {}
    for i, (key, (ms, _)) in enumerate(figures.items()):
        timings[key, "1x1"] = samples(ms, noise=noise, seed=i, rounds=rounds)
        timings[key, "2x1"] = samples(ms * 1.9, 2, noise=noise, seed=i, rounds=rounds)
        if candidate(key).takes(2):
            timings[key, "1x2"] = samples(ms * 1.5, noise=noise, seed=i, rounds=rounds)
    settings = Settings(model="m.pt", data="d.yaml", accuracy=accuracy, requirements=Requirements(**requirements))
    whole = record([*trials, *more], settings=settings)
    verdicts = judge(whole.trials, whole.reference, timings, settings.requirements)
    return View.make(msgspec.structs.replace(whole, verdicts=tuple(verdicts)), timings)


def imported(rows: Mapping[str, Mapping[str, float]], verdicts: Mapping[str, str]) -> View:
    """Return a View of an imported Run: key to figures by column; the first is the reference."""
    trials = [Trial(candidate=candidate(key), reported=dict(figures)) for key, figures in rows.items()]
    first = next(iter(rows))
    said = [Verdict(key=key, verdict="reference" if key == first else verdicts.get(key, "")) for key in rows]
    return View.make(record(trials, verdicts=tuple(said), imported="study.csv"), {})


def told(view: View) -> dict[str, Any]:
    """Return the takeaways by rule."""
    return {one.rule: one for one in draw(view)}


FAILED = trial(TRT, failure=Failure(step="load", kind="signal", cause="`<b>` SIGSEGV", reproduce="bakeoff verify m.pt"))
SKIPPED = trial(TRT_FP16, skip="no NVIDIA GPU here; install one")
WHOLE = measured(
    {
        PYTORCH: (100, None), CHANNELS_LAST: (80, SAME), ORT: (60, SAME), OPENVINO: (50, SAME),
        TORCHSCRIPT: (130, SAME), BF16: (30, LESS), INT8: (20, LOST),
    },
    more=(FAILED, SKIPPED),
)  # fmt: skip
TIED = measured({PYTORCH: (100, None), ORT: (50, SAME), OPENVINO: (50.1, SAME), INT8: (40, UNSURE)}, noise=0.05)
STUDY = imported(
    {
        PYTORCH: {"latency_1x1_ms": 11, "map_delta": 0.0},
        ORT: {"latency_1x1_ms": 8, "map_delta": 0.0},
        TRT: {"latency_1x1_ms": 8, "map_delta": 0.0},
        TRT_FP16: {"latency_1x1_ms": 6, "map_delta": -0.001},
        INT8: {"latency_1x1_ms": 5, "map_delta": -0.008},
        TORCHSCRIPT: {"latency_1x1_ms": 12, "map_delta": 0.0},
    },
    {ORT: "accepted", TRT: "accepted", TRT_FP16: "accepted", INT8: "recommended", TORCHSCRIPT: "rejected"},
)


def estimate(value, low, high):
    return Estimate(value=value, low=low, high=high)


def point(*delta):
    some = estimate(0.9, 0.88, 0.92)
    return OperatingPoint(
        confidence=0.4, given=False, precision=some, recall=some, f1=some, false_alarms_per_image=some,
        misses_per_image=some, deltas={"recall": estimate(*delta)},
    )  # fmt: skip
