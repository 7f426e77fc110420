"""Which layers suffer from 8 bits: each is quantised alone, and its detections are held against the float network's.

Not a backend. The images are real ones, from calibration: on random input no anchor finds anything.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.backend import ConvertJob, Images
from bakeoff.backends import qdq
from bakeoff.records import LayerError, Recipe

RANGE_IMAGES, ERROR_IMAGES = 32, 4  # 28 s for the 63 layers of yolov8n at 640, with another job beside
SCORE, CONFIDENCE = 0.05, 0.25  # a score that matters, and an anchor whose box does

Head = npt.NDArray[np.float32]  # (batch, 4 + classes, anchors)
Tensors = dict[str, npt.NDArray[Any]]


def rank(job: ConvertJob, ops: Sequence[str]) -> Recipe:
    """Return the Model's layers by the error that quantising each alone brings in, the worst first.

    Only what comes after a layer is computed again, from what the float network has in front of it.

    Raises:
        RuntimeError: there are no calibration images.
    """
    import onnx

    source = job.model.onnx(1)
    start = time.perf_counter()
    calibration = qdq.images_of(job)
    seen = list(itertools.islice(calibration, RANGE_IMAGES))
    document = qdq.read(source)
    layers = qdq.layers(document)
    nodes = set(qdq.chosen(document, ops))
    ranges = qdq.calibrate(document, seen, ops)
    cuts = {layer: _tensors_before(document, own) for layer, own in layers.items()}
    wanted, cached = _float_run(document, {name for cut in cuts.values() for name in cut}, seen[:ERROR_IMAGES])
    extractor = onnx.utils.Extractor(document)
    errors = []
    for layer, cut in cuts.items():
        rest = extractor.extract_model(cut, [value.name for value in document.graph.output])
        session = qdq.session(qdq.quantise(rest, ranges, [n for n in layers[layer] if n in nodes]), in_float=True)
        heads = [session.run(None, {name: tensors[name] for name in cut})[0] for tensors in cached]
        error = float(np.mean([detection_error(*pair) for pair in zip(wanted, heads, strict=True)]))
        errors.append(LayerError(layer=layer, error=error))
    return Recipe(
        model_sha256=job.model.model.sha256,
        calibration_images=len(seen),
        calibration_seed=calibration.seed,
        ranking=tuple(sorted(errors, key=lambda one: -one.error)),
        seconds=time.perf_counter() - start,
    )


def _tensors_before(document: Any, layer: Sequence[str]) -> list[str]:
    """Return the tensors that a layer, and all that its output leads to, need from the rest of the network."""
    weights = {tensor.name for tensor in document.graph.initializer}
    inside: set[str] = set()
    needed: dict[str, None] = {}
    for node in document.graph.node:
        if node.name == layer[0] or inside.intersection(node.input):
            needed.update(dict.fromkeys(name for name in node.input if name and name not in weights))
            inside.update(node.output)
    return [name for name in needed if name not in inside]


def _float_run(document: Any, names: set[str], images: Sequence[Images]) -> tuple[list[Head], list[Tensors]]:
    """Return the head and the tensors of these names for each image, as the float network has them."""
    inputs = {value.name for value in document.graph.input}
    outputs = [document.graph.output[0].name, *(names - inputs)]
    session = qdq.session(document, outputs=outputs)
    (entry,) = inputs
    heads, tensors = [], []
    for image in images:
        head, *values = session.run(outputs, {entry: image})
        heads.append(head)
        tensors.append({entry: image, **dict(zip(outputs[1:], values, strict=True))})
    return heads, tensors


def detection_error(wanted: Head, found: Head) -> float:
    """Return what separates two heads where it matters: mean |score difference| + mean (1 - IoU).

    Scores: those of at least SCORE in either. Boxes: of anchors whose best wanted score is CONFIDENCE or more. Where
    nothing is that sure, the surest one stands for all.
    """
    scores, others = wanted[:, 4:], found[:, 4:]
    high = np.maximum(scores, others)
    counted = high >= min(SCORE, high.max())
    best = scores.max(1)
    sure = best >= min(CONFIDENCE, best.max())
    overlap = _iou(wanted[:, :4].swapaxes(1, 2)[sure], found[:, :4].swapaxes(1, 2)[sure])
    return float(np.abs(scores - others)[counted].mean() + (1 - overlap).mean())


def _iou(a: Head, b: Head) -> Head:
    """Return the overlap of each box with the one at its place; boxes (n, 4) as centre, width and height."""
    low = np.maximum(a[:, :2] - a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2)
    high = np.minimum(a[:, :2] + a[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2)
    shared = np.maximum(high - low, 0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return np.asarray(np.minimum(overlap, 1), np.float32)
