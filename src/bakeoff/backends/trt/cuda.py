"""CUDA's runtime, as much of it as a Session needs: memory, streams, events, graphs; errors as exceptions.

Needs the package `cuda-bindings` and a driver, no CUDA toolkit. Every call lets other Python threads run meanwhile
(from cuda-bindings 12.9.1 on).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import re
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class CudaError(RuntimeError):
    """A call that CUDA refused: the call, the error's name and its meaning in one line."""


@functools.cache
def runtime() -> Any:
    """Return the module `cuda.bindings.runtime`."""
    import cuda.bindings.runtime

    return cuda.bindings.runtime


def call(function: str, *arguments: Any) -> Any:
    """Call a function of CUDA's runtime and return what it gives.

    Raises:
        CudaError: it gave an error.
    """
    return check(function, getattr(runtime(), function)(*arguments))


def check(what: str, answer: tuple[Any, ...]) -> Any:
    """Return what a call gave beside its error code: nothing, one value, or a tuple.

    Raises:
        CudaError: the code is an error.
    """
    code, *values = answer
    if code:
        cudart = runtime()
        cudart.cudaGetLastError()  # or the next call of somebody else would be blamed for it
        name, meaning = (
            found[1].decode() for found in (cudart.cudaGetErrorName(code), cudart.cudaGetErrorString(code))
        )
        raise CudaError(f"{what}: {name}: {meaning}")
    return None if not values else values[0] if len(values) == 1 else tuple(values)


def index_of(device: str) -> int:
    """Return the number of a device named as in `--device`: 1 for `cuda:1`, 0 for `cuda`.

    Raises:
        ValueError: it is no CUDA device.
    """
    match = re.fullmatch(r"cuda(?::([0-9]+))?", device)
    if match is None:
        raise ValueError(f"device {device!r}: TensorRT runs on an NVIDIA GPU alone; use --device cuda:0")
    return int(match.group(1) or 0)


def set_device(index: int) -> None:
    """Make a GPU this thread's own; each thread begins with GPU 0.

    Raises:
        CudaError: there is no such GPU, or none at all.
    """
    call("cudaSetDevice", index)


def device_name(index: int) -> str:
    """Return a GPU's name, such as `NVIDIA H100 80GB HBM3`."""
    return bytes(call("cudaGetDeviceProperties", index).name).split(b"\0")[0].decode()


def compute_capability(index: int) -> tuple[int, int]:
    """Return a GPU's compute capability, such as (9, 0)."""
    kind = runtime().cudaDeviceAttr
    major, minor = (
        int(call("cudaDeviceGetAttribute", attribute, index))
        for attribute in (kind.cudaDevAttrComputeCapabilityMajor, kind.cudaDevAttrComputeCapabilityMinor)
    )
    return major, minor


def memory_bytes() -> tuple[int, int]:
    """Return the free memory of this thread's GPU, and all of it, in bytes."""
    free, total = call("cudaMemGetInfo")
    return int(free), int(total)


def wait_spinning(spin: bool) -> None:
    """Set how threads of this process wait for this thread's GPU: looking for its end in a loop, or asleep."""
    cudart = runtime()
    call("cudaSetDeviceFlags", cudart.cudaDeviceScheduleSpin if spin else cudart.cudaDeviceScheduleBlockingSync)


def waits_spinning() -> bool:
    """Whether threads of this process look for the end of this thread's GPU's work in a loop."""
    cudart = runtime()
    kind = int(call("cudaGetDeviceFlags")) & cudart.cudaDeviceScheduleMask
    return bool(kind == cudart.cudaDeviceScheduleSpin)


def is_pinned(array: Array) -> bool:
    """Whether an array lies in page-locked memory."""
    return bool(call("cudaPointerGetAttributes", array.ctypes.data).type == runtime().cudaMemoryType.cudaMemoryTypeHost)


class _Resource:
    """Something that CUDA made and that must be given back, once."""

    _give_back = ""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def close(self) -> None:
        """Give it back; a second time does nothing."""
        handle, self.handle = self.handle, None
        if handle is not None:
            call(self._give_back, handle)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stream(_Resource):
    """Work that the GPU does in order; it does not wait for the default stream's."""

    _give_back = "cudaStreamDestroy"

    def __init__(self) -> None:
        super().__init__(call("cudaStreamCreateWithFlags", runtime().cudaStreamNonBlocking))
        self.address = int(self.handle)  # as TensorRT and PyTorch take it

    def synchronize(self) -> None:
        """Block this thread until all work so far is done.

        Raises:
            CudaError: some of it failed.
        """
        call("cudaStreamSynchronize", self.handle)


class Event(_Resource):
    """A point in a stream's work, and when the GPU came there."""

    _give_back = "cudaEventDestroy"

    def __init__(self) -> None:
        super().__init__(call("cudaEventCreateWithFlags", 0))

    def record(self, stream: Stream) -> None:
        """Mark the end of the stream's work so far."""
        call("cudaEventRecord", self.handle, stream.handle)

    def synchronize(self) -> None:
        """Block this thread until the GPU came there."""
        call("cudaEventSynchronize", self.handle)

    def elapsed_ms(self, since: Event) -> float:
        """Return the GPU's time from another event to this one; both must have passed."""
        return float(call("cudaEventElapsedTime", since.handle, self.handle))


class Graph(_Resource):
    """Work recorded once, to be put on a stream in one go; the memory that it names must stay where it is."""

    _give_back = "cudaGraphExecDestroy"

    @classmethod
    def capture(cls, stream: Stream, work: Callable[[], object]) -> Graph:
        """Record what `work` puts on a stream, which does not run meanwhile.

        Raises:
            CudaError: something in it can't be recorded.
        """
        # other threads may allocate meanwhile; with the mode `Global` that would end our capture
        call("cudaStreamBeginCapture", stream.handle, runtime().cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            work()
        except BaseException:
            with contextlib.suppress(CudaError):  # what `work` says is what went wrong first
                call("cudaGraphDestroy", call("cudaStreamEndCapture", stream.handle))
            raise
        graph = call("cudaStreamEndCapture", stream.handle)
        try:
            return cls(call("cudaGraphInstantiate", graph, 0))
        finally:
            call("cudaGraphDestroy", graph)

    def launch(self, stream: Stream) -> None:
        """Put all of it on a stream."""
        call("cudaGraphLaunch", self.handle, stream.handle)


class PinnedBuffer:
    """An array in page-locked host memory: the GPU copies to and from it while the CPU does something else.

    `array` and all views of it hold the memory: it is given back, once, when the buffer is closed and the last of them
    is gone.
    """

    def __init__(self, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        kind, count = np.dtype(dtype), math.prod(shape)
        self.nbytes = count * kind.itemsize
        address = int(call("cudaMallocHost", max(1, self.nbytes)))
        memory = (ctypes.c_byte * max(1, self.nbytes)).from_address(address)
        weakref.finalize(memory, runtime().cudaFreeHost, address)
        self.array: Array = np.frombuffer(memoryview(memory), kind, count).reshape(shape)

    def close(self) -> None:
        """Let go of the array."""
        self.array = np.empty(0, self.array.dtype)

    def __enter__(self) -> PinnedBuffer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DeviceBuffer(_Resource):
    """Memory of the GPU; its address is `pointer`."""

    _give_back = "cudaFree"

    def __init__(self, nbytes: int) -> None:
        super().__init__(call("cudaMalloc", max(1, nbytes)))
        self.pointer = int(self.handle)
        self.nbytes = nbytes

    def upload(self, array: Array, stream: Stream) -> None:
        """Let the stream copy an array here; this returns before that is done only where the array is pinned.

        Raises:
            ValueError: the array has another size, or its values don't lie in one piece.
        """
        kind = runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
        call("cudaMemcpyAsync", self.handle, self._address(array), self.nbytes, kind, stream.handle)

    def download(self, array: Array, stream: Stream) -> None:
        """Let the stream copy what is here into an array; its values are there once the stream came so far.

        Raises:
            ValueError: as for `upload`.
        """
        kind = runtime().cudaMemcpyKind.cudaMemcpyDeviceToHost
        call("cudaMemcpyAsync", self._address(array), self.handle, self.nbytes, kind, stream.handle)

    def _address(self, array: Array) -> int:
        if array.nbytes != self.nbytes or not array.flags.c_contiguous:
            raise ValueError(f"{array.dtype} {list(array.shape)} is not {self.nbytes} bytes in one piece")
        return int(array.ctypes.data)
