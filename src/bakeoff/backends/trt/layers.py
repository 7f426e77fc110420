"""What an engine's layers compute in, as TensorRT's engine inspector tells it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.backends.trt.api import Engine, Trt

FILE, TABLE = "layers.json", "layers.txt"
UNKNOWN = "unknown"
# the inspector's words, of a weight's `Type` and in a tensor's `Format/Datatype`, which TensorRT 11 calls `DataType`
_WORDS = (
    ("int8", ("int8",)),
    ("fp8", ("fp8",)),
    ("bf16", ("bf16", "bfloat16")),
    ("fp16", ("fp16", "half")),
    ("fp32", ("fp32", "float")),
    ("int64", ("int64",)),
    ("int32", ("int32",)),
)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of an engine."""

    name: str
    kind: str  # TensorRT's `LayerType`
    precision: str  # of its weights, else of what it reads; `unknown` where the inspector does not tell
    tactic: str

    @property
    def copies(self) -> bool:
        """Whether it only brings a tensor into another format or type."""
        return self.kind == "Reformat"


def parse(text: str) -> list[Layer]:
    """Read what `EngineInspector.get_engine_information` returns as JSON.

    A layer is an object where the engine was built with detailed profiling verbosity, else a name alone.

    Raises:
        ValueError: it is something else.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or not isinstance(content.get("Layers"), list):
        raise ValueError("the engine inspector's answer has no list of Layers")
    return [_layer(entry) for entry in content["Layers"]]


def _layer(entry: Any) -> Layer:
    if not isinstance(entry, dict):
        return Layer(name=str(entry), kind=UNKNOWN, precision=UNKNOWN, tactic="")
    weights = entry.get("Weights")
    told = [weights.get("Type", "")] if isinstance(weights, dict) else []
    tensors = [tensor for side in ("Inputs", "Outputs") for tensor in entry.get(side) or [] if isinstance(tensor, dict)]
    told += [str(tensor.get(name, "")) for tensor in tensors for name in ("DataType", "Format/Datatype", "Format")]
    known = (precision for precision in map(_precision, told) if precision is not None)
    return Layer(
        name=str(entry.get("Name", "")),
        kind=str(entry.get("LayerType", UNKNOWN)),
        precision=next(known, UNKNOWN),
        tactic=str(entry.get("TacticName", "")),
    )


def _precision(words: str) -> str | None:
    lower = words.lower()
    return next((name for name, forms in _WORDS if any(form in lower for form in forms)), None)


def summary(layers: list[Layer]) -> dict[str, Any]:
    """Return how many layers compute in what, and how many only copy."""
    computing = [layer for layer in layers if not layer.copies]
    return {
        "layers": len(layers),
        "by_precision": dict(sorted(Counter(layer.precision for layer in computing).items())),
        "reformat_copies": len(layers) - len(computing),
    }


def check(precision: str, layers: list[Layer]) -> None:
    """Refuse an engine that is called INT8 or FP16 and computes no layer in it, where the inspector tells at all.

    Raises:
        RuntimeError: what it computes in.
    """
    wanted = precision.partition("+")[0]
    found = {layer.precision for layer in layers if not layer.copies and layer.precision != UNKNOWN}
    if wanted in ("int8", "fp16") and found and wanted not in found:
        raise RuntimeError(f"no layer of this engine computes in {wanted}; they compute in {', '.join(sorted(found))}")


def inspect(trt: Trt, engine: Engine) -> str:
    """Return the inspector's JSON about a deserialised engine."""
    inspector = engine.create_engine_inspector()
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def write(folder: Path, text: str, layers: list[Layer]) -> None:
    """Write the inspector's answer as it is, and a table of it for people."""
    (folder / FILE).write_text(text)
    rows = [(layer.precision, layer.kind, layer.name, layer.tactic) for layer in layers]
    facts = summary(layers)
    counts = ", ".join(f"{count} in {name}" for name, count in facts["by_precision"].items())
    head = f"{facts['layers']} layers: {counts or 'none'}; {facts['reformat_copies']} reformat copies\n"
    (folder / TABLE).write_text(head + "".join("  ".join(row).rstrip() + "\n" for row in rows))
