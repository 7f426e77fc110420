"""Run `bakeoff …` or `yolo …` exactly as their console scripts do, and note times, memory and accuracy at the end.

    python observed.py NOTES.json bakeoff verify MODEL …
    python observed.py NOTES.json yolo val model=…

The notes: `marks`, (monotonic seconds, stage, what) at each change, the clock that the parent process reads too;
`vm_hwm_kb`, this process's own peak resident memory; `map50_95`, for `yolo val`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Marks:
    """An Observer that passes everything on and notes when the stage or the Candidate changes."""

    def __init__(self, inner: Any, notes: list[tuple[float, str, str]]) -> None:
        self._inner, self._notes, self._stage, self._what = inner, notes, "", ""

    def stage(self, name: str, total: int) -> None:
        """Note it."""
        self._stage, self._what = name, ""
        self._notes.append((time.monotonic(), name, ""))
        self._inner.stage(name, total)

    def advance(self, parts: int = 1, what: str = "") -> None:
        """Note a new Candidate."""
        if what and what != self._what:
            self._what = what
            self._notes.append((time.monotonic(), self._stage, what))
        self._inner.advance(parts, what)

    def say(self, text: str) -> None:
        """Pass it on."""
        self._inner.say(text)


def bakeoff(arguments: list[str], notes: dict[str, Any]) -> int:
    from bakeoff import cli
    from bakeoff.cli import terminal

    plain = terminal.observer

    @contextlib.contextmanager
    def marking() -> Iterator[Any]:
        with plain() as inner:
            yield Marks(inner, notes["marks"])
        notes["marks"].append((time.monotonic(), "done", ""))

    terminal.observer = marking
    return cli.invoke(arguments)


def yolo(arguments: list[str], notes: dict[str, Any]) -> int:
    sys.argv = ["yolo", *arguments]  # read when Ultralytics is imported
    import openvino_f32
    from ultralytics.cfg import entrypoint
    from ultralytics.utils.callbacks.base import default_callbacks

    def ended(validator: Any) -> None:
        notes["map50_95"] = float(validator.metrics.box.map)

    default_callbacks["on_val_end"].append(ended)
    openvino_f32.apply()
    return int(entrypoint() or 0)


def peak_kb() -> int | None:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return None


def main() -> int:
    path, tool, *arguments = sys.argv[1:]
    notes: dict[str, Any] = {"marks": []}
    code = {"bakeoff": bakeoff, "yolo": yolo}[tool](arguments, notes)
    notes["vm_hwm_kb"] = peak_kb()
    Path(path).write_text(json.dumps(notes))
    return code


if __name__ == "__main__":
    sys.exit(main())
