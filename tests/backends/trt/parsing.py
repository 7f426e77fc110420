"""The real parser and builder of TensorRT-RTX, which work on a host without a GPU."""

from __future__ import annotations

from typing import Any


def parse(document: Any) -> tuple[Any, Any, list[str]]:
    """Return a builder, the parsed network and what the parser says against it."""
    import tensorrt_rtx as trt

    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    parser.parse(document.SerializeToString())
    return builder, network, [parser.get_error(i).desc() for i in range(parser.num_errors)]


def build(document: Any, batches: tuple[int, int, int] = (1, 1, 2)) -> bytes:
    """Return an engine; `batches` are the profile's least, commonest and most where the batch is free."""
    builder, network, said = parse(document)
    assert not said, said
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    entry = network.get_input(0)
    shape = tuple(entry.shape)
    if shape[0] == -1:
        profile.set_shape(entry.name, *((batch, *shape[1:]) for batch in batches))
        config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    assert engine is not None
    return bytes(engine)
