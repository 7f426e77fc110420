from __future__ import annotations

import importlib.metadata as real

import pytest

from bakeoff.doctor import packages

VERSION_PY = """from typing import Optional

__version__ = '2.14.1'
debug = False
cuda: Optional[str] = {}
hip: Optional[str] = None
"""


class Installed:
    """What is installed, in place of this environment's: name -> (version, requirements, extras)."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.setattr(packages, "distribution", self.distribution)

    def distribution(self, name):
        paths = list(self.folder.glob(f"{packages.canonicalize_name(name)}.dist-info"))
        if not paths:
            raise real.PackageNotFoundError(name)
        return real.Distribution.at(paths[0])

    def add(self, name, version, *requires, extras=()):
        folder = self.folder / f"{name}.dist-info"
        folder.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
        lines += [f"Provides-Extra: {extra}" for extra in extras]
        (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines]) + "\n")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    return Installed(tmp_path, monkeypatch)


def what(found):
    return [finding.what for finding in found]


def test_all_that_fits_is_ok(installed, tmp_path):
    installed.add("bakeoff", "0.1", "numpy>=1.26", "onnxruntime>=1.18; extra == 'onnx'", extras=["onnx"])
    installed.add("numpy", "2.4.6")
    assert [finding.level for finding in packages.check(tmp_path)] == ["ok"]


def test_a_package_that_pins_numpy_below_2_is_named_with_the_cure(installed):
    installed.add("bakeoff", "0.1", "onnxruntime>=1.18; extra == 'onnx'", extras=["onnx"])
    installed.add("onnxruntime", "1.18.0", "numpy<2,>=1.21.6")
    installed.add("numpy", "2.4.6")
    (found,) = packages._broken()
    assert found.level == "warning"
    assert found.what == "onnxruntime 1.18.0 requires numpy<2,>=1.21.6; numpy 2.4.6 is installed"
    assert found.cure == "pip install 'numpy<2,>=1.21.6'"


def test_torchvision_for_another_torch_is_found_through_its_metadata(installed):
    installed.add("bakeoff", "0.1", "ultralytics; extra == 'ultralytics'", extras=["ultralytics"])
    installed.add("ultralytics", "8.4.190", "torch>=1.8", "torchvision>=0.9")
    installed.add("torchvision", "0.29.1", "torch==2.14.1")
    installed.add("torch", "2.13.0+cpu")
    assert what(packages._broken()) == ["torchvision 0.29.1 requires torch==2.14.1; torch 2.13.0+cpu is installed"]


def test_a_local_version_fits_where_its_public_one_does(installed):
    installed.add("bakeoff", "0.1", "torch==2.14.1")
    installed.add("torch", "2.14.1+cu130")
    assert packages.broken() == []


def test_what_is_missing_is_named_unless_an_extra_alone_wants_it_or_another_stands_in(installed):
    installed.add("bakeoff", "0.1", "scipy>=1.11", "nncf; extra == 'openvino'", "ultralytics", extras=["openvino"])
    installed.add("ultralytics", "8.4.190", "opencv-python>=4.6", "colorama; sys_platform == 'win32'")
    installed.add("opencv-python-headless", "5.0.0.93")
    assert [(name, one.name) for name, one, _ in packages.broken()] == [("bakeoff", "scipy")]


def test_packages_that_bakeoff_does_not_use_are_not_judged(installed):
    installed.add("bakeoff", "0.1")
    installed.add("stranger", "1.0", "numpy<2")
    installed.add("numpy", "2.4.6")
    assert packages.broken() == []


def test_requirements_in_a_circle_end(installed):
    installed.add("bakeoff", "0.1", "a")
    installed.add("a", "1", "b")
    installed.add("b", "1", "a", "c !!! garbage")
    assert packages.broken() == []


def test_two_opencvs_are_named(installed):
    installed.add("opencv-python", "4.10.0.84")
    installed.add("opencv-python-headless", "5.0.0.93")
    (found,) = packages._doubles()
    assert found.level == "warning"
    assert "both bring the module cv2" in found.what
    assert found.cure == (
        "pip uninstall -y opencv-python && pip install --force-reinstall --no-deps opencv-python-headless==5.0.0.93"
    )


def test_two_opencvs_of_one_version_are_a_note(installed):
    installed.add("opencv-python", "5.0.0.93")
    installed.add("opencv-python-headless", "5.0.0.93")
    assert [finding.level for finding in packages._doubles()] == ["note"]


def test_two_onnxruntimes_are_a_warning_and_the_one_for_the_gpu_is_kept(installed):
    installed.add("onnxruntime", "1.31.1")
    installed.add("onnxruntime-gpu", "1.31.1")
    (found,) = packages._doubles()
    assert found.level == "warning"
    assert found.cure.startswith("pip uninstall -y onnxruntime && pip install")
    assert found.cure.endswith("onnxruntime-gpu==1.31.1")


@pytest.mark.parametrize(("cuda", "expected"), [("'13.0'", "13.0"), ("None", None)])
def test_torchs_build_is_read_without_importing_it(installed, tmp_path, cuda, expected):
    installed.add("torch", "2.14.1")
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text(VERSION_PY.format(cuda))
    assert packages.torch_build() == ("2.14.1", expected)


def test_a_torch_whose_file_is_missing_or_odd_is_not_judged(installed, tmp_path):
    installed.add("torch", "2.14.1")
    assert packages.torch_build() is None
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text("garbage")
    assert packages.torch_build() is None


@pytest.mark.parametrize(
    ("cuda", "driver", "gpu", "levels"),
    [
        ("13.0", (12, 8), True, ["problem"]),
        ("12.8", (12, 4), True, []),  # within a major version any driver does
        ("13.0", None, False, []),
        (None, (13, 0), True, ["warning"]),
        (None, None, False, []),
    ],
)
def test_torchs_cuda_against_the_drivers(monkeypatch, tmp_path, cuda, driver, gpu, levels):
    monkeypatch.setattr(packages, "torch_build", lambda: ("2.14.1", cuda))
    monkeypatch.setattr(packages, "driver_cuda", lambda: driver)
    monkeypatch.setattr(packages, "has_nvidia_gpu", lambda _: gpu)
    assert [finding.level for finding in packages._torch(tmp_path)] == levels


def test_onnxruntime_for_the_cpu_alone_beside_a_gpu_is_a_warning(installed, monkeypatch, tmp_path):
    installed.add("onnxruntime", "1.31.1")
    assert list(packages._onnxruntime(tmp_path)) == []
    monkeypatch.setattr(packages, "has_nvidia_gpu", lambda _: True)
    (found,) = packages._onnxruntime(tmp_path)
    assert found.cure == "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"


def test_this_environment_can_be_judged(tmp_path):
    assert all(isinstance(name, str) for name, _, _ in packages.broken())
