"""How far a conversion is, read from its child's log while the parent waits for the answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from bakeoff.backend import PROGRESS
from bakeoff.errors import one_line

EVERY_S = 1.0


@contextlib.contextmanager
def shown(
    log: Path, show: Callable[[str], None], every_s: float = EVERY_S, idle: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Show the newest line of progress in a log, in a thread of its own, for as long as the block lasts.

    Where there is no new one, `idle` is called. Only for conversions: nothing may run beside what is timed.
    """
    over = threading.Event()
    begin = log.stat().st_size if log.exists() else 0

    def watch() -> None:
        read, last = begin, ""
        while not over.wait(every_s):
            try:
                with log.open("rb") as file:
                    file.seek(read)
                    whole, newline, _ = file.read().rpartition(b"\n")
            except OSError:
                return
            read += len(whole) + len(newline)
            told = [line for line in whole.decode("utf-8", "replace").splitlines() if line.startswith(PROGRESS)]
            if told and told[-1] != last:
                last = told[-1]
                show(one_line(last.removeprefix(PROGRESS), 80))
            else:
                idle()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
