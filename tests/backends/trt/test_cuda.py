"""The layer over CUDA's runtime: errors, sizes, all given back once. What a GPU does is test_on_gpu.py's."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import numpy as np
import pytest

from bakeoff.backends.trt import cuda
from tests.backends.trt.fake_cuda import Error


def test_every_function_that_is_called_is_in_the_real_runtime():
    runtime = pytest.importorskip("cuda.bindings.runtime")
    names = set(re.findall(r"\bcuda[A-Z]\w+", Path(cuda.__file__).read_text())) - {"cudart"}
    kinds = ("cudaMemcpyHost", "cudaMemcpyDevice", "cudaStreamCaptureMode", "cudaMemoryType")
    members = {name for name in names if name.startswith(kinds)}
    assert len(names) > 25
    assert {
        name for name in names - members if not name.startswith("cudaDevAttr") and not hasattr(runtime, name)
    } == set()
    assert {name for name in members if name not in ("cudaStreamCaptureMode", "cudaMemoryType")} <= {
        *runtime.cudaMemcpyKind.__members__,
        *runtime.cudaStreamCaptureMode.__members__,
        *runtime.cudaMemoryType.__members__,
    }


def test_a_machine_without_a_gpu_is_told_by_the_errors_name_and_meaning():
    runtime = pytest.importorskip("cuda.bindings.runtime")
    if not runtime.cudaGetDeviceCount()[0]:
        pytest.skip("there is a GPU")
    with pytest.raises(cuda.CudaError, match=r"^cudaSetDevice: cudaError(InsufficientDriver|NoDevice): \w.*"):
        cuda.set_device(0)


def test_what_a_call_gives_beside_its_code_is_nothing_a_value_or_a_tuple(gpu):
    assert cuda.check("a", (Error.SUCCESS,)) is None
    assert cuda.check("a", (Error.SUCCESS, 3)) == 3
    assert cuda.check("a", (Error.SUCCESS, 3, 4)) == (3, 4)
    with pytest.raises(cuda.CudaError, match=r"^a: cudaErrorMemoryAllocation: out of memory$"):
        cuda.check("a", (Error.MEMORY, None))


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:12", 12)])
def test_a_device_is_read_as_in_the_option(device, index):
    assert cuda.index_of(device) == index


@pytest.mark.parametrize("device", ["cpu", "cuda:", "cuda:x", "cuda:-1", "gpu"])
def test_what_names_no_gpu_is_refused(device):
    with pytest.raises(ValueError, match=f"device {device!r}: .* use --device cuda:0"):
        cuda.index_of(device)


def test_facts_of_a_gpu(gpu):
    assert cuda.device_name(0) == "Fake GPU"
    assert cuda.compute_capability(0) == (8, 7)


@pytest.mark.parametrize("make", [cuda.Stream, lambda: cuda.DeviceBuffer(10), lambda: cuda.PinnedBuffer((2,), "f4")])
def test_closing_twice_gives_back_once(gpu, make):
    with make() as resource:
        assert len(gpu.live) == 1
        resource.close()
        gc.collect()
        assert not gpu.live


def test_pinned_memory_lives_as_long_as_the_last_array_that_looks_at_it(gpu):
    with cuda.PinnedBuffer((2, 3), np.float32) as buffer:
        row = buffer.array[1:]
        row[...] = 7
    assert len(gpu.live) == 1
    assert (row == 7).all()
    del row, buffer
    gc.collect()
    assert not gpu.live


@pytest.mark.parametrize("array", [np.zeros(3, np.float32), np.zeros(4, np.float64), np.zeros(8, np.float32)[::2]])
def test_an_array_of_another_size_or_in_pieces_is_not_copied(gpu, array):
    with cuda.DeviceBuffer(16) as buffer, cuda.Stream() as stream:
        for copy in (buffer.upload, buffer.download):
            with pytest.raises(ValueError, match="is not 16 bytes in one piece"):
                copy(array, stream)


def test_a_capture_that_fails_is_ended_and_its_own_error_comes_out(gpu):
    def work():
        raise KeyError("mine")

    with cuda.Stream() as stream:
        with pytest.raises(KeyError, match="mine"):
            cuda.Graph.capture(stream, work)
        assert not gpu.capturing
        with pytest.raises(cuda.CudaError, match="cudaStreamSynchronize: cudaErrorStreamCaptureUnsupported"):
            cuda.Graph.capture(stream, stream.synchronize)
        assert not gpu.capturing
