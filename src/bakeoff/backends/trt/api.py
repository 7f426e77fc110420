"""Names for TensorRT's types: `Any` here, the real ones where `tools/check_tensorrt_types.py` checks them."""

from __future__ import annotations

from typing import Any, TypeAlias

Trt: TypeAlias = Any  # the Python module, `tensorrt` or `tensorrt_rtx`
Builder: TypeAlias = Any
BuilderConfig: TypeAlias = Any
Network: TypeAlias = Any
Parser: TypeAlias = Any
Engine: TypeAlias = Any
