"""A Session of a TensorRT engine, by its named tensors: TensorRT 10.3 to 11, and TensorRT-RTX.

Each thread that predicts gets a CUDA stream of its own, and on it, for each shape of images, an execution context with
fixed buffers and a CUDA graph (docs/decisions/0018-tensorrt-session.md).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bakeoff.backend import BaseSession, Images, LoadJob, Outputs, check_in_force, tuning_of
from bakeoff.backends.trt import cuda
from bakeoff.backends.trt.signature import Profile, Shape, Signature, output_shape
from bakeoff.errors import one_line

NO_SPIN = "nospin"  # a thread that waits for the GPU sleeps, instead of looking for its end in a loop
NO_GRAPH = "nograph"  # each operation is put on the stream by itself
TUNINGS: tuple[tuple[str, ...], ...] = ((NO_SPIN,), (NO_GRAPH,))  # what a Backend's `tunings` may offer

_RTOL, _ATOL = 1e-2, 1e-4  # of a value, of the largest: kernels may add in another order from one run to the next


def open_session(
    trt: Any,
    engine_bytes: bytes,
    job: LoadJob,
    *,
    log: Any,
    precision: str,
    host_code: bool = False,
    dla_core: int | None = None,
    user_allocation: bool = False,
) -> TensorRtSession:
    """Load an engine on the GPU that the job names, and predict once with it.

    Args:
        trt: the module `tensorrt` or `tensorrt_rtx`.
        engine_bytes: the serialised engine, without any header.
        job: `device`, the Candidate's settings of loading and the Model's `imgsz` are read.
        log: a `trt.ILogger` that keeps what TensorRT reports as errors in `errors`, a list of texts.
        precision: what the Session tells: what the engine is known to compute in.
        host_code: let the engine bring runtime code of its own, as version-compatible ones do.
        dla_core: the DLA core that the engine was built for.
        user_allocation: give contexts their memory, as engines built with `REQUIRE_USER_ALLOCATION` need.

    Raises:
        ValueError: the device is no GPU, the engine is not a detector's, or a setting of loading is unknown.
        RuntimeError: there is no such GPU, or the engine can't be read or run on it; with TensorRT's own words.
    """
    asked = tuning_of(job.candidate, words=(NO_SPIN, NO_GRAPH))
    index = cuda.index_of(job.device)
    cuda.set_device(index)
    cuda.wait_spinning(NO_SPIN not in asked)
    with _with_reasons(log):
        reader = trt.Runtime(log)
        if host_code:
            reader.engine_host_code_allowed = True
        if dla_core is not None:
            reader.DLA_core = dla_core
        engine = reader.deserialize_cuda_engine(engine_bytes)
        if engine is None:
            raise RuntimeError("TensorRT can't read this engine here")
    graphs = NO_GRAPH not in asked
    return TensorRtSession(
        trt, engine, job, index, log=log, precision=precision, graphs=graphs, user_allocation=user_allocation
    )


class TensorRtSession(BaseSession):
    """An engine on one GPU. Outputs are views of page-locked memory, overwritten by the same thread's next call."""

    def __init__(
        self,
        trt: Any,
        engine: Any,
        job: LoadJob,
        index: int,
        *,
        log: Any,
        precision: str,
        graphs: bool,
        user_allocation: bool,
    ) -> None:
        self._trt, self.engine, self._index, self._log, self._graphs = trt, engine, index, log, graphs
        self._user_allocation = user_allocation
        self._signature = Signature.of(trt, engine)
        self._local = threading.local()
        self._lanes: dict[threading.Thread, _Lane] = {}
        self._lock = threading.Lock()
        self._closed = False
        found = {"wait": "spin" if cuda.waits_spinning() else "sleep"}
        check_in_force(job.candidate, {"wait": "sleep" if NO_SPIN in job.candidate.tuning else "spin"}, found)
        super().__init__(
            device=f"cuda:{index}",
            precision=precision,
            details={
                **found,
                "gpu": cuda.device_name(index),
                "compute_capability": ".".join(map(str, cuda.compute_capability(index))),
                "runtime": f"{trt.__name__} {trt.__version__}",
                "profiles": [[one.least[0], one.best[0], one.most[0]] for one in self._signature.profiles],
                "contexts": 0,
                "context_memory_bytes": getattr(engine, "device_memory_size_v2", None),
            },
        )
        side = job.model.model.imgsz
        batch = min(profile.least[0] for profile in self._signature.profiles)
        try:
            self.details["cuda_graph"] = self._lane().slot((batch, 3, side, side)).graph_or_why
        except BaseException:
            self.__exit__()
            raise

    def locked_images(self, shape: tuple[int, int, int, int]) -> Images:
        """See `Locking.locked_images`."""
        cuda.set_device(self._index)
        images = cuda.PinnedBuffer(shape, np.float32).array
        images[...] = 0
        return images

    def run(self, images: Images) -> Outputs:
        """See `Session.run`. Images that don't lie in page-locked memory are copied to some first.

        Raises:
            ValueError: no profile of the engine takes this shape.
            RuntimeError: TensorRT or CUDA failed; with what TensorRT reported.
        """
        with _with_reasons(self._log):
            return self._lane().slot(images.shape).run(images)

    def __exit__(self, *_: object) -> None:
        """Give everything back; outputs that somebody still holds stay readable."""
        with self._lock, contextlib.ExitStack() as stack:
            self._closed = True
            for lane in self._lanes.values():
                stack.callback(lane.close)
            self._lanes = {}
        self.engine = None  # contexts must be gone before

    def _lane(self) -> _Lane:
        """Return this thread's own."""
        lane: _Lane | None = getattr(self._local, "lane", None)
        if lane is not None and not self._closed:
            return lane
        with self._lock:
            if self._closed:
                raise RuntimeError("this Session is closed; load the Artifact again")
            cuda.set_device(self._index)
            for thread in [thread for thread in self._lanes if not thread.is_alive()]:
                self._lanes.pop(thread).close()  # threads that come and go must not use up the GPU's memory
            lane = self._local.lane = self._lanes[threading.current_thread()] = _Lane(self._slot)
        return lane

    def _slot(self, shape: Shape, stream: cuda.Stream) -> _Slot:
        with self._lock, _with_reasons(self._log):
            profile = self._signature.profile_for(shape)
            slot = _Slot(self._context(), self._signature, profile, shape, stream, give_memory=self._user_allocation)
            if self._graphs:
                try:
                    slot.record(self._log)
                except BaseException:
                    slot.close()
                    raise
                if slot.graph is None and self.details.get("cuda_graph", "yes") == "yes":
                    print(f"CUDA graph for images {list(shape)}: {slot.graph_or_why}", file=sys.stderr)
            self.details["contexts"] += 1
            return slot

    def _context(self) -> Any:
        """Return a new execution context, without memory where the slot is to give it some.

        TensorRT-RTX runs slow kernels while it compiles better ones for a new shape, unless told to wait for these.
        """
        specialising = getattr(self._trt, "DynamicShapesKernelSpecializationStrategy", None)
        if specialising is None and not self._user_allocation:
            context = self.engine.create_execution_context()
        else:
            settings = self.engine.create_runtime_config()
            if specialising is not None:
                settings.dynamic_shapes_kernel_specialization_strategy = specialising.EAGER
            if self._user_allocation:
                user_managed = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
                settings.set_execution_context_allocation_strategy(user_managed)
            context = self.engine.create_execution_context(settings)
        if context is None:
            raise RuntimeError("TensorRT made no execution context for this engine here")
        return context


class _Lane:
    """What one thread runs on: a stream, and what it needs for each shape of images."""

    def __init__(self, make_slot: Any) -> None:
        self._make_slot = make_slot
        self._stream = cuda.Stream()
        self._slots: dict[Shape, _Slot] = {}

    def slot(self, shape: Shape) -> _Slot:
        """Return what this shape runs with, made on its first use."""
        found = self._slots.get(shape)
        if found is None:
            found = self._slots[shape] = self._make_slot(shape, self._stream)
        return found

    def close(self) -> None:
        """Give back all of it, after the GPU is done with it."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._stream.close)
            for slot in self._slots.values():
                stack.callback(slot.close)
            self._slots = {}
            stack.callback(self._stream.synchronize)


class _Slot:
    """An execution context with its shape, its buffers and its graph, all of which stay as they are.

    NVIDIA's advice is one context a graph: a context that changes its shape makes the graphs captured from it invalid.
    """

    def __init__(
        self,
        context: Any,
        signature: Signature,
        profile: Profile,
        shape: Shape,
        stream: cuda.Stream,
        *,
        give_memory: bool,
    ) -> None:
        self._context, self._stream = context, stream
        self.graph: cuda.Graph | None = None
        self.graph_or_why = f"no: not asked for ({NO_GRAPH})"
        name = signature.images.name
        if context.active_optimization_profile != profile.index:
            _must(context.set_optimization_profile_async(profile.index, stream.address), f"profile {profile.index}")
        _must(context.set_input_shape(name, shape), f"images {list(shape)}")
        if unknown := context.infer_shapes():
            raise RuntimeError(f"TensorRT needs more than images {list(shape)} to run: {', '.join(unknown)}")
        with contextlib.ExitStack() as stack:
            if give_memory:
                nbytes = _scratch_bytes(context, profile)
                context.set_device_memory(stack.enter_context(cuda.DeviceBuffer(nbytes)).pointer, nbytes)
            self._images = stack.enter_context(cuda.PinnedBuffer(shape, signature.images.dtype))
            self._images_there = stack.enter_context(cuda.DeviceBuffer(self._images.nbytes))
            _must(context.set_tensor_address(name, self._images_there.pointer), f"the address of {name!r}")
            self._outputs: list[tuple[cuda.PinnedBuffer, cuda.DeviceBuffer]] = []
            for output in signature.outputs:
                pinned = stack.enter_context(cuda.PinnedBuffer(output_shape(context, output.name), output.dtype))
                there = stack.enter_context(cuda.DeviceBuffer(pinned.nbytes))
                _must(context.set_tensor_address(output.name, there.pointer), f"the address of {output.name!r}")
                self._outputs.append((pinned, there))
            self._images.array[...] = np.random.default_rng(0).random(shape, np.float32)
            self._images_there.upload(self._images.array, stream)
            self._enqueue()  # before a capture it is needed too: TensorRT sets itself up for the shape
            stream.synchronize()
            self._resources = stack.pop_all()
        halves = [pinned.array.dtype == np.float16 for pinned, _ in self._outputs]
        self._given = [
            np.empty(pinned.array.shape, np.float32) if half else pinned.array
            for half, (pinned, _) in zip(halves, self._outputs, strict=True)
        ]

    def record(self, log: Any) -> None:
        """Make a graph of it, and keep it if it gives what the plain run gave; else say why there is none."""
        expected = [pinned.array.copy() for pinned, _ in self._outputs]
        mark = len(log.errors)
        graph = None
        try:
            if not getattr(self._context, "is_stream_capturable", lambda _: True)(self._stream.address):
                raise RuntimeError("TensorRT says that this context can't be captured")
            graph = cuda.Graph.capture(self._stream, self._enqueue)
            for pinned, there in self._outputs:
                pinned.array.view(np.uint8)[...] = 255  # not a number: what the graph leaves as it is shows
                there.upload(pinned.array, self._stream)
            graph.launch(self._stream)
            self._stream.synchronize()
            if not all(_close(pinned.array, plain) for (pinned, _), plain in zip(self._outputs, expected, strict=True)):
                raise RuntimeError("the graph gives other outputs than a plain run")
        except RuntimeError as error:
            if graph is not None:
                graph.close()
            self.graph_or_why = f"no: {one_line(_with_log(error, log, mark), 300)}"
            return
        self.graph, self.graph_or_why = self._resources.enter_context(graph), "yes"

    def run(self, images: Images) -> Outputs:
        """Return the outputs for images of this slot's shape."""
        if images.dtype == self._images.array.dtype and images.flags.c_contiguous and cuda.is_pinned(images):
            self._images_there.upload(images, self._stream)
        else:
            np.copyto(self._images.array, images, casting="same_kind")
            self._images_there.upload(self._images.array, self._stream)
        if self.graph is None:
            self._enqueue()
        else:
            self.graph.launch(self._stream)
        self._stream.synchronize()
        for given, (pinned, _) in zip(self._given, self._outputs, strict=True):
            if given is not pinned.array:
                np.copyto(given, pinned.array)
        return list(self._given)

    def _enqueue(self) -> None:
        """Put on the stream what follows the upload: run, copy back."""
        _must(self._context.execute_async_v3(self._stream.address), "to run")
        for pinned, there in self._outputs:
            there.download(pinned.array, self._stream)

    def close(self) -> None:
        """Give back the graph, then the context, then the buffers."""
        if self.graph is not None:
            self.graph.close()
        self._context, self._given = None, []
        self._resources.close()


def _scratch_bytes(context: Any, profile: Profile) -> int:
    """Return how much memory a context needs whose profile and shape are set; a fixed shape needs its profile's."""
    if profile.least != profile.most:
        return int(context.update_device_memory_size_for_shapes())
    return int(context.engine.get_device_memory_size_for_profile_v2(profile.index))


def _must(done: bool, what: str) -> None:
    if not done:
        raise RuntimeError(f"TensorRT refused {what}")


def _close(found: cuda.Array, expected: cuda.Array) -> bool:
    a, b = found.astype(np.float64), expected.astype(np.float64)
    largest = float(np.abs(b[np.isfinite(b)]).max(initial=0))
    return np.allclose(a, b, rtol=_RTOL, atol=_ATOL * largest, equal_nan=True)


@contextlib.contextmanager
def _with_reasons(log: Any) -> Iterator[None]:
    """Add what TensorRT reports meanwhile to the text of an error."""
    mark = len(log.errors)
    try:
        yield
    except RuntimeError as error:
        text = _with_log(error, log, mark)
        if text == str(error):
            raise
        raise RuntimeError(text) from error


def _with_log(error: Exception, log: Any, mark: int) -> str:
    """Return an error's text, with what was logged since `mark` and is not in it yet."""
    said: Sequence[str] = [text for text in log.errors[mark:] if text not in str(error)]
    return "; ".join([str(error), *said])
