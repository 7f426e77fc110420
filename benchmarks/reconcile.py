"""bakeoff's `run_1x1_ms` against other people's tools: same machine, model file, threads and precision, in pairs.

Three tools. OpenVINO's `benchmark_app -hint latency -api sync` on the IR that bakeoff converted; a bare ONNX Runtime
loop on the ONNX file that bakeoff converted; and, without a target, the speeds that Ultralytics' `predict` prints, on
the same files. Ours is bakeoff's own worker on real frames: the whole Pipeline runs, and the `run` part is taken.

In a pair each side predicts for 2 s, in 4 turns of half a second: the machine's speed drifts within seconds. Who begins
alternates. While one side predicts the other sleeps on its pipe. A side's figure of a pair is the median of its
predictions. After 4 pairs both sides are started anew. Where 40 pairs leave it undecided whether the whole interval
lies within the target, others follow, up to 80. A pair during which other processes used more than 0.05 CPUs is taken
again, whatever it showed. The result is the mean ratio over the pairs, ours / theirs.

benchmark_app can't take turns, so it is compared twice. As it comes: for each pair it is started and, once its model is
compiled, stopped by a signal; ours predicts for 1 s; it goes on, measures for 2 s and ends; ours predicts for 1 s more.
In turns: its own code in a process whose measuring loop waits for requests. It gets the first of our frames,
normalised, as its input, in 32-bit floats, and leaves the model's batch size open (`-data_shape`), as bakeoff does for
`openvino/fp32/dyn`. Two comparisons more show what it does with `-shape`, which makes the model's shape static, and
what it does unless told: random bytes as input, converted in the model, and the CPU's fastest precision.

    python benchmarks/reconcile.py              # all pairs, 15 minutes
    python benchmarks/reconcile.py --slice 8    # some pairs more; the last slice writes the results
    python benchmarks/reconcile.py --given      # with a target only, on inputs that another machine made
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import common
import msgspec
import numpy as np
import psutil
from openvino_f32 import VARIABLE

from bakeoff import host
from bakeoff.backends import ir
from bakeoff.data import frames as cache
from bakeoff.data.images import decode
from bakeoff.data.letterbox import Normaliser, letterbox
from bakeoff.records import Artifact, Candidate, Model, Workload
from bakeoff.stats import Ratio, paired_ratio
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import Worker

WORK = common.SCRATCH / "reconcile"
PARTIAL = WORK / "partial.json"
MODEL = "model.json"
BIN = Path(sys.executable).parent
ONE = Workload(streams=1, batch=1)
CONFIDENCE = 0.25
FRAMES = 16
TURNS = 4  # of each side in a pair
PAIRS_A_START = 4
LOW, HIGH = 0.95, 1.05
FOREIGN_CPUS, RETAKEN_LIMIT = 0.05, 5  # a pair during which others used more is taken again, whatever it showed
PRECISION = "INFERENCE_PRECISION_HINT"
COLUMNS = ("run_ms", "pre_ms", "post_ms", "wall_ms")
CANDIDATES = {
    "openvino": Candidate(backend="openvino", precision="fp32", shape="dyn"),
    "onnxruntime": Candidate(backend="onnxruntime", precision="fp32", shape="static"),
    "pytorch": Candidate(backend="pytorch", precision="fp32", shape="dyn"),
}
Turn = Callable[[float], list[list[float]]]  # seconds -> rows of COLUMNS, or the first of them


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Ours against one other tool."""

    runtime: str
    tool: str
    target: bool = False
    options: tuple[str, ...] = ()  # of our Candidate
    own_threads: bool = False  # theirs chooses
    own_shape: bool = False
    own_precision: bool = False


COMPARISONS = {
    "benchmark_app": Comparison(runtime="openvino", tool="app as it comes", target=True),
    "benchmark_app in turns": Comparison(runtime="openvino", tool="benchmark_app", target=True),
    "bare ONNX Runtime loop": Comparison(runtime="onnxruntime", tool="onnxruntime", target=True),
    "benchmark_app in turns, its shape": Comparison(runtime="openvino", tool="benchmark_app", own_shape=True),
    "benchmark_app in turns, its shape, input and precision": Comparison(
        runtime="openvino", tool="benchmark_app", own_shape=True, own_precision=True
    ),
    "Ultralytics, OpenVINO": Comparison(runtime="openvino", tool="ultralytics"),
    "Ultralytics, ONNX Runtime": Comparison(runtime="onnxruntime", tool="ultralytics"),
    "Ultralytics, PyTorch, ours not channels-last": Comparison(runtime="pytorch", tool="ultralytics"),
    "Ultralytics, PyTorch, ours not channels-last, its own threads": Comparison(
        runtime="pytorch", tool="ultralytics", own_threads=True
    ),
    "Ultralytics, PyTorch": Comparison(runtime="pytorch", tool="ultralytics", options=("channels-last",)),
}


class Ours:
    """bakeoff's worker with one runtime loaded and warmed up."""

    def __init__(self, comparison: Comparison, artifact: Artifact, model: Model, threads: int) -> None:
        self._worker = Worker(WORK / f"ours-{comparison.runtime}.log", threads=threads)
        candidate = msgspec.structs.replace(CANDIDATES[comparison.runtime], options=comparison.options)
        load = p.Load(candidate=candidate, artifact=artifact, model=model, threads=threads, device="cpu")
        self._worker.ask(load, p.Loaded)
        self._settings: dict[str, Any] = {"cache": str(WORK / "cache"), "workload": ONE, "confidence": CONFIDENCE}
        warm = self._worker.ask(p.WarmUpFor(**self._settings), p.Warmed)
        self._latency_s = float(np.median(warm.block_medians_ns)) * 1e-9
        self._done = 0

    def turn(self, seconds: float) -> list[list[float]]:
        """Time one block of about so many seconds."""
        count = max(1, math.ceil(seconds / self._latency_s))
        answer = self._worker.ask(p.Block(**self._settings, first_frame=self._done, count=count), p.Timed)
        self._done += count
        pre, run, post = (one.get()[0] * 1e-6 for one in (answer.pre_ns, answer.run_ns, answer.post_ns))
        self._latency_s = float(np.median(pre + run + post)) * 1e-3
        return np.stack((run, pre, post, pre + run + post), 1).tolist()

    def close(self) -> None:
        """End the process."""
        self._worker.close()


class Theirs:
    """A `reconcile_child.py`."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(common.HERE / "reconcile_child.py"), *words],
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, VARIABLE: "1"},
            )
        self.facts: dict[str, Any] = {}
        self.turn(0.01)  # so that it has started and warmed up

    def turn(self, seconds: float) -> list[list[float]]:
        """Let it predict for so many seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.log.read_text()[-3000:]}\nbenchmark stopped: the other tool ended; log above")
        answer = json.loads(line)
        rows: list[list[float]] = answer.pop("rows")
        self.facts = answer
        return rows

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Reconciler:
    """The inputs, and how pairs are taken."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.threads = host.usable_cores()
        self._artifacts = {path.parent.name: _artifact(path) for path in WORK.glob("*/artifact.json")}
        self._model = msgspec.json.decode((WORK / MODEL).read_bytes(), type=Model)

    def pairs(self, comparison: Comparison, first: int, count: int) -> list[dict[str, Any]]:
        """Start both sides, take so many pairs, and end both."""
        with ExitStack() as stack:
            ours = Ours(comparison, self._artifacts[comparison.runtime], self._model, self.threads)
            stack.callback(ours.close)
            if comparison.tool == "app as it comes":
                return [undisturbed(lambda: self._around_app(comparison, ours)) for _ in range(count)]
            theirs = Theirs(self._words(comparison), WORK / f"theirs-{comparison.tool}.log")
            stack.callback(theirs.close)
            if comparison.tool == "benchmark_app":
                self._check(comparison, theirs.log)
            return [
                undisturbed(lambda i=i: self._in_turns(ours, theirs, ours_first=i % 2 == 0))  # type: ignore[misc]
                for i in range(first, first + count)
            ]

    def _in_turns(self, ours: Ours, theirs: Theirs, *, ours_first: bool) -> dict[str, Any]:
        rows: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
        sides: list[tuple[str, Turn]] = [("ours", ours.turn), ("theirs", theirs.turn)]
        for _ in range(TURNS):
            for name, turn in sides if ours_first else sides[::-1]:
                rows[name] += turn(self.seconds / TURNS)
        return {"ours": _medians(rows["ours"]), "theirs": {**_medians(rows["theirs"]), **theirs.facts}}

    def _around_app(self, comparison: Comparison, ours: Ours) -> dict[str, Any]:
        report = WORK / "report"
        log = WORK / "benchmark_app.log"
        words = [*self._app_words(comparison), "-report_type", "no_counters", "-json_stats", "-report_folder"]
        app = subprocess.Popen(
            [_benchmark_app(), *words, str(report)],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert app.stdout is not None
        said = []
        for line in app.stdout:
            said.append(line)
            if line.startswith("[Step 9/"):  # next come its input, one uncounted inference, and the measuring
                app.send_signal(signal.SIGSTOP)
                break
        rows = ours.turn(self.seconds / 2)
        app.send_signal(signal.SIGCONT)
        said += app.stdout
        log.write_text("".join(said))
        if app.wait():
            raise SystemExit(f"{''.join(said[-30:])}\nbenchmark stopped: benchmark_app failed; log above")
        rows += ours.turn(self.seconds / 2)
        self._check(comparison, log)
        figures = json.loads((report / "benchmark_report.json").read_text())["execution_results"]
        counted = int(figures["total number of iterations"])
        return {"ours": _medians(rows), "theirs": {"run_ms": float(figures["latency (ms)"]), "predictions": counted}}

    def _app_words(self, comparison: Comparison) -> list[str]:
        """`-nthreads` is refused beside `-hint latency`, so the threads come in a file."""
        settings = WORK / "benchmark_app.json"
        settings.write_text(json.dumps({"CPU": {"INFERENCE_NUM_THREADS": self.threads}}))
        size = f"[1,3,{common.IMGSZ},{common.IMGSZ}]"
        words = ["-m", str(WORK / "openvino" / ir.FOLDER / "model.xml"), "-hint", "latency", "-api", "sync"]
        words += ["-t", str(self.seconds), "-load_config", str(settings)]
        words += ["-shape" if comparison.own_shape else "-data_shape", size]
        if comparison.own_precision:
            return words
        return [*words, "-ip", "f32", "-i", str(WORK / "tensor.npy"), "-infer_precision", "f32"]

    def _check(self, comparison: Comparison, log: Path) -> None:
        """Refuse figures of benchmark_app that were taken with other threads or another precision."""
        found = properties(log.read_text())
        as_asked = comparison.own_precision or "float32" in found.get(PRECISION, "")
        if found.get("INFERENCE_NUM_THREADS") != str(self.threads) or not as_asked:
            raise SystemExit(f"benchmark_app did not run with {self.threads} threads in float32; its log: {log.name}")

    def _words(self, comparison: Comparison) -> list[str]:
        if comparison.tool == "benchmark_app":
            return ["benchmark_app", *self._app_words(comparison)]
        data = WORK / ("tensor.npy" if comparison.tool == "onnxruntime" else "frames.npy")
        files = {"onnxruntime": "onnxruntime/b1.onnx", "openvino": "theirs_openvino_model", "pytorch": "theirs.pt"}
        threads = 0 if comparison.own_threads else self.threads
        return [comparison.tool, str(WORK / files[comparison.runtime]), str(data), str(threads)]


class Disturbed(Exception):
    """The machine is too busy to time anything."""


def undisturbed(take: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Take a pair, and again while other processes of this machine used too much of it meanwhile."""
    for retaken in range(RETAKEN_LIMIT + 1):
        before = _busy_s()
        pair = take()
        busy_s, own_s, wall_s = (after - then for after, then in zip(_busy_s(), before, strict=True))
        foreign_cpus = (busy_s - own_s) / wall_s
        if foreign_cpus <= FOREIGN_CPUS:
            return {**pair, "foreign_cpus": round(foreign_cpus, 3), "retaken": retaken}
    raise Disturbed(f"other processes use {foreign_cpus:.2f} CPUs of this machine; wait for them to end")


def _busy_s() -> tuple[float, float, float]:
    """Return seconds of CPU time of the whole machine (stolen time too), of this process and its children; and now."""
    times = psutil.cpu_times()
    own = time.process_time()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    own += ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children():
        used = child.cpu_times()
        own += used.user + used.system
    busy = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    return busy, own, time.monotonic()


def prepare() -> None:
    """Make frames and Artifacts where they are not there yet."""
    mark = WORK / "made.json"
    made = {package: version(package) for package in ("openvino", "onnxruntime", "torch", "ultralytics")}
    if mark.exists() and json.loads(mark.read_text()) == made:
        return
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "report").mkdir(parents=True)
    for runtime, candidate in CANDIDATES.items():
        command = [str(BIN / "bakeoff"), "convert", str(common.shared_model()), "--to", candidate.key]
        common.execute([*command, "--workload", "1x1", "--out", str(WORK / runtime)], WORK / f"convert-{runtime}.log")
    images = common.shared_images()[:FRAMES]
    cache.build(WORK / "cache", images, common.IMGSZ, FRAMES)
    frames = [decode(image) for image in images]
    np.save(WORK / "frames.npy", np.stack(frames))
    canvas = np.empty((common.IMGSZ, common.IMGSZ, 3), np.uint8)
    tensor = np.empty((1, 3, common.IMGSZ, common.IMGSZ), np.float32)
    letterbox(frames[0], canvas)
    Normaliser(common.IMGSZ)(canvas, tensor[0])
    np.save(WORK / "tensor.npy", tensor)
    shutil.copytree(WORK / "openvino" / ir.FOLDER, WORK / "theirs_openvino_model")  # Ultralytics tells formats by names
    shutil.copyfile(common.shared_model(), WORK / "theirs.pt")
    with Worker(WORK / "model.log", threads=host.usable_cores()) as reader:
        path = str(common.shared_model())
        model = reader.ask(p.Describe(path=path, imgsz=common.IMGSZ, trust=False), Model)
    (WORK / MODEL).write_bytes(msgspec.json.encode(model))
    mark.write_text(json.dumps(made))


def _artifact(path: Path) -> Artifact:
    """Return what a conversion wrote of itself; its folder may have moved."""
    artifact = msgspec.json.decode(path.read_bytes(), type=Artifact)
    return msgspec.structs.replace(artifact, folder=str(path.parent.absolute()))


def _benchmark_app() -> str:
    found = shutil.which("benchmark_app", path=os.pathsep.join((str(BIN), os.environ["PATH"])))
    if found is None:
        raise SystemExit("benchmark_app is not here; it comes with the package openvino")
    return found


def properties(log: str) -> dict[str, str]:
    """Return what benchmark_app's log says to be in force, by name."""
    return dict(re.findall(r"^\[ INFO \]   ([A-Z_]+): (.*)$", log, re.MULTILINE))


def _medians(rows: list[list[float]]) -> dict[str, Any]:
    middle = np.median(np.array(rows), 0).tolist()
    return {**dict(zip(COLUMNS, middle, strict=False)), "predictions": len(rows)}


def plan(pairs: int, few: int) -> list[tuple[str, int, int]]:
    """Return (comparison, first pair, pairs) for each start of processes; the comparisons take turns."""
    wanted = {name: pairs if one.target else few for name, one in COMPARISONS.items() if one.target or few}
    starts = [
        (first / total, place, name, first, min(PAIRS_A_START, total - first))
        for place, (name, total) in enumerate(wanted.items())
        for first in range(0, total, PAIRS_A_START)
    ]
    return [(name, first, count) for _, _, name, first, count in sorted(starts)]


def measure(options: argparse.Namespace) -> list[dict[str, Any]] | None:
    """Take pairs, those of earlier slices counted; `None` while some are missing."""
    wanted = {"pairs": options.pairs, "few": options.few, "seconds": options.seconds}
    reconciler = Reconciler(options.seconds)
    starts, rows = 0, []
    if options.slice and PARTIAL.exists():
        partial = json.loads(PARTIAL.read_text())
        if partial["wanted"] == wanted:
            starts, rows = partial["starts"], partial["rows"]
    todo = plan(options.pairs, options.few)[starts:]
    taken = 0
    while (following := todo[0] if todo else further(rows, options.most)) and taken < (options.slice or math.inf):
        name, first, count = following
        begun = time.monotonic()
        try:
            pairs = reconciler.pairs(COMPARISONS[name], first, count)
        except Disturbed as error:
            raise SystemExit(f"benchmark stopped: {error}; with --slice, the next call goes on from here") from error
        for number, pair in enumerate(pairs, first):
            rows.append({"comparison": name, "pair": number, **pair})
            ours, theirs = (pair[side]["run_ms"] for side in ("ours", "theirs"))
            print(
                f"{name} {number + 1}: {ours:.2f} / {theirs:.2f} = {ours / theirs:.4f}",
                pair["foreign_cpus"],
                pair["retaken"],
                file=sys.stderr,
            )
        print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        starts, taken = starts + len(todo[:1]), taken + count
        todo = todo[1:]
        if options.slice:
            PARTIAL.write_text(json.dumps({"wanted": wanted, "starts": starts, "rows": rows}))
    if following:
        return None
    if options.slice:
        PARTIAL.unlink()
    return rows


def further(rows: list[dict[str, Any]], most: int) -> tuple[str, int, int] | None:
    """Return the next start of what is still undecided; `None`: there is none, or all have their most pairs."""
    for name, comparison in COMPARISONS.items():
        count = sum(row["comparison"] == name for row in rows)
        if comparison.target and count < most and within(ratio(rows, name, "run_ms")) == "undecided":
            return name, count, PAIRS_A_START
    return None


def ratio(rows: list[dict[str, Any]], name: str, column: str) -> Ratio:
    """Return ours over theirs in one comparison."""
    mine = [row for row in rows if row["comparison"] == name]
    ours, theirs = (np.array([row[side][column] for row in mine]) for side in ("ours", "theirs"))
    return paired_ratio(ours, theirs, np.array([row["pair"] // PAIRS_A_START for row in mine], np.int32))


def within(value: Ratio) -> str:
    """Whether the whole interval lies within the target."""
    if value.low is None or value.high is None:
        return f"{'yes' if LOW <= value.value <= HIGH else 'no'} (no interval)"
    if value.low >= LOW and value.high <= HIGH:
        return "yes"
    return "no" if value.high < LOW or value.low > HIGH else "undecided"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40, help="with benchmark_app and with the bare loop [40]")
    parser.add_argument("--most", type=int, default=80, help="where these leave it undecided [80]")
    parser.add_argument("--few", type=int, default=4, help="in the comparisons without a target [4]")
    parser.add_argument("--seconds", type=int, default=2, help="of each side of a pair [2]")
    parser.add_argument("--slice", type=int, help="take about so many pairs now; go on with the next call")
    parser.add_argument("--given", action="store_true", help="take the inputs as they are; compare with a target only")
    parser.add_argument("--name", default="reconcile", help="of the result [reconcile]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()
    if options.given:
        options.few = 0
    else:
        prepare()
    rows = measure(options)
    if rows is None:
        return

    table, figures = [], []
    ratios: dict[str, Any] = {}
    for name, comparison in COMPARISONS.items():
        mine = [row for row in rows if row["comparison"] == name]
        if not mine:
            continue
        kept = ratios[name] = {"pairs": len(mine)}
        for column in COLUMNS:
            if column in mine[0]["theirs"]:
                ours, theirs = (np.array([row[side][column] for row in mine]) for side in ("ours", "theirs"))
                value = ratio(rows, name, column)
                medians = {"ours_median": float(np.median(ours)), "theirs_median": float(np.median(theirs))}
                kept[column] = common.ratio(value) | medians
        value = Ratio(**{bound: kept["run_ms"][bound] for bound in ("value", "low", "high")})
        middle = [f"{kept['run_ms'][f'{side}_median']:.2f}" for side in ("ours", "theirs")]
        table.append((name, str(len(mine)), *middle, common.shown(value)))
        if comparison.target:
            title, target = f"run_1x1_ms over {name}", f"in [{LOW:.2f}, {HIGH:.2f}]"
            figures.append(common.figure(title, target, common.shown(value), within(value)))
    common.table(("ours over", "pairs", "run, ms", "theirs, ms", "ratio"), table)
    given = {key: value for key, value in vars(options).items() if key not in ("results", "slice", "name")}
    given |= {"turns": TURNS, "pairs_a_start": PAIRS_A_START, "threads": host.usable_cores(), "frames": FRAMES}
    given |= {"foreign_cpus": FOREIGN_CPUS, "retaken": sum(row["retaken"] for row in rows)}
    for row in rows:
        for side in ("ours", "theirs"):
            row[side] = {key: round(value, 4) for key, value in row[side].items()}
    common.write(options.name, options.results, given, figures, ratios=ratios, samples=rows)


if __name__ == "__main__":
    main()
