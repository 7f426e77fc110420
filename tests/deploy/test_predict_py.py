"""`predict.py` beside an Artifact finds, alone in a process of its own, what the Pipeline finds."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from bakeoff import deploy, host, registry
from bakeoff.backend import LoadJob
from bakeoff.data.images import decode
from bakeoff.models.tasks.detection import timed
from bakeoff.pipeline import Pipeline
from bakeoff.records import Artifact, ArtifactFile, Candidate, Model
from tests.backends.networks import Forms, Images, job
from tests.backends.trt import graphs, standin
from tests.backends.trt.fake_cuda import Error, FakeCuda
from tests.cli.runner import bakeoff

CONFIDENCE = 0.05  # more boxes than at 0.25: suppression has work to do
MODEL = Model(
    path='/where/it/was\n"""made.pt',
    sha256="",
    size_bytes=0,
    format="ultralytics",
    task="detect",
    class_names=("plain", "it's", 'a "quote"', "new\nline", "\\", "'''\"\"\"", "ä€", "\ud800"),
    stride=32,
    imgsz=640,
)
KEYS = [
    "pytorch/fp32/dyn",
    "pytorch/fp32/dyn/channels-last",
    "torchscript/fp32/static",
    "onnxruntime/fp32/static",
    "onnxruntime/fp32/b1",
    "onnxruntime/fp32/dyn",
    "onnxruntime/int8/static",
    "openvino/fp32/dyn",
    "openvino/fp32/static",
    "openvino/fp32/dyn/fp16-weights",
    "openvino/bf16/dyn",
    "openvino/int8/dyn",
]
TUNED = {  # settings of loading that share their plain form's Artifact
    "onnxruntime/fp32/dyn": ("t1", "nospin"),
    "openvino/fp32/dyn": ("s1", "nopin"),
    "openvino/fp32/static": ("throughput",),
    "torchscript/fp32/static": ("t1",),
}


def candidate_of(key: str, tuning: tuple[str, ...] = ()) -> Candidate:
    backend, precision, shape, *options = key.split("/")
    return Candidate(backend=backend, precision=precision, shape=shape, options=tuple(options), tuning=tuning)


def text_for(candidate: Candidate, artifact: Artifact, model: Model, confidence: float = 0.25) -> str:
    return deploy.predict_py(registry.load(candidate.backend).script(candidate, artifact), candidate, model, confidence)  # type: ignore[attr-defined]


# --- the text


@pytest.fixture
def engine(tmp_path: Path) -> Artifact:
    """An Artifact with the file that each backend looks for; an engine is rubbish behind Ultralytics' header."""
    header = json.dumps({"precision": "fp16"}).encode()
    (tmp_path / "model.engine").write_bytes(len(header).to_bytes(4, "little") + header + b"the engine")
    (tmp_path / "model.xml").write_bytes(b"")
    made = Artifact.of(tmp_path, batches=(1,))
    return msgspec.structs.replace(made, files=(*made.files, ArtifactFile(path="model.pt", sha256="", size_bytes=0)))


@pytest.mark.parametrize("key", [*KEYS, "tensorrt/fp16/d1-2", "tensorrt_rtx/fp16/d1-2"])
@pytest.mark.parametrize("many", [False, True])
def test_it_has_60_lines_at_most_imports_no_bakeoff_and_holds_any_class_name(key, many, engine):
    tuning = TUNED.get(key, ())
    model = msgspec.structs.replace(MODEL, class_names=MODEL.class_names * 100) if many else MODEL
    text = text_for(candidate_of(key, tuning), engine, model)
    assert len(text.splitlines()) <= 60
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith(('"""', "NAMES", "PROPERTIES")))
    assert "import bakeoff" not in text
    assert "from bakeoff" not in text
    text.encode("utf-8")
    names: dict[str, Any] = {"__name__": "predict", "__file__": "predict.py"}
    exec(compile(text, "predict.py", "exec"), names)
    assert names["NAMES"] == list(model.class_names)
    assert (names["IMGSZ"], names["CONF"]) == (640, 0.25)
    assert callable(names["load"])


def test_an_engine_is_read_behind_its_header_by_its_own_runtime(engine):
    names: dict[str, Any] = {"__name__": "predict", "__file__": "predict.py"}
    text = text_for(candidate_of("tensorrt_rtx/fp16/d1-2"), engine, MODEL)
    exec(compile(text, "predict.py", "exec"), names)
    assert (Path(engine.folder) / names["FILE"]).read_bytes()[names["SKIP"] :] == b"the engine"
    assert "import tensorrt_rtx as trt" in text
    assert "Never executed" in text


class Cuda(FakeCuda):
    """The simulated GPU, with the copy that waits."""

    def cudaMemcpy(self, to, source, nbytes, kind):
        ctypes.memmove(to, source, nbytes)
        return (Error.SUCCESS,)


@pytest.mark.parametrize("works", [True, False])
def test_an_engines_images_go_to_the_gpu_and_its_output_comes_back(works, engine, monkeypatch):
    """On a simulated GPU: which calls are made with what; no engine ran."""
    side, head = 64, (1, 12, 84)
    got: list[np.ndarray] = []

    def network(images: int, output: int, stream: int) -> bool:
        whole = np.ctypeslib.as_array((ctypes.c_float * (3 * side * side)).from_address(images)).copy()
        got.append(whole.reshape(1, 3, side, side))
        answer = np.arange(12 * 84, dtype=np.float32) + whole[0]
        ctypes.memmove(output, answer.ctypes.data, answer.nbytes)
        return works

    fake = standin.Engine(lambda batch: network, lambda shape: head, [(1, 1, 2)], log=standin.Log(), side=side)
    module = standin.module(fake)
    module.Logger = type(
        "Logger", (standin.Log,), {"ERROR": 1, "__init__": lambda self, level: setattr(self, "errors", [])}
    )
    bindings = SimpleNamespace(runtime=Cuda())
    for name, one in {"tensorrt": module, "cuda": SimpleNamespace(), "cuda.bindings": bindings}.items():
        monkeypatch.setitem(sys.modules, name, one)
    names: dict[str, Any] = {"__name__": "predict", "__file__": str(Path(engine.folder) / "predict.py")}
    model = msgspec.structs.replace(MODEL, imgsz=side)
    exec(compile(text_for(candidate_of("tensorrt/fp16/d1-2"), engine, model), "predict.py", "exec"), names)
    run = names["load"]()
    images = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    if works:
        np.testing.assert_array_equal(
            run(images), np.arange(12 * 84, dtype=np.float32).reshape(12, 84) + images.flat[0]
        )
        np.testing.assert_array_equal(got[0], images)
    else:
        with pytest.raises(AssertionError, match="TensorRT ran: False"):
            run(images)


def test_what_an_engines_script_calls_exists_in_tensorrt_rtx_and_cuda_bindings(engine):
    trt = graphs.rtx()
    cuda = pytest.importorskip("cuda.bindings.runtime")
    text = text_for(candidate_of("tensorrt_rtx/fp16/d1-2"), engine, MODEL)
    owners = {
        "trt": trt,
        "reader": trt.Runtime,
        "engine": trt.ICudaEngine,
        "context": trt.IExecutionContext,
        "cuda": cuda,
    }
    used = re.findall(
        r"\b(trt|reader|engine|context|cuda)\.(\w+)", text[text.index("reader =") : text.index("return run")]
    )
    assert {owner for owner, _ in used} == set(owners)
    assert [(owner, name) for owner, name in used if not hasattr(owners[owner], name)] == []


class Recorded:
    """A network that gives what it was told to, and keeps the images that it got."""

    def __init__(self, head: np.ndarray) -> None:
        self.head, self.device, self.precision, self.details = head, "cpu", "fp32", {}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.images = images.copy()
        return self.head

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        self.images = images.copy()
        return [self.head[None]]


@pytest.mark.parametrize("shape", [(640, 640), (480, 640), (1080, 1920), (333, 77), (64, 1), (5, 4000), (641, 639)])
def test_letterbox_decoding_and_suppression_are_the_pipelines_for_any_frame(shape, engine):
    """Crowded random boxes: hundreds overlap, some of them just below the threshold, some are not a number."""
    rng = np.random.default_rng(shape[0] * 10_000 + shape[1])
    frame = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    head = rng.random((4 + 7, 3000), np.float32)
    head[:2] = rng.choice(640, (2, 3000)) + rng.random((2, 3000)) * 20
    head[2:4] = 30 + 30 * rng.random((2, 3000))
    head[4:, ::3] *= 0.2
    head[4:, 100:110] = head[4:, 200:210]  # equal scores
    head[4, 7] = np.nan
    head[:2, 9] = np.nan
    names: dict[str, Any] = {"__name__": "predict", "__file__": "predict.py"}
    model = msgspec.structs.replace(MODEL, class_names=tuple("abcdefg"))
    exec(compile(text_for(candidate_of("onnxruntime/fp32/dyn"), engine, model), "predict.py", "exec"), names)
    theirs, ours = Recorded(head), Recorded(head)
    found = names["predict"](theirs, frame)
    clock = iter(range(100))
    (expected,), _ = Pipeline(ours, 640, 1, timed(0.25), lambda: next(clock)).predict([frame])  # type: ignore[arg-type]
    np.testing.assert_array_equal(theirs.images, ours.images)
    assert len(expected) > 100
    same(found, expected)


def same(found: dict[str, Any], expected: Any, *, px: float = 1e-3, score: float = 1e-4) -> None:
    """Fail unless a line of JSON holds the Pipeline's Detections, in their order."""
    assert found["classes"] == expected.classes.tolist()
    assert np.abs(np.array(found["xyxy"]).reshape(-1, 4) - expected.xyxy).max(initial=0) <= px
    assert np.abs(np.array(found["scores"]) - expected.scores).max(initial=0) <= score


def test_no_box_is_an_empty_line_of_the_same_form(engine):
    names: dict[str, Any] = {"__name__": "predict", "__file__": "predict.py"}
    exec(compile(text_for(candidate_of("onnxruntime/fp32/dyn"), engine, MODEL), "predict.py", "exec"), names)
    found = names["predict"](Recorded(np.zeros((12, 100), np.float32)), np.zeros((10, 20, 3), np.uint8))
    assert found == {"width": 20, "height": 10, "xyxy": [], "scores": [], "classes": [], "names": []}


# --- real weights, each runtime in a process of its own


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    demo = pytest.importorskip("bakeoff_demo")
    pytest.importorskip("ultralytics")
    return Forms(demo.model_path(), tmp_path_factory.mktemp("forms"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of three shapes: as wide as high, a strip, and one that is enlarged."""
    import bakeoff_demo

    folder = tmp_path_factory.mktemp("images")
    names = sorted((bakeoff_demo.data_path().parent / "images" / "val").glob("*.jpg"))[:4]
    whole = [cv2.imread(str(path)) for path in names]
    frames = [whole[0], cv2.resize(whole[1], (384, 384)), whole[2][:150], cv2.resize(whole[3], (201, 307))]
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i}.png"), frame)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def calibration(forms: Forms) -> Images:
    import bakeoff_demo

    folder = bakeoff_demo.data_path().parent / "images" / "calibration"
    return Images(sorted(folder.glob("*.jpg"))[:8], forms.model.imgsz)


def run_alone(folder: Path, name: str, pictures: list[Path]) -> list[dict[str, Any]]:
    """Run a `predict.py` in a process that can't import bakeoff."""
    block = "import runpy, sys; sys.modules['bakeoff'] = None; del sys.argv[0]; "
    block += "runpy.run_path(sys.argv[0], run_name='__main__')"
    environment = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(folder), "YOLO_AUTOINSTALL": "false"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-c", block, str(folder / name), *map(str, pictures)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_it_finds_what_the_pipeline_finds(key, forms, pictures, calibration, tmp_path):
    """All boxes of an FP32 Candidate, and of the others too: the same kernels compute them."""
    if key.startswith("openvino/bf16") and "amx_bf16" not in host.describe().instruction_sets:
        pytest.skip("this CPU has no AMX for bfloat16")
    backend: Any = registry.load(key.split("/")[0])
    made = job(key, forms, tmp_path, calibration=calibration)
    artifact = backend.convert(made)
    for tuning in {(), TUNED.get(key, ())}:
        candidate = candidate_of(key, tuning)
        name = f"predict{'-'.join(('', *tuning))}.py"
        (made.folder / name).write_text(text_for(candidate, artifact, forms.model, CONFIDENCE))
        threads = candidate.threads or host.usable_cores()
        with backend.load(LoadJob(candidate=candidate, artifact=artifact, model=forms, threads=threads)) as session:
            pipeline = Pipeline(session, forms.model.imgsz, 1, timed(CONFIDENCE), time.perf_counter_ns)
            expected = [pipeline.predict([decode(path)])[0][0] for path in pictures]
        found = run_alone(made.folder, name, pictures)
        assert sum(map(len, expected)) > 10
        for path, one, theirs in zip(pictures, found, expected, strict=True):
            assert (one["source"], one["frame"]) == (str(path), 0)
            assert one["names"] == [forms.model.class_names[i] for i in one["classes"]]
            same(one, theirs)


@pytest.mark.slow
def test_convert_writes_it_beside_the_artifact_and_predict_says_the_same(tiny_model, tiny_data, tmp_path):
    done = bakeoff("convert", tiny_model, "--to", "onnxruntime/fp32/static", "--out", "made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "made/predict.py" in done.stdout
    saved = json.loads((tmp_path / "made" / "artifact.json").read_text())
    assert [file["path"] for file in saved["files"]] == ["b1.onnx", "b2.onnx"]
    pictures = sorted((tiny_data.parent / "images" / "val").glob("*.jpg"))
    found = run_alone(tmp_path / "made", "predict.py", pictures)
    predicted = bakeoff("predict", "made", *pictures, cwd=tmp_path)
    assert [json.loads(line) for line in predicted.stdout.splitlines()] == found
    assert sum(len(one["scores"]) for one in found) > 6
