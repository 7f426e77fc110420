"""The NVIDIA GPU that is here, asked of the driver: no CUDA package is needed to learn that there is none."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

DRIVER = "libcuda.so.1"
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """What an engine is built for."""

    name: str
    capability: str  # such as 8.7


def here(driver: str = DRIVER) -> Gpu | str:
    """Return the first GPU that CUDA shows, or why there is none."""
    try:
        cuda = ctypes.CDLL(driver)
    except OSError:
        return f"no NVIDIA GPU here: the driver's library {driver} is not found"
    count, device = ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    parts = (ctypes.c_int(), ctypes.c_int())
    try:
        if status := cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return f"no NVIDIA GPU here: the driver answers with CUDA error {status}"
        if not count.value:
            return "no NVIDIA GPU here: the driver shows none"
        status = cuda.cuDeviceGet(ctypes.byref(device), 0) or cuda.cuDeviceGetName(name, len(name), device)
        for attribute, part in zip((MAJOR, MINOR), parts, strict=True):
            status = status or cuda.cuDeviceGetAttribute(ctypes.byref(part), attribute, device)
    except AttributeError as error:
        return f"no NVIDIA GPU here: {driver} is no CUDA driver ({error})"
    if status:
        return f"the NVIDIA GPU does not answer: CUDA error {status}"
    return Gpu(name=name.value.decode("utf-8", "replace"), capability=f"{parts[0].value}.{parts[1].value}")
