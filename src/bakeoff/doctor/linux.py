"""What several checks ask of Linux."""

from __future__ import annotations

import os


def usable_cpus() -> list[int]:
    """Return the numbers of the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def gigabytes(count: float) -> str:
    """Write a number of bytes for people."""
    return f"{count / 2**30:.1f} GiB"
