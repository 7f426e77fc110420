"""The backend `tensorrt`, whose package does not install here: its absence, its age, and what each version proposes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bakeoff import host
from bakeoff.backend import Step, check_candidates
from bakeoff.backends.tensorrt import TensorRt
from bakeoff.backends.trt import backend as shared_backend
from bakeoff.backends.trt import gpu
from bakeoff.records import Candidate, Model

MODEL = Model(
    path="m.onnx",
    sha256="a" * 64,
    size_bytes=1,
    format="onnx",
    task="detect",
    class_names=("a",),
    stride=32,
    imgsz=64,
)
ORIN = gpu.Gpu(name="Orin", capability="8.7")


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
    """Put a Python module `tensorrt` before any other."""
    (folder / "tensorrt").mkdir()
    if source:
        (folder / "tensorrt" / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)


@pytest.fixture
def version(monkeypatch, tmp_path):
    """Install a `tensorrt` of a version that has nothing but that and an empty Builder."""

    def installed(number: str, here: gpu.Gpu | str = ORIN) -> TensorRt:
        install(monkeypatch, tmp_path, f"__version__ = {number!r}\nclass Builder: pass\n")
        monkeypatch.setattr(gpu, "here", lambda: here)
        return TensorRt()

    yield installed
    sys.modules.pop("tensorrt", None)


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setattr(shared_backend.importlib.util, "find_spec", lambda name: None)


def keys(backend: TensorRt, model: Model = MODEL) -> dict[str, Candidate]:
    found = backend.propose(model, host.describe())
    check_candidates("tensorrt", found)
    return {one.key.removeprefix("tensorrt/"): one for one in found}


def test_an_absent_package_is_named_with_the_command_that_installs_it(absent):
    for step in Step:
        reason = TensorRt().unavailable(step)
        assert reason.startswith("tensorrt is not installed; pip install 'bakeoff[tensorrt]'")
        assert "JetPack" in reason


def test_without_the_package_and_without_a_gpu_all_candidates_are_on_request(absent, monkeypatch):
    monkeypatch.setattr(gpu, "here", lambda: "no NVIDIA GPU here")
    found = keys(TensorRt())
    assert list(found) == ["fp32/d1-2", "fp32/b1", "tf32/d1-2", "fp16/d1-2", "int8/d1-2"]
    assert all(one.on_request for one in found.values())


def test_without_the_package_but_with_a_gpu_the_plain_candidates_get_rows(absent, monkeypatch):
    monkeypatch.setattr(gpu, "here", lambda: ORIN)
    assert [one.on_request for one in keys(TensorRt()).values()] == [False] * 5


def test_an_empty_namespace_package_is_not_taken_for_tensorrt(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "")
    assert "the package tensorrt here is empty" in TensorRt().unavailable(Step.CONVERT)


def test_a_module_that_does_not_load_is_a_reason_in_one_line(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "raise OSError('libnvinfer.so.10: cannot open shared object file\\nreally')")
    reason = TensorRt().unavailable(Step.CONVERT)
    assert "is installed but does not load: libnvinfer.so.10: cannot open shared object file really; pip" in reason


def test_an_old_version_is_a_reason_with_what_to_upgrade(version):
    backend = version("8.6.2")
    for step in Step:
        assert "TensorRT 8.6.2 is too old, bakeoff needs 10.3 or newer; on a Jetson" in backend.unavailable(step)


def test_building_needs_a_gpu_and_says_so(version):
    backend = version("10.3.0", "no NVIDIA GPU here: the driver shows none")
    assert backend.unavailable(Step.CONVERT) == (
        "no NVIDIA GPU here: the driver shows none; TensorRT builds on the GPU that it runs on"
    )
    assert backend.unavailable(Step.RUN).endswith("shows none; TensorRT needs a host with one to run")


def test_with_a_gpu_and_a_new_enough_version_nothing_stands_in_the_way(version):
    backend = version("10.3.0")
    assert backend.unavailable(Step.CONVERT) is None
    assert backend.unavailable(Step.RUN) is None
    assert [key for key, one in keys(backend).items() if not one.on_request] == [
        "fp32/d1-2",
        "fp32/b1",
        "tf32/d1-2",
        "fp16/d1-2",
        "int8/d1-2",
    ]


@pytest.mark.parametrize(
    ("number", "there", "missing"),
    [
        (
            "10.3.0",
            ["fp16/d1-2/weak", "int8/d1-2/implicit", "int8/d1-2/implicit/entropy", "fp16/b1/dla0", "fp16/d1-2/hw"],
            ["fp16/d1-2/hwcc", "fp16/d1-2/sm86"],
        ),
        ("10.16.1", ["fp16/d1-2/weak", "int8/d1-2/implicit", "fp16/d1-2/hwcc"], ["fp16/b1/dla0"]),
        ("11.1.0", ["fp16/d1-2/vc", "int8+fp32/d1-2", "fp16/d1-2/opt2"], ["fp16/d1-2/weak", "int8/d1-2/implicit"]),
    ],
)
def test_what_a_version_lacks_is_not_proposed(version, number, there, missing):
    found = keys(version(number))
    assert set(there) <= set(found)
    assert not set(missing) & set(found)


def test_shapes_are_batch_1_a_range_the_commonest_batch_and_a_profile_for_each():
    one = Candidate(backend="tensorrt", precision="int8", shape="d1-2", options=("opt2", "entropy"))
    found = TensorRt().shapes(one, (2, 1))
    assert [other.key.removeprefix("tensorrt/int8/") for other in found] == [
        "b1/entropy",
        "d1-2/entropy",
        "d1-2/opt2/entropy",
        "d1-2/profiles/entropy",
    ]
    assert all(other.on_request for other in found)
    assert [other.shape for other in TensorRt().shapes(one, (1,))] == ["b1"]
    wide = [
        other.key for other in TensorRt().shapes(Candidate(backend="tensorrt", precision="fp16", shape="b1"), (1, 4))
    ]
    assert wide == ["tensorrt/fp16/b1", "tensorrt/fp16/d1-4", "tensorrt/fp16/d1-4/profiles"]


def test_a_gpu_that_tensorrt_rtx_does_not_run_on_is_named_with_what_to_take_instead(monkeypatch):
    from bakeoff.backends.tensorrt_rtx import TensorRtRtx
    from bakeoff.backends.trt.versions import RTX, generation

    h100 = gpu.Gpu(name="NVIDIA H100", capability="9.0")
    monkeypatch.setattr(gpu, "here", lambda: h100)
    monkeypatch.setattr(TensorRtRtx, "_generation", lambda self: generation(RTX, "1.7.1"))
    reason = TensorRtRtx().unavailable(Step.RUN)
    assert "does not run on NVIDIA H100 (compute capability 9.0)" in reason
    assert "pip install 'bakeoff[tensorrt]'" in reason
    monkeypatch.setattr(gpu, "here", lambda: gpu.Gpu(name="RTX 4090", capability="8.9"))
    assert TensorRtRtx().unavailable(Step.RUN) is None
