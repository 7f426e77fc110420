"""A child of the timing studies: a network of about 2 ms, through bakeoff's own Pipeline and StreamPool.

    python timed_child.py RUNTIME MODEL.onnx FRAMES.npy THREADS REST

A request is a line `FIRST COUNT SLOWED`: the answer, a line of JSON, is the latency in nanoseconds of each of COUNT
counted predictions. After each prediction the child is busy for 5% of that prediction's own latency, always; SLOWED
says whether that counts. So the true ratio of a slowed block to another is 1.05: a wait in one of them alone would
change more than its own length, since threads fall asleep meanwhile (measured: 6%).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.backend import BaseSession, Images, Outputs
from bakeoff.data.images import Frame
from bakeoff.models.tasks.detection import timed
from bakeoff.pipeline import Pipeline, Times
from bakeoff.speed import streams
from bakeoff.speed.streams import StreamPool, warm_up

SHARE = 0.05
clock = time.perf_counter_ns


class OnnxRuntime(BaseSession):
    """One InferenceSession, as the backend makes it."""

    def __init__(self, file: str, threads: int) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name
        self.side = self._session.get_inputs()[0].shape[2]

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        outputs: Outputs = self._session.run(None, {self._name: images})
        return outputs


class OpenVino(BaseSession):
    """One infer request, as the backend makes it."""

    def __init__(self, file: str, threads: int) -> None:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino

        super().__init__()
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        compiled = openvino.Core().compile_model(file, "CPU", hints)
        self._request = compiled.create_infer_request()
        self.side = compiled.input(0).shape[2]

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        self._request.infer([images], share_inputs=True)
        return [np.asarray(self._request.get_output_tensor(0).data)]


RUNTIMES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


class Slowed:
    """A Pipeline that is busy for a share of its own time after each prediction, which counts if told so."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.counts = False

    def predict(self, frames: Sequence[Frame]) -> tuple[object, Times]:
        """See `Predictor.predict`."""
        start = clock()
        found, times = self._pipeline.predict(frames)
        end = clock()
        until = end + round((end - start) * SHARE)
        while (now := clock()) < until:
            pass
        extra = now - end if self.counts else 0
        return found, Times(pre_ns=times.pre_ns, run_ns=times.run_ns + extra, post_ns=times.post_ns)


class Frames:
    """Frames in memory, cycled."""

    def __init__(self, path: str) -> None:
        self._frames = np.load(path)

    def frame(self, i: int) -> Frame:
        """See `FrameSource.frame`."""
        frame: Frame = self._frames[i % len(self._frames)].copy()
        return frame


class TimedChild:
    """The parent's handle on one such process; it sleeps on its pipe between blocks."""

    def __init__(self, runtime: str, model: Path, frames: Path, threads: int, *, rest: bool = True) -> None:
        words = [sys.executable, __file__, runtime, str(model), str(frames), str(threads), str(int(rest))]
        self._process = subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ready(self) -> None:
        """Wait until it has warmed up; children may start side by side."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise SystemExit("a timed child ended early")

    def block(self, first: int, count: int, *, slowed: bool = False) -> list[int]:
        """Time one block; latencies in nanoseconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{first} {count} {int(slowed)}\n")
        self._process.stdin.flush()
        rows: list[int] = json.loads(self._process.stdout.readline())
        return rows

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main() -> None:
    runtime, model, frames, threads, rest = sys.argv[1:]
    if rest == "0":  # answer at once, whatever the runtime's threads still do
        streams.wait_until_quiet = lambda: 0
    session: Any = RUNTIMES[runtime](model, int(threads))
    slowed = Slowed(Pipeline(session, session.side, 1, timed(), clock))
    pool = StreamPool([slowed], Frames(frames), 1)
    warm_up(pool)
    print("ready", flush=True)
    for line in sys.stdin:
        first, count, counts = line.split()
        slowed.counts = counts == "1"
        print(json.dumps(pool.block(int(first), int(count)).latency_ns[0].tolist()), flush=True)


if __name__ == "__main__":
    main()
