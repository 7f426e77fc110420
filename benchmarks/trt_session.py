"""The code that runs TensorRT engines, on a real GPU with a stand-in engine: right results, overlap, no leak.

No machine within reach executes a TensorRT engine, so the engine is a CUDA graph captured from a PyTorch network
(tests/backends/trt/standin.py); memory, streams, copies, graphs, contexts and threads are the Session's own code. Says
nothing of TensorRT's speed. Needs a GPU, PyTorch and cuda-bindings.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import common
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bakeoff.backends.trt import cuda
from bakeoff.backends.trt.session import TensorRtSession, open_session
from tests.backends.trt import standin

DYNAMIC = ((1, 1, 2),)
MB = 1e6
ORDINARY = "plain, from ordinary memory"
SETTINGS = ((), ("nospin",), ("nograph",), ("nograph", "nospin"))


def images_of(count: int, batch: int = 1) -> list[np.ndarray]:
    """Return different images (batch, 3, side, side)."""
    generator = np.random.default_rng(1)
    return [generator.random((batch, 3, standin.SIDE, standin.SIDE), np.float32) for _ in range(count)]


def own_images(session: TensorRtSession, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the same images in the Session's page-locked memory, where a Pipeline would have written them."""
    own = [session.locked_images(one.shape) for one in images]
    for to, source in zip(own, images, strict=True):
        to[...] = source
    return own


class Bench:
    """The network, what PyTorch makes of images, and Sessions of stand-in engines for it."""

    def __init__(self) -> None:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        self.torch = torch
        self.network = standin.yolo_like().cuda()
        self.figures: list[dict[str, str]] = []

    def session(
        self, tuning: tuple[str, ...] = (), *, profiles: Sequence[tuple[int, int, int]] = DYNAMIC, waits: bool = False
    ) -> TensorRtSession:
        """Return a Session; the caller closes it."""
        log = standin.Log()
        engine = standin.torch_engine(self.network, profiles, log, waits=waits)
        return open_session(standin.module(engine), b"", standin.job(tuning=tuning), log=log, precision="fp32")

    def expected(self, images: np.ndarray) -> np.ndarray:
        """Return what PyTorch gives for a batch."""
        with self.torch.inference_mode():
            return self.network(self.torch.from_numpy(images).cuda()).cpu().numpy()

    def note(self, name: str, target: str, measured: str, met: bool | None) -> None:
        """Keep a line of the last table, and print it: a later step may fail."""
        reached = "" if met is None else "yes" if met else "no"
        self.figures.append(common.figure(name, target, measured, reached))
        print(f"{name}: {measured} (target: {target or 'none'}) {reached}", flush=True)


def copies(bench: Bench) -> dict[str, Any]:
    """Copy to the GPU and back, from pinned and from ordinary memory."""
    source = images_of(1)[0]
    with (
        cuda.Stream() as stream,
        cuda.PinnedBuffer(source.shape, np.float32) as there,
        cuda.PinnedBuffer(source.shape, np.float32) as back,
        cuda.DeviceBuffer(source.nbytes) as device,
        cuda.Event() as start,
        cuda.Event() as end,
    ):
        there.array[...] = source

        def gpu_ms(work: Callable[[], None]) -> float:
            spent = []
            for _ in range(50):
                start.record(stream)
                work()
                end.record(stream)
                end.synchronize()
                spent.append(end.elapsed_ms(start))
            return statistics.median(spent)

        pinned_ms = gpu_ms(lambda: device.upload(there.array, stream))
        ordinary_ms = gpu_ms(lambda: device.upload(source, stream))
        back_ms = gpu_ms(lambda: device.download(back.array, stream))
        returns = []
        for _ in range(50):
            before = time.perf_counter_ns()
            device.upload(there.array, stream)
            returns.append((time.perf_counter_ns() - before) * 1e-6)
            stream.synchronize()
        staged = []
        for _ in range(50):
            before = time.perf_counter_ns()
            np.copyto(there.array, source)
            staged.append((time.perf_counter_ns() - before) * 1e-6)
        equal = bool(np.array_equal(back.array, source))
    returned = statistics.median(returns)
    bench.note("a pinned array there and back is the same", "yes", "yes" if equal else "no", equal)
    bench.note(
        "a pinned upload returns before it is done", "< its own time", f"{returned:.3f} of {pinned_ms:.3f} ms",
        returned < pinned_ms,
    )  # fmt: skip
    bench.note(
        "pinned upload against an ordinary one", "faster", f"{pinned_ms:.3f} / {ordinary_ms:.3f} ms",
        pinned_ms < ordinary_ms,
    )  # fmt: skip
    return {
        "bytes": source.nbytes,
        "pinned_upload_ms": pinned_ms,
        "ordinary_upload_ms": ordinary_ms,
        "download_ms": back_ms,
        "upload_returns_ms": returned,
        "copy_into_pinned_ms": statistics.median(staged),
    }


def results(bench: Bench) -> dict[str, Any]:
    """Compare with PyTorch: each setting, batches of 1 and 2, a refused capture, several profiles."""
    found: dict[str, Any] = {}
    several = ((1, 1, 2), (2, 2, 2), (1, 4, 4))
    cases: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
        ("plain", {}, (1, 2)),
        *(("/".join(tuning), {"tuning": tuning}, (1, 2)) for tuning in SETTINGS[1:]),
        ("capture refused", {"waits": True}, (1, 2)),
        ("three profiles", {"profiles": several}, (1, 2, 3, 4)),
        ("batch 1 alone", {"profiles": ((1, 1, 1),)}, (1,)),
    ]
    for name, how, batches in cases:
        session = bench.session(**how)
        worst, scale = 0.0, 0.0
        with session:
            for batch in batches:
                for images in images_of(4, batch):
                    expected = bench.expected(images)
                    for given in (images, *own_images(session, [images])):
                        (output,) = session.run(given)
                        worst = max(worst, float(np.abs(output - expected).max()))
                    scale = max(scale, float(np.abs(expected).max()))
            details = dict(session.details)
        found[name] = {"worst": worst, "scale": scale, "details": details}
        bench.note(
            f"equals PyTorch: {name}", "1e-4 of the largest", f"{worst:.2g} of {scale:.3g}", worst <= 1e-4 * scale
        )
    graph = found["plain"]["details"]["cuda_graph"]
    bench.note("CUDA graph in use", "yes", graph, graph == "yes")
    refused = found["capture refused"]["details"]["cuda_graph"]
    bench.note("a refused capture says why", "no: …", refused, refused.startswith("no:") and "Capture" in refused)
    return found


def latency(bench: Bench, count: int) -> dict[str, Any]:
    """Time one stream with each setting, in turns; and how much of a core a waiting thread takes."""
    sessions = {"/".join(tuning) or "plain": tuning for tuning in SETTINGS}
    sessions[ORDINARY] = ()
    ordinary = images_of(8)
    rows: dict[str, dict[str, list[float]]] = {name: {"ms": [], "cpu_share": []} for name in sessions}
    for _ in range(4):
        for name, tuning in sessions.items():  # how threads wait is the process's setting: one Session at a time
            with bench.session(tuning) as session:
                images = ordinary if name == ORDINARY else own_images(session, ordinary)
                for i in range(20):
                    session.run(images[i % 8])
                wall, cpu = time.perf_counter_ns(), time.process_time_ns()
                for i in range(count):
                    before = time.perf_counter_ns()
                    session.run(images[i % 8])
                    rows[name]["ms"].append((time.perf_counter_ns() - before) * 1e-6)
                share = (time.process_time_ns() - cpu) / (time.perf_counter_ns() - wall)
                rows[name]["cpu_share"].append(share)
    found = {
        name: {
            "median_ms": statistics.median(row["ms"]),
            "p99_ms": float(np.percentile(row["ms"], 99)),
            "cpu_share": statistics.median(row["cpu_share"]),
        }
        for name, row in rows.items()
    }
    for name, row in found.items():
        measured = f"{row['median_ms']:.3f} ms, p99 {row['p99_ms']:.3f}, {row['cpu_share']:.2f} of a core"
        bench.note(f"one prediction: {name}", "", measured, None)
    own, other = found["plain"]["median_ms"], found[ORDINARY]["median_ms"]
    bench.note("images in the Session's memory", "faster", f"{own:.3f} against {other:.3f} ms", own < other)
    return found


def closed_loops(session: TensorRtSession, threads: int, count: int, images: Sequence[np.ndarray]) -> float:
    """Return the seconds that `threads` streams take for `count` predictions each, warm and started together."""
    barrier = threading.Barrier(threads + 1)

    def stream(first: int) -> None:
        for i in range(5):
            session.run(images[(first + i) % len(images)])
        barrier.wait()
        for i in range(count):
            session.run(images[(first + i) % len(images)])

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(stream, i) for i in range(threads)]
        barrier.wait()
        start = time.perf_counter()
        for future in futures:
            future.result()
        return time.perf_counter() - start


def concurrency(bench: Bench, count: int) -> dict[str, Any]:
    """Check several threads' results, and that their work overlaps on the GPU."""
    images = images_of(8)
    expected = [bench.expected(one) for one in images]
    found: dict[str, Any] = {}
    for tuning in ((), ("nospin",)):
        name = "/".join(tuning) or "plain"
        with bench.session(tuning) as session:

            def worst(first: int, session: TensorRtSession = session) -> float:
                order = [(first * 3 + i) % 8 for i in range(100)]
                return max(float(np.abs(session.run(images[i])[0] - expected[i]).max()) for i in order)

            own = own_images(session, images)
            with ThreadPoolExecutor(4) as pool:
                error = max(pool.map(worst, range(4)))
            seconds = {threads: closed_loops(session, threads, count, own) for threads in (1, 2, 4)}
            contexts = session.details["contexts"]
        rate = {threads: threads * count / spent for threads, spent in seconds.items()}
        found[name] = {"worst": error, "predictions_per_s": rate, "contexts_made": contexts}
        scale = max(float(np.abs(one).max()) for one in expected)
        bench.note(
            f"4 threads at once, {name}", "own results", f"worst {error:.2g} of {scale:.3g}", error <= 1e-4 * scale
        )
        for threads in (2, 4):
            gain = rate[threads] / rate[1]
            bench.note(
                f"{threads} streams against 1, {name}", "> 1.3", f"{gain:.2f} times the predictions/s", gain > 1.3
            )
    found["overlap"] = overlap(bench)
    return found


def overlap(bench: Bench) -> dict[str, float]:
    """Return the GPU's own times, by events, of two streams' graphs launched one after the other at once, and alone."""
    with bench.session() as session:
        image = images_of(1)[0]
        with ThreadPoolExecutor(1) as other:
            other.submit(session.run, image).result()
            session.run(image)
            lanes = list(session._lanes.values())  # of two threads
            parts = [(lane._stream, next(iter(lane._slots.values())).graph) for lane in lanes]
            with cuda.Event() as begin, cuda.Event() as end_a, cuda.Event() as end_b:

                def gpu_ms(count: int) -> float:
                    begin.record(parts[0][0])
                    begin.synchronize()
                    used = list(zip(parts, (end_a, end_b), strict=True))[:count]
                    for (stream, graph), end in used:
                        assert graph is not None
                        graph.launch(stream)
                        end.record(stream)
                    for (stream, _), _ in used:
                        stream.synchronize()
                    return max(end.elapsed_ms(begin) for _, end in used)

                alone = statistics.median(gpu_ms(1) for _ in range(100))
                together = statistics.median(gpu_ms(2) for _ in range(100))
    measured = f"{together:.3f} ms for two, {alone:.3f} ms for one"
    bench.note("two graphs at once, by CUDA events", "< 1.6 times one", measured, together < 1.6 * alone)
    return {"alone_ms": alone, "together_ms": together}


def leaks(bench: Bench, count: int) -> dict[str, Any]:
    """Predict many times, let threads come and go, open and close Sessions: neither memory may grow."""
    process = psutil.Process()
    images = [*images_of(4), *images_of(4, 2)]

    def memory() -> tuple[int, int]:
        gc.collect()
        bench.torch.cuda.synchronize()
        return cuda.memory_bytes()[0], process.memory_info().rss

    found: dict[str, Any] = {}

    def compare(name: str, before: tuple[int, int], after: tuple[int, int], allowed: tuple[float, float]) -> None:
        device, host = before[0] - after[0], after[1] - before[1]
        found[name] = {"device_bytes": device, "host_bytes": host}
        measured = f"GPU {device / MB:+.1f} MB, host {host / MB:+.1f} MB"
        target = f"GPU {allowed[0]:g}, host {allowed[1]:g} MB"
        bench.note(f"memory: {name}", target, measured, device <= allowed[0] * MB and host <= allowed[1] * MB)

    with bench.session() as session:
        images += own_images(session, images)
        for image in images:
            for _ in range(20):
                session.run(image)
        before = memory()
        rows = [before]
        for number in range(count):
            session.run(images[number % len(images)])
            if (number + 1) % max(1, count // 10) == 0:
                rows.append(memory())
        found["samples"] = [{"device_free": device, "rss": rss} for device, rss in rows]
        compare(f"{count} predictions", before, rows[-1], (0, 8))

    def churn(session: TensorRtSession, rounds: int) -> None:
        for _ in range(rounds):
            thread = threading.Thread(target=session.run, args=(images[0],))
            thread.start()
            thread.join()

    with bench.session() as session:
        churn(session, 50)
        bench.torch.cuda.empty_cache()  # the stand-in's own memory is PyTorch's, which it keeps
        before = memory()
        churn(session, 100)
        bench.torch.cuda.empty_cache()
        compare("100 threads that come and go", before, memory(), (8, 30))
    for _ in range(3):
        bench.session().__exit__()
    bench.torch.cuda.empty_cache()
    before = memory()
    for _ in range(20):
        bench.session().__exit__()
    bench.torch.cuda.empty_cache()
    compare("20 Sessions opened and closed", before, memory(), (8, 30))
    return found


def python_runs_meanwhile(bench: Bench) -> dict[str, float]:
    """Return how fast another Python thread counts while one waits for the GPU, as a share of its speed alone."""

    def counting(seconds: float) -> float:
        done, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            done += 1
        return done / seconds

    shares = {}
    image = images_of(1)[0]

    def predict(session: TensorRtSession, stop: threading.Event) -> None:
        while not stop.is_set():
            session.run(image)

    for tuning in ((), ("nospin",)):
        with bench.session(tuning) as session, ThreadPoolExecutor(1) as pool:
            alone = counting(0.5)
            stop = threading.Event()
            future = pool.submit(predict, session, stop)
            time.sleep(0.5)
            beside = counting(0.5)
            stop.set()
            future.result()
        name = "/".join(tuning) or "plain"
        shares[name] = beside / alone
        bench.note(f"Python beside a stream, {name}", "> 0.5 of its speed", f"{shares[name]:.2f}", shares[name] > 0.5)
    return shares


def refusals(bench: Bench) -> dict[str, str]:
    """Return what is said of what can't be."""
    said: dict[str, str] = {}

    def refused(name: str, words: str, attempt: Callable[[], object]) -> None:
        try:
            attempt()
        except (RuntimeError, ValueError) as error:
            said[name] = str(error)
        else:
            said[name] = ""
        bench.note(f"refused: {name}", f"…{words}…", said[name][:110] or "not refused", words in said[name])

    log = standin.Log()
    nothing = standin.module(None)
    refused("no engine", "magicTag", lambda: open_session(nothing, b"", standin.job(), log=log, precision="fp32"))
    far = standin.job(device="cuda:99")
    refused("cuda:99", "cudaErrorInvalidDevice", lambda: open_session(nothing, b"", far, log=log, precision="fp32"))
    with bench.session() as session:
        refused("a batch of 3", "[1, 3, 640, 640] to [2, 3, 640, 640]", lambda: session.run(images_of(1, 3)[0]))
        image = images_of(1)[0]
        right = np.abs(session.run(image)[0] - bench.expected(image)).max()
    refused("memory of 2 TB", "cudaErrorMemoryAllocation", lambda: cuda.DeviceBuffer(2 << 40))
    bench.note("the next prediction after a refusal", "right", f"{right:.2g}", bool(right < 1))
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=10_000, help="for the search for leaks [10000]")
    parser.add_argument("--count", type=int, default=300, help="predictions of one stream that is timed [300]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()

    bench = Bench()
    cuda.set_device(0)
    parts: dict[str, Any] = {}
    for step in (copies, results, refusals, python_runs_meanwhile):
        parts[step.__name__] = step(bench)
    parts["latency"] = latency(bench, options.count)
    parts["concurrency"] = concurrency(bench, options.count)
    parts["leaks"] = leaks(bench, options.predictions)
    common.write(
        "trt_session",
        options.results,
        {"predictions": options.predictions, "count": options.count, "side": standin.SIDE},
        bench.figures,
        gpu={
            "name": cuda.device_name(0),
            "compute_capability": cuda.compute_capability(0),
            "driver": cuda.call("cudaDriverGetVersion"),
            "cuda_runtime": cuda.call("cudaRuntimeGetVersion"),
            "cuda_bindings": version("cuda-bindings"),
            "cudnn": bench.torch.backends.cudnn.version(),
        },
        **parts,
    )
    sys.stdout.flush()
    os._exit(0 if all(line["met"] != "no" for line in bench.figures) else 1)


if __name__ == "__main__":
    main()
