"""What TensorRT's FP16 and INT8 graphs lose, with no GPU: the very graphs that are built, run in ONNX Runtime.

The graphs come from `backends/trt/precision.py` for the shared model. ONNX Runtime has few FP16 kernels for CPUs and
computes the rest in float32, so each graph runs as `fp16.rounded` writes it: in float32, every FP16 tensor rounded as
FP16 would, every Q/DQ pair as it stands. What a GPU adds is the order of its sums. mAP50-95 on the validation images,
and its difference to the exported FP32 graph with a paired bootstrap interval; the error of boxes and scores on the
first images; size, Q/DQ nodes and islands; and, where TensorRT-RTX is installed, its engine for a batch of 1 to 2.

Beside the recipes that bakeoff offers, `--placements` scores two that it does not: ONNX Runtime's own, which quantises
what convolutions write too, and a scale of its own for each tensor that a Concat joins. In both, the rest of the graph
is float32.

Steps are kept in benchmarks/.bench/trt-precision. `--slice S` begins none after S seconds and ends there, else all are
done and the result is written.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np

sys.path.insert(0, str(common.HERE.parent))
from bakeoff.accuracy import bootstrap, parity
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import evaluate
from bakeoff.backends import qdq
from bakeoff.backends.trt import fp16, precision
from bakeoff.backends.trt.options import METHOD
from bakeoff.data import calibration, yolo
from bakeoff.data.images import decode as read_image
from bakeoff.data.letterbox import Geometry
from bakeoff.models.tasks.detection import SCORED, decode
from tests.backends.networks import Forms, Images, job

WORK = common.SCRATCH / "trt-precision"
FP32 = "fp32"
OFFERED = {"fp32": "fp32/d1-2", "fp16": "fp16/d1-2", "int8": "int8/d1-2"}
METHODS = {f"int8, {method}": f"int8/d1-2/{method}" for method in qdq.METHODS if method != METHOD}
OTHERS = {"int8, outputs too": True, "int8, a scale for each joined tensor": False}  # whether outputs are quantised
HELD = 64  # images on which boxes and scores are compared, anchor by anchor
TARGETS = {"fp16": 0.002, "int8": 0.01}  # of mAP50-95, by the project's fifth issue
OPSET = 17


def dataset() -> Any:
    return yolo.read_dataset(common.SHARED / "deeppcb" / "data.yaml")


def rows_of(options: argparse.Namespace) -> list[str]:
    """Return the names of all graphs, the reference first."""
    return [*OFFERED, *(METHODS if options.methods else ()), *(OTHERS if options.placements else ())]


def prepare(name: str, options: argparse.Namespace) -> None:
    """Write one graph and how it was made."""
    drawn = Images(calibration.draw(dataset().training, options.calibration, options.seed), common.IMGSZ)
    drawn.seed = options.seed
    start = time.perf_counter()
    if name not in OTHERS:
        made = job(f"tensorrt/{(OFFERED | METHODS)[name]}", Forms(common.shared_model(), WORK), WORK, calibration=drawn)
        prepared = precision.prepare(made, made.candidate.precision, None, OPSET)
        document, how = prepared.document, prepared.how
    else:
        document, how = _other(name, drawn)
    (WORK / f"{name}.onnx").write_bytes(document.SerializeToString())
    how = {**how, "seconds": time.perf_counter() - start}
    (WORK / f"{name}.json").write_text(json.dumps(how))


def _other(name: str, drawn: Images) -> tuple[Any, dict[str, Any]]:
    """Quantise in a way that bakeoff does not offer."""
    source = qdq.read(Forms(common.shared_model(), WORK).onnx(None, OPSET))
    kept = WORK / "ranges"  # the same for all of these
    if not kept.exists():
        kept.write_text(json.dumps(qdq.calibrate(source, drawn, precision.QUANTISED)))
    ranges = json.loads(kept.read_text())
    nodes = qdq.chosen(source, precision.QUANTISED)
    made = qdq.quantise(source, ranges, nodes, activations="QInt8", bias=False, inputs_only=not OTHERS[name])
    return made, {"quantiser": "onnxruntime.quantization", "the rest": "float32"}


def score(name: str, options: argparse.Namespace) -> None:
    """Write one graph's detections, and its first heads where it is the reference."""
    import onnx

    document = onnx.load(str(WORK / f"{name}.onnx"))
    session = qdq.session(document if name == FP32 or name in OTHERS else fp16.rounded(document), in_float=True)
    found, heads = [], []
    comparison = parity.Comparison()
    expected = None if name == FP32 else np.load(WORK / "heads.npy", mmap_mode="r")
    for number, path in enumerate(dataset().validation[: options.images]):
        head = session.run(None, {"images": calibration.tensors([path], common.IMGSZ)})[0][0]
        found.append(decode(head, SCORED))
        if number < HELD:
            heads.append(head)
            if expected is not None:
                comparison.add(np.array(expected[number]), head)
    if expected is None:
        np.save(WORK / "heads.npy", np.stack(heads))
    errors = {} if expected is None else {one.group: one.confident_error for one in comparison.groups()}
    np.savez(WORK / f"{name}.npz", **DetectionTable.of(found).stored(name))
    (WORK / f"{name}-errors.json").write_text(json.dumps(errors))


def engine(name: str) -> dict[str, Any]:
    """Parse and build a graph with TensorRT-RTX, for a batch of 1 to 2; nothing can run it here."""
    try:
        import tensorrt_rtx as trt
    except ImportError:
        return {}
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse((WORK / f"{name}.onnx").read_bytes()):
        return {"refused": parser.get_error(0).desc()[:200]}
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    entry = network.get_input(0)
    shapes = [(batch, *tuple(entry.shape)[1:]) for batch in (1, 1, 2)]
    profile.set_shape(entry.name, *shapes)
    config.add_optimization_profile(profile)
    start = time.perf_counter()
    built = builder.build_serialized_network(network, config)
    if built is None:
        return {"refused": "the build made no engine"}
    return {"engine_bytes": built.nbytes, "engine_s": time.perf_counter() - start, "version": trt.__version__}


def judge(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return each row's figures and their differences to FP32, with intervals."""
    found = dataset()
    images = found.validation[: options.images]
    geometries = [
        Geometry.of((width, height), common.IMGSZ) for height, width, _ in (read_image(p).shape for p in images)
    ]
    labels = [yolo.read_labels(path, found.class_names) for path in images]
    truth = GroundTruth.of(labels, geometries, found.class_names)
    rows: dict[str, dict[str, Any]] = {}
    reference = None
    for name in rows_of(options):
        with np.load(WORK / f"{name}.npz") as arrays:
            evaluation = evaluate(truth, DetectionTable.read(arrays, name), geometries)
        resampled = bootstrap.resample(truth, evaluation, bootstrap.image_weights(truth.images, options.seed))
        accuracy = evaluation.accuracy
        row: dict[str, Any] = {"map50_95": accuracy.map50_95, "map50": accuracy.map50}
        if reference is None:
            reference = accuracy, resampled
        for figure in ("map50_95", "map50"):
            value = getattr(accuracy, figure) - getattr(reference[0], figure)
            one = bootstrap.delta(value, getattr(reference[1], figure), getattr(resampled, figure))
            row[f"{figure}_delta"] = {"value": one.value, "low": one.low, "high": one.high}
        row["confident_error"] = json.loads((WORK / f"{name}-errors.json").read_text())
        row["onnx_bytes"] = (WORK / f"{name}.onnx").stat().st_size
        rows[name] = row | {"how": json.loads((WORK / f"{name}.json").read_text()), "tensorrt_rtx": engine(name)}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=250, help="first N shared validation images [250]")
    parser.add_argument("--calibration", type=int, default=128, help="calibration images [128]")
    parser.add_argument("--seed", type=int, default=0, help="of the draws [0]")
    parser.add_argument("--methods", action="store_true", help="the other calibration methods too")
    parser.add_argument("--placements", action="store_true", help="the two placements that bakeoff does not offer too")
    parser.add_argument("--slice", type=float, metavar="S", help="begin no step after S seconds, and end")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()

    settings = {"images": options.images, "calibration": options.calibration, "seed": options.seed}
    if not (WORK / "settings.json").exists() or json.loads((WORK / "settings.json").read_text()) != settings:
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        (WORK / "settings.json").write_text(json.dumps(settings))
    steps: list[tuple[Path, Callable[[], None]]] = []
    for name in rows_of(options):
        steps.append((WORK / f"{name}.json", lambda name=name: prepare(name, options)))  # type: ignore[misc]
        steps.append((WORK / f"{name}-errors.json", lambda name=name: score(name, options)))  # type: ignore[misc]
    start = time.perf_counter()
    for done, step in steps:
        if not done.exists():
            if options.slice is not None and time.perf_counter() - start > options.slice:
                return
            print(f"{done.stem} …", file=sys.stderr, flush=True)
            step()
    if options.slice is not None:
        return

    rows = judge(options)
    common.table(
        ("graph", "in INT8", "mAP50-95", "to FP32", "mAP50", "to FP32", "boxes px", "scores", "ONNX MB", "engine MB"),
        [(name, *_cells(row)) for name, row in rows.items()],
    )
    figures = []
    for name, target in TARGETS.items():
        delta = rows[name]["map50_95_delta"]
        measured = f"{delta['value']:+.4f} [{delta['low']:+.4f}, {delta['high']:+.4f}]"
        reached = "yes" if abs(delta["value"]) <= target else "no"
        figures.append(common.figure(f"TensorRT {name} graph: mAP50-95 to FP32", f"within {target}", measured, reached))
    common.write("trt_precision", options.results, settings | {"opset": OPSET, "held": HELD}, figures, rows=rows)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    deltas = [row[name] for name in ("map50_95_delta", "map50_delta")]
    shown = [f"{one['value']:+.4f} [{one['low']:+.4f}, {one['high']:+.4f}]" for one in deltas]
    errors = [f"{row['confident_error'][group]:.4f}" if row["confident_error"] else "-" for group in parity.GROUPS]
    built = row["tensorrt_rtx"].get("engine_bytes")
    layers, in_float = row["how"].get("layers"), row["how"].get("float_layers", ())
    return (
        "-" if layers is None else f"{layers - len(in_float)} of {layers}",
        f"{row['map50_95']:.4f}",
        shown[0],
        f"{row['map50']:.4f}",
        shown[1],
        *errors,
        f"{row['onnx_bytes'] / 1e6:.2f}",
        "-" if built is None else f"{built / 1e6:.2f}",
    )


if __name__ == "__main__":
    main()
