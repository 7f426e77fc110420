"""Peak memory of the parent process of `bakeoff verify`, for 250, 1,000 and 5,000 images.

The images are the shared ones again and again, as links with names of their own, with their labels. The model is a
tiny ONNX graph made here, so that a run takes a minute and not an hour: one convolution on a 64x64 input, whose output
gives 80 detections an image at confidence 0.001. What is measured is the command line's own process, VmHWM at its end;
children are not counted. Flat means: at most 10% more for the most images than for the fewest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import common
import numpy as np

from bakeoff.api import Run

LIMIT_MB = 400.0
FLAT = 1.10
CELLS = 8  # a side
DETECTIONS = 80
WORK = common.SCRATCH / "parent-memory"


def build_model(path: Path, imgsz: int, names: dict[int, str]) -> None:
    """Write an ONNX detector: a fixed grid of 64 boxes, 80 class scores that depend on the image, the others 0."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    channels, cells, stride = 4 + len(names), CELLS * CELLS, imgsz // CELLS
    live = np.zeros((1, len(names), cells), np.float32)
    live.reshape(-1)[rng.permutation(live.size)[:DETECTIONS]] = 1
    centre = (np.arange(CELLS, dtype=np.float32) + 0.5) * stride
    side = np.full(cells, stride, np.float32)
    boxes = np.stack((np.tile(centre, CELLS), np.repeat(centre, CELLS), side, side))
    weights = {
        "kernel": rng.normal(0, 1 / stride, (channels, 3, stride, stride)).astype(np.float32),
        "shape": np.array([0, channels, cells], np.int64),
        "live": np.concatenate((np.zeros((1, 4, cells), np.float32), live), 1),
        "boxes": np.concatenate((boxes[None], np.zeros_like(live)), 1),
    }
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["cells"], strides=[stride, stride]),
        helper.make_node("Sigmoid", ["cells"], ["chances"]),
        helper.make_node("Reshape", ["chances", "shape"], ["rows"]),
        helper.make_node("Mul", ["rows", "live"], ["scores"]),
        helper.make_node("Add", ["scores", "boxes"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, imgsz, imgsz])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", channels, cells])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"task": "detect", "stride": "32", "names": str(names)})
    onnx.save(model, str(path))


def run(model: Path, images: int, candidate: str) -> dict[str, float]:
    """Verify on so many images; return the parent's peak and what it was busy with."""
    shared = common.shared_images()
    names = [(f"{i:05}", shared[i % len(shared)]) for i in range(images)]
    data = common.dataset(WORK / f"data-{images}", names, link=True)
    out, notes = WORK / f"run-{images}", WORK / "notes.json"
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, str(common.HERE / "observed.py"), str(notes), "bakeoff", "verify", str(model)]
    words += ["--data", str(data), "--out", str(out), "--only", candidate]
    start = time.monotonic()
    common.execute(words, WORK / f"{images}.log")
    seconds = time.monotonic() - start
    record = Run(out).record
    accuracy = record.trial(record.reference).accuracy
    assert accuracy is not None
    found = {
        "images": images,
        "parent_peak_mb": json.loads(notes.read_text())["vm_hwm_kb"] * 1024 / 1e6,
        "detections_per_image": accuracy.detections / images,
        "seconds": seconds,
    }
    shutil.rmtree(out)
    shutil.rmtree(data.parent)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[250, 1000, 5000], help="[250 1000 5000]")
    parser.add_argument("--imgsz", type=int, default=64, help="input side, a multiple of 32 [64]")
    parser.add_argument("--only", default="onnxruntime/fp32/b1", help="Candidate beside the reference")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    model = WORK / "tiny.onnx"
    build_model(model, options.imgsz, common.class_names())
    found = []
    for images in sorted(options.images):
        print(f"{images} images", file=sys.stderr, flush=True)
        found.append(run(model, images, options.only))
    head = ("images", "parent's peak MB", "detections an image", "seconds")
    common.table(
        head,
        [
            (
                str(one["images"]),
                f"{one['parent_peak_mb']:.0f}",
                f"{one['detections_per_image']:.0f}",
                f"{one['seconds']:.0f}",
            )
            for one in found
        ],
    )
    fewest, most = found[0], found[-1]
    peak = max(one["parent_peak_mb"] for one in found)
    growth = most["parent_peak_mb"] / fewest["parent_peak_mb"]
    common.write(
        "parent_memory",
        options.results,
        {"images": options.images, "imgsz": options.imgsz, "only": options.only, "detections": DETECTIONS},
        [
            common.figure(
                f"parent's peak memory, up to {most['images']} images",
                f"< {LIMIT_MB:.0f} MB",
                f"{peak:.0f} MB",
                "yes" if peak < LIMIT_MB else "no",
            ),
            common.figure(
                f"… with {most['images']} images against {fewest['images']}",
                f"flat (≤ {FLAT:.2f})",
                f"{growth:.2f} ({most['parent_peak_mb'] - fewest['parent_peak_mb']:+.0f} MB)",
                "yes" if growth <= FLAT else "no",
            ),
        ],
        runs=found,
        growth=growth,
    )


if __name__ == "__main__":
    main()
