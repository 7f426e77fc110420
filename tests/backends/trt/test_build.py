"""Real builds by TensorRT-RTX, on hosts without a GPU too: network, builder's config, profiles, log, refusals."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from bakeoff.backends.trt import build, log
from bakeoff.backends.trt.build import Ask
from bakeoff.backends.trt.options import Options, Profile
from bakeoff.backends.trt.versions import RTX, TENSORRT, generation
from tests.backends.trt import graphs

ONE_OR_TWO = (Profile(low=1, opt=1, high=2),)
FP32 = Ask(precision="fp32", options=Options(), profiles=ONE_OR_TWO, imgsz=graphs.SIDE, targets=("8.6", "8.9"))


def built(document: bytes, ask: Ask) -> build.Built:
    trt = graphs.rtx()
    return build.build(trt, generation(RTX, trt.__version__), document, ask, logger=log.logger(trt))


def asked(**changes: object) -> Ask:
    return dataclasses.replace(FP32, **changes)


def test_a_free_batch_is_built_with_its_profile():
    made = built(graphs.convolution(), FP32)
    assert len(made.engine) > 1000
    assert made.engine[:4] == b"vtrt"
    assert made.how["network"]["inputs"] == [{"name": "images", "shape": [-1, 3, 16, 16], "type": "FLOAT"}]
    assert made.how["network"]["outputs"] == [{"name": "output0", "shape": [-1, 8, 16, 16], "type": "FLOAT"}]
    assert made.how["network"]["strongly_typed"] is True
    assert made.how["profiles"] == [{"min": 1, "opt": 1, "max": 2}]
    assert made.how["num_profiles"] == 1


def test_several_profiles_stand_in_the_builders_config():
    profiles = (Profile(low=1, opt=1, high=1), Profile(low=2, opt=2, high=2))
    assert built(graphs.convolution(), asked(profiles=profiles)).how["num_profiles"] == 2


def test_a_fixed_batch_needs_no_profile():
    one = (Profile(low=1, opt=1, high=1),)
    made = built(graphs.convolution(batch=1), asked(profiles=one))
    assert made.how["num_profiles"] == 0
    assert made.how["network"]["inputs"][0]["shape"] == [1, 3, 16, 16]


def test_a_fixed_batch_that_no_profile_asks_for_is_refused():
    with pytest.raises(RuntimeError, match="batch is fixed to 1"):
        built(graphs.convolution(batch=1), FP32)


def test_another_image_size_than_the_models_is_refused():
    with pytest.raises(RuntimeError, match=r"takes \[16, 16\]|takes \[3, 16, 16\] after the batch"):
        built(graphs.convolution(), asked(imgsz=32))


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("fp16", False), ("int8", False)])
def test_tf32_is_on_where_the_key_says_so_and_nowhere_else(precision, tf32):
    assert built(graphs.convolution(), asked(precision=precision)).how["tf32"] is tf32


def test_fp16_and_int8_graphs_keep_float32_ends_and_their_layers():
    half = built(graphs.convolution(half=True), asked(precision="fp16"))
    eight = built(graphs.convolution(quantised=True), asked(precision="int8"))
    assert half.how["network"]["layers"]["CAST"] == 2
    assert eight.how["network"]["layers"]["QUANTIZE"] == 1
    assert eight.how["network"]["layers"]["DEQUANTIZE"] == 2
    for made in (half, eight):
        ends = [*made.how["network"]["inputs"], *made.how["network"]["outputs"]]
        assert {end["type"] for end in ends} == {"FLOAT"}


@pytest.mark.parametrize("target", ["7.5", "8.6", "8.9", "12.0"])
def test_an_engine_is_built_for_a_gpu_that_is_not_here(target):
    made = built(graphs.convolution(), asked(targets=(target,)))
    assert made.engine
    assert made.how["targets"] == [target]


def test_an_engine_of_tensorrt_rtx_allocates_nothing_while_it_runs_so_that_cuda_graphs_can_be_captured():
    assert built(graphs.convolution(), FP32).how["user_allocation"] is True


def test_a_flag_that_the_builder_does_not_keep_is_an_error():
    trt = graphs.rtx()
    config = trt.Builder(log.logger(trt)).create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    with pytest.raises(RuntimeError, match="asked for user_allocation = True, but TensorRT's builder has False"):
        build.settings(trt, generation(RTX, trt.__version__), config, FP32)


def test_level_and_workspace_are_read_back_from_the_config():
    made = built(graphs.convolution(), asked(options=Options(level=5, workspace_mib=256)))
    assert made.how["optimization_level"] == 5
    assert made.how["workspace_bytes"] == 256 << 20


def test_a_workspace_that_is_too_small_is_named_by_tensorrts_own_words():
    with pytest.raises(RuntimeError, match=r"TensorRT builds no engine: .*workspace limit"):
        built(graphs.convolution(), asked(options=Options(workspace_mib=1)))


def test_a_refused_operator_is_named_with_its_node():
    with pytest.raises(RuntimeError, match=r"parser refuses NoSuchOperator node 'sigmoid': .*Plugin not found"):
        built(graphs.unsupported(), FP32)


@pytest.mark.parametrize("document", [b"rubbish", b""])
def test_what_is_no_onnx_graph_is_refused(document):
    with pytest.raises(RuntimeError, match="TensorRT's parser"):
        built(document, FP32)


def test_another_input_than_images_is_refused():
    with pytest.raises(RuntimeError, match="the network's inputs are pixels; expected 'images' alone"):
        built(graphs.convolution(entry="pixels"), FP32)


def test_the_log_has_tensorrts_lines_and_no_error_of_a_build_that_works(capsys):
    made = built(graphs.convolution(), FP32)
    assert made.engine
    assert log.logger(graphs.rtx()).errors == []
    lines = capsys.readouterr().out
    assert "[info] " in lines
    assert "[error]" not in lines
    assert "[internal_error]" not in lines


def test_an_error_is_forgotten_by_the_next_build():
    with pytest.raises(RuntimeError):
        built(graphs.unsupported(), FP32)
    with pytest.raises(RuntimeError, match="workspace limit"):
        built(graphs.convolution(), asked(options=Options(workspace_mib=1)))


def test_progress_is_said_for_each_phase_at_most_once_a_second():
    trt, lines, times = graphs.rtx(), [], iter(range(10_000))
    monitor = log.monitor(trt, lines.append, clock=lambda: next(times) / 4)
    builder = trt.Builder(log.logger(trt))
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger(trt)).parse(graphs.convolution(batch=1))
    config = builder.create_builder_config()
    config.progress_monitor = monitor
    assert builder.build_serialized_network(network, config) is not None
    assert lines
    assert all("Building engine " in line and " of " in line for line in lines)
    steps = next(times)
    assert len(lines) <= steps / 4 + 1


class Recorder:
    """A builder's config of TensorRT 10, which does not install here: what is asked of it, kept."""

    def __init__(self) -> None:
        self.flags: set[str] = {"TF32"}
        self.pools: dict[str, int] = {}
        self.caches: list[bytes] = []

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        self.pools[pool] = size

    def create_timing_cache(self, content: bytes) -> bytes:
        return content

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache == b"another GPU's":
            return False
        self.caches.append(cache)
        return True

    def get_timing_cache(self) -> SimpleNamespace:
        return SimpleNamespace(serialize=lambda: self.caches[-1] + b"+new")


class Names:
    """An enumeration whose every member is its own name."""

    def __getattr__(self, name: str) -> str:
        return name


CLASSICAL = SimpleNamespace(
    BuilderFlag=Names(),
    ProfilingVerbosity=Names(),
    MemoryPoolType=Names(),
    HardwareCompatibilityLevel=Names(),
    DeviceType=Names(),
)
OLD = generation(TENSORRT, "10.3.0")


def configured(precision: str, cores: int = 0, **options: object) -> Recorder:
    config = Recorder()
    ask = asked(precision=precision, options=Options(**options), calibrator="the calibrator")
    build.configure(CLASSICAL, OLD, SimpleNamespace(num_DLA_cores=cores), config, ask)
    return config


def test_the_classical_way_sets_the_flags_of_tensorrt_10_and_no_other():
    assert configured("fp16", weak=True).flags == {"FP16"}
    implicit = configured("int8", implicit=True)
    assert implicit.flags == {"FP16", "INT8"}
    assert implicit.int8_calibrator == "the calibrator"
    assert configured("int8").flags == set()
    assert configured("tf32").flags == {"TF32"}


def test_compatibility_and_dla_are_set_where_asked_for():
    config = configured("fp16", cores=2, hardware="AMPERE_PLUS", compatible=True, dla=1)
    assert config.flags == {"VERSION_COMPATIBLE", "GPU_FALLBACK"}
    assert config.hardware_compatibility_level == "AMPERE_PLUS"
    assert (config.default_device_type, config.DLA_core) == ("DLA", 1)


def test_a_dla_core_that_is_not_there_is_refused():
    with pytest.raises(RuntimeError, match="DLA core 1 is asked for, but this device has 1"):
        configured("fp16", cores=1, dla=1)


def test_the_timing_cache_is_read_before_and_written_after_a_build(tmp_path):
    config, logger = Recorder(), SimpleNamespace(cause=str)
    for expected in ("0 bytes read", "4 bytes read"):
        with build._timing_cache(config, OLD, tmp_path / "new", logger) as cached:
            assert cached == expected
    assert (tmp_path / "new" / build.TIMING_CACHE).read_bytes() == b"+new+new"


def test_a_timing_cache_of_another_gpu_is_replaced_by_an_empty_one(tmp_path):
    (tmp_path / build.TIMING_CACHE).write_bytes(b"another GPU's")
    with build._timing_cache(Recorder(), OLD, tmp_path, SimpleNamespace(cause=str)) as cached:
        assert cached == "0 bytes read"
    assert (tmp_path / build.TIMING_CACHE).read_bytes() == b"+new"


def test_without_a_folder_there_is_no_timing_cache():
    config = Recorder()
    with build._timing_cache(config, OLD, None, SimpleNamespace(cause=str)) as cached:
        assert cached is None
    assert config.caches == []
