"""Memory, swap, shared memory and disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bakeoff import host
from bakeoff.doctor.linux import gigabytes
from bakeoff.records import Finding
from bakeoff.speed.telemetry.base import text

LEAST_MEMORY = 2 * 2**30  # PyTorch, OpenVINO and ONNX Runtime with one small detector each stay below that together
LEAST_DISK = 2 * 2**30  # Artifacts of a large detector for a dozen Candidates
LEAST_SHARED = 128 * 2**20  # Docker's default is 64 MiB, which PyTorch's data loading outgrows


def check(root: Path) -> list[Finding]:
    """Return where room is short."""
    return [*_swap(root), *_memory(), *_shared(root), *_disk()]


def _swap(root: Path) -> Iterator[Finding]:
    rows = [line.split() for line in (text(root / "proc/swaps") or "").splitlines()[1:]]
    pairs = [(int(row[2]), int(row[3])) for row in rows if len(row) >= 4 and row[2].isdecimal() and row[3].isdecimal()]
    size, used = (sum(pair[i] for pair in pairs) * 1024 for i in (0, 1))
    cure = "sudo swapoff -a (undo: sudo swapon -a)"
    if used:
        what = f"{gigabytes(used)} are swapped out: a page that comes back from disk costs milliseconds"
        yield Finding(level="warning", topic="swap", what=what, cure=cure)
    elif size:
        yield Finding(level="note", topic="swap", what=f"on, and empty ({gigabytes(size)})", cure=cure)
    else:
        yield Finding(level="ok", topic="swap", what="off")


def _memory() -> Iterator[Finding]:
    free = host.available_memory_bytes()
    if free < LEAST_MEMORY:
        what = f"{gigabytes(free)} are free; every Candidate of a round is in memory at once"
        cure = "close other programs; in a container: docker run --memory=8g …"
        yield Finding(level="warning", topic="memory", what=what, cure=cure)
    else:
        yield Finding(level="ok", topic="memory", what=f"{gigabytes(free)} free")


def _shared(root: Path) -> Iterator[Finding]:
    try:
        stat = os.statvfs(root / "dev/shm")
    except OSError:
        what = "/dev/shm is missing; runtimes that share memory between processes fail"
        cure = "sudo mount -t tmpfs -o size=1g tmpfs /dev/shm"
        yield Finding(level="warning", topic="shared memory", what=what, cure=cure)
        return
    size = stat.f_blocks * stat.f_frsize
    if size < LEAST_SHARED:
        what = f"/dev/shm holds {size / 2**20:.0f} MiB; runtimes that share memory between processes fail"
        cure = "docker run --shm-size=1g …; elsewhere: sudo mount -o remount,size=1g /dev/shm"
        yield Finding(level="warning", topic="shared memory", what=what, cure=cure)
    else:
        yield Finding(level="ok", topic="shared memory", what=f"/dev/shm holds {gigabytes(size)}")


def _disk() -> Iterator[Finding]:
    places = {"here": Path.cwd(), "for temporary files": Path(tempfile.gettempdir())}
    seen: dict[int, str] = {}
    for name, path in places.items():
        device = path.stat().st_dev
        if device in seen:
            continue
        seen[device] = name
        free = shutil.disk_usage(path).free
        if free < LEAST_DISK:
            cure = (
                "make room, or name another folder: --out DIR" if name == "here" else "export TMPDIR=DIR with more room"
            )
            yield Finding(level="warning", topic="disk", what=f"{gigabytes(free)} are free {name}", cure=cure)
        else:
            yield Finding(level="ok", topic="disk", what=f"{gigabytes(free)} free {name}")
