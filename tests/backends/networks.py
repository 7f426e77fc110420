"""A small network with the parts that quantising has to tell apart, and jobs for backends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff import models
from bakeoff.backend import ConvertJob, LoadJob, Session
from bakeoff.data.calibration import tensors
from bakeoff.records import Artifact, Candidate, Model, Recipe

SIDE = 32


def write_network(path: Path, *, uneven: bool = False, batch: int | str = 1, scale: float = 1.0) -> Path:
    """Write a detector: layers `a`, `b`, `c`, SiLU after `a` and `b`, a residual Add, decoding with a 1-channel `sum`.

    `uneven`: one channel of what `b` reads is 300 times larger, and its weights as much smaller, so that 8 bits lose
    the other channels; the output is the same but for the SiLU after `a`, which is left out.
    `batch`: its size, or a name where it is free. `scale`: of the weights of `a`, and the inverse of those of `b`.
    """
    import onnx
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(3)
    a, b, c = (rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((8, 3, 3, 3), (8, 8, 3, 3), (6, 8, 1, 1)))
    a, b = a * np.float32(scale), b / np.float32(scale)
    if uneven:
        a[0] *= 300
        b[:, 0] /= 300
    constants = {
        "a_w": a,
        "a_b": np.zeros(8, np.float32),
        "b_w": b,
        "c_w": c,
        "sum_w": np.ones((1, 4, 1, 1), np.float32),
        "flat": np.array([0, 6, -1]),
        "boxes_at": np.array([0]),
        "boxes_to": np.array([4]),
        "scores_to": np.array([6]),
        "axis": np.array([1]),
        "far": np.array(16, np.float32),
    }
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["images", "a_w", "a_b"], ["a_o"], "a", strides=[2, 2], **same),
        *([] if uneven else _silu("a")),
        helper.make_node("Conv", ["a_o" if uneven else "a_y", "b_w"], ["b_o"], "b", **same),
        *_silu("b"),
        helper.make_node("Add", ["a_o" if uneven else "a_y", "b_y"], ["add_o"], "add"),
        helper.make_node("Conv", ["b_y" if uneven else "add_o", "c_w"], ["c_o"]),  # no name
        helper.make_node("Slice", ["c_o", "boxes_at", "boxes_to", "axis"], ["box_map"], "boxes"),
        helper.make_node("Conv", ["box_map", "sum_w"], ["sum_o"], "sum"),
        helper.make_node("Add", ["c_o", "sum_o"], ["summed"], "spread"),
        helper.make_node("Reshape", ["summed", "flat"], ["rows"], "rows"),
        helper.make_node("Slice", ["rows", "boxes_at", "boxes_to", "axis"], ["raw_boxes"], "cut_boxes"),
        helper.make_node("Add", ["raw_boxes", "far"], ["pixels"], "far_off"),
        helper.make_node("Slice", ["rows", "boxes_to", "scores_to", "axis"], ["logits"], "cut_scores"),
        helper.make_node("Sigmoid", ["logits"], ["scores"], "score"),
        helper.make_node("Concat", ["pixels", "scores"], ["output0"], "join", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, [batch, 6, (SIDE // 2) ** 2])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    document = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    names = str({0: "one", 1: "two"})
    helper.set_model_props(document, {"task": "detect", "stride": "32", "names": names, "imgsz": str([SIDE, SIDE])})
    onnx.save(document, str(path))
    return path


def _silu(name: str) -> list[Any]:
    from onnx import helper

    return [
        helper.make_node("Sigmoid", [f"{name}_o"], [f"{name}_s"], f"{name}_sigmoid"),
        helper.make_node("Mul", [f"{name}_o", f"{name}_s"], [f"{name}_y"], f"{name}_mul"),
    ]


def noise(count: int, side: int = SIDE) -> npt.NDArray[np.float32]:
    """Return images (count, 3, side, side) in 0..1."""
    return np.random.default_rng(5).random((count, 3, side, side), np.float32)


class Images:
    """`Calibration` from arrays (n, 3, side, side) or from files."""

    preset, seed = "mixed", 0

    def __init__(self, images: Any, side: int = SIDE) -> None:
        self._images, self._side = images, side

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        for i in range(len(self)):
            one = self._images[i : i + 1]
            yield one if isinstance(one, np.ndarray) else tensors(one, self._side)


class Forms:
    """`ModelForms` from a model file."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._file, self._folder = models.open_model(path), folder
        self.model: Model = self._file.model

    def onnx(self, batch: int | None, opset: int = 17) -> Path:
        path = self._folder / f"form-{batch}-{opset}.onnx"
        if not path.exists():
            self._file.export_onnx(batch, opset, path)
        return path

    def torch_module(self) -> Any:
        return self._file.torch_module()


def job(
    key: str,
    forms: Forms,
    folder: Path,
    *,
    calibration: Images | None = None,
    recipe: Recipe | None = None,
    batches: tuple[int, ...] = (1, 2),
) -> ConvertJob:
    """Return the job of converting a Candidate into a folder of its own below `folder`."""
    backend, precision, shape, *options = key.split("/")
    candidate = Candidate(backend=backend, precision=precision, shape=shape, options=tuple(options))
    target = folder / f"{candidate.slug}-{len(list(folder.iterdir()))}"
    target.mkdir()
    return ConvertJob(
        candidate=candidate, model=forms, folder=target, batches=batches, calibration=calibration, recipe=recipe
    )


def load(backend: Any, made: ConvertJob, artifact: Artifact) -> Session:
    """Load what a conversion made."""
    session: Session = backend.load(LoadJob(candidate=made.candidate, artifact=artifact, model=made.model, threads=1))
    return session


def recipe(model: Model, *float_layers: str) -> Recipe:
    """Return a recipe that keeps these layers in float."""
    return Recipe(
        model_sha256=model.sha256, calibration_images=1, calibration_seed=0, ranking=(), float_layers=float_layers
    )
