# SPDX-License-Identifier: AGPL-3.0-only
"""Evaluate the shipped weights on the shipped validation images; the figures go to figures.json and the model card.

python tools/evaluate.py
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import cv2
import torch
import ultralytics
from boardgen import CLASSES
from generate import SPLITS

IMAGE_SIZE = 384
"""Side of the model's square input, pixels."""

PACKAGE = Path(__file__).resolve().parent.parent
WEIGHTS = PACKAGE / "src" / "bakeoff_demo" / "yolov8n-boards.pt"
DATA = PACKAGE / "src" / "bakeoff_demo" / "data"
MARKS = "<!-- figures: written by tools/evaluate.py -->", "<!-- end of figures -->"
"""What stands before and after the figures in the model card."""


def evaluate(weights: Path, data: Path, device: str = "cpu") -> dict[str, Any]:
    """Precision, recall and mAP of `weights` on the `val` split of `data` (a data.yaml), overall and per class.

    Precision and recall are at the confidence of the best mean F1, as Ultralytics reports them.
    """
    with tempfile.TemporaryDirectory() as runs:
        model = ultralytics.YOLO(weights)
        result = model.val(
            data=str(data), imgsz=IMAGE_SIZE, rect=False, conf=0.001, batch=16, device=device, workers=2, plots=False,
            project=runs, name="val", verbose=False,
        )  # fmt: skip
    box = result.box
    keys = ("precision", "recall", "map50", "map50_95")
    rows = {CLASSES[int(c)]: [float(v) for v in box.class_result(i)] for i, c in enumerate(box.ap_class_index)}
    return {
        "overall": _rounded(keys, [float(v) for v in box.mean_results()]),
        "classes": {name: _rounded(keys, row) for name, row in rows.items()},
        "settings": {"imgsz": IMAGE_SIZE, "rect": False, "conf": 0.001, "split": "val", "images": SPLITS["val"]},
        "host": {"device": _device(device), "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat()},
        "versions": {"torch": torch.__version__, "ultralytics": ultralytics.__version__, "opencv": cv2.__version__},
    }


def _rounded(keys: tuple[str, ...], values: list[float]) -> dict[str, float]:
    """Values under their keys, to four places."""
    return {key: round(value, 4) for key, value in zip(keys, values, strict=True)}


def _device(device: str) -> str:
    """What ran the model, in words."""
    if device != "cpu":
        return torch.cuda.get_device_name(0)
    return f"{ultralytics.utils.torch_utils.get_cpu_info()}, {os.cpu_count()} cores"


def write_card(card: Path, figures: dict[str, Any]) -> None:
    """Put the figures' table between the model card's two marks."""
    rows = {"all": figures["overall"], **figures["classes"]}
    lines = ["| class | precision | recall | mAP50 | mAP50-95 |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {name} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |" for name, row in rows.items()
    ]
    host, versions = figures["host"], figures["versions"]
    lines += ["", f"{host['date']}, {host['device']}; " + ", ".join(f"{k} {v}" for k, v in versions.items()) + "."]
    head, rest = card.read_text(encoding="utf-8").split(MARKS[0])
    tail = rest.split(MARKS[1])[1]
    card.write_text(head + "\n".join([MARKS[0], *lines, MARKS[1]]) + tail, encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--figures", type=Path, default=PACKAGE / "figures.json", help="where to write the figures")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = (DATA / "data.yaml").read_text(encoding="utf-8").replace("path: .\n", f"path: {DATA}\n")
        data = Path(folder) / "data.yaml"
        data.write_text(text, encoding="utf-8")
        figures = evaluate(options.weights, data, options.device)
    (DATA / "labels" / "val.cache").unlink(missing_ok=True)  # Ultralytics writes it beside the labels
    options.figures.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.weights == WEIGHTS:
        write_card(PACKAGE / "MODEL_CARD.md", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
