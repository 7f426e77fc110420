"""`YOLO(file)` takes our Artifacts as they are, and finds what our Pipeline finds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bakeoff.backends import ir
from bakeoff.backends.onnxruntime import OnnxRuntime
from bakeoff.backends.openvino import OpenVino
from bakeoff.backends.torchscript import TorchScript
from bakeoff.data.images import decode
from bakeoff.models.tasks.detection import timed
from bakeoff.pipeline import Pipeline
from tests import tiny
from tests.backends.networks import Forms, job, load

onnx = pytest.importorskip("onnx")
CONFIDENCE = 0.25
Found = tuple[Any, Any, Any]  # boxes xyxy, scores, classes
KEYS = {
    "onnxruntime/fp32/dyn": (OnnxRuntime, "dynamic.onnx"),
    "onnxruntime/fp32/b1": (OnnxRuntime, "b1.onnx"),
    "openvino/fp32/dyn": (OpenVino, ir.FOLDER),
    "torchscript/fp32/static": (TorchScript, "b1.torchscript"),
}


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    demo = pytest.importorskip("bakeoff_demo")
    pytest.importorskip("ultralytics")
    return Forms(demo.model_path(), tmp_path_factory.mktemp("forms"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A square image of the network's own size, which no letterbox changes, and one that is cut to a strip."""
    import bakeoff_demo

    folder = tmp_path_factory.mktemp("images")
    whole = cv2.imread(str(bakeoff_demo.data_path().parent / "images" / "val" / "val-0000.jpg"))
    square = cv2.resize(whole, (384, 384))
    found = {"square": square, "strip": square[:200]}
    for name, image in found.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
    return {name: folder / f"{name}.png" for name in found}


def assert_all_have_partners(some: Found, others: Found, *, box_px: float, score: float) -> None:
    """Fail unless each detection that is not just above the threshold has a like one among the others."""
    for xyxy, confidence, kind in zip(*some, strict=True):
        if confidence > CONFIDENCE + score:
            same = np.abs(others[0] - xyxy).max(1) < box_px
            assert (same & (np.abs(others[1] - confidence) < score) & (others[2] == kind)).sum() == 1


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_ultralytics_finds_in_our_artifact_what_our_pipeline_finds(key, forms, images, tmp_path, monkeypatch):
    for name, value in {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    kind, file = KEYS[key]
    made = job(key, forms, tmp_path)
    artifact = kind().convert(made)
    session = load(kind(), made, artifact)
    clock = iter(range(1000))
    pipeline = Pipeline(session, forms.model.imgsz, 1, timed(CONFIDENCE), lambda: next(clock))
    ours = pipeline.predict([decode(images["square"])])[0][0]
    assert len(ours) > 3

    from ultralytics import YOLO

    network = YOLO(str(made.folder / file))
    assert tuple(network.names.values()) == forms.model.class_names
    (theirs,) = network.predict(str(images["square"]), conf=CONFIDENCE, iou=0.7, verbose=False)
    found = theirs.boxes.xyxy.numpy(), theirs.boxes.conf.numpy(), theirs.boxes.cls.numpy()
    # Ultralytics lets OpenVINO compute in bfloat16 where the CPU has AMX (benchmarks/openvino_f32.py)
    box_px, score = (3.0, 0.1) if kind is OpenVino else (0.1, 1e-3)
    assert_all_have_partners((ours.xyxy, ours.scores, ours.classes), found, box_px=box_px, score=score)
    assert_all_have_partners(found, (ours.xyxy, ours.scores, ours.classes), box_px=box_px, score=score)
    (strip,) = network.predict(
        str(images["strip"]), conf=CONFIDENCE, verbose=False
    )  # no rectangle is fed to a square input
    assert len(strip.boxes)


def test_an_onnx_models_own_metadata_stays_but_for_what_bakeoff_fixed(tmp_path):
    source = tiny.write_onnx(tmp_path / "source.onnx")
    document = onnx.load(str(source))
    known = {entry.key: entry.value for entry in document.metadata_props}
    theirs = {"args": "{'dynamic': True}", "batch": "16", "author": "somebody", "own": "kept"}
    onnx.helper.set_model_props(document, {**known, **theirs})
    onnx.save(document, str(source))
    forms = Forms(source, tmp_path)
    for batch in (None, 1):
        document = onnx.load(str(forms.onnx(batch)))
        metadata = {entry.key: entry.value for entry in document.metadata_props}
        assert metadata["author"] == "somebody"
        assert metadata["own"] == "kept"
        assert metadata["batch"] == "1"
        assert ast.literal_eval(metadata["args"])["dynamic"] is False
        assert ast.literal_eval(metadata["names"]) == {0: "red", 1: "green"}
        first = document.graph.output[0].type.tensor_type.shape.dim[0]
        assert (first.dim_param, first.dim_value) == ("", batch or 0)


def test_the_same_model_is_exported_to_the_same_bytes(tiny_model, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (Forms(tiny_model, tmp_path / name).onnx(None).read_bytes() for name in ("a", "b"))
    assert first == second


def test_classes_that_were_made_up_are_not_written_as_names(tmp_path):
    source = tiny.write_onnx(tmp_path / "source.onnx")
    document = onnx.load(str(source))
    del document.metadata_props[:]
    onnx.save(document, str(source))
    forms = Forms(source, tmp_path)
    assert forms.model.class_names == ("0", "1")
    assert "names" not in {entry.key for entry in onnx.load(str(forms.onnx(1))).metadata_props}
