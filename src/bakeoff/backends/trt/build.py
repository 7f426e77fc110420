"""From an ONNX graph to an engine: network, builder's config, profiles, and what TensorRT says meanwhile."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.backends.trt import log
from bakeoff.backends.trt.api import Builder, BuilderConfig, Network, Parser, Trt
from bakeoff.backends.trt.options import Options, Profile
from bakeoff.backends.trt.versions import Generation
from bakeoff.errors import one_line

INPUT = "images"
TIMING_CACHE = "timing.cache"
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is to be built."""

    precision: str  # of the Candidate's key
    options: Options
    profiles: Sequence[Profile]
    imgsz: int
    targets: Sequence[str] = ()  # compute capabilities; none: what TensorRT does by default
    calibrator: Any = None  # a `trt.IInt8Calibrator`, for implicit INT8
    cache: Path | None = None  # a folder for the timing cache


@dataclass(frozen=True, kw_only=True)
class Built:
    """An engine, and what was read back of how it was made."""

    engine: bytes
    how: dict[str, Any]


def build(trt: Trt, generation: Generation, document: bytes, ask: Ask, *, logger: log.Logger) -> Built:
    """Build an engine from a serialised ONNX graph.

    Raises:
        RuntimeError: TensorRT refuses the graph, a setting, or to build; with its first error.
    """
    builder = trt.Builder(logger.itself)
    if builder is None:
        raise RuntimeError(logger.cause("TensorRT makes no builder"))
    network = make_network(trt, generation, builder, weak=ask.options.weak or ask.options.implicit)
    parse(trt, network, document, logger)
    facts = describe(trt, network)
    config = builder.create_builder_config()
    configure(trt, generation, builder, config, ask)
    add_profiles(builder, config, network, ask, logger)
    monitor = log.monitor(trt) if generation.progress else None  # must live as long as the build
    if monitor is not None:
        config.progress_monitor = monitor
    with _timing_cache(config, generation, ask.cache, logger) as cached:
        engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise RuntimeError(logger.cause("TensorRT builds no engine"))
    how = {"network": facts, **settings(trt, generation, config, ask), "timing_cache": cached}
    return Built(engine=bytes(engine), how=how)


def make_network(trt: Trt, generation: Generation, builder: Builder, *, weak: bool) -> Network:
    """Return an empty network: strongly typed, but where the classical way is asked for."""
    flags = 0
    if generation.strong_flag and not weak:
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    if not weak and not network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED):
        raise RuntimeError("TensorRT made a weakly typed network, though a strongly typed one was asked for")
    return network


def parse(trt: Trt, network: Network, document: bytes, logger: log.Logger) -> None:
    """Read an ONNX graph into the network, and check its ends.

    Raises:
        RuntimeError: the parser refuses it, with the first node and the reason; or its ends are other than float32
            images in, float32 out.
    """
    parser = trt.OnnxParser(network, logger.itself)
    if not parser.parse(document) or not network.num_outputs:  # rubbish counts as an empty graph
        raise RuntimeError(refusal(parser) or logger.cause("TensorRT's parser reads no network from the ONNX graph"))
    ends = [network.get_input(i) for i in range(network.num_inputs)]
    if [end.name for end in ends] != [INPUT]:
        names = ", ".join(end.name for end in ends) or "none"
        raise RuntimeError(f"the network's inputs are {names}; expected {INPUT!r} alone")
    ends += [network.get_output(i) for i in range(network.num_outputs)]
    for end in ends:
        if end.dtype != trt.DataType.FLOAT:
            raise RuntimeError(f"{end.name} of the network is {end.dtype.name}; inputs and outputs have to be float32")


def refusal(parser: Parser) -> str | None:
    """Return the parser's first error in one line, with its node, and how many more there are."""
    if not parser.num_errors:
        return None
    error = parser.get_error(0)
    where = f"node {error.node()}"
    if error.node_operator():
        where = f"{error.node_operator()} node {error.node_name() or error.node()!r}"
    more = f" (and {parser.num_errors - 1} more errors)" if parser.num_errors > 1 else ""
    return f"TensorRT's parser refuses {where}: {one_line(error.desc(), 200)}{more}"


def describe(trt: Trt, network: Network) -> dict[str, Any]:
    """Return what the parser made of the graph: inputs, outputs, layers by type."""

    def tensors(ends: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"name": end.name, "shape": list(end.shape), "type": end.dtype.name} for end in ends]

    kinds = Counter(network.get_layer(i).type.name for i in range(network.num_layers))
    return {
        "inputs": tensors([network.get_input(i) for i in range(network.num_inputs)]),
        "outputs": tensors([network.get_output(i) for i in range(network.num_outputs)]),
        "layers": dict(sorted(kinds.items())),
        "strongly_typed": network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
    }


def configure(trt: Trt, generation: Generation, builder: Builder, config: BuilderConfig, ask: Ask) -> None:
    """Set what the key asks for, and what is never left to a default.

    Raises:
        RuntimeError: a setting is not taken.
    """
    options = ask.options
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the layer report
    # on by default, which would make of FP32 what the key `tf32` is for
    switch = config.set_flag if ask.precision == "tf32" else config.clear_flag
    switch(trt.BuilderFlag.TF32)
    if generation.user_allocation:  # such engines allocate nothing while they run, so that CUDA graphs can be captured
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if options.level is not None:
        config.builder_optimization_level = options.level
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    if options.hardware is not None:
        config.hardware_compatibility_level = getattr(trt.HardwareCompatibilityLevel, options.hardware)
    if options.compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.weak or options.implicit:
        config.set_flag(trt.BuilderFlag.FP16)
    if options.implicit:
        config.set_flag(trt.BuilderFlag.INT8)
        config.int8_calibrator = ask.calibrator
    if options.dla is not None:
        _use_dla(trt, builder, config, options.dla)
    if generation.targets and ask.targets:
        config.num_compute_capabilities = len(ask.targets)
        for index, target in enumerate(ask.targets):
            capability = getattr(trt.ComputeCapability, f"SM{target.replace('.', '')}")
            if not config.set_compute_capability(capability, index):
                raise RuntimeError(f"TensorRT takes no target of compute capability {target}")


def _use_dla(trt: Trt, builder: Builder, config: BuilderConfig, core: int) -> None:
    if core >= builder.num_DLA_cores:
        raise RuntimeError(f"DLA core {core} is asked for, but this device has {builder.num_DLA_cores}; leave dla out")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)  # the head's decoding has operations that DLA lacks


def add_profiles(builder: Builder, config: BuilderConfig, network: Network, ask: Ask, logger: log.Logger) -> None:
    """Add the optimisation profiles, where the network's batch is free.

    Raises:
        RuntimeError: one is not taken, or the network's fixed shape is none of theirs.
    """
    batch, *rest = network.get_input(0).shape
    if any(size not in (-1, wanted) for size, wanted in zip(rest, (3, ask.imgsz, ask.imgsz), strict=True)):
        raise RuntimeError(f"the network takes {rest} after the batch; expected {[3, ask.imgsz, ask.imgsz]}")
    if batch != -1 and any((p.low, p.high) != (batch, batch) for p in ask.profiles):
        raise RuntimeError(f"the network's batch is fixed to {batch}, which {list(ask.profiles)} are not")
    if -1 not in (batch, *rest):
        return
    for wanted in ask.profiles:
        profile = builder.create_optimization_profile()
        shapes = ((batch, 3, ask.imgsz, ask.imgsz) for batch in (wanted.low, wanted.opt, wanted.high))
        profile.set_shape(INPUT, *shapes)
        if config.add_optimization_profile(profile) < 0:
            raise RuntimeError(logger.cause(f"TensorRT takes no profile {wanted}"))


def settings(trt: Trt, generation: Generation, config: BuilderConfig, ask: Ask) -> dict[str, Any]:
    """Return what the builder's config holds, read back, and the profiles given to it.

    Raises:
        RuntimeError: TF32, user allocation, the level or the workspace is other than asked for.
    """
    found = {
        "tf32": config.get_flag(trt.BuilderFlag.TF32),
        "optimization_level": config.builder_optimization_level,
        "workspace_bytes": config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE),
        "num_profiles": config.num_optimization_profiles,
    }
    asked: dict[str, int] = {"tf32": ask.precision == "tf32"}
    if generation.user_allocation:
        found["user_allocation"] = config.get_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
        asked["user_allocation"] = True
    if ask.options.level is not None:
        asked["optimization_level"] = ask.options.level
    if ask.options.workspace_mib is not None:
        asked["workspace_bytes"] = ask.options.workspace_mib * MIB
    for name, value in asked.items():
        if found[name] != value:
            raise RuntimeError(f"asked for {name} = {value}, but TensorRT's builder has {found[name]}")
    profiles = [{"min": p.low, "opt": p.opt, "max": p.high} for p in ask.profiles]
    return {**found, "profiles": profiles, "targets": list(ask.targets)}


@contextlib.contextmanager
def _timing_cache(
    config: BuilderConfig, generation: Generation, folder: Path | None, logger: log.Logger
) -> Iterator[str | None]:
    """Read the timing cache before a build and write it after one; TensorRT itself checks whether it fits.

    Yields how many bytes it had, in words, or `None` without one.
    """
    if not generation.timing_cache or folder is None:
        yield None
        return
    file = folder / TIMING_CACHE
    content = file.read_bytes() if file.exists() else b""
    if not config.set_timing_cache(config.create_timing_cache(content), False):
        content = b""  # another GPU's, or another version's
        if not config.set_timing_cache(config.create_timing_cache(b""), False):
            raise RuntimeError(logger.cause("TensorRT takes no timing cache"))
    yield f"{len(content)} bytes read"
    folder.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")  # two builds at once: the last one wins, whole
    part.write_bytes(bytes(config.get_timing_cache().serialize()))
    part.replace(file)
