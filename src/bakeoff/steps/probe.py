"""Ask every backend, each in a child, whether it is usable here and what it proposes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bakeoff import registry
from bakeoff.errors import BakeoffError
from bakeoff.records import BackendStatus, Candidate, Host, Model
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

PROBE_TIMEOUT_S = 60.0


def probe_all(host: Host, logs: Path, model: Model | None = None) -> list[tuple[BackendStatus, tuple[Candidate, ...]]]:
    """Ask every backend, each in a child, whether it is usable and what it proposes. One that breaks is unusable."""

    def probe(name: str) -> tuple[BackendStatus, tuple[Candidate, ...]]:
        try:
            with Worker(logs / f"probe-{name}.log", threads=1) as worker:
                answer = worker.ask(p.Probe(backend=name, host=host, model=model), p.Probed, timeout_s=PROBE_TIMEOUT_S)
            return answer.status, answer.candidates
        except (ChildError, BakeoffError) as error:
            cause = f"{error}; see {logs / f'probe-{name}.log'}"
            return BackendStatus(name=name, title=name, cannot_convert=cause, cannot_run=cause), ()

    names = registry.names()
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return list(pool.map(probe, names))
