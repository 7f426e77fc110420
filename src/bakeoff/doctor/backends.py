"""Backends that can't run or convert here."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bakeoff import host
from bakeoff.records import BackendStatus, Finding
from bakeoff.records.doctor import Level
from bakeoff.steps.probe import probe_all

NO_GPU = "no NVIDIA GPU here"  # how a reason begins on hosts that never had one


def check(root: Path) -> list[Finding]:
    """Ask every backend, each in a child of its own."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as logs:
        return judged([one.status for one in probe_all(host.describe(), Path(logs))])


def judged(statuses: Sequence[BackendStatus]) -> list[Finding]:
    """Make Findings of what the backends said; their reasons hold the cure."""
    found = []
    for status in statuses:
        topic = f"backend {status.name}"
        if status.cannot_run:
            what, cure = split(status.cannot_run)
            level: Level = "note" if "not installed" in what or what.startswith(NO_GPU) else "problem"
            found.append(Finding(level=level, topic=topic, what=f"can't run: {what}", cure=cure))
        elif status.cannot_convert:
            what, cure = split(status.cannot_convert)
            found.append(Finding(level="note", topic=topic, what=f"runs, but can't convert: {what}", cure=cure))
        else:
            what = " ".join(word for word in (status.title, status.version, f"on {status.device or 'cpu'}") if word)
            found.append(Finding(level="ok", topic=topic, what=what))
    return found


def split(why: str) -> tuple[str, str | None]:
    """Part a reason from its cure: backends write `reason; cure`. The log that a probe names is gone by now."""
    what, _, cure = why.partition("; ")
    return what, None if cure.startswith("see ") else cure or None
