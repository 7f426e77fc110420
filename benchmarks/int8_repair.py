"""INT8 that keeps its accuracy: bakeoff's OpenVINO recipes against NNCF's `quantize` and accuracy control.

On the shared model: OpenVINO FP32; `nncf.quantize` as it comes (preset MIXED); bakeoff's `openvino/int8` (decoding in
float) and `openvino/int8+fp32` with the worst layers of bakeoff's ranking in float too, its ranking counted into its
conversion; and `nncf.quantize_with_accuracy_control` (max_drop 0.01), which scores mAP50-95 on the training images that
calibration left over. All see the same calibration images. Then mAP50-95 on the validation images, and the network's
time: all in one process, a block of each in a round, in shuffled order. The share of the speed gain that a recipe keeps
is (FP32 - recipe) / (FP32 - plain INT8), of median times.

Besides, with `--curve`: layers kept in float by bakeoff's ranking, against as many drawn at random, on a recipe that is
bad on purpose (the decoding in float, all ranges `--widen` times too wide, weights per tensor).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import common
import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff import host, models
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import evaluate
from bakeoff.backend import ConvertJob
from bakeoff.backends import ir
from bakeoff.backends.onnxruntime import QUANTISED, OnnxRuntime
from bakeoff.backends.openvino import OpenVino  # blocks the telemetry of openvino and nncf
from bakeoff.data import calibration, yolo
from bakeoff.data.images import decode as read_image
from bakeoff.data.letterbox import Geometry
from bakeoff.models.tasks.detection import SCORED, decode
from bakeoff.records import Candidate, Recipe
from bakeoff.stats import Ratio, paired_ratio

WORK = common.SCRATCH / "int8-repair"
Images = npt.NDArray[np.float32]
Run = Callable[[Images], npt.NDArray[np.float32]]


class Scorer:
    """mAP50-95 on some labelled images."""

    def __init__(self, images: Sequence[Path], names: tuple[str, ...]) -> None:
        self.images = images
        sizes = [read_image(path).shape for path in images]
        self._geometries = [Geometry.of((width, height), common.IMGSZ) for height, width, _ in sizes]
        self._truth = GroundTruth.of([yolo.read_labels(path, names) for path in images], self._geometries, names)

    def __call__(self, run: Run) -> float:
        """Return a network's score."""
        found = [decode(run(calibration.tensors([path], common.IMGSZ))[0], SCORED) for path in self.images]
        return float(evaluate(self._truth, DetectionTable.of(found), self._geometries).accuracy.map50_95)


class Forms:
    """The model in the forms that bakeoff's backends ask for."""

    def __init__(self) -> None:
        self._file = models.open_model(common.shared_model())
        self.model = self._file.model

    def onnx(self, batch: int | None, opset: int = 17) -> Path:
        """Export on first use."""
        path = WORK / f"{batch or 'dynamic'}.onnx"
        if not path.exists():
            self._file.export_onnx(batch, opset, path)
        return path

    def torch_module(self) -> Any:
        """Return the PyTorch module."""
        return self._file.torch_module()


class Drawn:
    """`Calibration`: images decoded one at a time, as bakeoff's worker does."""

    preset = "mixed"

    def __init__(self, images: Sequence[Path], seed: int) -> None:
        self._images, self.seed = images, seed

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Images]:
        for image in self._images:
            yield calibration.tensors([image], common.IMGSZ)


def job(key: str, forms: Forms, drawn: Drawn, recipe: Recipe | None = None) -> ConvertJob:
    backend, precision, shape = key.split("/")
    candidate = Candidate(backend=backend, precision=precision, shape=shape)
    folder = WORK / f"{candidate.slug}-{len(recipe.float_layers) if recipe else 0}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return ConvertJob(candidate=candidate, model=forms, folder=folder, batches=(1,), calibration=drawn, recipe=recipe)


def ours(key: str, forms: Forms, drawn: Drawn, recipe: Recipe | None = None) -> Path:
    """Convert with bakeoff's backend."""
    made = job(key, forms, drawn, recipe)
    OpenVino().convert(made)
    return made.folder / ir.FOLDER / "model.xml"


def plain(forms: Forms, drawn: Drawn) -> Path:
    """Convert with `nncf.quantize`, nothing ignored."""
    import nncf
    import openvino

    network = openvino.convert_model(str(forms.onnx(None)))
    preset = nncf.QuantizationPreset.MIXED
    made = nncf.quantize(network, nncf.Dataset(drawn), preset=preset, subset_size=len(drawn), fast_bias_correction=True)
    openvino.save_model(made, str(WORK / "plain.xml"), compress_to_fp16=False)
    return WORK / "plain.xml"


def controlled(forms: Forms, drawn: Drawn, held_out: Scorer) -> Path:
    """Convert with accuracy control."""
    import nncf
    import openvino

    network = openvino.convert_model(str(forms.onnx(None)))
    tensors = [calibration.tensors([path], common.IMGSZ) for path in held_out.images]

    def score(compiled: Any, items: Any) -> float:
        answers = iter([np.array(compiled(tensor)[0]) for tensor in items])
        return held_out(lambda _: next(answers))

    made = nncf.quantize_with_accuracy_control(
        network,
        calibration_dataset=nncf.Dataset(drawn),
        validation_dataset=nncf.Dataset(tensors),
        validation_fn=score,
        max_drop=0.01,
        drop_type=nncf.DropType.ABSOLUTE,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(drawn),
        fast_bias_correction=True,
    )
    openvino.save_model(made, str(WORK / "controlled.xml"), compress_to_fp16=False)
    return WORK / "controlled.xml"


def loaded(file: Path, threads: int) -> Run:
    """Return a function that runs a file as bakeoff does: float32 where it is not integer, latency first."""
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(str(file), "CPU", settings).create_infer_request()

    def run(images: Images) -> npt.NDArray[np.float32]:
        request.infer([images], share_inputs=True)
        return np.asarray(request.get_output_tensor(0).data)

    return run


def timed(runs: dict[str, Run], images: Images, rounds: int, block: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Return the blocks' medians (rounds,) in ms; a block is one uncounted prediction and `block` counted ones."""
    draw = random.Random(seed)
    medians: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        for image in images:
            run(image[None])
    for number in range(rounds):
        for name in draw.sample(list(runs), len(runs)):
            image = images[number % len(images)][None]
            runs[name](image)
            times = []
            for _ in range(block):
                start = time.perf_counter()
                runs[name](image)
                times.append(time.perf_counter() - start)
            medians[name].append(1e3 * float(np.median(times)))
    return {name: np.array(values) for name, values in medians.items()}


def curve(
    forms: Forms, drawn: Drawn, ranked: Recipe, scorer: Scorer, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Score a bad recipe with k layers in float: the worst ones, and random ones."""
    import onnxruntime.quantization as tools

    from bakeoff.backends import qdq

    document = qdq.read(forms.onnx(1))
    ranges = qdq.calibrate(document, list(drawn)[:32], QUANTISED)
    wide = {name: (low * options.widen, high * options.widen) for name, (low, high) in ranges.items()}
    kind = tools.QDQQuantizer
    tools.QDQQuantizer = lambda *words, per_channel, **named: kind(*words, per_channel=False, **named)
    worst = [one.layer for one in ranked.ranking]
    orders = {"worst": worst}
    for seed in range(options.random):
        orders[f"random {seed}"] = random.Random(seed).sample(worst, len(worst))
    rows = []
    for count in (0, *options.curve):
        for name, order in orders.items() if count else [("worst", worst)]:
            made = qdq.quantise(document, wide, qdq.chosen(document, QUANTISED, order[:count]))
            session = qdq.session(made)
            score = scorer(lambda image, session=session: session.run(None, {"images": image})[0])
            rows.append({"layers": name, "kept": count, "map50_95": score})
            print(f"  bad recipe, {count} {name} layers in float: {score:.4f}", file=sys.stderr, flush=True)
    tools.QDQQuantizer = kind
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=250, help="first N shared validation images [250]")
    parser.add_argument("--calibration", type=int, default=128, help="calibration images [128]")
    parser.add_argument("--layers", type=int, nargs="*", default=[2, 4, 8], help="layers kept in float [2 4 8]")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of timing [40]")
    parser.add_argument("--block", type=int, default=5, help="predictions in a block [5]")
    parser.add_argument("--curve", type=int, nargs="*", default=[], help="numbers of layers for the bad recipe [none]")
    parser.add_argument("--widen", type=float, default=4.0, help="the bad recipe's ranges [4]")
    parser.add_argument("--random", type=int, default=2, help="random orders beside the ranking [2]")
    parser.add_argument("--seed", type=int, default=0, help="of the draws [0]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()

    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    dataset = yolo.read_dataset(common.SHARED / "deeppcb" / "data.yaml")
    images = calibration.draw(dataset.training, options.calibration, options.seed)
    drawn = Drawn(images, options.seed)
    validation = Scorer(dataset.validation[: options.images], dataset.class_names)
    held_out = Scorer([path for path in dataset.training if path not in images], dataset.class_names)
    forms = Forms()
    forms.onnx(None), forms.onnx(1)

    print("ranking …", file=sys.stderr, flush=True)
    ranked = OnnxRuntime().rank(job("onnxruntime/int8/static", forms, drawn))
    assert ranked.seconds is not None
    recipes: dict[str, tuple[Callable[[], Path], float]] = {
        "fp32": (lambda: ours("openvino/fp32/dyn", forms, drawn), 0.0),
        "plain": (lambda: plain(forms, drawn), 0.0),
        "bakeoff int8": (lambda: ours("openvino/int8/dyn", forms, drawn), 0.0),
    }
    for count in options.layers:
        recipe = msgspec.structs.replace(ranked, float_layers=tuple(one.layer for one in ranked.ranking[:count]))
        convert = lambda recipe=recipe: ours("openvino/int8+fp32/dyn", forms, drawn, recipe)  # noqa: E731
        recipes[f"bakeoff int8+fp32, {count} layers"] = (convert, ranked.seconds)
    recipes["accuracy control"] = (lambda: controlled(forms, drawn, held_out), 0.0)

    rows: dict[str, dict[str, Any]] = {}
    runs: dict[str, Run] = {}
    threads = host.usable_cores()
    for name, (convert, before) in recipes.items():
        print(f"converting and scoring: {name} …", file=sys.stderr, flush=True)
        start = time.perf_counter()
        file = convert()
        seconds = before + time.perf_counter() - start
        runs[name] = loaded(file, threads)
        rows[name] = {"convert_s": seconds, "map50_95": validation(runs[name])}
        print(f"  {json.dumps(rows[name])}", file=sys.stderr, flush=True)
    print("timing …", file=sys.stderr, flush=True)
    some = calibration.tensors(list(dataset.validation[:8]), common.IMGSZ)
    medians = timed(runs, some, options.rounds, options.block, options.seed)
    fp32, fastest = (float(np.median(medians[name])) for name in ("fp32", "plain"))
    for name, row in rows.items():
        row["network_ms"] = float(np.median(medians[name]))
        row["map_delta"] = row["map50_95"] - rows["fp32"]["map50_95"]
        row["gain_kept"] = (fp32 - row["network_ms"]) / (fp32 - fastest)
        row["speedup"] = common.ratio(paired_ratio(medians["fp32"], medians[name]))
    scores = curve(forms, drawn, ranked, validation, options) if options.curve else []

    common.table(
        ("recipe", "conversion s", "mAP50-95", "to FP32", "network ms", "speed-up", "gain kept"),
        [
            (
                name,
                f"{row['convert_s']:.0f}",
                f"{row['map50_95']:.4f}",
                f"{row['map_delta']:+.4f}",
                f"{row['network_ms']:.1f}",
                common.shown(Ratio(**row["speedup"])),
                f"{row['gain_kept']:.2f}",
            )
            for name, row in rows.items()
        ],
    )
    int8, control = rows["bakeoff int8"], rows["accuracy control"]
    seconds = int8["convert_s"], control["convert_s"]
    better = int8["map50_95"] - control["map50_95"]
    common.write(
        "int8_repair",
        options.results,
        {key: value for key, value in vars(options).items() if key != "results"}
        | {"held_out": len(held_out.images), "threads": threads, "ranking_s": ranked.seconds},
        [
            common.figure(
                "openvino/int8: mAP50-95 lost to FP32",
                "≤ 0.01",
                f"{-int8['map_delta']:.4f}",
                _yes(int8["map_delta"] >= -0.01),
            ),
            common.figure(
                "openvino/int8: share of plain INT8's speed gain",
                "≥ 0.90",
                f"{int8['gain_kept']:.2f}",
                _yes(int8["gain_kept"] >= 0.9),
            ),
            common.figure(
                "openvino/int8: conversion time against accuracy control",
                "≤ 0.50",
                f"{seconds[0] / seconds[1]:.2f} ({seconds[0]:.0f} s / {seconds[1]:.0f} s)",
                _yes(seconds[0] <= seconds[1] / 2),
            ),
            common.figure(
                "openvino/int8: mAP50-95 beyond accuracy control's", "> 0", f"{better:+.4f}", _yes(better > 0)
            ),
        ],
        rows=rows,
        ranking=[{"layer": one.layer, "error": one.error} for one in ranked.ranking],
        bad_recipe=scores,
        rounds_ms={name: [round(float(value), 3) for value in values] for name, values in medians.items()},
    )


def _yes(condition: bool) -> str:
    return "yes" if condition else "no"


if __name__ == "__main__":
    main()
