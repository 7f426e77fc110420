"""What each backend makes of Artifacts made elsewhere, in the test's own process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bakeoff.backend import LoadJob, ultralytics_metadata
from bakeoff.backends import elsewhere, engine, qdq
from bakeoff.backends.onnxruntime import QUANTISED, OnnxRuntime
from bakeoff.backends.openvino import OpenVino
from bakeoff.backends.torchscript import TorchScript
from bakeoff.errors import InputError
from bakeoff.records import Candidate
from bakeoff.worker.adoption import take_over
from tests import tiny
from tests.backends.networks import Forms, Images, job, noise, write_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def forms(tiny_model, tmp_path):
    return Forms(tiny_model, tmp_path)


def taken(backend: Any, path: Path, forms: Forms, folder: Path) -> tuple[Candidate, Any]:
    """Adopt a file, copy it and load it, as a Run does."""
    assert backend.takes(path)
    found = backend.adopt(path, forms.model)
    candidate = Candidate(
        backend=backend.name,
        precision=found.precision,
        shape=found.shape,
        options=(*found.options, "from-x"),
        elsewhere=str(path),
    )
    folder.mkdir()
    artifact = take_over(candidate, forms.model, folder)
    session = backend.load(LoadJob(candidate=candidate, artifact=artifact, model=forms, threads=1))
    assert session.precision == candidate.precision
    return candidate, session


def expected(forms: Forms, images: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(forms.onnx(None)), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def edited(path: Path, to: Path, **metadata: str) -> Path:
    document = onnx.load(str(path))
    known = {entry.key: entry.value for entry in document.metadata_props}
    onnx.helper.set_model_props(document, {**known, **metadata})
    onnx.save(document, str(to))
    return to


@pytest.mark.parametrize(("batch", "key"), [(1, "onnxruntime/fp32/b1/from-x"), (None, "onnxruntime/fp32/dyn/from-x")])
def test_an_onnx_file_gets_its_shape_from_its_batch(forms, tmp_path, batch, key):
    path = tiny.write_onnx(tmp_path / "theirs.onnx", batch=batch)
    candidate, session = taken(OnnxRuntime(), path, forms, tmp_path / "made")
    assert candidate.key == key
    images = noise(1, tiny.IMGSZ)
    assert np.allclose(session.run(images)[0], expected(forms, images), atol=1e-4)


def test_an_onnx_file_without_metadata_is_judged_by_its_output(forms, tmp_path):
    path = tiny.write_onnx(tmp_path / "theirs.onnx", batch=1)
    document = onnx.load(str(path))
    del document.metadata_props[:]
    for dim in document.graph.output[0].type.tensor_type.shape.dim[1:]:
        dim.Clear()  # not even its output says how many classes there are
    onnx.save(document, str(path))
    assert OnnxRuntime().adopt(path, forms.model).shape == "b1"
    three = msgspec.structs.replace(forms.model, class_names=("a", "b", "c"))
    with pytest.raises(InputError, match=r"its output is \(1, 6, 64\), but 3 classes make \(batch, 7, anchors\)"):
        OnnxRuntime().adopt(path, three)


@pytest.mark.parametrize("weights", ["inside", "beside"])
def test_an_onnx_file_brings_its_external_weights(forms, tmp_path, weights):
    path = tiny.write_onnx(tmp_path / "theirs.onnx", batch=1)
    beside = {"save_as_external_data": True, "location": "theirs.data", "size_threshold": 512}
    onnx.save(onnx.load(str(path)), str(path), **(beside if weights == "beside" else {}))
    _, session = taken(OnnxRuntime(), path, forms, tmp_path / "made")
    assert (tmp_path / "made" / "theirs.data").exists() == (weights == "beside")
    images = noise(1, tiny.IMGSZ)
    assert np.allclose(session.run(images)[0], expected(forms, images), atol=1e-4)


def test_a_quantised_onnx_file_is_named_for_the_graph_that_runs(tmp_path):
    forms = Forms(write_network(tmp_path / "network.onnx"), tmp_path)
    ours = job("onnxruntime/int8/b1", forms, tmp_path, calibration=Images(noise(4)))
    OnnxRuntime().convert(ours)
    candidate, session = taken(OnnxRuntime(), ours.folder / "b1.onnx", forms, tmp_path / "made")
    assert candidate.key == "onnxruntime/int8/b1/from-x"
    assert session.details["convolutions"] == {"int8": 3, "fp32": 1}
    assert np.isfinite(session.emulate(noise(1))[0]).all()


def test_signed_activations_are_named_for_what_this_cpu_makes_of_them(tmp_path):
    forms = Forms(write_network(tmp_path / "network.onnx"), tmp_path)
    document = qdq.read(forms.onnx(1))
    ranges = qdq.calibrate(document, Images(noise(4)), QUANTISED)
    path = tmp_path / "signed.onnx"
    onnx.save(qdq.quantise(document, ranges, qdq.chosen(document, QUANTISED), activations="QInt8"), str(path))
    candidate, session = taken(OnnxRuntime(), path, forms, tmp_path / "made")
    integer = session.details.get("convolutions", {}).get("int8", 0)  # none on many an x86
    assert candidate.precision == {0: "fp32", 3: "int8"}.get(integer, "int8+fp32")
    assert candidate.options == (("from-x",) if integer else ("qdq", "from-x"))


def test_float16_weights_computed_in_float32_are_an_option_of_the_key(forms, tmp_path):
    float16 = pytest.importorskip("onnxruntime.transformers.float16")
    path = tmp_path / "half.onnx"
    document = onnx.load(str(tiny.write_onnx(tmp_path / "theirs.onnx", batch=1)))
    onnx.save(float16.convert_float_to_float16(document, keep_io_types=True), str(path))
    candidate, session = taken(OnnxRuntime(), path, forms, tmp_path / "made")
    assert candidate.key == "onnxruntime/fp32/b1/fp16-weights/from-x"
    images = noise(1, tiny.IMGSZ)
    assert np.allclose(session.run(images)[0], expected(forms, images), atol=0.1)
    onnx.save(float16.convert_float_to_float16(document, keep_io_types=False), str(path))
    with pytest.raises(InputError, match="float32 in- and outputs"):
        OnnxRuntime().adopt(path, forms.model)


BAD = {
    "another task": ({"task": "segment"}, "is for task 'segment'"),
    "NMS inside": ({"args": "{'nms': True}"}, "has NMS inside"),
    "an end-to-end head": ({"end2end": "True"}, "has NMS inside"),
    "more classes": ({"names": "{0: 'red', 1: 'green', 2: 'blue'}"}, "has 3 classes, the Model"),
    "classes in another order": ({"names": "['green', 'red']"}, "class 0 is 'green'"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_says_it_is_for_something_else_is_refused(forms, tmp_path, what):
    metadata, words = BAD[what]
    path = edited(tiny.write_onnx(tmp_path / "theirs.onnx"), tmp_path / "bad.onnx", **metadata)
    with pytest.raises(InputError, match=words) as refusal:
        OnnxRuntime().adopt(path, forms.model)
    assert "bad.onnx" in str(refusal.value)


def test_another_imgsz_names_the_option_that_mends_it(forms, tmp_path):
    path = edited(write_network(tmp_path / "network.onnx"), tmp_path / "small.onnx", names="['red', 'green']")
    with pytest.raises(InputError, match="takes imgsz 32, but this is about 64; try --imgsz 32"):
        OnnxRuntime().adopt(path, forms.model)


def test_a_fixed_batch_of_two_is_refused_with_what_to_make_instead(forms, tmp_path):
    with pytest.raises(InputError, match=r"takes batches of 2 only; .* make it with batch 1 or a dynamic batch"):
        OnnxRuntime().adopt(tiny.write_onnx(tmp_path / "two.onnx", batch=2), forms.model)


def test_a_broken_onnx_file_is_refused(forms, tmp_path):
    whole = tiny.write_onnx(tmp_path / "theirs.onnx").read_bytes()
    (tmp_path / "short.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"short\.onnx is damaged or no ONNX file"):
        OnnxRuntime().adopt(tmp_path / "short.onnx", forms.model)


def test_a_file_that_changed_since_it_was_looked_at_is_refused(forms, tmp_path):
    path = tiny.write_onnx(tmp_path / "theirs.onnx", batch=1)
    candidate, _ = taken(OnnxRuntime(), path, forms, tmp_path / "made")
    tiny.write_onnx(path)
    with pytest.raises(RuntimeError, match=r"theirs\.onnx changed since this Run began"):
        take_over(candidate, forms.model, tmp_path)


# --- OpenVINO


@pytest.mark.parametrize("half", [False, True])
def test_an_ir_is_taken_by_its_folder_and_by_its_file(tiny_model, forms, tmp_path, half):
    openvino = pytest.importorskip("openvino")
    folder = tmp_path / "theirs_openvino_model"
    folder.mkdir()
    openvino.save_model(openvino.convert_model(str(tiny_model)), str(folder / "any.xml"), compress_to_fp16=half)
    key = f"openvino/fp32/dyn/{'fp16-weights/' if half else ''}from-x"
    for number, path in enumerate((folder, folder / "any.xml")):
        candidate, session = taken(OpenVino(), path, forms, tmp_path / f"made{number}")
        assert candidate.key == key
        images = noise(2, tiny.IMGSZ)
        assert np.allclose(session.run(images)[0], expected(forms, images), atol=0.1 if half else 1e-3)
    elsewhere.write_metadata_file(folder / "metadata.yaml", {"task": "pose"})
    with pytest.raises(InputError, match="for task 'pose'"):
        OpenVino().adopt(folder, forms.model)
    (folder / "any.bin").unlink()
    with pytest.raises(InputError, match=r"has no weights: any\.bin is not beside it"):
        OpenVino().adopt(folder, forms.model)
    (folder / "more.xml").touch()
    with pytest.raises(InputError, match=r"holds 2 \.xml files"):
        OpenVino().adopt(folder, forms.model)


def test_a_folder_without_ir_is_none_of_openvinos(tmp_path):
    assert not OpenVino().takes(tmp_path)


# --- TorchScript


def test_a_torchscript_file_is_tried_for_the_batches_that_it_takes(forms, tmp_path):
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self, batch: int) -> None:
            super().__init__()
            self.convolution = torch.nn.Conv2d(3, 6, 8, 8)
            self.batch = batch

        def forward(self, images):
            return self.convolution(images).reshape(self.batch, 6, 64)

    for batch, key in ((-1, "torchscript/fp32/dyn/from-x"), (1, "torchscript/fp32/b1/from-x")):
        network, path = Network(batch).eval(), tmp_path / f"theirs{batch}.torchscript"
        extra = {"config.txt": json.dumps(ultralytics_metadata(forms.model, 1))}
        torch.jit.trace(network, torch.zeros(1, 3, 64, 64)).save(str(path), _extra_files=extra)
        candidate, session = taken(TorchScript(), path, forms, tmp_path / f"made{batch}")
        assert candidate.key == key
        image = noise(1, 64)
        assert np.allclose(session.run(image)[0], network(torch.from_numpy(image)).detach().numpy(), atol=1e-4)


# --- what a file says of itself


def test_an_engines_precision_is_what_its_metadata_or_its_name_says():
    def said(name: str = "x.engine", **metadata: object) -> str:
        return elsewhere.precision_said(Path(name), metadata, plain="tf32")

    assert said(precision="fp16") == "fp16"
    assert said(args={"quantize": 8}) == "int8"
    assert said(args="{'half': True}") == "fp16"
    assert said(args={"batch": 1}) == "tf32"
    assert said("Board-FP16_v2.engine") == "fp16"
    for name in ("board.engine", "fp16-int8.engine"):
        with pytest.raises(InputError, match=r"put the word into its name, such as .*-fp16.engine"):
            said(name)


def test_metadata_that_is_no_yaml_or_too_large_is_refused(tmp_path):
    path = tmp_path / "metadata.yaml"
    assert elsewhere.metadata_file(path) == {}
    path.write_text("a: [")
    with pytest.raises(InputError, match=r"metadata\.yaml cannot be read"):
        elsewhere.metadata_file(path)
    path.write_bytes(b"a" * (elsewhere.LIMIT + 1))
    with pytest.raises(InputError, match="too large"):
        elsewhere.metadata_file(path)


# --- engines: no machine of the project's reads one back, so what is tested is what is made of its shapes


def test_an_engines_key_tells_its_profile(forms):
    def said(*profiles: tuple[int, int, int], side: int = 64) -> tuple[str, tuple[str, ...]]:
        shapes = [tuple((batch, 3, side, side) for batch in profile) for profile in profiles]
        return engine.form(Path("x.engine"), forms.model, (-1, 3, 64, 64), shapes)

    assert engine.form(Path("x.engine"), forms.model, (1, 3, 64, 64), []) == ("b1", ())
    assert said((1, 1, 2)) == ("d1-2", ())
    assert said((1, 4, 8)) == ("d1-8", ("opt4",))
    assert said((1, 1, 1)) == ("b1", ())
    assert said((1, 1, 1), (2, 2, 4)) == ("d1-4", ("profiles",))
    with pytest.raises(InputError, match="no profile for one image of 64x64"):
        said((2, 2, 4))
    with pytest.raises(InputError, match="no profile for one image of 64x64"):
        said((1, 1, 1), side=32)


def test_what_tensorrt_cannot_read_is_refused_with_what_to_do(forms, tmp_path):
    trt = pytest.importorskip("tensorrt_rtx")
    path = tmp_path / "their-fp16.engine"
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    with pytest.raises(InputError, match=r"no engine that tensorrt_rtx .* can read on this machine; build it here"):
        engine.adopt(trt, path, forms.model, {}, b"no engine" * 100, logger=logger, files={"model.engine": path})
    with pytest.raises(InputError, match="for task 'pose'"):
        engine.adopt(trt, path, forms.model, {"task": "pose"}, b"x", logger=logger, files={"model.engine": path})
