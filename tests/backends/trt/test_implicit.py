"""TensorRT 10's own calibrators. Their base classes do not install here: stand-ins take their place."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bakeoff.backends.trt import implicit
from bakeoff.testing import _Calibration


class Base:
    pass


TRT = SimpleNamespace(
    IInt8EntropyCalibrator2=type("Entropy", (Base,), {}), IInt8MinMaxCalibrator=type("MinMax", (Base,), {})
)
IMAGES = np.random.default_rng(0).random((5, 3, 8, 8), np.float32)


class Memory:
    """A device buffer that keeps what was copied into it."""

    copies: list[np.ndarray]

    def __init__(self, nbytes: int) -> None:
        self.nbytes, self.pointer, self.closed = nbytes, 4096, False
        Memory.copies = []

    def upload(self, array, stream) -> None:
        assert array.nbytes == self.nbytes
        assert array.flags.c_contiguous
        assert array.dtype == np.float32
        Memory.copies.append(array.copy())

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def memory(monkeypatch):
    stream = SimpleNamespace(synchronize=lambda: None, close=lambda: None)
    module = SimpleNamespace(DeviceBuffer=Memory, Stream=lambda: stream)
    monkeypatch.setitem(sys.modules, "bakeoff.backends.trt.cuda", module)
    monkeypatch.setattr("bakeoff.backends.trt.cuda", module, raising=False)
    return module


def calibrator(method="minmax", batch=1, cache=None):
    return implicit.calibrator(TRT, _Calibration(IMAGES), method=method, batch=batch, cache=cache)


@pytest.mark.parametrize(("method", "base"), [("minmax", "MinMax"), ("entropy", "Entropy")])
def test_the_method_chooses_tensorrts_calibrator(memory, method, base):
    assert type(calibrator(method)).__mro__[1].__name__ == base


def test_every_image_is_given_once_and_then_none(memory):
    made = calibrator()
    pointers = []
    while (found := made.get_batch(["images"])) is not None:
        pointers += found
    assert pointers == [4096] * 5
    np.testing.assert_array_equal(np.concatenate(Memory.copies), IMAGES)
    assert (made.get_batch_size(), made.batches, made.error) == (1, 5, None)


def test_images_come_in_the_batch_that_the_profile_is_tuned_for(memory):
    made = calibrator(batch=2)
    assert [made.get_batch(["images"]) for _ in range(3)] == [[4096], [4096], None]
    assert [copy.shape[0] for copy in Memory.copies] == [2, 2]


def test_an_error_in_a_callback_ends_the_images_and_is_kept(memory):
    memory.DeviceBuffer = lambda nbytes: (_ for _ in ()).throw(RuntimeError("out of memory"))
    made = calibrator()
    assert made.get_batch(["images"]) is None
    assert "out of memory" in str(made.error)


def test_ranges_are_written_and_read_again(memory, tmp_path):
    file = tmp_path / "cache" / "ranges"
    assert calibrator(cache=file).read_calibration_cache() is None
    calibrator(cache=file).write_calibration_cache(memoryview(b"TRT-100300-MinMaxCalibration"))
    again = calibrator(cache=file)
    assert again.read_calibration_cache() == b"TRT-100300-MinMaxCalibration"
    assert again.read_bytes == 28


def test_without_a_cache_nothing_is_kept(memory):
    made = calibrator()
    made.write_calibration_cache(b"ranges")
    assert made.read_calibration_cache() is None


def test_the_cache_is_named_by_model_images_and_method(tmp_path):
    def name(images=IMAGES, model="a" * 64, method="minmax"):
        return implicit.cache_file(tmp_path, _Calibration(images), model_sha256=model, method=method)

    other = IMAGES.copy()
    other[4, 2, 7, 7] += 1e-6
    assert name() == name(IMAGES.copy())
    assert len({name(), name(other), name(IMAGES[:4]), name(model="b" * 64), name(method="entropy")}) == 5
