"""Engine files: the header that Ultralytics reads, the sidecar, and the refusal of engines from elsewhere."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bakeoff.backends.trt import engine_file
from bakeoff.backends.trt.engine_file import ENGINE, SIDECAR, Made
from bakeoff.backends.trt.gpu import Gpu
from bakeoff.backends.trt.options import Options, Profile
from bakeoff.records import Model

BYTES = b"ptrt" + bytes(range(256))
ORIN = Gpu(name="Orin", capability="8.7")
MODEL = Model(
    path="my model.pt",
    sha256="a" * 64,
    size_bytes=1,
    format="ultralytics",
    task="detect",
    class_names=("open", "short é"),
    stride=32,
    imgsz=640,
)
MADE = Made(
    key="tensorrt/fp16/d1-2",
    model_sha256=MODEL.sha256,
    module="tensorrt",
    version="10.3.0",
    precision="fp16",
    profiles=[{"min": 1, "opt": 1, "max": 2}],
    targets=[],
    gpu="Orin",
    capability="8.7",
)
RTX_MADE = dataclasses.replace(
    MADE,
    key="tensorrt_rtx/fp16/d1-2",
    module="tensorrt_rtx",
    version="1.7.1",
    targets=["8.6", "8.9"],
    gpu=None,
    capability=None,
)
HEADER = engine_file.metadata(MODEL, [Profile(low=1, opt=1, high=2)], "fp16", Options())


def refusal(made: Made, *, module="tensorrt", version="10.3.0", gpu=ORIN, model=MODEL) -> str:
    with pytest.raises(RuntimeError) as error:
        engine_file.refuse_elsewhere(made, module=module, version=version, gpu=gpu, model=model)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def folder(tmp_path):
    engine_file.write(tmp_path, BYTES, HEADER, MADE)
    return tmp_path


def test_what_is_written_is_read_back(folder):
    assert engine_file.read(folder / ENGINE) == (HEADER, BYTES)
    made = engine_file.read_sidecar(folder)
    assert dataclasses.replace(made, engine_sha256="") == MADE
    engine_file.check_whole(made, BYTES)


def test_ultralytics_reads_our_header_and_finds_the_engine_behind_it(folder):
    backends = pytest.importorskip("ultralytics.nn.backends.base")
    offset, header = backends.BaseBackend.engine_header(folder / ENGINE)
    assert (folder / ENGINE).read_bytes()[offset:] == BYTES

    class Reader(backends.BaseBackend):
        def load_model(self, weight):
            self.apply_metadata(header)

        def forward(self, im):
            return im

    reader = Reader(folder / ENGINE, "cpu")
    assert (reader.stride, reader.task, reader.batch, reader.imgsz, reader.channels) == (32, "detect", 1, [640, 640], 3)
    assert [reader.names[key] for key in sorted(reader.names)] == ["open", "short é"]
    assert reader.dynamic is False  # of height and width
    assert reader.end2end is False


def test_an_engine_of_ultralytics_is_read_with_its_header(tmp_path):
    header = {"names": {"0": "a"}, "imgsz": [640, 640], "args": {"half": True}}
    text = json.dumps(header).encode()
    file = tmp_path / "theirs.engine"
    file.write_bytes(len(text).to_bytes(4, byteorder="little", signed=True) + text + BYTES)  # as their exporter writes
    assert engine_file.read(file) == (header, BYTES)


def test_an_engine_without_a_header_is_read_as_it_is(tmp_path):
    (tmp_path / "plain.engine").write_bytes(BYTES)
    assert engine_file.read(tmp_path / "plain.engine") == (None, BYTES)
    assert engine_file.read_sidecar(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        (2**31).to_bytes(4, "little") + b"{}" + BYTES,  # a length beyond the file
        (2).to_bytes(4, "little") + b"[]" + BYTES,  # JSON, but no object
        (4).to_bytes(4, "little") + b"\xff\xfe{}" + BYTES,  # no UTF-8
        (100_000).to_bytes(4, "little") + b"[" * 100_000 + BYTES,  # nested too deep
        (5).to_bytes(4, "little") + b"nope!" + BYTES,
        b"\0\0",
    ],
    ids=["length", "list", "bytes", "deep", "text", "short"],
)
def test_a_hostile_header_is_no_header(tmp_path, content):
    (tmp_path / "x.engine").write_bytes(content)
    assert engine_file.read(tmp_path / "x.engine") == (None, content)


@pytest.mark.parametrize(
    "content", [b"", (len(json.dumps(HEADER))).to_bytes(4, "little") + json.dumps(HEADER).encode()]
)
def test_a_file_with_no_engine_in_it_is_refused(tmp_path, content):
    (tmp_path / "x.engine").write_bytes(content)
    with pytest.raises(ValueError, match=r"holds no engine.*cut short"):
        engine_file.read(tmp_path / "x.engine")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"format": 1}',
        b"[" * 100_000,
        b"\xff",
        json.dumps({**dataclasses.asdict(MADE), "format": 2}).encode(),
        json.dumps({**dataclasses.asdict(MADE), "version": 10}).encode(),
        json.dumps({**dataclasses.asdict(MADE), "module": "os"}).encode(),
        json.dumps({**dataclasses.asdict(MADE), "targets": None}).encode(),
        json.dumps({**dataclasses.asdict(MADE), "capability": "high"}).encode(),
    ],
)
def test_a_damaged_sidecar_is_refused_in_one_line(tmp_path, content):
    (tmp_path / SIDECAR).write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged: .*build the engine again") as error:
        engine_file.read_sidecar(tmp_path)
    assert "\n" not in str(error.value)


def test_an_engine_that_was_replaced_is_refused(folder):
    made = engine_file.read_sidecar(folder)
    with pytest.raises(RuntimeError, match=r"is not the engine that engine.json is about"):
        engine_file.check_whole(made, BYTES[:-1])


def test_an_engine_is_taken_where_it_was_built():
    engine_file.refuse_elsewhere(MADE, module="tensorrt", version="10.3.0", gpu=ORIN, model=MODEL)


def test_an_engine_of_another_gpu_is_refused_with_the_command_that_rebuilds_it():
    text = refusal(MADE, gpu=Gpu(name="RTX 4090", capability="8.9"))
    assert "built on Orin (compute capability 8.7), but RTX 4090 (compute capability 8.9) is here" in text
    assert "bakeoff convert 'my model.pt' --to tensorrt/fp16/d1-2" in text


def test_an_engine_of_another_gpu_of_the_same_capability_is_refused_too():
    assert "built on Orin" in refusal(MADE, gpu=Gpu(name="Orin Nano", capability="8.7"))


def test_an_engine_of_another_version_is_refused_with_both_versions():
    assert "for TensorRT 10.3.0, but TensorRT 10.7.0 is here" in refusal(MADE, version="10.7.0")


def test_an_engine_of_the_other_runtime_is_refused_with_both_names():
    text = refusal(RTX_MADE, gpu=Gpu(name="RTX", capability="8.9"))
    assert "for TensorRT-RTX 1.7.1, but TensorRT 10.3.0 is here" in text


def test_an_engine_of_another_model_is_refused_with_both_hashes():
    text = refusal(dataclasses.replace(MADE, model_sha256="b" * 64))
    assert "of the model bbbbbbbbbbbb…, but my model.pt is aaaaaaaaaaaa…" in text


def test_the_command_that_rebuilds_a_calibrated_engine_asks_for_images():
    text = refusal(dataclasses.replace(MADE, calibration={"method": "minmax"}), version="10.7.0")
    assert text.endswith("--to tensorrt/fp16/d1-2 --data DATA")


def test_a_version_compatible_engine_is_taken_by_later_versions_only():
    made = dataclasses.replace(MADE, version_compatible=True)
    engine_file.refuse_elsewhere(made, module="tensorrt", version="10.16.1", gpu=ORIN, model=MODEL)
    assert "but TensorRT 10.1.0 is here" in refusal(made, version="10.1.0")


def test_hardware_compatibility_widens_where_an_engine_is_taken():
    other, later = Gpu(name="Orin Nano", capability="8.7"), Gpu(name="RTX", capability="12.0")
    same = dataclasses.replace(MADE, hardware_level="SAME_COMPUTE_CAPABILITY")
    wide = dataclasses.replace(MADE, hardware_level="AMPERE_PLUS")
    for made, gpu in ((same, other), (wide, other), (wide, later)):
        engine_file.refuse_elsewhere(made, module="tensorrt", version="10.3.0", gpu=gpu, model=MODEL)
    assert "built on Orin" in refusal(same, gpu=later)
    assert "8.0 and later, but Xavier" in refusal(wide, gpu=Gpu(name="Xavier", capability="7.2"))


def test_an_engine_built_for_targets_is_taken_by_these_alone():
    ada, turing = Gpu(name="RTX 4090", capability="8.9"), Gpu(name="RTX 2080", capability="7.5")
    engine_file.refuse_elsewhere(RTX_MADE, module="tensorrt_rtx", version="1.7.1", gpu=ada, model=MODEL)
    text = refusal(RTX_MADE, module="tensorrt_rtx", version="1.7.1", gpu=turing)
    assert "for compute capability 8.6, 8.9, but RTX 2080 (compute capability 7.5) is here" in text


def test_the_dla_core_stands_in_the_header_as_ultralytics_has_it():
    header = engine_file.metadata(MODEL, [Profile(low=1, opt=1, high=1)], "int8", Options(dla=1))
    assert header["dla"] == "1"
    assert engine_file.dla_core(header) == 1
    assert engine_file.dla_core({}) is None
    assert engine_file.dla_core(None) is None
    for strange in ("2", {}, [0], -1):
        with pytest.raises(ValueError, match="names the DLA core"):
            engine_file.dla_core({"dla": strange})
    assert header["args"] == {
        "batch": 1, "imgsz": [640, 640], "dynamic": False, "nms": False, "half": False, "int8": True,
    }  # fmt: skip
    assert header["precision"] == "int8", "what Ultralytics' words do not tell: fp32 from tf32"
