"""The logic of the Session, on a simulated GPU with a stand-in engine; what a GPU does is test_on_gpu.py's."""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from bakeoff.backend import images_for
from bakeoff.backends.trt import cuda
from bakeoff.backends.trt.session import open_session
from bakeoff.backends.trt.signature import Profile, Signature
from tests.backends.trt import standin
from tests.backends.trt.fake_cuda import Error, FakeCuda

SIDE = 32
D12 = ((1, 1, 2),)
NUMPY = {"FLOAT": np.float32, "HALF": np.float16, "INT32": np.int32}


def averages(images):
    """Return 100 times the mean of each patch of 8x8, of each colour."""
    patches = images.astype(np.float32).reshape(len(images), 3, SIDE // 8, 8, SIDE // 8, 8)
    return 100 * patches.mean((3, 5)).reshape(len(images), 3, -1)


class Averages:
    """The network of the stand-in engine."""

    def __init__(self, gpu, batch, kinds):
        self.gpu, self.batch, self.kinds = gpu, batch, kinds

    def __call__(self, images, output, stream):
        return self.gpu.put(stream, lambda: self.work(images, output)) == Error.SUCCESS

    def work(self, images, output):
        source = at(images, (self.batch, 3, SIDE, SIDE), self.kinds[0])
        at(output, (self.batch, 3, (SIDE // 8) ** 2), self.kinds[1])[...] = averages(source)


def at(address, shape, kind):
    """Return the simulated GPU's memory as an array."""
    count = int(np.prod(shape))
    return np.frombuffer((ctypes.c_byte * (count * np.dtype(kind).itemsize)).from_address(address), kind).reshape(shape)


def engine_of(gpu, profiles=D12, *, network=Averages, types=("FLOAT", "FLOAT"), **how):
    return standin.Engine(
        lambda batch: network(gpu, batch, [NUMPY[name] for name in types]),
        lambda shape: (shape[0], 3, (SIDE // 8) ** 2),
        profiles,
        log=standin.Log(),
        side=SIDE,
        dtypes=tuple(standin.DataType[name] for name in types),
        **how,
    )


def opened(engine, tuning=(), device="cuda:0", **how):
    job = standin.job(SIDE, tuning, device)
    return open_session(standin.module(engine), b"", job, log=engine.log, precision="fp32", **how)


def images_of(batch=1, seed=0):
    return np.random.default_rng(seed).random((batch, 3, SIDE, SIDE), np.float32)


def right(session, batch=1, seed=0):
    images = images_of(batch, seed)
    return np.allclose(session.run(images)[0], averages(images), rtol=1e-4)


# --- what is computed, and how


@pytest.mark.parametrize("tuning", [(), ("nograph",), ("nospin",), ("nograph", "nospin")], ids="/".join)
def test_predictions_of_every_batch_are_the_networks(gpu, tuning):
    with opened(engine_of(gpu), tuning) as session:
        assert all(right(session, batch, seed) for seed, batch in enumerate((1, 2, 1, 2, 2)))


def test_a_prediction_is_an_upload_and_one_launch(gpu):
    with opened(engine_of(gpu)) as session:
        assert session.details["cuda_graph"] == "yes"
        gpu.calls.clear()
        session.run(images_of(seed=1))
        assert gpu.calls == {"put": 1, "launch": 1}


def test_without_graphs_each_operation_is_put_on_the_stream(gpu):
    with opened(engine_of(gpu), ("nograph",)) as session:
        assert session.details["cuda_graph"] == "no: not asked for (nograph)"
        gpu.calls.clear()
        session.run(images_of())
        assert gpu.calls == {"put": 3}


@pytest.mark.parametrize("types", [("FLOAT", "FLOAT"), ("HALF", "FLOAT")], ids="/".join)
def test_images_in_the_sessions_own_memory_are_not_copied_once_more(gpu, monkeypatch, types):
    with opened(engine_of(gpu, types=types)) as session:
        own = images_for(session, (2, 3, SIDE, SIDE))
        assert own.shape == (2, 3, SIDE, SIDE)
        assert not own.any()
        copied = []
        session.run(own)  # what this shape needs is made here
        with monkeypatch.context() as patch:
            patch.setattr(cuda.DeviceBuffer, "upload", lambda self, array, stream: copied.append(array))
            for images in (own, own[::-1], images_of(2)):
                session.run(images)
        assert [array is own for array in copied] == [types[0] == "FLOAT", False, False]


def test_images_in_the_sessions_own_memory_are_read_anew_each_time(gpu):
    with opened(engine_of(gpu)) as session:
        own = images_for(session, (1, 3, SIDE, SIDE))
        for seed in range(3):
            own[...] = images_of(seed=seed)
            assert np.allclose(session.run(own)[0], averages(images_of(seed=seed)), rtol=1e-4)


class WaitsForTheGpu(Averages):
    def __call__(self, images, output, stream):
        (error,) = self.gpu.cudaStreamSynchronize(stream)
        return not error and super().__call__(images, output, stream)


class ForgetsInACapture(Averages):
    """Its work happens at once and is no part of the graph: as kernels that are launched on another stream would be."""

    def __call__(self, images, output, stream):
        self.work(images, output)
        return True


@pytest.mark.parametrize(
    ("network", "why"),
    [(WaitsForTheGpu, "no: TensorRT refused to run"), (ForgetsInACapture, "no: the graph gives other outputs")],
)
def test_where_no_graph_can_be_made_it_says_why_and_predicts_without(gpu, capfd, network, why):
    with opened(engine_of(gpu, network=network)) as session:
        assert session.details["cuda_graph"].startswith(why)
        assert f"CUDA graph for images [1, 3, 32, 32]: {why}" in capfd.readouterr().err
        assert right(session)
        assert right(session, 2)


def test_a_context_that_tensorrt_calls_not_capturable_is_not_captured(gpu):
    class Fixed(standin.Context):
        def is_stream_capturable(self, stream):
            return False

    with opened(engine_of(gpu, context=Fixed)) as session:
        assert session.details["cuda_graph"] == "no: TensorRT says that this context can't be captured"
        assert not gpu.made["graph"]
        assert right(session)


def test_tensorrt_rtx_is_told_to_wait_for_the_kernels_of_a_shape(gpu):
    given = []

    class Waits(standin.Context):
        def __init__(self, engine, settings):
            super().__init__(engine, settings)
            given.append(settings)

    engine = engine_of(gpu, context=Waits)
    module = standin.module(engine)
    module.DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")
    with open_session(module, b"", standin.job(SIDE), log=engine.log, precision="fp32"):
        assert [one.dynamic_shapes_kernel_specialization_strategy for one in given] == ["eager"]
        assert given[0].get_execution_context_allocation_strategy() is standin.AllocationStrategy.STATIC


class Counts(standin.Context):
    """Keeps how much memory it was given, which must not be gone when it runs."""

    given: ClassVar[list[int]] = []

    def execute_async_v3(self, stream):
        assert ("device memory", self.memory[0]) in cuda.runtime().live
        self.given.append(self.memory[1])
        return super().execute_async_v3(stream)


@pytest.mark.parametrize(
    ("profiles", "sizes"),
    [
        (D12, [1, 2]),  # what the shape needs
        (((1, 1, 1), (2, 2, 2)), [1, 2]),
        (((1, 1, 1),), [1]),
        (((1, 1, 4),), [1, 2]),
    ],
)
def test_a_context_gets_its_memory_from_the_session_where_the_engine_was_built_for_that(
    gpu, monkeypatch, profiles, sizes
):
    monkeypatch.setattr(Counts, "given", [])
    with opened(engine_of(gpu, profiles, context=Counts), user_allocation=True) as session:
        assert all(right(session, batch) for batch in sizes)
        assert session.details["cuda_graph"] == "yes"
    assert list(dict.fromkeys(Counts.given)) == [size * standin.SCRATCH for size in sizes]


def test_an_engine_that_is_given_no_memory_is_one_that_fails_to_load(gpu, monkeypatch):
    monkeypatch.setattr(standin.Context, "set_device_memory", lambda self, memory, size: None)
    with pytest.raises(RuntimeError, match="TensorRT refused to run; enqueueV3: the context has not enough memory"):
        opened(engine_of(gpu), user_allocation=True)


# --- profiles


def profiles_of(*batches):
    return tuple(
        Profile(index=i, least=(low, 3, 8, 8), best=(opt, 3, 8, 8), most=(high, 3, 8, 8))
        for i, (low, opt, high) in enumerate(batches)
    )


@pytest.mark.parametrize(
    ("profiles", "batch", "index"),
    [
        ([(1, 1, 2)], 2, 0),
        ([(1, 1, 2), (2, 2, 2)], 1, 0),
        ([(1, 1, 2), (2, 2, 2)], 2, 1),
        ([(1, 2, 4), (2, 2, 2)], 2, 1),  # as near, but narrower
        ([(1, 4, 4), (1, 1, 4)], 2, 1),
        ([(1, 1, 1), (1, 1, 1)], 1, 0),
    ],
)
def test_the_profile_is_the_one_made_for_the_nearest_batch_and_then_the_narrowest(profiles, batch, index):
    signature = Signature(images=None, outputs=(), profiles=profiles_of(*profiles))
    assert signature.profile_for((batch, 3, 8, 8)).index == index


def test_each_batch_runs_with_its_own_profile(gpu):
    engine = engine_of(gpu, ((1, 1, 1), (2, 2, 4)))
    with opened(engine) as session:
        assert all(right(session, batch) for batch in (1, 2, 3, 4))
        assert session.details["profiles"] == [[1, 1, 1], [2, 2, 4]]
        assert session.details["contexts"] == 4


def test_a_batch_that_no_profile_takes_is_refused_with_what_they_take(gpu):
    with opened(engine_of(gpu)) as session:
        with pytest.raises(ValueError, match=r"images \[3, 3, 32, 32\]: this engine takes \[1, 3, 32, 32\] to \[2, 3"):
            session.run(images_of(3))
        assert right(session)


def test_an_engine_of_another_input_side_is_refused_at_load(gpu):
    with pytest.raises(ValueError, match=r"images \[1, 3, 64, 64\]: this engine takes \[1, 3, 32, 32\]"):
        open_session(standin.module(engine_of(gpu)), b"", standin.job(64), log=standin.Log(), precision="fp32")


def test_an_engine_of_one_fixed_shape_needs_no_profile(gpu):
    with opened(engine_of(gpu, ((1, 1, 1),))) as session:
        assert right(session)


# --- threads


def test_each_thread_has_a_stream_a_context_and_buffers_of_its_own(gpu):
    with opened(engine_of(gpu)) as session, ThreadPoolExecutor(3) as pool:
        barrier = threading.Barrier(3)

        def stream(seed):
            barrier.wait()
            outputs = session.run(images_of(seed=seed))[0]
            barrier.wait()  # all have predicted: each still holds its own
            return np.allclose(outputs, averages(images_of(seed=seed)), rtol=1e-4)

        assert all(pool.map(stream, range(3)))
        assert session.details["contexts"] == 4  # one is the loading thread's
        assert gpu.made["stream"] == 4


def test_each_thread_is_put_on_the_sessions_gpu_once(gpu):
    with opened(engine_of(gpu), device="cuda:1") as session, ThreadPoolExecutor(1) as pool:
        assert session.device == "cuda:1"
        for seed in range(3):
            pool.submit(session.run, images_of(seed=seed)).result()
        assert {index for _, index in gpu.devices} == {1}
        assert len([thread for thread, _ in gpu.devices if thread != threading.get_ident()]) == 1


def test_what_a_thread_used_is_given_back_after_its_end(gpu):
    with opened(engine_of(gpu)) as session:
        held = set()
        for _ in range(5):
            thread = threading.Thread(target=session.run, args=(images_of(),))
            thread.start()
            thread.join()
            held.add(len(gpu.live))
        assert len(held) == 1
        assert right(session)


def test_outputs_stay_readable_after_the_session_and_their_memory_goes_with_them(gpu):
    with opened(engine_of(gpu)) as session:
        (outputs,) = session.run(images_of())
    assert {kind for kind, _ in gpu.live} == {"pinned memory"}
    assert np.allclose(outputs, averages(images_of()), rtol=1e-4)
    with pytest.raises(RuntimeError, match="this Session is closed"):
        session.run(images_of())


# --- types


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (("FLOAT", "HALF"), np.float32),
        (("HALF", "HALF"), np.float32),
        (("HALF", "FLOAT"), np.float32),
        (("FLOAT", "INT32"), np.int32),
    ],
)
def test_half_precision_is_converted_on_the_host_and_integers_pass(gpu, types, kind):
    with opened(engine_of(gpu, types=types)) as session:
        (output,) = session.run(images_of())
        assert output.dtype == kind
        assert np.allclose(output, averages(images_of()), atol=1.0)


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (("UINT8", "FLOAT"), "input 'images' is UINT8; expected FLOAT or HALF"),
        (("FLOAT", "BF16"), "tensor 'output0' is BF16, which NumPy has no type for"),
    ],
)
def test_types_that_no_prediction_can_use_are_refused_in_one_line(gpu, types, words):
    engine = engine_of(gpu)
    engine.dtypes = tuple(standin.DataType[name] for name in types)
    with pytest.raises(ValueError, match=words):
        opened(engine)


def test_an_engine_with_two_inputs_is_refused(gpu):
    engine = engine_of(gpu)
    engine.get_tensor_mode = lambda name: standin.TensorIOMode.INPUT
    with pytest.raises(ValueError, match="the engine has the inputs images, output0; expected images alone"):
        opened(engine)


def test_outputs_whose_size_depends_on_the_image_are_refused(gpu):
    engine = engine_of(gpu)
    engine.output_shape = lambda shape: (shape[0], -1, 6)
    with pytest.raises(ValueError, match=r"output 'output0' has the shape \[1, -1, 6\].*without NMS"):
        opened(engine)


# --- errors; that nothing is left behind is asserted by the fixture


def test_what_tensorrt_logs_ends_in_the_errors_text(gpu):
    class Breaks(Averages):
        broken = False

        def __call__(self, *arguments):
            if Breaks.broken:
                engine.log.errors.append("enqueueV3: Error Code 1: Cuda Runtime (an illegal memory access)")
            return not Breaks.broken and super().__call__(*arguments)

    engine = engine_of(gpu, network=Breaks)
    engine.log.errors.append("of an earlier time")
    with opened(engine, ("nograph",)) as session:
        Breaks.broken = True
        with pytest.raises(RuntimeError) as caught:
            session.run(images_of())
    assert (
        str(caught.value) == "TensorRT refused to run; enqueueV3: Error Code 1: Cuda Runtime (an illegal memory access)"
    )


def test_an_engine_that_does_not_run_fails_to_load(gpu):
    class Refuses(Averages):
        def __call__(self, *_):
            return False

    with pytest.raises(RuntimeError, match="TensorRT refused to run"):
        opened(engine_of(gpu, network=Refuses))


@pytest.mark.parametrize("limit", [100, 13_000])  # bytes: no room for the images; room for them and not for ...
def test_a_full_gpu_is_named_and_leaves_nothing_behind(gpu, limit):
    gpu.limit = limit
    engine = engine_of(gpu)
    engine.output_shape = lambda shape: (shape[0], 3, 10_000)
    with pytest.raises(RuntimeError, match="cudaMallocHost: cudaErrorMemoryAllocation: out of memory"):
        opened(engine)


def test_no_context_is_an_error_with_tensorrts_reason(gpu):
    engine = engine_of(gpu)

    def none():
        engine.log.errors.append("Error Code 2: OutOfMemory")

    engine.create_execution_context = none
    with pytest.raises(RuntimeError, match="made no execution context for this engine here; Error Code 2: OutOfMemory"):
        opened(engine)


def test_a_cpu_is_refused_with_the_option_to_use(gpu):
    with pytest.raises(ValueError, match="device 'cpu': TensorRT runs on an NVIDIA GPU alone; use --device cuda:0"):
        opened(engine_of(gpu), device="cpu")


def test_a_setting_that_is_none_is_named(gpu):
    with pytest.raises(ValueError, match="tensorrt has no setting 's2'; it has nospin, nograph"):
        opened(engine_of(gpu), ("s2",))


@pytest.mark.parametrize(("tuning", "flag", "wait"), [((), 1, "spin"), (("nospin",), 4, "sleep")])
def test_how_a_thread_waits_is_set_and_told(gpu, tuning, flag, wait):
    with opened(engine_of(gpu), tuning) as session:
        assert gpu.flags == flag
        assert session.details["wait"] == wait


def test_a_driver_that_waits_otherwise_than_asked_is_refused(gpu, monkeypatch):
    monkeypatch.setattr(FakeCuda, "cudaGetDeviceFlags", lambda self: (Error.SUCCESS, 1))
    with pytest.raises(RuntimeError, match="asks for wait = sleep, but spin is in force"):
        opened(engine_of(gpu), ("nospin",))


# --- against the real packages


def test_bytes_that_are_no_engine_are_refused_in_tensorrts_own_words(gpu):
    trt = pytest.importorskip("tensorrt_rtx")

    class Log(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.errors = []

        def log(self, severity, text):
            if severity <= trt.ILogger.ERROR:
                self.errors.append(text)

    with pytest.raises(RuntimeError, match=r"TensorRT can't read this engine here; .*magicTag == kEXPECTED_MAGIC_TAG"):
        open_session(trt, b"no engine" * 20, standin.job(SIDE), log=Log(), precision="fp32")


def test_the_stand_in_has_no_method_that_tensorrt_lacks():
    trt = pytest.importorskip("tensorrt_rtx")
    own = {"engine", "shape", "addresses", "network", "settings", "memory"}
    assert {name for name in vars(standin.Context) if not name.startswith("_")} - own <= set(dir(trt.IExecutionContext))
    assert {name for name in vars(standin.Engine) if not name.startswith("_")} - {"names"} <= set(dir(trt.ICudaEngine))
    assert {name for name in vars(standin.RuntimeConfig) if not name.startswith("_")} <= set(dir(trt.IRuntimeConfig))
    for kind in ("TensorIOMode", "DataType"):
        assert {member.name for member in getattr(standin, kind)} <= set(getattr(trt, kind).__members__)
    strategies = set(trt.ExecutionContextAllocationStrategy.__members__)
    assert {member.name for member in standin.AllocationStrategy} == strategies
    assert hasattr(trt.DynamicShapesKernelSpecializationStrategy, "EAGER")
