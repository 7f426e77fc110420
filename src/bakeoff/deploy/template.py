"""The part of every `predict.py` that knows no runtime: letterbox, decoding, suppression (contracts of `Pipeline`)."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ["red", "green"]
IMGSZ, CONF = 640, 0.25


def load() -> Any:
    """Stand for the runtime's part."""
    raise NotImplementedError(Path(__file__))


def predict(network: Any, frame: Any) -> dict[str, Any]:
    """Return the boxes of a BGR frame, as `bakeoff predict` prints them."""
    size: Any = np.array(frame.shape[1::-1])
    w, h = inner = np.ceil(size * (IMGSZ / size.max())).clip(1, IMGSZ).astype(int)  # of the frame on its canvas
    x, y = corner = (IMGSZ - inner) // 2
    canvas = cv2.copyMakeBorder(cv2.resize(frame, (w, h)), y, IMGSZ - y - h, x, IMGSZ - x - w, 0, value=[114] * 3)
    images = (np.arange(256) / 255).astype(np.float32)[canvas[None, ..., ::-1].transpose(0, 3, 1, 2)]
    head = network(np.ascontiguousarray(images))  # centre x and y, width, height, and a score for each class
    scores = head[4:].max(0)
    order = np.argsort(-scores, kind="stable")[: (scores > CONF).sum()]
    centre, half, scores, classes = head[:2, order], head[2:4, order] / 2, scores[order], head[4:, order].argmax(0)
    xyxy = np.concatenate((centre - half, centre + half)).T
    apart = xyxy + (7680 * classes).astype(np.float32)[:, None]  # so that a box meets those of its class alone
    areas = (apart[:, 2:] - apart[:, :2]).prod(1)
    kept: Any = []
    for i, box in enumerate(apart):
        shared = (np.minimum(box[2:], apart[kept, 2:]) - np.maximum(box[:2], apart[kept, :2])).clip(0).prod(1)
        if len(kept) < 300 and not (shared > np.float32(0.7) * (areas[kept] + areas[i] - shared)).any():
            kept.append(i)
    corner, limit, scaled = (np.tile(pair, 2).astype(np.float32) for pair in (corner, size, inner))
    boxes = ((xyxy[kept] - corner) * (limit / scaled)).clip(0, limit).astype(float).round(3).tolist()
    scores, classes = scores[kept].astype(float).round(5).tolist(), classes[kept].tolist()
    found = {"xyxy": boxes, "scores": scores, "classes": classes, "names": [NAMES[i] for i in classes]}
    return {"width": frame.shape[1], "height": frame.shape[0], **found}


if __name__ == "__main__":
    network = load()
    for path in sys.argv[1:] or sys.exit(__doc__):
        if (frame := cv2.imread(path)) is None:
            sys.exit(f"{path} is no image that OpenCV can read")
        print(json.dumps({"source": path, "frame": 0, **predict(network, frame)}), flush=True)
