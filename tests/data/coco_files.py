"""COCO json files for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bakeoff.data import yolo
from bakeoff.data.images import decode


def image(path: Path, wh: tuple[int, int] = (40, 20), seed: int = 0) -> Path:
    """Write an image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (wh[1], wh[0], 3), np.uint8))
    return path


def document(**changes: Any) -> dict[str, Any]:
    """Two images of 40 x 20 pixels, three sparse categories, three boxes, one of them a crowd."""
    whole = {
        "info": {"year": 2026},
        "images": [
            {"id": 7, "file_name": "b.png", "width": 40, "height": 20},
            {"id": 3, "file_name": "a.png", "width": 40, "height": 20},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 5, "name": "cat"}, {"id": 17, "name": "cow"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 90, "bbox": [10, 5, 20, 10], "area": 200, "segmentation": [[1, 2]]},
            {"id": 2, "image_id": 3, "category_id": 5, "bbox": [0, 0, 8, 4], "iscrowd": 0},
            {"id": 3, "image_id": 7, "category_id": 17, "bbox": [0, 0, 40, 20], "iscrowd": 1, "segmentation": {}},
        ],
    }
    return whole | changes


def write(path: Path, content: Any, *, images: Path | None = None) -> Path:
    """Write a json and its images, beside it or into a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    if isinstance(content, dict):
        for i, one in enumerate(content.get("images", ())):
            image((images or path.parent) / one["file_name"], seed=i)
    return path


def from_yolo(yaml: Path, path: Path, split: str, categories: Sequence[tuple[int, str]]) -> Path:
    """Write a yaml dataset's split as json; `categories` are ids and names, in any order."""
    dataset = yolo.read_dataset(yaml)
    ids = {name: known for known, name in categories}
    images, annotations = [], []
    for i, file in enumerate({"val": dataset.validation, "train": dataset.training}[split]):
        height, width = decode(file).shape[:2]
        images.append({"id": i, "file_name": file.name, "width": width, "height": height})
        labels = dataset.labels(file)
        for c, (x, y, w, h) in zip(
            labels.classes, labels.xywhn.astype(float) * (width, height, width, height), strict=True
        ):
            box = {"bbox": [x - w / 2, y - h / 2, w, h], "area": w * h, "iscrowd": 0}
            annotations.append(
                {"id": len(annotations), "image_id": i, "category_id": ids[dataset.class_names[c]], **box}
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    named = [{"id": known, "name": name} for known, name in categories]
    path.write_text(json.dumps({"images": images, "categories": named, "annotations": annotations}))
    return path
