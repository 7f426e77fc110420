"""What will spoil timings on this machine, and what does not fit together in the set-up. It changes nothing.

Each check is a function that returns Findings; one that breaks becomes a note and stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bakeoff.doctor import backends, clocks, cores, gpu, jetson, load, packages, probes, room
from bakeoff.errors import one_line
from bakeoff.records import Finding

Check = Callable[[Path], Sequence[Finding]]
LEVELS = ("problem", "warning", "note", "ok")
# The load is first: the probes of backends are children that take both cores for seconds.
CHECKS: dict[str, Check] = {
    "load": load.check,
    "cpu clock": clocks.check,
    "cores": cores.check,
    "room": room.check,
    "jetson": jetson.check,
    "gpu": gpu.check,
    "telemetry": probes.check,
    "packages": packages.check,
    "backends": backends.check,
}

__all__ = ["CHECKS", "LEVELS", "examine", "guarded"]


def examine(root: Path = Path("/")) -> list[Finding]:
    """Look at everything, and return the Findings, problems first.

    Takes a few seconds: half of one to watch the load, the rest to ask the backends. `root` is the machine's, for
    tests with a tree of their own.
    """
    found = [finding for topic, check in CHECKS.items() for finding in guarded(topic, check, root)]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def guarded(topic: str, check: Check, root: Path) -> Sequence[Finding]:
    """Run one check; if it breaks, the Finding says so."""
    try:
        return check(root)
    except Exception as error:
        what = f"could not be looked at: {type(error).__name__}: {one_line(error)}"
        return [Finding(level="note", topic=topic, what=what)]
