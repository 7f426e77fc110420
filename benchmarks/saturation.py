"""What 8 bits compute on a CPU without VNNI, and how bakeoff sees it: ONNX Runtime's and OpenVINO's INT8.

The shared model is converted natively and, as bakeoff does where its probe says that sums saturate, under a mask that
hides VNNI, AMX and AVX-512 (`tests/backends/no_vnni.c`). Every Artifact then runs natively and under the mask: the
error of the scores against the float emulation of its own graph on the images that verification takes, what bakeoff
says of it, and mAP50-95 on the validation images. It needs a CPU with VNNI, on which the mask works.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import common
import msgspec
import numpy as np
from int8_repair import Scorer

sys.path.insert(0, str(common.HERE.parent))
from bakeoff import host, registry
from bakeoff.accuracy import parity
from bakeoff.backend import LoadJob
from bakeoff.backends import onnxruntime, openvino, qdq
from bakeoff.data import calibration, yolo
from bakeoff.records import Artifact, Candidate
from tests.backends import mask, own_graph
from tests.backends.networks import Forms, Images, job

MARGIN = 0.01  # of mAP50-95, as verdicts' default
WORK = common.SCRATCH / "saturation"
RECIPES = {  # name -> key, preset, whether converted under the mask
    "FP32": ("onnxruntime/fp32/b1", "mixed", False),
    "ONNX Runtime int8": ("onnxruntime/int8/b1", "mixed", False),
    "ONNX Runtime int8, reduce_range": ("onnxruntime/int8/b1", "mixed", True),
    "OpenVINO int8, mixed": ("openvino/int8/dyn", "mixed", False),
    "OpenVINO int8, mixed, overflow fix": ("openvino/int8/dyn", "mixed", True),
    "OpenVINO int8, performance": ("openvino/int8/dyn", "performance", False),
    "OpenVINO int8, performance, overflow fix": ("openvino/int8/dyn", "performance", True),
}


def dataset() -> Any:
    return yolo.read_dataset(common.SHARED / "deeppcb" / "data.yaml")


def probe() -> dict[str, float]:
    """Return both runtimes' error on the largest products."""
    return {"onnxruntime": onnxruntime.probe_error(), "openvino": openvino.probe_error()}


def folder_of(name: str) -> Path:
    return WORK / name.replace(",", "").replace(" ", "-")


def convert(under_mask: bool, images: int) -> dict[str, Any]:
    """Convert by the recipes that are to be converted here; return how."""
    drawn = Images(calibration.draw(dataset().training, images, 0), common.IMGSZ)
    forms = Forms(common.shared_model(), WORK)
    how = {}
    for name, (key, preset, masked) in RECIPES.items():
        if masked == under_mask:
            drawn.preset = preset
            folder_of(name).mkdir()
            made = job(key, forms, folder_of(name), calibration=drawn, batches=(1,))
            artifact = registry.load(made.candidate.backend).convert(made)
            (folder_of(name) / "artifact.json").write_bytes(msgspec.json.encode(artifact))
            how[name] = dict(artifact.how)
    return how


def score(images: int) -> dict[str, Any]:
    """Hold each Session against its own graph, as verification does, and score it."""
    found, forms, threads = dataset(), Forms(common.shared_model(), WORK), host.usable_cores()
    scorer = Scorer(found.validation[:images], found.class_names)
    rows = {}
    for name, (key, _, _) in RECIPES.items():
        backend, precision, shape = key.split("/")
        candidate = Candidate(backend=backend, precision=precision, shape=shape)
        artifact = msgspec.json.decode((folder_of(name) / "artifact.json").read_bytes(), type=Artifact)
        load = LoadJob(candidate=candidate, artifact=artifact, model=forms, threads=threads)
        with registry.load(backend).load(load) as session:
            row: dict[str, Any] = {}
            if candidate.quantised:
                row = own_graph.compare(session, found.validation[: parity.EMULATED], common.IMGSZ)
            rows[name] = row | {"map50_95": scorer(lambda tensor, run=session.run: np.asarray(run(tensor)[0]))}
        print(f"  {name}: {json.dumps(rows[name])}", file=sys.stderr, flush=True)
    return rows


def child(do: str, *numbers: int, under: Mapping[str, str] | None = None) -> Any:
    """Do one of the above in a process of its own, natively or under the mask."""
    print(f"{do}{' under the mask' if under else ''} …", file=sys.stderr, flush=True)
    return json.loads(mask.python([__file__, "--child", do, *numbers], under).splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=250, help="first N shared validation images [250]")
    parser.add_argument("--calibration", type=int, default=128, help="calibration images [128]")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder for the JSON file")
    options = parser.parse_args()

    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        library = mask.build(WORK)
    except mask.Unavailable as why:
        raise SystemExit(f"this benchmark can't be run here: {why}") from why
    masked = mask.preload(library)
    probes = {
        "native": child("probe"),
        "without VNNI and AMX": child("probe", under=mask.preload(library, keep_avx512=True)),
        "without VNNI, AMX and AVX-512": child("probe", under=masked),
    }
    if max(probes["native"].values()) > qdq.SATURATED:
        raise SystemExit("this CPU saturates natively: there is nothing to compare with")

    how = child("convert", 0, options.calibration) | child("convert", 1, options.calibration, under=masked)
    scores = {"native": child("score", options.images), "masked": child("score", options.images, under=masked)}
    rows = {name: {"how": how[name], **{place: scores[place][name] for place in scores}} for name in RECIPES}
    common.table(
        ("Artifact", "native: error", "mAP50-95", "masked: error", "mAP50-95", "bakeoff, masked"),
        [
            (
                name,
                *(
                    text
                    for place in ("native", "masked")
                    for text in (_error(row[place]), f"{row[place]['map50_95']:.4f}")
                ),
                "refused" if row["masked"].get("says") else "taken",
            )
            for name, row in rows.items()
        ],
    )
    figures = []
    for name, row in rows.items():
        for place in ("native", "masked") if name != "FP32" else ():
            lost = rows[name]["native"]["map50_95"] - row[place]["map50_95"]
            wrong = lost > MARGIN
            figures.append(
                common.figure(
                    f"{name}, {place}: refused where it loses more than {MARGIN} mAP50-95 to the kernels",
                    "refused" if wrong else "taken",
                    f"{'refused' if row[place]['says'] else 'taken'} (lost {lost:.4f}, error {_error(row[place])})",
                    "yes" if wrong == bool(row[place]["says"]) else "no",
                )
            )
    common.write(
        "saturation",
        options.results,
        {"images": options.images, "calibration_images": options.calibration, "emulated_images": parity.EMULATED}
        | {"imgsz": common.IMGSZ, "threads": host.usable_cores(), "contradicts": parity.CONTRADICTS},
        figures,
        probes=probes,
        rows=rows,
    )


def _error(row: Mapping[str, Any]) -> str:
    return f"{row['scores_error']:.4f}" if "scores_error" in row else "-"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        do = {"probe": probe, "convert": convert, "score": score}[sys.argv[2]]
        print(json.dumps(do(*map(int, sys.argv[3:]))))
    else:
        main()
