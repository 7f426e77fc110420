"""One 1920x1080 frame to boxes on the CPU: bakeoff's Pipeline against Ultralytics' `predict` on the same model file.

One fresh process a runtime and side: ours is bakeoff's own worker, theirs `YOLO(file).predict(frame, rect=False)`. All
sleep on their pipes while one measures a block of few predictions; a round gives every process one block, in shuffled
order; generations of processes follow each other. Compared are, round by round, the blocks' medians: end to end
(theirs: wall time around the call; ours: pre + run + post) and pre + post (theirs: its own `speed`). Confidence 0.25,
IoU 0.7, 640x640, OpenVINO in float32 on both sides. Two rows more, so that nobody is misled: PyTorch with Ultralytics'
default rect=True, which computes 640x384 where bakeoff computes 640x640 (contract 4); and, on a CPU where OpenVINO
computes in bfloat16 unless told otherwise, Ultralytics' OpenVINO as it comes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import common
import cv2
import numpy as np
import numpy.typing as npt
from openvino_f32 import default_precision
from ultralytics_child import Theirs

from bakeoff import host
from bakeoff.backends import ir
from bakeoff.data import frames as cache
from bakeoff.records import Artifact, Candidate, Model, Workload
from bakeoff.stats import Ratio, paired_ratio
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import Worker

WORK = common.SCRATCH / "predict-frame"
ONE = Workload(streams=1, batch=1)
CONFIDENCE = 0.25
OURS = {  # Candidate, its Artifact's batches, what the backend calls the file
    "pytorch": (Candidate(backend="pytorch", precision="fp32", shape="dyn"), (), "model.pt"),
    "torchscript": (Candidate(backend="torchscript", precision="fp32", shape="static"), (1,), "b1.torchscript"),
    "onnxruntime": (Candidate(backend="onnxruntime", precision="fp32", shape="b1"), (1,), "b1.onnx"),
    "openvino": (Candidate(backend="openvino", precision="fp32", shape="b1"), (), f"{ir.FOLDER}/model.xml"),
}
Samples = npt.NDArray[np.float64]  # (rounds, k, 4): end to end, pre, run, post, in milliseconds


class Ours:
    """bakeoff's worker with one runtime loaded."""

    def __init__(self, runtime: str, model: Model, artifact: Artifact, threads: int) -> None:
        self._worker = Worker(WORK / "logs" / f"ours-{runtime}.log", threads=threads)
        candidate = OURS[runtime][0]
        load = p.Load(candidate=candidate, artifact=artifact, model=model, threads=threads, device="cpu")
        self.facts = self._worker.ask(load, p.Loaded).facts
        self._folder = str(WORK / "cache")
        self._worker.ask(p.WarmUpFor(cache=self._folder, workload=ONE, confidence=CONFIDENCE), p.Warmed)

    def block(self, first: int, count: int) -> list[list[float]]:
        """Time one block; rows of [end to end, pre, run, post] in milliseconds."""
        request = p.Block(cache=self._folder, workload=ONE, confidence=CONFIDENCE, first_frame=first, count=count)
        answer = self._worker.ask(request, p.Timed)
        pre, run, post = (one.get()[0] * 1e-6 for one in (answer.pre_ns, answer.run_ns, answer.post_ns))
        return np.stack((pre + run + post, pre, run, post), 1).tolist()

    def close(self) -> None:
        """End the process."""
        self._worker.close()


def prepare(count: int) -> dict[str, Artifact]:
    """Make the frames, bakeoff's cache of them, and an Artifact for each of Ultralytics' exports.

    A frame is a 640x360 window of a shared image enlarged three times: letterboxed, it shows defects of about the
    size that the model was trained on.
    """
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "logs").mkdir(parents=True)
    images = [cv2.imread(str(path)) for path in common.shared_images()[:count]]
    frames = [cv2.resize(image[140:500], (1920, 1080), interpolation=cv2.INTER_CUBIC) for image in images]
    np.save(WORK / "frames.npy", np.stack(frames))
    paths = [WORK / f"frame-{i:03}.png" for i in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(str(path), frame)
    cache.build(WORK / "cache", paths, common.IMGSZ, len(paths))
    artifacts = {}
    for runtime, source in common.ultralytics_files().items():
        _, batches, name = OURS[runtime]
        folder = WORK / "artifacts" / runtime
        (folder / name).parent.mkdir(parents=True)
        if source.is_dir():
            for file in (next(source.glob("*.xml")), next(source.glob("*.bin"))):
                shutil.copyfile(file, (folder / name).with_suffix(file.suffix))
        else:
            shutil.copyfile(source, folder / name)
        artifacts[runtime] = Artifact.of(folder, batches=batches)
    return artifacts


def extras() -> dict[str, bool]:
    """Return the rows beside the four, with their `rect`: what Ultralytics does unless told otherwise."""
    precision = default_precision()
    return {"pytorch rect=True": True} | ({} if precision == "f32" else {f"openvino {precision}": False})


def measure(options: argparse.Namespace) -> tuple[dict[str, Samples], dict[str, Any]]:
    """Run all rounds; return the samples by process, and what the processes say of themselves."""
    artifacts = prepare(options.frames)
    files = common.ultralytics_files()
    threads = host.usable_cores()
    with Worker(WORK / "logs" / "model.log", threads=threads) as reader:
        model = reader.ask(p.Describe(path=str(files["pytorch"]), imgsz=common.IMGSZ, trust=False), Model)

    def theirs(name: str, *, rect: bool = False, float32: bool = False) -> Theirs:
        log = WORK / "logs" / f"theirs-{name.replace(' ', '-')}.log"
        return Theirs(files[name.split()[0]], WORK / "frames.npy", log, rect=rect, float32=float32)

    rows: dict[str, list[list[list[float]]]] = {}
    facts: dict[str, Any] = {}
    draw = random.Random(options.seed)
    for generation in range(options.generations):
        with ExitStack() as stack:
            processes: dict[str, Ours | Theirs] = {}
            for runtime in common.RUNTIMES:
                mine = processes[f"ours {runtime}"] = Ours(runtime, model, artifacts[runtime], threads)
                stack.callback(mine.close)
                other = processes[f"theirs {runtime}"] = theirs(runtime, float32=True)
                stack.callback(other.close)
                n = min(8, options.frames)
                facts[runtime] = {
                    "ours": mine.facts.details,
                    "boxes_theirs": other.counts[:n],
                    "theirs_torch_threads": other.torch_threads,
                }
            for name, rect in extras().items():
                more = processes[f"theirs {name}"] = theirs(name, rect=rect)
                stack.callback(more.close)
            for number in range(options.rounds):
                order = list(processes)
                draw.shuffle(order)
                first = (generation * options.rounds + number) * (options.block + 1)
                for name in order:
                    rows.setdefault(name, []).append(processes[name].block(first, options.block))
            print(f"generation {generation + 1} of {options.generations} done", file=sys.stderr, flush=True)
    return {name: np.array(blocks) for name, blocks in rows.items()}, facts


def compare(ours: Samples, theirs: Samples) -> tuple[Ratio, Ratio]:
    """Return ours / theirs over the rounds: end to end, and pre + post."""

    def medians(samples: Samples, columns: list[int]) -> Samples:
        return np.asarray(np.median(samples[..., columns].sum(-1), axis=1))

    return tuple(paired_ratio(medians(ours, c), medians(theirs, c)) for c in ([0], [1, 3]))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="a generation [20]")
    parser.add_argument("--generations", type=int, default=3, help="of fresh processes [3]")
    parser.add_argument("--block", type=int, default=4, help="counted predictions a block [4]")
    parser.add_argument("--frames", type=int, default=16, help="different frames, cycled [16]")
    parser.add_argument("--seed", type=int, default=0, help="of the orders [0]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    samples, facts = measure(options)

    table, figures, ratios = [], [], {}
    for name in (*common.RUNTIMES, *extras()):
        runtime = name.split()[0]
        ours, theirs = samples[f"ours {runtime}"], samples[f"theirs {name}"]
        whole, around = compare(ours, theirs)
        ratios[name] = {"end_to_end": common.ratio(whole), "pre_post": common.ratio(around)}
        middle = [np.median(side.reshape(-1, 4), 0) for side in (ours, theirs)]
        cells = [" / ".join(f"{side[i]:.2f}" for side in middle) for i in range(4)]
        table.append((name, *cells, common.shown(whole), common.shown(around)))
        if name in common.RUNTIMES:
            title = f"1080p frame to boxes, {name}"
            figures.append(
                common.figure(f"{title}: pre + post", "≤ 0.60", common.shown(around), common.met(around, 0.6))
            )
            figures.append(common.figure(f"{title}: end to end", "≤ 1.00", common.shown(whole), common.met(whole, 1.0)))
    head = ("ours / theirs, ms", "end to end", "pre", "run", "post", "end-to-end ratio", "pre + post ratio")
    common.table(head, table)
    kept = {name: np.round(array, 4).tolist() for name, array in samples.items()}
    given = {key: value for key, value in vars(options).items() if key != "results"}
    given["columns"] = ["end_to_end_ms", "pre_ms", "run_ms", "post_ms"]
    common.write("predict_frame", options.results, given, figures, ratios=ratios, sessions=facts, samples=kept)


if __name__ == "__main__":
    main()
