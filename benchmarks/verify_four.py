"""Verifying PyTorch, TorchScript, ONNX Runtime and OpenVINO: `bakeoff verify` against four `yolo val`.

Ours is one `bakeoff verify` of the four Candidates, from the start of its process to its end (model reading, probes,
decoding, inference, evaluation, bootstrap, report with charts), less the stage in which it converts. Theirs is four
`yolo val … imgsz=640 rect=False batch=1 device=cpu plots=False` on files that Ultralytics exported before. Both read
the same copies of the same images; all five commands of a round come in shuffled order. Where OpenVINO computes in
bfloat16 unless told otherwise, theirs does while it is timed; its mAP is compared in float32, by one run more.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
from openvino_f32 import VARIABLE, default_precision

from bakeoff.api import Run
from bakeoff.stats import paired_ratio

CANDIDATES = {
    "pytorch": "pytorch/fp32/dyn",
    "torchscript": "torchscript/fp32/static",
    "onnxruntime": "onnxruntime/fp32/b1",
    "openvino": "openvino/fp32/dyn",
}
WORK = common.SCRATCH / "verify-four"


def observed(name: str, words: list[str]) -> tuple[float, float, dict[str, Any]]:
    """Return when a command began and ended (monotonic), and its notes."""
    notes = WORK / f"{name}.json"
    notes.unlink(missing_ok=True)
    start = time.monotonic()
    common.execute([sys.executable, str(common.HERE / "observed.py"), str(notes), *words], WORK / f"{name}.log")
    return start, time.monotonic(), json.loads(notes.read_text())


def theirs(runtime: str, model: Path, data: Path, imgsz: int = common.IMGSZ) -> dict[str, Any]:
    """Run one `yolo val`."""
    words = ["yolo", "val", f"model={model}", f"data={data}", f"imgsz={imgsz}", "rect=False", "batch=1", "device=cpu"]
    words += ["plots=False", f"project={WORK / 'yolo'}", f"name={runtime}", "exist_ok=True"]
    start, end, notes = observed(f"theirs-{runtime}", words)
    return {"seconds": end - start, "map50_95": notes["map50_95"]}


def ours(data: Path) -> dict[str, Any]:
    """Run one `bakeoff verify`; return its seconds by part."""
    out = WORK / "run"
    shutil.rmtree(out, ignore_errors=True)
    words = ["bakeoff", "verify", str(common.shared_model()), "--data", str(data), "--out", str(out)]
    for key in list(CANDIDATES.values())[1:]:
        words += ["--only", key]
    start, end, notes = observed("ours", words)
    marks: list[tuple[float, str, str]] = notes["marks"]
    converting = next(at for at, stage, _ in marks if stage == "converting")
    verifying = next(at for at, stage, _ in marks if stage == "verifying")
    parts = {}
    for (at, stage, key), (until, _, _) in itertools.pairwise(marks):
        if stage == "verifying" and key:
            parts[key] = until - at
    # the last Candidate's part ends where bake ends: it holds the judging and the report too
    accuracy = {str(row["candidate"]): row["val_map50_95"] for row in Run(out).rows}
    shutil.rmtree(out)
    return {
        "seconds": end - start - (verifying - converting),
        "converting_s": verifying - converting,
        "before_converting_s": converting - start,
        "parts_s": {runtime: parts[key] for runtime, key in CANDIDATES.items()},
        "after_s": end - marks[-1][0],
        "map50_95": {runtime: accuracy[key] for runtime, key in CANDIDATES.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=250, help="first N shared validation images [250]")
    parser.add_argument("--rounds", type=int, default=1, help="rounds; an interval needs 3 [1]")
    parser.add_argument("--seed", type=int, default=0, help="of the order [0]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()

    files = common.ultralytics_files()
    images = common.shared_images()[: options.images]
    data = common.dataset(WORK / "data", [(image.stem, image) for image in images])
    # uncounted, on tiny inputs: their label cache and everybody's pages of the libraries
    theirs("pytorch", files["pytorch"], data, imgsz=32)
    rounds: list[dict[str, Any]] = []
    draw = random.Random(options.seed)
    for number in range(options.rounds):
        order = ["ours", *files]
        draw.shuffle(order)
        found: dict[str, Any] = {"order": order, "theirs": {}}
        for who in order:
            print(f"round {number + 1} of {options.rounds}: {who}", file=sys.stderr, flush=True)
            if who == "ours":
                found["ours"] = ours(data)
            else:
                found["theirs"][who] = theirs(who, files[who], data)
        found["theirs_s"] = sum(one["seconds"] for one in found["theirs"].values())
        rounds.append(found)

    precision = default_precision()
    alike = {runtime: rounds[-1]["theirs"][runtime]["map50_95"] for runtime in files}
    if precision != "f32":
        print("once more, uncounted: yolo val of OpenVINO in float32", file=sys.stderr, flush=True)
        os.environ[VARIABLE] = "1"
        alike["openvino"] = theirs("openvino", files["openvino"], data)["map50_95"]
    ours_s = np.array([one["ours"]["seconds"] for one in rounds])
    theirs_s = np.array([one["theirs_s"] for one in rounds])
    ratio = paired_ratio(ours_s, theirs_s)
    differences = {
        runtime: max(abs(one["ours"]["map50_95"][runtime] - alike[runtime]) for one in rounds) for runtime in files
    }
    rows = [
        (
            runtime,
            f"{np.median([one['ours']['parts_s'][runtime] for one in rounds]):.1f}",
            f"{np.median([one['theirs'][runtime]['seconds'] for one in rounds]):.1f}",
            f"{rounds[-1]['ours']['map50_95'][runtime]:.5f}",
            f"{alike[runtime]:.5f}",
        )
        for runtime in files
    ]
    rows.append(("all, start-up included", f"{np.median(ours_s):.1f}", f"{np.median(theirs_s):.1f}", "", ""))
    common.table(("runtime", "bakeoff s", "yolo val s", "bakeoff mAP50-95", "yolo val mAP50-95"), rows)
    worst = max(differences.values())
    common.write(
        "verify_four",
        options.results,
        {
            "images": len(images),
            "rounds": options.rounds,
            "seed": options.seed,
            "imgsz": common.IMGSZ,
            "openvino_default": precision,
        },
        [
            common.figure(
                f"verify four runtimes, {len(images)} images: time against yolo val",
                "≤ 1.00",
                f"{common.shown(ratio)} ({np.median(ours_s):.0f} s / {np.median(theirs_s):.0f} s)",
                common.met(ratio, 1.0),
            ),
            common.figure(
                "largest difference of mAP50-95 to yolo val", "≤ 0.0005", f"{worst:.6f}", _yes(worst <= 0.0005)
            ),
        ],
        rounds=rounds,
        ratio=common.ratio(ratio),
        theirs_map50_95_float32=alike,
        map50_95_differences=differences,
    )


def _yes(condition: bool) -> str:
    return "yes" if condition else "no"


if __name__ == "__main__":
    main()
