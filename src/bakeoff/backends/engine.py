"""TensorRT engines made elsewhere, by trtexec or Ultralytics. Not a backend: it gets the Python module that reads them.

An engine tells its inputs, outputs and profiles once its own version of TensorRT has read it on its own kind of GPU. It
does not tell its precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.backend import Adopted
from bakeoff.backends import elsewhere
from bakeoff.errors import InputError
from bakeoff.records import Model

SUFFIXES = (".engine", ".plan", ".trt")
ADOPTS = f"TensorRT engines ({', '.join(SUFFIXES)})"


def adopt(
    trt: Any,
    path: Path,
    model: Model,
    header: Mapping[str, Any],
    content: bytes,
    *,
    logger: Any,
    files: Mapping[str, Path],
) -> Adopted:
    """Return what an engine made elsewhere is.

    Args:
        trt: `tensorrt` or `tensorrt_rtx`.
        path: to be named.
        model: the Model.
        header: the metadata before the engine; empty where trtexec wrote it.
        content: the engine without them.
        logger: of TensorRT.
        files: name in the Artifact -> file.

    Raises:
        InputError: this TensorRT on this GPU can't read it, it is not for the Model, or nothing says its precision.
    """
    kept = elsewhere.check_metadata(path, header, model)
    # Ultralytics leaves TF32 on, TensorRT's default, where it is asked for nothing
    precision = elsewhere.precision_said(path, header, plain="tf32")
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        here = f"{trt.__name__} {trt.__version__}"
        raise InputError(
            f"artifact {path} is no engine that {here} can read on this machine; build it here, with this version"
        )
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if name not in inputs]
    if len(inputs) != 1 or not outputs:
        raise InputError(
            f"artifact {path} has {len(inputs)} inputs and {len(outputs)} outputs; expected one, the images"
        )
    for name in (inputs[0], outputs[0]):
        if engine.get_tensor_dtype(name) != trt.float32:
            kind = str(engine.get_tensor_dtype(name)).rpartition(".")[2]
            raise InputError(f"artifact {path}: its {name!r} is {kind}; make it with float32 in- and outputs")
    images, head = (tuple(engine.get_tensor_shape(name)) for name in (inputs[0], outputs[0]))
    profiles = [engine.get_tensor_profile_shape(inputs[0], index) for index in range(engine.num_optimization_profiles)]
    shape, options = form(path, model, images, [tuple(tuple(one) for one in profile) for profile in profiles])
    elsewhere.check_head(path, model, [None if size < 0 else size for size in head])
    how = {"metadata": kept, "made_for": str(header.get("version", "unknown"))}
    return Adopted(precision=precision, shape=shape, options=options, files=files, how=how)


def form(
    path: Path, model: Model, images: tuple[int, ...], profiles: list[tuple[tuple[int, ...], ...]]
) -> tuple[str, tuple[str, ...]]:
    """Return an engine's shape and options in the words of keys: `b1`, or `d1-8` and `opt4`.

    Args:
        path: to be named.
        model: the Model.
        images: shape of its input; -1: free.
        profiles: the input's smallest, best and largest shape in each.

    Raises:
        InputError: it takes no single image of the Model's imgsz.
    """
    shape = elsewhere.check_images(path, model, [None if size < 0 else size for size in images])
    if -1 not in images:
        return shape, ()
    wanted = (3, model.imgsz, model.imgsz)
    fit = [
        (low[0], best[0], high[0])
        for low, best, high in profiles
        if all(a <= size <= b for a, size, b in zip(low[1:], wanted, high[1:], strict=True))
    ]
    if not any(low == 1 for low, _, _ in fit):
        raise InputError(
            f"artifact {path} has no profile for one image of {model.imgsz}x{model.imgsz}; "
            "build it with one that begins at batch 1"
        )
    most = max(high for _, _, high in fit)
    best = next(best for low, best, _ in fit if low == 1)
    if most == 1:
        return "b1", ()
    if len(fit) > 1:
        return f"d1-{most}", ("profiles",)
    return f"d1-{most}", (f"opt{best}",) if best > 1 else ()
