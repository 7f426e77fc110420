"""What the probes share: files of the kernel that stay open, counters, and quantities that may turn unknown."""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

Read = Callable[[], float]

NAN = math.nan
PAGE = 4096  # sysfs files have at most that many bytes; others are measured when they are opened
PASSING = {errno.EAGAIN, errno.EBUSY, errno.ENODATA}  # a sensor that is not ready now: thermal drivers return these


class KernelFile:
    """One file of /proc or /sys, kept open: reading it again is one system call.

    Raises:
        OSError: on opening, where it is absent or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = PAGE
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # such as a sensor that is not ready: the first reading says so
            while len(self.bytes()) > self._size // 2:  # room to grow; a buffer of 1 MiB costs 0.2 ms of page faults
                self._size *= 2

    def bytes(self) -> bytes:
        """Return its content as it is now.

        Raises:
            OSError: it can no longer be read.
        """
        return os.pread(self._fd, self._size, 0)

    def number(self) -> int:
        """Return the integer that it begins with.

        Raises:
            OSError: it can no longer be read.
            ValueError: it holds something else.
        """
        words = self.bytes().split(None, 1)
        if not words:
            raise ValueError(f"{self.path.name} is empty")
        return int(words[0])

    def close(self) -> None:
        """Close it; a second time does nothing."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1


class Probe:
    """One family of quantities. Each is told, with where it comes from, or unknown, with why; reading never raises."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}  # quantity -> where it comes from
        self.unknown: dict[str, str] = {}  # quantity -> why it can't be told here, and the cure
        self._reads: dict[str, Read] = {}
        self._files: list[KernelFile] = []

    def begin(self, now_ns: int) -> None:
        """Forget what was before: the next reading is of the time from now on."""
        self.read(now_ns)

    def read(self, now_ns: int) -> dict[str, float]:
        """Return each quantity of the time since the last call; NaN where it is unknown this time."""
        return {quantity: self._read(quantity) for quantity in list(self._reads)}

    def close(self) -> None:
        """Let go of files and libraries."""
        for file in self._files:
            file.close()

    def open(self, path: Path) -> KernelFile:
        """Open a file that `close` closes.

        Raises:
            OSError: it is absent or may not be read.
        """
        file = KernelFile(path)
        self._files.append(file)
        return file

    def tell(self, quantity: str, source: str, read: Read) -> None:
        """Add a quantity, or say why it is unknown, if reading it once fails."""
        try:
            read()
        except Exception as error:
            if not passing(error):
                self.unknown[quantity] = f"{source}: {reason(error)}"
                return
        self.sources[quantity] = source
        self._reads[quantity] = read

    def lose(self, quantity: str, why: str) -> None:
        """Make a quantity unknown that was told until now."""
        source = self.sources.pop(quantity, "")
        self._reads.pop(quantity, None)
        self.unknown[quantity] = f"stopped during the run: {why}" + (f" (was: {source})" if source else "")

    def _read(self, quantity: str) -> float:
        try:
            return self._reads[quantity]()
        except Exception as error:  # third parties' drivers and libraries: whatever they raise costs one quantity
            if not passing(error):
                self.lose(quantity, reason(error))
            return NAN


def rise(read: Callable[[], int], wraps_at: int | None = None) -> Read:
    """Make of a counter its rise since the last call; NaN on the first one, and after a reading that failed.

    A counter that fell has gone round at `wraps_at`; where that is None it began anew, and the rise is unknown.
    """
    before: list[int | None] = [None]

    def since_last() -> float:
        last, before[0] = before[0], None
        now = before[0] = read()
        if last is None:
            return NAN
        if now >= last:
            return float(now - last)
        return float(now + wraps_at - last) if wraps_at is not None and last <= wraps_at else NAN

    return since_last


def total(reads: Iterable[Read]) -> Read:
    """Make of several readings their sum."""
    parts = tuple(reads)
    return lambda: math.fsum([part() for part in parts])


def scaled(read: Callable[[], float], factor: float) -> Read:
    """Make of a reading one in another unit."""
    return lambda: read() * factor


def text(path: Path) -> str | None:
    """Return a small file's content without white space around it; None where it can't be read."""
    try:
        return path.read_bytes().decode(errors="replace").strip().strip("\0")
    except OSError:
        return None


def number(path: Path) -> int | None:
    """Return a small file's integer; None where it can't be read or holds something else."""
    try:
        return int(text(path) or "")
    except ValueError:
        return None


def reason(error: BaseException) -> str:
    """Say why a reading failed, without the path of the file: sources name it already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    words = " ".join(str(error).split())
    return words[:200] or type(error).__name__


def passing(error: BaseException) -> bool:
    """Whether the next reading may well succeed."""
    return isinstance(error, OSError) and error.errno in PASSING


def cpu_list(words: str) -> list[int]:
    """Read the kernel's form of a set of CPUs: `0-3,8`.

    Raises:
        ValueError: it is something else.
    """
    found: list[int] = []
    for part in words.split(","):
        first, _, last = part.strip().partition("-")
        if first:
            found += range(int(first), int(last or first) + 1)
    return found
