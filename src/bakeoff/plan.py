"""From a Model and what the Backends propose to the Trials of a Run; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bakeoff.errors import InputError, nearest
from bakeoff.records import BackendStatus, Candidate, Model, Settings, Shapes, Trial, Workload

REFERENCE_BACKEND = {"ultralytics": "pytorch", "onnx": "onnxruntime"}


def reference_of(model: Model, candidates: Sequence[Candidate]) -> Candidate:
    """Return the Candidate that is the untouched model: eager PyTorch for a checkpoint, the file as it is for ONNX.

    Raises:
        InputError: no backend proposes it.
    """
    backend = REFERENCE_BACKEND[model.format]
    shape = "dyn" if model.fixed_batch is None else f"b{model.fixed_batch}"
    for candidate in candidates:
        if candidate.backend == backend and candidate.shape == shape and not candidate.options + candidate.tuning:
            return candidate
    raise InputError(f"no backend {backend!r} here to run the reference; see bakeoff backends")


def select(
    candidates: Sequence[Candidate],
    reference: Candidate,
    only: Sequence[str],
    skip: Sequence[str],
    shapes: Collection[str] = (),
) -> list[Candidate]:
    """Return the reference first, then the Candidates that `--only` and `--skip` leave, in the order proposed.

    Those on request are left out, unless an `--only` pattern matches them and no other: `onnxruntime/*` means the plain
    ones, `onnxruntime/int8/static/*` those beside the plain one. Settings of loading come last: they are taken where a
    pattern matches nothing else, so `onnxruntime/fp32/static/*` means all of them, `*/t1` one of each. Those of
    `shapes` (keys that are there only to be tuned) are left out of that, unless they are all that is matched. An
    Artifact made elsewhere was named by its path: it needs no pattern, but `--skip` takes it away.

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
            matched = [one for one in candidates if one.matches(pattern)]
            untuned = [one for one in matched if not one.tuning]
            proposed = [one for one in matched if one.plain.key not in shapes]
            wanted += [one for one in plain if one in matched] or untuned or proposed or matched
    wanted += [candidate for candidate in candidates if candidate.elsewhere and not candidate.on_request]
    chosen = [
        candidate
        for candidate in candidates
        if candidate in wanted and candidate != reference and not any(candidate.matches(pattern) for pattern in skip)
    ]
    return [reference, *chosen]


def to_tune(
    candidates: Sequence[Candidate],
    chosen: Sequence[Candidate],
    shapes: Mapping[str, Sequence[str]],
    settings: Settings,
    runnable: Collection[str],
) -> list[Shapes]:
    """Return what `bakeoff tune` tries: each backend's plainest Candidate, or those asked for, in all their shapes.

    Args:
        candidates: all that were proposed, and their other shapes.
        chosen: of them, what `select` left.
        shapes: by key of a proposed Candidate, the keys of its other shapes.
        settings: of the Run; without `only`, each backend's first Candidate is taken.
        runnable: names of the backends that can convert and run here; of others no shape is tried.
    """
    known = {candidate.key: candidate for candidate in candidates}
    asked = {one.key for one in chosen if any(one.matches(pattern) for pattern in settings.only)}
    taken: set[str] = set()
    result: list[Shapes] = []
    for candidate in candidates:
        key = candidate.key
        first = candidate.backend not in {known[one.key].backend for one in result}
        wanted = key in asked if settings.only else first and candidate in chosen
        if not wanted or key in taken:
            continue
        proposed = key if key in shapes else next((one for one in shapes if key in shapes[one]), key)
        others = [
            other
            for other in (proposed, *shapes.get(proposed, ()))
            if other != key
            and other not in taken
            and not any(known[other].matches(pattern) for pattern in settings.skip)
            and any(known[other].takes(batch) for batch in settings.batches)
        ]
        taken |= {key, *others}
        result.append(Shapes(key=key, shapes=tuple(others) if candidate.backend in runnable else ()))
    return result


def asked_for(trials: Sequence[Trial], reference: str, only: Sequence[str], skip: Sequence[str]) -> list[Trial]:
    """Return the Trials that the user selected: the reference only where a pattern takes it, or nothing else is there.

    It always runs, but a load test of minutes needs nothing to compare with.
    """
    others = [trial for trial in trials if trial.candidate.key != reference]
    own = [trial.candidate for trial in trials if trial.candidate.key == reference]
    wanted = not only or any(candidate.matches(pattern) for candidate in own for pattern in only)
    left = wanted and not any(candidate.matches(pattern) for candidate in own for pattern in skip)
    return list(trials) if left or not others else others


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
        reason = None if candidate.elsewhere else backend.cannot_convert
        if reason is None and candidate.calibrated:
            reason = calibration
        if reason is None and candidate.from_recipe and not judged:
            reason = "which layers stay in float is decided by accuracy; use bakeoff run or verify, with labels"
        blocked = {
            str(workload): f"{candidate.shape} takes no batch of {workload.batch}"
            for workload in workloads
            if not candidate.takes(workload.batch)
        }
        result.append(Trial(candidate=candidate, skip=reason, built_only=backend.cannot_run, not_measured=blocked))
    return result
