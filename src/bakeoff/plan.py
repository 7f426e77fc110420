"""From a Model and what the Backends propose to the Trials of a Run; pure."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.errors import InputError, nearest
from bakeoff.records import MIXED, BackendStatus, Candidate, Model, Trial, Workload

REFERENCE_BACKEND = {"ultralytics": "pytorch", "onnx": "onnxruntime"}


def reference_of(model: Model, candidates: Sequence[Candidate]) -> Candidate:
    """Return the Candidate that is the untouched model: eager PyTorch for a checkpoint, the file as it is for ONNX.

    Raises:
        InputError: no backend proposes it.
    """
    backend = REFERENCE_BACKEND[model.format]
    shape = "dyn" if model.fixed_batch is None else f"b{model.fixed_batch}"
    for candidate in candidates:
        if candidate.backend == backend and candidate.shape == shape and not candidate.options:
            return candidate
    raise InputError(f"no backend {backend!r} here to run the reference; see bakeoff backends")


def select(
    candidates: Sequence[Candidate], reference: Candidate, only: Sequence[str], skip: Sequence[str]
) -> list[Candidate]:
    """Return the reference first, then the Candidates that `--only` and `--skip` leave, in the order proposed.

    Those on request are left out, unless an `--only` pattern matches them and no other: `onnxruntime/*` means the plain
    ones, `onnxruntime/int8/static/*` those beside the plain one.

    Raises:
        InputError: a pattern matches no Candidate.
    """
    keys = [candidate.key for candidate in candidates]
    for pattern in (*only, *skip):
        if not any(candidate.matches(pattern) for candidate in candidates):
            raise InputError(f"no Candidate matches {pattern!r}{nearest(pattern, keys)} see bakeoff plan MODEL")
    wanted = [candidate for candidate in candidates if not candidate.on_request]
    if only:
        plain = wanted
        wanted = []
        for pattern in only:
            wanted += [one for one in plain if one.matches(pattern)] or [
                one for one in candidates if one.matches(pattern)
            ]
    chosen = [
        candidate
        for candidate in candidates
        if candidate in wanted and candidate != reference and not any(candidate.matches(pattern) for pattern in skip)
    ]
    return [reference, *chosen]


def named(candidates: Sequence[Candidate], key: str) -> Candidate:
    """Return the Candidate of a key.

    Raises:
        InputError: there is none, with the nearest name.
    """
    for candidate in candidates:
        if candidate.key == key:
            return candidate
    keys = [candidate.key for candidate in candidates]
    raise InputError(f"no Candidate {key!r}{nearest(key, keys)} see bakeoff plan MODEL")


def trials(
    candidates: Sequence[Candidate],
    backends: Sequence[BackendStatus],
    workloads: Sequence[Workload],
    *,
    calibration: str | None,
    judged: bool = True,
) -> list[Trial]:
    """Return a Trial for each Candidate: ready, or skipped with the reason and the cure.

    Args:
        candidates: those selected.
        backends: what their probes said.
        workloads: batches that a shape can't take are noted.
        calibration: why there are no calibration images, or `None` where there are some.
        judged: whether accuracy is measured with labels; which layers a mixed Candidate keeps in float depends on it.
    """
    status = {backend.name: backend for backend in backends}
    result = []
    for candidate in candidates:
        backend = status[candidate.backend]
        reason = backend.cannot_convert
        if reason is None and candidate.quantised:
            reason = calibration
        if reason is None and candidate.precision == MIXED and not judged:
            reason = "which layers stay in float is decided by accuracy; use bakeoff run or verify, with labels"
        blocked = {
            str(workload): f"{candidate.shape} takes no batch of {workload.batch}"
            for workload in workloads
            if not candidate.takes(workload.batch)
        }
        result.append(Trial(candidate=candidate, skip=reason, built_only=backend.cannot_run, not_measured=blocked))
    return result
