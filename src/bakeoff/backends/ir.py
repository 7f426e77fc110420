"""OpenVINO's IR: where its files lie, what a compiled one computes in, and IR made elsewhere. Not a backend."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.backend import Adopted
from bakeoff.backends import elsewhere
from bakeoff.errors import InputError, one_line
from bakeoff.records import Model

FOLDER = "model_openvino_model"  # Ultralytics knows the format by the end of the folder's name
METADATA = "metadata.yaml"  # which its loader reads
FP16_WEIGHTS = "fp16-weights"


def adopt(path: Path, model: Model) -> Adopted:
    """Read an IR made elsewhere.

    Raises:
        InputError: it is broken, or not for the Model.
    """
    import openvino

    found = sorted(path.glob("*.xml")) if path.is_dir() else [path]
    if len(found) != 1:
        raise InputError(f"artifact {path} holds {len(found)} .xml files; name the one that is meant")
    (xml,) = found
    weights = xml.with_suffix(".bin")
    if not weights.is_file():
        raise InputError(f"artifact {xml} has no weights: {weights.name} is not beside it")
    metadata = elsewhere.metadata_file(xml.parent / METADATA)
    kept = elsewhere.check_metadata(path, metadata, model)
    try:
        network = openvino.Core().read_model(str(xml), str(weights))
        compiled = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except Exception as error:  # OpenVINO raises RuntimeError and subclasses of its own
        raise InputError(f"artifact {path} is damaged or no IR of OpenVINO: {one_line(error, 160)}") from error
    if len(network.inputs) != 1:
        raise InputError(f"artifact {path} has {len(network.inputs)} inputs; expected one, the images")
    for port, what in ((network.inputs[0], "input"), (network.outputs[0], "output")):
        if port.get_element_type() != openvino.Type.f32:
            kind = port.get_element_type().get_type_name()
            raise InputError(f"artifact {path}: its {what} is {kind}; make it with float32 in- and outputs")
    shape = elsewhere.check_images(path, model, _shape(network.inputs[0]))
    head = _shape(network.outputs[0])
    if None in head[1:]:  # it is told by an output alone
        head = list(compiled(np.zeros((1, 3, model.imgsz, model.imgsz), np.float32))[0].shape)
    elsewhere.check_head(path, model, head)
    constants = (node for node in network.get_ops() if node.get_type_name() == "Constant")
    half = any(node.get_element_type() == openvino.Type.f16 for node in constants)
    files = {f"{FOLDER}/model.xml": xml, f"{FOLDER}/model.bin": weights}
    return Adopted(
        precision=computed_in(convolutions(compiled)),
        shape=shape,
        options=(FP16_WEIGHTS,) if half else (),
        files={**files, **({f"{FOLDER}/{METADATA}": xml.parent / METADATA} if metadata else {})},
        how={"metadata": kept},
    )


def _shape(port: Any) -> list[int | None]:
    return [None if size.is_dynamic else size.get_length() for size in port.get_partial_shape()]


def convolutions(compiled: Any) -> Counter[str]:
    """Count the convolutions of a compiled model by what their kernels compute in."""
    kinds: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        if "layerType" in info and str(info["layerType"].astype(str)) == "Convolution":
            kinds[_precision(str(info["primitiveType"].astype(str)))] += 1
    return kinds


def computed_in(kinds: Counter[str]) -> str:
    """Return what most of them compute in."""
    return kinds.most_common(1)[0][0] if kinds else "unknown"


def _precision(primitive: str) -> str:
    """Return what a kernel computes in, from its name (`brgconv_avx512_f32`, `brgconv_avx512_amx_I8`).

    `runtimePrecision` beside it tells how the weights are stored: f16 for a convolution that runs in f32.
    """
    suffix = primitive.rpartition("_")[2].lower()
    names = {"f32": "fp32", "fp32": "fp32", "f16": "fp16", "fp16": "fp16", "i8": "int8", "u8": "int8"}
    return names.get(suffix, suffix)
