"""What it takes to put a Candidate into use, and what that risks: the tables of docs/takeaways.md.

They are facts about runtimes and precisions, not about a Run. What is not in them is taken for the worst.
"""

from __future__ import annotations

from dataclasses import dataclass

from bakeoff.records import MIXED, Candidate

SAME_RUNTIME = "no new runtime"
UNKNOWN_EFFORT = (4, "a runtime that bakeoff knows nothing about")
EFFORT = {  # backend: how much there is to bring along, when the reference's runtime is another one
    "pytorch": (1, "PyTorch, as the model was trained with"),
    "torchscript": (1, "no package but PyTorch"),
    "onnxruntime": (2, "one more package, one file for any machine"),
    "openvino": (2, "one more package, two files for any machine"),
    "tensorrt": (3, "an engine for each kind of GPU and each version of TensorRT"),
    "tensorrt_rtx": (3, "an engine for each family of GPUs and each version of TensorRT-RTX"),
}
LEVELS = {"fp32": 0, "tf32": 1, "bf16": 2, "fp16": 2, MIXED: 3, "int8": 4}  # the coarser, the higher
LAST_FLOAT = 2
ROUNDED_WEIGHTS = "fp16-weights"
KEEPS, COARSER, PARTLY_QUANTISED, QUANTISED = range(4)
RISKS = {
    KEEPS: "the reference's precision",
    COARSER: "a coarser float, nothing to calibrate",
    PARTLY_QUANTISED: "quantised with calibration images, some layers in float",
    QUANTISED: "quantised with calibration images",
}


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What a Candidate takes; smaller is easier."""

    effort: int  # 0: the reference's own runtime
    risk: int | None  # one of `RISKS`; None: its precision says nothing
    brings: str
    serves_batches: bool  # a second camera's frame fits into the same prediction


def adoption(candidate: Candidate, reference: Candidate) -> Adoption:
    """Return what a Candidate takes for somebody who runs the reference."""
    same = candidate.backend == reference.backend
    effort, brings = (0, SAME_RUNTIME) if same else EFFORT.get(candidate.backend, UNKNOWN_EFFORT)
    return Adoption(
        effort=effort, risk=_risk(candidate, reference), brings=brings, serves_batches=_takes_two(candidate)
    )


def _risk(candidate: Candidate, reference: Candidate) -> int | None:
    own, base = LEVELS.get(candidate.precision), LEVELS.get(reference.precision)
    if own is None or base is None:
        return None
    rounded = ROUNDED_WEIGHTS in candidate.options and ROUNDED_WEIGHTS not in reference.options
    if own <= base and not rounded:
        return KEEPS
    if own <= LAST_FLOAT:
        return COARSER
    return PARTLY_QUANTISED if candidate.precision == MIXED else QUANTISED


def _takes_two(candidate: Candidate) -> bool:
    return candidate.known_shape and candidate.takes(2)
