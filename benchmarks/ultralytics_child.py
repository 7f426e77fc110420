"""Ultralytics' side of `predict_frame.py`, one fresh process a runtime: sleeps on its pipe between blocks.

    python ultralytics_child.py MODEL FRAMES.npy RECT

A request is a line `FIRST COUNT`; the answer a line of JSON: `torch_threads`, and `rows`, for each of COUNT predictions
after an uncounted one [wall, preprocess, inference, postprocess] in milliseconds, and the number of boxes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from openvino_f32 import VARIABLE, apply


class Theirs:
    """The parent's handle on one such process."""

    def __init__(self, model: Path, frames: Path, log: Path, *, rect: bool = False, float32: bool = False) -> None:
        words = [sys.executable, __file__, str(model), str(frames), str(int(rect))]
        environment = {**os.environ, VARIABLE: str(int(float32))}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, env=environment
            )
        self.counts = [int(row[4]) for row in self._ask(-1, 8)]  # the warm-up that ours gets too

    def block(self, first: int, count: int) -> list[list[float]]:
        """Time one block; rows of [end to end, pre, run, post] in milliseconds."""
        return [row[:4] for row in self._ask(first, count)]

    def _ask(self, first: int, count: int) -> list[list[float]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{first} {count}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("Ultralytics' process ended early; see benchmarks/.bench/predict-frame/logs")
        answer = json.loads(line)
        self.torch_threads = answer["torch_threads"]
        rows: list[list[float]] = answer["rows"]
        return rows

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Ultralytics prints goes to the log
    model_path, frames_path, rect = sys.argv[1:]
    import numpy as np
    import torch
    from ultralytics import YOLO

    apply()
    model = YOLO(model_path, task="detect")
    frames = [np.ascontiguousarray(frame) for frame in np.load(frames_path)]
    settings: dict[str, Any] = {"imgsz": 640, "rect": rect == "1", "verbose": False, "device": "cpu"}
    settings |= {"conf": 0.25, "iou": 0.7}
    for line in sys.stdin:
        first, count = (int(word) for word in line.split())
        rows = []
        for i in range(first, first + count + 1):
            frame = frames[i % len(frames)]
            start = time.perf_counter_ns()
            found = model.predict(frame, **settings)[0]
            wall_ms = (time.perf_counter_ns() - start) * 1e-6
            speed = found.speed
            rows.append([wall_ms, speed["preprocess"], speed["inference"], speed["postprocess"], len(found.boxes)])
        print(json.dumps({"rows": rows[1:], "torch_threads": torch.get_num_threads()}), file=answers, flush=True)


if __name__ == "__main__":
    main()
