from __future__ import annotations

from bakeoff import host

VERSION = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build\n"
INFORMATION = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 16\nGPU UUID: \t GPU-0\n"


def test_gpus_and_their_driver_are_read_from_what_the_kernel_tells(tmp_path):
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
        (tmp_path / "gpus" / name / "information").write_text(INFORMATION)
    for text, driver in ((VERSION, "550.54.15"), (OPEN, "570.124.06")):
        (tmp_path / "version").write_text(text)
        assert host.gpu_driver(tmp_path) == driver
    assert host.gpus(tmp_path) == ("NVIDIA H100 80GB HBM3",) * 2


def test_without_nvidias_driver_there_are_no_gpus_and_no_version(tmp_path):
    assert host.gpus(tmp_path) == ()
    assert host.gpu_driver(tmp_path) is None
