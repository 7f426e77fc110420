"""The reference's figures on real images equal `yolo val rect=False`: whole images, and crops that are not square."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.shared import DATA, MODEL, needs_shared

pytest.importorskip("ultralytics")
NAMES = ("val_precision", "val_recall", "val_map50", "val_map50_95")
THEIRS = """
import json, sys
from ultralytics import YOLO
box = YOLO(sys.argv[1]).val(data=sys.argv[2], imgsz=640, rect=False, batch=1, device="cpu", plots=False, workers=0,
                            verbose=False, project=sys.argv[3], name="val").box
print("FIGURES", json.dumps([box.mp, box.mr, box.map50, box.map]))
"""


def write_dataset(folder: Path, count: int, *, crop: bool) -> Path:
    """Copy the first shared images, or cut each to its own odd size, keeping boxes whose centre stays inside."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind / "val").mkdir(parents=True)
    for image in sorted((DATA.parent / "images" / "val").glob("*.jpg"))[:count]:
        frame = cv2.imread(str(image))
        size = np.array([frame.shape[1], frame.shape[0]])
        text = (DATA.parent / "labels" / "val" / f"{image.stem}.txt").read_text()
        rows = np.array([line.split() for line in text.splitlines()], float)
        corner, wh = np.zeros(2, int), size
        if crop:
            wh = rng.integers((300, 300), size)
            corner = rng.integers((0, 0), size - wh + 1)
        low = (rows[:, 1:3] - rows[:, 3:] / 2) * size - corner
        high = (rows[:, 1:3] + rows[:, 3:] / 2) * size - corner
        inside = (((low + high) / 2 > 0) & ((low + high) / 2 < wh)).all(1)
        low, high = np.clip(low, 0, wh)[inside] / wh, np.clip(high, 0, wh)[inside] / wh
        lines = [f"{int(c)} {' '.join(f'{v:.6f}' for v in (*(a + b) / 2, *(b - a)))}"
                 for c, a, b in zip(rows[inside, 0], low, high, strict=True)]  # fmt: skip
        (folder / "labels" / "val" / f"{image.stem}.txt").write_text("\n".join(lines))
        cut = frame[corner[1] : corner[1] + wh[1], corner[0] : corner[0] + wh[0]]
        cv2.imwrite(str(folder / "images" / "val" / f"{image.stem}.png"), cut)
    names = ["open", "short", "mousebite", "spur", "copper", "pin-hole"]
    path = folder / "data.yaml"
    # an absolute path: Ultralytics takes a relative one from the working folder, not from the file
    path.write_text(f"path: {folder}\ntrain: images/val\nval: images/val\nnames: {json.dumps(names)}\n")
    return path


def both(tmp_path: Path, count: int, *, crop: bool) -> tuple[list[float], list[float]]:
    """The four figures of `bakeoff verify` and of `yolo val` on the same images."""
    data = write_dataset(tmp_path / "data", count, crop=crop)
    run = tmp_path / "run"
    command = ["-m", "bakeoff", "verify", MODEL, "--data", data, "--only", "pytorch/fp32/dyn", "--out", run]
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    with (run / "table.csv").open() as file:
        ours = next(csv.DictReader(file))
    quiet = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", THEIRS, str(MODEL), str(data), str(tmp_path)],
        check=True, capture_output=True, text=True, env=quiet,
    ).stdout  # fmt: skip
    line = next(line for line in output.splitlines() if line.startswith("FIGURES"))
    return [float(ours[name]) for name in NAMES], json.loads(line.removeprefix("FIGURES"))


@pytest.mark.slow
@needs_shared
def test_crops_that_are_not_square_score_as_in_yolo_val(tmp_path):
    ours, theirs = both(tmp_path, 24, crop=True)
    assert 0.2 < theirs[3] < 0.9
    assert ours == pytest.approx(theirs, abs=5e-4)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("crop", [False, True], ids=["whole", "crops"])
def test_all_shared_images_score_as_in_yolo_val(tmp_path, crop):
    ours, theirs = both(tmp_path, 250, crop=crop)
    assert 0.2 < theirs[3] < 0.9
    assert ours == pytest.approx(theirs, abs=5e-4)
