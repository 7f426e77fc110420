"""Stands in for a TensorRT engine where none can run: the few objects and methods that `trt/session.py` uses.

What an engine does on the GPU is done by something else (`Network`): a CUDA graph captured from a PyTorch network, or
NumPy on a simulated GPU. It reads and writes at the addresses that the Session sets. All else is the Session's code.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from bakeoff.backend import LoadJob
from bakeoff.records import Artifact, Candidate

SIDE = 640
SCRATCH = 1 << 20  # bytes that a context needs for each image
CLASSES = 80
ANCHORS = (SIDE // 8) ** 2 + (SIDE // 16) ** 2 + (SIDE // 32) ** 2


class DataType(enum.Enum):
    FLOAT, HALF, INT32, BF16, UINT8 = range(5)


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class Log:
    """What the Backend hands to TensorRT as its logger."""

    def __init__(self) -> None:
        self.errors: list[str] = []


class Network(Protocol):
    """What one execution context does on the GPU, for one batch size."""

    def __call__(self, images: int, output: int, stream: int) -> bool:
        """Put it on a stream: from one address to another. False: it was refused."""
        ...


class AllocationStrategy(enum.Enum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class RuntimeConfig:
    """`IRuntimeConfig`."""

    dynamic_shapes_kernel_specialization_strategy: object = None
    _allocation = AllocationStrategy.STATIC

    def set_execution_context_allocation_strategy(self, strategy: AllocationStrategy) -> None:
        self._allocation = strategy

    def get_execution_context_allocation_strategy(self) -> AllocationStrategy:
        return self._allocation


class Context:
    """`IExecutionContext`; as TensorRT does, it refuses to run where it should have been given memory and was not."""

    def __init__(self, engine: Engine, settings: RuntimeConfig) -> None:
        self.engine, self.settings = engine, settings
        self.memory: tuple[int, int] | None = None  # address, bytes
        self.active_optimization_profile = 0
        self.shape: tuple[int, ...] | None = None
        self.addresses: dict[str, int] = {}
        self.network: Network | None = None

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.active_optimization_profile, self.shape = index, None
        return 0 <= index < len(self.engine.profiles)

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        least, _, most = self.engine.get_tensor_profile_shape(name, self.active_optimization_profile)
        self.shape = tuple(shape)
        fits = all(low <= side <= high for low, side, high in zip(least, shape, most, strict=True))
        if not fits:
            self.engine.log.errors.append(f"setInputShape: {list(shape)} is out of the profile's range")
        return fits

    def infer_shapes(self) -> list[str]:
        return [] if self.shape else [self.engine.names[0]]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert self.shape is not None
        return self.shape if name == self.engine.names[0] else self.engine.output_shape(self.shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        assert self.shape is not None
        return self.shape[0] * SCRATCH

    def set_device_memory(self, memory: int, size: int) -> None:
        self.memory = memory, size

    def execute_async_v3(self, stream: int) -> bool:
        if self.settings.get_execution_context_allocation_strategy() is AllocationStrategy.USER_MANAGED:
            assert self.shape is not None
            if self.memory is None or self.memory[1] < self.shape[0] * SCRATCH:
                self.engine.log.errors.append("enqueueV3: the context has not enough memory")
                return False
        if self.network is None:
            assert self.shape is not None
            self.network = self.engine.make_network(self.shape[0])
        return self.network(*(self.addresses[name] for name in self.engine.names), stream)


class Engine:
    """`ICudaEngine`: images in, one output."""

    names = ("images", "output0")

    def __init__(
        self,
        make_network: Callable[[int], Network],
        output_shape: Callable[[tuple[int, ...]], tuple[int, ...]],
        profiles: Sequence[tuple[int, int, int]],
        *,
        log: Log,
        side: int = SIDE,
        dtypes: tuple[DataType, DataType] = (DataType.FLOAT, DataType.FLOAT),
        context: type[Context] = Context,
    ) -> None:
        """Take the batches of each profile: least, best, most. A single one that takes one batch has a fixed shape."""
        self.make_network, self.output_shape, self.profiles = make_network, output_shape, tuple(profiles)
        self.log, self.side, self.dtypes, self.context = log, side, dtypes, context
        self.num_io_tensors = len(self.names)
        self.num_optimization_profiles = len(self.profiles)
        self.contexts = 0
        self.device_memory_size_v2 = max(most for _, _, most in self.profiles) * SCRATCH

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == self.names[0] else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.dtypes[self.names.index(name)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        least, _, most = self.profiles[0]
        fixed = least if len(self.profiles) == 1 and least == most else -1
        shape = (fixed, 3, self.side, self.side)
        return shape if name == self.names[0] else (fixed, *self.output_shape(shape)[1:])

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        assert name == self.names[0]
        return [(batch, 3, self.side, self.side) for batch in self.profiles[index]]

    def get_device_memory_size_for_profile_v2(self, index: int) -> int:
        return self.profiles[index][2] * SCRATCH

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()

    def create_execution_context(self, settings: RuntimeConfig | None = None) -> Context | None:
        self.contexts += 1
        return self.context(self, settings or RuntimeConfig())


def module(engine: Engine | None) -> Any:
    """Return what stands in for the module `tensorrt`: its Runtime reads any bytes as this engine, `None`: as none."""

    class Runtime:
        def __init__(self, log: Log) -> None:
            self.log = log

        def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
            if engine is None:
                self.log.errors.append("deserializeCudaEngine: Serialization assertion magicTag failed")
            return engine

    return SimpleNamespace(
        __name__="stand-in",
        __version__="0",
        Runtime=Runtime,
        TensorIOMode=TensorIOMode,
        ExecutionContextAllocationStrategy=AllocationStrategy,
    )


# --- on a GPU


def yolo_like(seed: int = 0, layers: int = 48) -> Any:
    """Return a PyTorch network with the input and output of a YOLOv8 of 80 classes; its weights are random.

    Most of its layers are so small that they leave most of a large GPU idle: two streams can run at once.
    """
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(*_convolutions((3, 16, 32, 64)))
            self.middle = nn.Sequential(
                *_convolutions((64, 64)), *(layer for _ in range(layers) for layer in _convolutions((64, 64), 1))
            )
            self.end = nn.Sequential(*_convolutions((64, 64)))
            self.heads = nn.ModuleList(nn.Conv2d(64, 4 + CLASSES, 1) for _ in range(3))

        def forward(self, images: Any) -> Any:
            stem = self.stem(images)
            middle = self.middle(stem)
            features = (stem, middle, self.end(middle))
            return torch.cat([head(x).flatten(2) for head, x in zip(self.heads, features, strict=True)], 2)

    torch.manual_seed(seed)
    network = Network().eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):  # the default weights would let the image fade away in so many layers
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return network


def _convolutions(channels: Sequence[int], stride: int = 2) -> list[Any]:
    from torch import nn

    pairs = itertools.pairwise(channels)
    return [layer for a, b in pairs for layer in (nn.Conv2d(a, b, 3, stride, 1), nn.ReLU())]


class TorchNetwork:
    """A CUDA graph captured from a PyTorch network on memory of its own, with copies from and to a Session's."""

    def __init__(self, network: Any, batch: int, side: int = SIDE) -> None:
        import torch
        from cuda.bindings import runtime

        self._torch, self._cuda = torch, runtime
        self._images = torch.zeros((batch, 3, side, side), device="cuda")
        own = torch.cuda.Stream()
        own.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(own):
            for _ in range(3):  # cuDNN chooses its kernels
                network(self._images)
            own.synchronize()
            self._graph = torch.cuda.CUDAGraph(keep_graph=True)
            with torch.cuda.graph(self._graph, stream=own, capture_error_mode="thread_local"):
                self._output = network(self._images)
            self._graph.instantiate()
        own.synchronize()

    def __call__(self, images: int, output: int, stream: int) -> bool:
        self._copy(self._images.data_ptr(), images, self._images.nbytes, stream)
        capturing = self._call("cudaStreamIsCapturing", stream)
        if capturing == self._cuda.cudaStreamCaptureStatus.cudaStreamCaptureStatusActive:
            self._nest(stream)
        else:
            with self._torch.cuda.stream(self._torch.cuda.ExternalStream(stream)):
                self._graph.replay()
        self._copy(output, self._output.data_ptr(), self._output.nbytes, stream)
        return True

    def _nest(self, stream: int) -> None:
        """Make the graph a part of the one that the stream records."""
        _, _, outer, before, *_ = self._call("cudaStreamGetCaptureInfo", stream)
        own = self._cuda.cudaGraph_t(self._graph.raw_cuda_graph())
        node = self._call("cudaGraphAddChildGraphNode", outer, list(before), len(before), own)
        instead = self._cuda.cudaStreamUpdateCaptureDependenciesFlags.cudaStreamSetCaptureDependencies
        self._call("cudaStreamUpdateCaptureDependencies", stream, [node], None, 1, int(instead))

    def _copy(self, to: int, source: int, nbytes: int, stream: int) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._call("cudaMemcpyAsync", to, source, nbytes, kind, stream)

    def _call(self, function: str, *arguments: Any) -> Any:
        error, *values = getattr(self._cuda, function)(*arguments)
        assert not error, f"{function}: {error.name}"
        return values[0] if len(values) == 1 else values


class Waits:
    """A network that waits for the stream, which no capture allows: as TensorRT does for some layers."""

    def __init__(self, network: Network, log: Log) -> None:
        self._network, self._log = network, log

    def __call__(self, images: int, output: int, stream: int) -> bool:
        from cuda.bindings import runtime

        (error,) = runtime.cudaStreamSynchronize(stream)
        if error:
            self._log.errors.append(f"enqueueV3: {error.name}")
            return False
        return self._network(images, output, stream)


def torch_engine(network: Any, profiles: Sequence[tuple[int, int, int]], log: Log, *, waits: bool = False) -> Engine:
    """Return an engine that runs a PyTorch network on the GPU."""

    def make(batch: int) -> Network:
        own = TorchNetwork(network, batch)
        return Waits(own, log) if waits else own

    return Engine(make, lambda shape: (shape[0], 4 + CLASSES, ANCHORS), profiles, log=log)


# --- the job that a Session is opened with


def job(imgsz: int = SIDE, tuning: tuple[str, ...] = (), device: str = "cuda:0") -> LoadJob:
    """Return a LoadJob of `tensorrt/fp32/d1-2`, with settings of loading."""
    candidate = Candidate(backend="tensorrt", precision="fp32", shape="d1-2", tuning=tuning)
    forms: Any = SimpleNamespace(model=SimpleNamespace(imgsz=imgsz))
    return LoadJob(candidate=candidate, artifact=Artifact(folder="", files=()), model=forms, threads=1, device=device)
