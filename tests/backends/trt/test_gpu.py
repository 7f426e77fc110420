"""Which GPU is here, by a stand-in for the driver's library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bakeoff.backends.trt import gpu

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make a stand-in driver with")


def driver(folder: Path, *flags: str) -> str:
    library = folder / "libcuda-stand-in.so"
    source = Path(__file__).with_name("driver.c")
    subprocess.run(["cc", "-shared", "-fPIC", *flags, "-o", str(library), str(source)], check=True)
    return str(library)


@needs_compiler
def test_the_gpu_is_told_by_name_and_compute_capability(tmp_path):
    assert gpu.here(driver(tmp_path)) == gpu.Gpu(name="NVIDIA Orin", capability="8.7")


@needs_compiler
@pytest.mark.parametrize(("flag", "why"), [("-DSTATUS=100", "CUDA error 100"), ("-DCOUNT=0", "the driver shows none")])
def test_a_driver_without_a_gpu_says_why(tmp_path, flag, why):
    assert why in gpu.here(driver(tmp_path, flag))


def test_a_host_without_the_driver_has_no_gpu():
    assert gpu.here("libno-such-driver.so.1") == (
        "no NVIDIA GPU here: the driver's library libno-such-driver.so.1 is not found"
    )


def test_a_library_that_is_no_driver_counts_as_none():
    assert "is no CUDA driver" in gpu.here("libc.so.6")
