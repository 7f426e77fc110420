"""Ask every backend, each in a child, whether it is usable here and what it proposes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from bakeoff import registry
from bakeoff.errors import BakeoffError
from bakeoff.records import BackendStatus, Host, Model
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

PROBE_TIMEOUT_S = 60.0


def probe_all(
    host: Host,
    logs: Path,
    model: Model | None = None,
    threads: int | None = None,
    batches: tuple[int, ...] = (),
    device: str | None = None,
    names: Sequence[str] | None = None,
) -> list[p.Probed]:
    """Ask every backend, each in a child, whether it is usable and what it proposes. One that breaks is unusable.

    `threads` is what a Session gets by default: settings worth trying are others. `batches` are those of the Workloads,
    for which other shapes may be worth trying. `device` is the one asked for. `names` are those of the backends to ask;
    default: all.
    """
    answers: list[p.Probed] = []
    with contextlib.ExitStack() as stack:  # children of this thread: an interruption reaches and ends them all
        workers = {}
        for name in registry.names() if names is None else names:
            workers[name] = stack.enter_context(Worker(logs / f"probe-{name}.log", threads=1))
            workers[name].send(
                p.Probe(backend=name, host=host, model=model, threads=threads, batches=batches, device=device)
            )
        deadline = time.monotonic() + PROBE_TIMEOUT_S
        for name, worker in workers.items():
            try:
                answers.append(worker.answer(p.Probed, timeout_s=max(0.0, deadline - time.monotonic())))
            except (ChildError, BakeoffError) as error:
                cause = f"{error}; see {worker.log}"
                status = BackendStatus(name=name, title=name, cannot_convert=cause, cannot_run=cause)
                answers.append(p.Probed(status=status))
    return answers
