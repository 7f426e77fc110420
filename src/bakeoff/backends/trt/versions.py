"""What each generation of TensorRT can do: the one table from which every choice by version is made.

A row holds from its version on, up to the next one. Sources: docs/tensorrt.md, "What each version can do".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

TENSORRT, RTX = "tensorrt", "tensorrt_rtx"  # Python modules
AMPERE_PLUS, SAME_CAPABILITY = "AMPERE_PLUS", "SAME_COMPUTE_CAPABILITY"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One row: what can be asked of the builder."""

    since: tuple[int, ...]
    strong_flag: bool  # a network is strongly typed only where `create_network` is told so
    weak_typing: bool  # `BuilderFlag.FP16` and `INT8`
    implicit_int8: bool  # calibrators
    fast_flags: bool  # `Builder.platform_has_fast_fp16` and `_int8`
    progress: bool  # `IProgressMonitor`
    dla: bool
    hardware_levels: tuple[str, ...]  # names of `HardwareCompatibilityLevel` that it takes
    version_compatible: bool
    timing_cache: bool  # False: its calls do nothing
    user_allocation: bool  # `BuilderFlag.REQUIRE_USER_ALLOCATION`: without it no CUDA graph can be counted on
    targets: tuple[str, ...]  # compute capabilities that can be asked for; none: the GPU that is here
    needs_gpu: bool  # to build: kernels are timed on it
    opset: int  # the newest that its ONNX parser is made for


_10 = Generation(
    since=(10, 3),
    strong_flag=True,
    weak_typing=True,
    implicit_int8=True,
    fast_flags=True,
    progress=True,
    dla=True,
    hardware_levels=(AMPERE_PLUS,),
    version_compatible=True,
    timing_cache=True,
    user_allocation=False,
    targets=(),
    needs_gpu=True,
    opset=20,
)
_10_8 = replace(_10, since=(10, 8), dla=False)
_10_9 = replace(_10_8, since=(10, 9), hardware_levels=(AMPERE_PLUS, SAME_CAPABILITY))
_10_15 = replace(_10_9, since=(10, 15), opset=24)
_11 = replace(_10_15, since=(11, 0), strong_flag=False, weak_typing=False, implicit_int8=False, fast_flags=False)
_11_4_1 = replace(_11, since=(11, 4, 1), dla=True)
_RTX = replace(
    _11,
    since=(1, 4),
    hardware_levels=(),
    version_compatible=False,
    timing_cache=False,
    user_allocation=True,
    targets=("7.5", "8.0", "8.6", "8.9", "12.0"),
    needs_gpu=False,
)
_RTX_1_5 = replace(_RTX, since=(1, 5), targets=(*_RTX.targets, "12.1"))

GENERATIONS = {
    TENSORRT: (_10, _10_8, _10_9, _10_15, _11, _11_4_1),
    RTX: (_RTX, _RTX_1_5),
}
TITLES = {TENSORRT: "TensorRT", RTX: "TensorRT-RTX"}
UPGRADE = {
    TENSORRT: "on a Jetson, go from JetPack 5 or 6.0 to 6.1 or newer; elsewhere pip install -U 'bakeoff[tensorrt]'",
    RTX: "pip install -U 'bakeoff[tensorrt-rtx]'",
}


def parsed(version: str) -> tuple[int, ...]:
    """Return `10.3.0.26` as (10, 3, 0).

    Raises:
        ValueError: it is no version.
    """
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if match is None:
        raise ValueError(f"{version!r} is no version of TensorRT; install it again")
    return tuple(int(part or 0) for part in match.groups())


def generation(module: str, version: str) -> Generation:
    """Return what a version can do; a newer one than the table knows counts as the newest there.

    Raises:
        ValueError: it is too old, with what to upgrade.
    """
    rows = GENERATIONS[module]
    found = [row for row in rows if row.since <= parsed(version)]
    if not found:
        oldest = ".".join(map(str, rows[0].since))
        raise ValueError(f"{TITLES[module]} {version} is too old, bakeoff needs {oldest} or newer; {UPGRADE[module]}")
    return found[-1]
