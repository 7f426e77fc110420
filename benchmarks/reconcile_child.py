"""The other side of `reconcile.py`: a fresh process that sleeps on its pipe between turns.

    python reconcile_child.py onnxruntime MODEL TENSOR.npy THREADS
    python reconcile_child.py ultralytics MODEL FRAMES.npy THREADS
    python reconcile_child.py benchmark_app OPTION…

A request is a line SECONDS. The answer is a line of JSON, `rows`: one a prediction, in milliseconds, without the one
after waking up. A row is [the call] for the bare loop, [the app's latency] for benchmark_app, and [inference,
preprocess, postprocess, wall time of `predict`] for Ultralytics. THREADS 0 leaves Ultralytics' own choice.

benchmark_app is OpenVINO's own: its `main`, with its options, on its own loop. Its loop is only made to run once for
each request, instead of once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np
from openvino_f32 import apply

UNCOUNTED = 9  # predictions before the first request: what bakeoff's warm-up takes at least
QUIET_S = 0.1  # after a turn: a runtime's threads go on spinning for a while

Predict = Callable[[], list[float]]


def serve(answers: TextIO, predict: Predict, **facts: Any) -> None:
    """Answer requests with the rows of a prediction loop."""
    for _ in range(UNCOUNTED):
        predict()
    for line in sys.stdin:
        predict()
        rows = []
        end = time.perf_counter() + float(line)
        while time.perf_counter() < end:
            rows.append(predict())
        time.sleep(QUIET_S)
        print(json.dumps({"rows": rows, **facts}), file=answers, flush=True)


def onnxruntime_loop(answers: TextIO, model: str, data: str, threads: str) -> None:
    """What most people write: one array, one call, one clock."""
    import onnxruntime

    array = np.load(data)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def predict() -> list[float]:
        start = time.perf_counter_ns()
        session.run(None, {name: array})
        return [(time.perf_counter_ns() - start) * 1e-6]

    serve(answers, predict)


def ultralytics_loop(answers: TextIO, model: str, data: str, threads: str) -> None:
    """`predict` on one frame a call, and the speeds that it prints."""
    import torch
    from ultralytics import YOLO

    apply()
    yolo = YOLO(model, task="detect")
    frames = [np.ascontiguousarray(frame) for frame in np.load(data)]
    settings: dict[str, Any] = {"imgsz": 640, "rect": False, "conf": 0.25, "iou": 0.7, "device": "cpu"}
    done = 0

    def predict() -> list[float]:
        nonlocal done
        done += 1
        start = time.perf_counter_ns()
        speed = yolo.predict(frames[done % len(frames)], verbose=False, **settings)[0].speed
        wall_ms = (time.perf_counter_ns() - start) * 1e-6
        return [speed["inference"], speed["preprocess"], speed["postprocess"], wall_ms]

    predict()  # choosing the device sets PyTorch's threads
    if int(threads):
        torch.set_num_threads(int(threads))
    serve(answers, predict, torch_threads=torch.get_num_threads())


def benchmark_app(answers: TextIO, *options: str) -> None:
    """Run benchmark_app, its measuring loop once a request."""
    from openvino.tools.benchmark import benchmark, main

    plain = benchmark.Benchmark.sync_inference

    def by_request(self: Any, request: Any, data_queue: Any) -> tuple[list[float], float, int]:
        times: list[float] = []
        total_s = 0.0
        for line in sys.stdin:
            request.infer()
            self.duration_seconds = float(line)
            rows, seconds, _ = plain(self, request, data_queue)
            times, total_s = times + rows, total_s + seconds
            time.sleep(QUIET_S)
            print(json.dumps({"rows": [[row] for row in rows]}), file=answers, flush=True)
        return sorted(times), total_s, len(times)

    benchmark.Benchmark.sync_inference = by_request
    sys.argv = ["benchmark_app", *options]
    main.main()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a tool prints goes to the log
    kinds = {"onnxruntime": onnxruntime_loop, "ultralytics": ultralytics_loop, "benchmark_app": benchmark_app}
    kinds[sys.argv[1]](answers, *sys.argv[2:])


if __name__ == "__main__":
    main()
