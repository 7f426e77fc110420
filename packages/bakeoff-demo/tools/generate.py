# SPDX-License-Identifier: AGPL-3.0-only
"""Render a split of the demo's data set, or check that the shipped splits are what this generator renders.

    python tools/generate.py --out DIR --split train --count 1500
    python tools/generate.py --check

The same seed, split and index give the same pixels on one OpenCV and NumPy version.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from boardgen import Look, render

SEED = 20261122
"""Seed of the shipped splits and of the training images."""

SPLITS = {"train": 1500, "calibration": 64, "val": 128}
"""Splits and how many images each has; a split's place here is part of its images' seeds."""

SHIPPED = Path(__file__).resolve().parent.parent / "src" / "bakeoff_demo" / "data"
"""Where the calibration and validation images lie."""


def make(split: str, seed: int, index: int, look: Look | None = None) -> tuple[bytes, str]:
    """One picture of a split: its JPEG file's bytes and its YOLO label file's text."""
    place = tuple(SPLITS).index(split)
    scene = render((seed, place, index), look or Look())
    quality = int(np.random.default_rng((seed, place, index, 0xC0DE)).integers(74, 85))
    height, width = scene.image.shape[:2]
    done, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"OpenCV could not encode image {index} of {split}")
    lines = []
    for kind, (x0, y0, x1, y1) in zip(scene.classes, scene.boxes, strict=True):
        box = (x0 + x1) / (2 * width), (y0 + y1) / (2 * height), (x1 - x0) / width, (y1 - y0) / height
        lines.append(f"{kind} " + " ".join(f"{value:.6f}" for value in box) + "\n")
    return data.tobytes(), "".join(lines)


def paths(folder: Path, split: str, index: int) -> tuple[Path, Path]:
    """The image and label files of one picture in a data set's folder."""
    name = f"{split}-{index:04d}"
    return folder / "images" / split / f"{name}.jpg", folder / "labels" / split / f"{name}.txt"


def write_one(folder: Path, split: str, seed: int, look: Look, index: int) -> int:
    """Write one picture and its labels; returns the image file's size in bytes."""
    data, text = make(split, seed, index, look)
    image, label = paths(folder, split, index)
    image.write_bytes(data)
    label.write_text(text, encoding="utf-8", newline="\n")
    return len(data)


def write_split(folder: Path, split: str, count: int, seed: int, look: Look | None = None, workers: int = 1) -> int:
    """Render `count` pictures of a split into `folder`; returns the image files' size in bytes."""
    for file in paths(folder, split, 0):
        file.parent.mkdir(parents=True, exist_ok=True)
    job = partial(write_one, folder, split, seed, look or Look())
    if workers == 1:
        return sum(map(job, range(count)))
    with ProcessPoolExecutor(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        return sum(pool.map(job, range(count), chunksize=4))


def check(seed: int) -> list[str]:
    """Render the shipped splits again; returns the names of files that differ or are missing."""
    bad = []
    for split in ("calibration", "val"):
        for index in range(SPLITS[split]):
            data, text = make(split, seed, index)
            for file, content in zip(paths(SHIPPED, split, index), (data, text.encode()), strict=True):
                if not file.is_file() or file.read_bytes() != content:
                    bad.append(str(file.relative_to(SHIPPED)))
    return bad


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="data set's folder (default: the shipped one)")
    parser.add_argument("--split", choices=tuple(SPLITS))
    parser.add_argument("--count", type=int, help="images (default: the split's own number)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--check", action="store_true", help="compare the shipped splits with a fresh rendering")
    options = parser.parse_args()
    if options.check:
        bad = check(options.seed)
        print("\n".join(f"differs: {name}" for name in bad) or "the shipped splits are byte-equal to a fresh rendering")
        print(f"OpenCV {cv2.__version__}, NumPy {np.__version__}")
        return 1 if bad else 0
    if options.split is None:
        parser.error("--split is needed (or --check)")
    count = options.count or SPLITS[options.split]
    size = write_split(options.out, options.split, count, options.seed, workers=options.workers)
    print(f"{options.split}: {count} images, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
