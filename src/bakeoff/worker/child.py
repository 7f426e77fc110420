"""The child's side: `python -m bakeoff.worker.child FD_IN FD_OUT THREADS`, serving requests until the pipe ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from bakeoff import registry
from bakeoff.backend import Backend, Shapable, Step, check_candidates, device_for
from bakeoff.errors import BakeoffError, one_line
from bakeoff.records import BackendStatus, Candidate
from bakeoff.worker import adoption, wire
from bakeoff.worker import protocol as p


def _probe(request: p.Probe) -> p.Probed:
    backend = registry.load(request.backend)
    if backend.name != request.backend:
        raise ValueError(f"backend {backend.name!r} is registered as {request.backend!r}; make the names the same")
    reasons = {step: backend.unavailable(step) for step in Step}
    version = None
    device = device_for(backend, request.device)
    if reasons[Step.RUN] is None and device is None:
        own = device_for(backend, None)
        reasons = dict.fromkeys(Step, f"{backend.title} does not run on {request.device}; use --device {own}")
    if reasons[Step.RUN] is None:
        try:
            version = backend.probe()
        except Exception as error:
            broken = f"{backend.title} is installed but does not load: {one_line(error, 120)}; reinstall it"
            reasons = dict.fromkeys(Step, broken)
    status = BackendStatus(
        name=backend.name,
        title=backend.title,
        version=version,
        device=None if version is None else device,
        cannot_convert=reasons[Step.CONVERT],
        cannot_run=reasons[Step.RUN],
    )
    proposed = () if request.model is None else tuple(backend.propose(request.model, request.host))
    check_candidates(backend.name, proposed)
    shapes = _shapes(backend, proposed, request)
    known = {one.key for one in proposed}
    others = {one.key: one for some in shapes.values() for one in some if one.key not in known}
    candidates = (*proposed, *others.values())
    candidates += adoption.tuned(backend, candidates, request.host, request.threads or request.host.cores_usable)
    check_candidates(backend.name, candidates)
    keys = {key: tuple(candidate.key for candidate in some) for key, some in shapes.items()}
    return p.Probed(status=status, candidates=candidates, shapes=keys)


def _shapes(backend: Backend, proposed: Sequence[Candidate], request: p.Probe) -> dict[str, list[Candidate]]:
    """Return the other shapes of each Candidate by its key, on request unless they are proposed themselves.

    Of an ONNX file with a fixed batch size nothing else can be made, and of Candidates on request nothing else is.
    """
    free = request.model is not None and request.model.fixed_batch is None
    if not (free and request.batches and hasattr(backend, "shapes")):
        return {}
    found = {}
    for candidate in proposed:
        if not candidate.on_request:
            others = cast(Shapable, backend).shapes(candidate, request.batches)
            others = [one for one in others if one.key != candidate.key]
            found[candidate.key] = [msgspec.structs.replace(one, on_request=True) for one in others]
    return found


def peak_memory_bytes() -> int | None:
    """Return this process's peak resident memory (VmHWM); `getrusage` would count the parent's before exec."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    fd_in, fd_out, threads = (int(argument) for argument in sys.argv[1:4])
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: die with the parent, whatever we do
    os.set_inheritable(fd_in, False)
    os.set_inheritable(fd_out, False)
    child: Any = None
    while (request := p.receive_request(fd_in)) is not None:
        reply: wire.Reply
        try:
            if isinstance(request, p.Probe):
                value: object = _probe(request)
            elif isinstance(request, p.Adopt):
                value = adoption.answer(request)
            else:
                if child is None:  # imports NumPy's and OpenCV's weight, which a probe does without
                    from bakeoff.worker.handlers import Child

                    child = Child(threads)
                value = child.handle(request)
            reply = wire.Done(value=wire.encode_value(value), peak_memory_bytes=peak_memory_bytes())
        except Exception as error:
            traceback.print_exc()
            if isinstance(error, BakeoffError):
                reply = wire.Failed(cause=one_line(error, 1000), bad_input=error.exit_code == 2)
            else:
                reply = wire.Failed(cause=f"{type(error).__name__}: {one_line(error)}")
        try:
            wire.send(fd_out, reply)
        except BrokenPipeError:  # the parent wants no more
            break
    if child is not None:
        child.close()
    os._exit(0)  # a runtime's own tear-down can hang or crash, and has nothing left to do


if __name__ == "__main__":
    main()
