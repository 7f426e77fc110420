"""A tiny detector as ONNX and a tiny dataset: a Run on them takes seconds.

The images are 64 pixels wide, grey, with red and green squares of 16 pixels; the network finds them by their colour.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

IMGSZ = 64
CELL = 8
NAMES = ("red", "green")


def write_onnx(path: Path, *, batch: int | None = None, names: tuple[str, ...] = NAMES, dead: bool = False) -> Path:
    """Write the detector; a `dead` one scores everything 0."""
    import onnx
    from onnx import helper, numpy_helper

    cells = IMGSZ // CELL
    y, x = np.mgrid[:cells, :cells].astype(np.float32).reshape(2, -1)
    boxes = np.stack(((x + 0.5) * CELL, (y + 0.5) * CELL, np.full_like(x, 16), np.full_like(x, 16)))[None]
    kernels = np.zeros((2, 3, CELL, CELL), np.float32)
    for index in range(2):
        kernels[index] = -5
        kernels[index, index] = 10
    kernels /= CELL * CELL
    shift = np.zeros((4, 3, CELL, CELL), np.float32)
    shift[0] = 0.01  # boxes, too, depend on the image
    constants = {
        "kernels": kernels,
        "bias": np.full(2, -3, np.float32),
        "shift": shift,
        "grid": boxes,
        "scores_shape": np.array([0, 2, -1]),
        "boxes_shape": np.array([0, 4, -1]),
        "factor": np.array(0 if dead else 1, np.float32),
    }
    strides = {"strides": [CELL, CELL], "kernel_shape": [CELL, CELL]}
    nodes = [
        helper.make_node("Conv", ["images", "kernels", "bias"], ["c"], **strides),
        helper.make_node("Reshape", ["c", "scores_shape"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["s"]),
        helper.make_node("Mul", ["s", "factor"], ["scores"]),
        helper.make_node("Conv", ["images", "shift"], ["d"], **strides),
        helper.make_node("Reshape", ["d", "boxes_shape"], ["offsets"]),
        helper.make_node("Add", ["offsets", "grid"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    size = "batch" if batch is None else batch
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [size, 3, IMGSZ, IMGSZ])],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, [size, 6, cells * cells])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    document = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = {"task": "detect", "stride": "32", "names": str(dict(enumerate(names))), "imgsz": str([IMGSZ, IMGSZ])}
    helper.set_model_props(document, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(document, str(path))
    return path


def write_dataset(folder: Path, *, validation: int = 6, training: int = 4) -> Path:
    """Write images, labels and `data.yaml`; return the yaml's path."""
    rng = np.random.default_rng(7)
    for split, count in (("val", validation), ("train", training)):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(90, 110, (IMGSZ, IMGSZ, 3)).astype(np.uint8)
            lines = []
            for place in rng.choice(9, 3, replace=False):
                row, column = divmod(int(place), 3)
                kind = int(rng.integers(2))
                top, left = 4 + row * 16 + 8 * (row > 1), 4 + column * 16 + 8 * (column > 1)
                image[top : top + 16, left : left + 16] = ((20, 20, 230), (20, 230, 20))[kind]
                lines.append(f"{kind} {(left + 8) / IMGSZ} {(top + 8) / IMGSZ} {16 / IMGSZ} {16 / IMGSZ}")
            cv2.imwrite(str(folder / "images" / split / f"{number}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            (folder / "labels" / split / f"{number}.txt").write_text("\n".join(lines) + "\n")
    return write_yaml(folder)


def write_yaml(folder: Path, *, name: str = "data.yaml", names: tuple[str, ...] = NAMES) -> Path:
    """Write a dataset yaml for the images in `folder`."""
    path = folder / name
    path.write_text(f"path: .\ntrain: images/train\nval: images/val\nnames: {list(names)}\n")
    return path
