# SPDX-License-Identifier: AGPL-3.0-only
"""Render the training images, train YOLOv8n on them from scratch, and write the stripped weights and their figures.

    python tools/train.py --work boards --workers 16

Nothing is downloaded. No epoch is chosen on the validation images: the weights are the last epoch's moving average.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import torch
from boardgen import CLASSES, Look
from evaluate import IMAGE_SIZE, PACKAGE, WEIGHTS, evaluate
from generate import SEED, SPLITS, write_split

SETTINGS = {
    "imgsz": IMAGE_SIZE,
    "batch": 32,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "lrf": 0.01,
    "cos_lr": True,
    "warmup_epochs": 3.0,
    "weight_decay": 0.0005,
    "close_mosaic": 15,
    "scale": 0.2,
    "translate": 0.1,
    "flipud": 0.5,
    "fliplr": 0.5,
    "seed": 0,
    "amp": True,
}
"""What the training sets, beside Ultralytics' defaults."""

NEUTRAL = {
    "model": "yolov8n.yaml",
    "data": "data.yaml",
    "project": None,
    "name": "bakeoff-demo",
    "save_dir": None,
    "device": None,
    "workers": 8,
    "cache": False,
}
"""Training arguments that would tell of the training machine, and what the weights say in their place."""


def render_all(folder: Path, look: Look, workers: int) -> Path:
    """Render every split into `folder` and write its data.yaml, whose path is returned."""
    for split, count in SPLITS.items():
        size = write_split(folder, split, count, SEED, look, workers)
        print(f"{split}: {count} images, {size / 1e6:.2f} MB", flush=True)
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(CLASSES))
    data = folder / "data.yaml"
    data.write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames:\n{names}", encoding="utf-8")
    return data


def train(data: Path, runs: Path, epochs: int, workers: int) -> Path:
    """Train YOLOv8n from scratch; returns the last epoch's checkpoint."""
    from ultralytics import YOLO

    model = YOLO("yolov8n.yaml")
    model.train(
        data=str(data), epochs=epochs, workers=workers, cache="ram", val=False, plots=False, pretrained=False,
        project=str(runs), name="train", exist_ok=True, **SETTINGS,
    )  # fmt: skip
    return Path(model.trainer.last)


def ship(checkpoint: Path, weights: Path) -> None:
    """Write the checkpoint without its optimizer, its moving average in FP16, and without the machine's paths."""
    from ultralytics.utils.torch_utils import strip_optimizer

    strip_optimizer(checkpoint, str(weights))
    content = torch.load(weights, map_location="cpu", weights_only=False)
    for arguments in (content["train_args"], content["model"].args):
        arguments.update((key, value) for key, value in NEUTRAL.items() if key in arguments)
    content["model"].pt_path = None
    content.update(git=None, train_results=None)
    torch.save(content, weights)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the rendered images and the run")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where to write the weights")
    parser.add_argument("--figures", type=Path, default=PACKAGE / "training.json", help="where to write the figures")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4, help="processes that render and load images")
    parser.add_argument("--look", type=json.loads, default={}, help='JSON over the default look, e.g. {"grain": 6}')
    options = parser.parse_args()
    work, look = options.work.resolve(), Look(**options.look)
    data = work / "data.yaml"
    if not data.is_file():
        data = render_all(work, look, options.workers)
    start = time.perf_counter()
    checkpoint = train(data, work / "runs", options.epochs, options.workers)
    minutes = (time.perf_counter() - start) / 60
    ship(checkpoint, options.weights)
    figures = evaluate(options.weights, data, device="0" if torch.cuda.is_available() else "cpu")
    figures["training"] = {"epochs": options.epochs, "minutes": round(minutes, 2), "images": SPLITS["train"],
                           "look": vars(look), "settings": SETTINGS}  # fmt: skip
    options.figures.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures["overall"]))


if __name__ == "__main__":
    main()
