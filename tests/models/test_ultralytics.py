"""The allow-list loader: real checkpoints load, and nothing in a file ever runs."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from bakeoff.errors import InputError
from bakeoff.models import open_model
from tests.shared import MODEL, needs_shared

torch = pytest.importorskip("torch")
pytest.importorskip("ultralytics")


@pytest.fixture
def checkpoint(tmp_path):
    """Save what Ultralytics saves: a small network of a family, with random weights."""

    def save(family: str):
        os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(tmp_path))
        from ultralytics.nn.tasks import DetectionModel

        network = DetectionModel(f"{family}.yaml", nc=3, verbose=False)
        network.names = {0: "x", 1: "y", 2: "z"}
        network.args = {"imgsz": 96}
        path = tmp_path / f"{family}.pt"
        torch.save({"model": network.half(), "train_args": {"imgsz": 96, "task": "detect"}}, path)
        return path

    return save


@needs_shared
def test_the_shared_checkpoint_tells_its_names_stride_and_size():
    model = open_model(MODEL).model
    assert model.class_names == ("open", "short", "mousebite", "spur", "copper", "pin-hole")
    assert (model.stride, model.imgsz, model.task, model.format) == (32, 640, "detect", "ultralytics")


@pytest.mark.parametrize("family", ["yolov8n", "yolo11n"])
def test_both_families_load_and_give_raw_head_output(checkpoint, family):
    file = open_model(checkpoint(family))
    assert file.model.class_names == ("x", "y", "z")
    assert file.model.imgsz == 96
    with torch.inference_mode():
        output = file.torch_module()(torch.rand(2, 3, 96, 96))
    assert tuple(output.shape) == (2, 7, 189)


@pytest.mark.parametrize("batch", [1, 2, None])
def test_exported_onnx_computes_what_the_module_computes(checkpoint, tmp_path, batch):
    onnxruntime = pytest.importorskip("onnxruntime")
    file = open_model(checkpoint("yolov8n"))
    file.export_onnx(batch, 17, tmp_path / "x.onnx")
    images = np.random.default_rng(0).random((batch or 3, 3, 96, 96), np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    with torch.inference_mode():
        expected = file.torch_module()(torch.from_numpy(images)).numpy()
    assert session.run(None, {"images": images})[0] == pytest.approx(expected, abs=1e-3)
    if batch == 2:  # accuracy is measured one image at a time
        with pytest.raises(InputError, match="batches of 2 only"):
            open_model(tmp_path / "x.onnx")
        return
    again = open_model(tmp_path / "x.onnx").model
    assert (again.class_names, again.fixed_batch, again.imgsz) == (("x", "y", "z"), batch, 96)


def test_an_end_to_end_head_is_refused_by_name(checkpoint):
    with pytest.raises(InputError, match="end-to-end head"):
        open_model(checkpoint("yolo26n"))


class Evil:
    """What a hostile pickle holds: a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def test_a_pickle_that_calls_anything_is_refused_and_runs_nothing(tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    torch.save({"model": Evil(os.system, f"touch {marker}")}, path)
    with pytest.raises(InputError, match=r"not on the list: .*system.*--trust"):
        open_model(path)
    assert not marker.exists()


def test_even_a_listed_class_is_never_constructed(tmp_path):
    """`DetectionModel(cfg)` reads a file, and may fetch one: unpickling must not call it."""
    from ultralytics.nn.tasks import DetectionModel

    path = tmp_path / "constructs.pt"
    torch.save({"model": Evil(DetectionModel, "yolov8n.yaml")}, path)
    with pytest.raises(InputError, match=r"refused by the restricted unpickler|damaged"):
        open_model(path)


def test_a_class_that_reads_weights_is_not_on_the_list(tmp_path):
    from ultralytics.nn.autobackend import AutoBackend

    path = tmp_path / "loads.pt"
    torch.save({"model": Evil(AutoBackend, "other.pt")}, path)
    with pytest.raises(InputError, match="not on the list"):
        open_model(path)


def test_trust_loads_what_the_list_refuses_and_says_so_in_the_record(checkpoint, tmp_path):
    path = checkpoint("yolov8n")
    content = torch.load(path, weights_only=False)
    content["extra"] = Evil(os.path.join, "a", "b")
    torch.save(content, path)
    with pytest.raises(InputError, match="not on the list"):
        open_model(path)
    assert open_model(path, trust=True).model.trusted


@pytest.mark.parametrize("content", [b"not a model", b"\x80\x04", b"PK\x03\x04rubbish", pickle.dumps({"a": 1})])
def test_rubbish_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_model(path)
    assert "x.pt" in str(caught.value)
    assert "\n" not in str(caught.value)
