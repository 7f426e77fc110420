"""CUDA's runtime on the CPU, as far as `trt/cuda.py` calls it: memory is memory, and a stream works at once.

Only for the logic around it, where no GPU is: which calls are made, in which order, and that all is given back once.
What the GPU does is tested on one (tests/backends/trt/test_on_gpu.py, benchmarks/trt_session.py).
"""

from __future__ import annotations

import ctypes
import enum
import threading
from collections import Counter
from types import SimpleNamespace


class Error(enum.IntEnum):
    SUCCESS = 0
    MEMORY = 2
    CAPTURE_UNSUPPORTED = 900
    CAPTURE_INVALIDATED = 901


TEXTS = {
    Error.MEMORY: (b"cudaErrorMemoryAllocation", b"out of memory"),
    Error.CAPTURE_UNSUPPORTED: (
        b"cudaErrorStreamCaptureUnsupported",
        b"operation not permitted when stream is capturing",
    ),
    Error.CAPTURE_INVALIDATED: (
        b"cudaErrorStreamCaptureInvalidated",
        b"operation failed due to a previous error during capture",
    ),
}


class FakeCuda:
    """Stands in for the module `cuda.bindings.runtime`."""

    cudaStreamNonBlocking = 1
    cudaDeviceScheduleSpin, cudaDeviceScheduleBlockingSync, cudaDeviceScheduleMask = 1, 4, 7
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaMemoryType = SimpleNamespace(cudaMemoryTypeHost=1)
    cudaDeviceAttr = SimpleNamespace(cudaDevAttrComputeCapabilityMajor=75, cudaDevAttrComputeCapabilityMinor=76)

    def __init__(self) -> None:
        self.live: dict[tuple[str, int], object] = {}  # what was made and not given back, by kind and handle
        self.made: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.devices: list[tuple[int, int]] = []  # thread, device
        self.flags = 0
        self.limit = 1 << 40  # bytes of the GPU
        self.capturing: dict[int, list | None] = {}  # stream -> what it recorded; `None` after an error
        self._next = 0x1000
        self._lock = threading.Lock()

    def _make(self, kind: str, value: object = None, handle: int | None = None) -> int:
        with self._lock:
            self._next += 16
            self.made[kind] += 1
            handle = self._next if handle is None else handle
            self.live[kind, handle] = value
            return handle

    def _give_back(self, kind: str, handle: int) -> tuple[Error]:
        with self._lock:
            assert (kind, handle) in self.live, f"{kind} {handle} was given back twice, or never made"
            del self.live[kind, handle]
            return (Error.SUCCESS,)

    def put(self, stream: int, work) -> Error:
        """Put work on a stream: done now, or recorded."""
        self.calls["put"] += 1
        if stream not in self.capturing:
            work()
        elif self.capturing[stream] is None:
            return Error.CAPTURE_INVALIDATED
        else:
            self.capturing[stream].append(work)
        return Error.SUCCESS

    # --- what cuda.bindings.runtime has

    def cudaGetLastError(self):
        return (Error.SUCCESS,)

    def cudaGetErrorName(self, code):
        return Error.SUCCESS, TEXTS[code][0]

    def cudaGetErrorString(self, code):
        return Error.SUCCESS, TEXTS[code][1]

    def cudaSetDevice(self, index):
        self.devices.append((threading.get_ident(), index))
        return (Error.SUCCESS,)

    def cudaGetDeviceProperties(self, index):
        return Error.SUCCESS, SimpleNamespace(name=b"Fake GPU" + bytes(248))

    def cudaDeviceGetAttribute(self, attribute, index):
        return Error.SUCCESS, {75: 8, 76: 7}[attribute]

    def cudaSetDeviceFlags(self, flags):
        self.flags = flags
        return (Error.SUCCESS,)

    def cudaGetDeviceFlags(self):
        return Error.SUCCESS, self.flags | 8

    def _allocate(self, kind, nbytes):
        if nbytes > self.limit:
            return Error.MEMORY, None
        memory = (ctypes.c_byte * nbytes)()
        return Error.SUCCESS, self._make(kind, memory, ctypes.addressof(memory))

    def cudaMalloc(self, nbytes):
        return self._allocate("device memory", nbytes)

    def cudaMallocHost(self, nbytes):
        return self._allocate("pinned memory", nbytes)

    def cudaFree(self, pointer):
        return self._give_back("device memory", pointer)

    def cudaFreeHost(self, pointer):
        return self._give_back("pinned memory", pointer)

    def cudaPointerGetAttributes(self, pointer):
        return Error.SUCCESS, SimpleNamespace(type=int(("pinned memory", pointer) in self.live))

    def cudaMemcpyAsync(self, to, source, nbytes, kind, stream):
        return (self.put(stream, lambda: ctypes.memmove(to, source, nbytes)),)

    def cudaStreamCreateWithFlags(self, flags):
        assert flags == self.cudaStreamNonBlocking
        return Error.SUCCESS, self._make("stream")

    def cudaStreamDestroy(self, stream):
        return self._give_back("stream", stream)

    def cudaStreamSynchronize(self, stream):
        if stream in self.capturing:
            self.capturing[stream] = None
            return (Error.CAPTURE_UNSUPPORTED,)
        return (Error.SUCCESS,)

    def cudaStreamBeginCapture(self, stream, mode):
        assert mode == self.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.capturing[stream] = []
        return (Error.SUCCESS,)

    def cudaStreamEndCapture(self, stream):
        recorded = self.capturing.pop(stream)
        if recorded is None:
            return Error.CAPTURE_INVALIDATED, None
        return Error.SUCCESS, self._make("graph", recorded)

    def cudaGraphInstantiate(self, graph, flags):
        return Error.SUCCESS, self._make("executable graph", self.live["graph", graph])

    def cudaGraphDestroy(self, graph):
        return self._give_back("graph", graph)

    def cudaGraphExecDestroy(self, graph):
        return self._give_back("executable graph", graph)

    def cudaGraphLaunch(self, graph, stream):
        self.calls["launch"] += 1
        for work in self.live["executable graph", graph]:
            work()
        return (Error.SUCCESS,)
