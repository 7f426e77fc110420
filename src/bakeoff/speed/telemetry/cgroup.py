"""What the container, or any other control group, takes away: CPU time by its quota, and memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bakeoff.speed.telemetry.base import KernelFile, Probe, rise, scaled, text, total

THROTTLED, MEMORY = "cgroup_throttled_ms", "cgroup_memory_bytes"
NONE = "no control group with {} is visible here"


class CgroupProbe(Probe):
    """Of the control group that this process is in, and of those above it."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._throttling(root)
        self._memory(root)

    def _throttling(self, root: Path) -> None:
        for controller, key, to_ms in (("", b"throttled_usec", 1e-3), ("cpu", b"throttled_time", 1e-6)):
            files = []
            for folder in folders(root, controller):
                try:
                    file = self.open(folder / "cpu.stat")
                    field(file, key)
                except (OSError, ValueError):  # the root group of version 2 has no such line
                    continue
                files.append(file)
            if files:
                version = 1 if controller else 2
                counters = [rise(lambda file=file, key=key: field(file, key)) for file in files]  # type: ignore[misc]
                source = f"cpu.stat {key.decode()} (cgroup v{version}, {len(files)} group{'s' * (len(files) > 1)})"
                self.tell(THROTTLED, source, scaled(total(counters), to_ms))
                return
        self.unknown[THROTTLED] = NONE.format("a CPU quota")

    def _memory(self, root: Path) -> None:
        for controller, name in (("", "memory.current"), ("memory", "memory.usage_in_bytes")):
            for folder in folders(root, controller):
                try:
                    file = self.open(folder / name)
                except OSError:
                    continue
                self.tell(MEMORY, f"{name}, page cache counted in", file.number)
                return
        self.unknown[MEMORY] = NONE.format("a memory counter")


def folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups, the innermost first.

    `controller` is that of version 1; empty: version 2. Inside a container the path that /proc tells may be the
    host's, and the mount's own top is this container's: hence the walk upwards.
    """
    mounts = [root / "sys/fs/cgroup" / controller] if controller else [
        root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified",
    ]  # fmt: skip
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (controller in controllers.split(",")) if controller else not controllers:
            for mount in mounts:
                folder = mount / path.lstrip("/")
                while folder != mount:
                    if folder.is_dir():
                        yield folder
                    folder = folder.parent
    yield from (mount for mount in mounts if mount.is_dir())


def field(file: KernelFile, key: bytes) -> int:
    """Return the number behind a word in a file of `word number` lines.

    Raises:
        OSError: it can't be read.
        ValueError: it has no such line, or no number there.
    """
    for line in file.bytes().splitlines():
        name, _, value = line.partition(b" ")
        if name == key:
            return int(value)
    raise ValueError(f"{file.path.name} has no {key.decode()}")
