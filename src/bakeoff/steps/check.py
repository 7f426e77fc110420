"""Step 4, asked beforehand: what would go wrong in a conversion, as far as its Backend can tell from the graph."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.records import Candidate, Problem, Recipe
from bakeoff.steps.context import Context
from bakeoff.steps.convert import ask_with_forms, batches, calibration_for
from bakeoff.steps.prepare import Inputs
from bakeoff.worker import protocol as p

Checked = dict[str, tuple[Problem, ...]]  # Candidate's key -> its problems


def check_all(
    context: Context, inputs: Inputs, candidates: Sequence[Candidate], recipe: Recipe | None = None
) -> Checked:
    """Return the problems of each Candidate whose Backend offers a check.

    Raises:
        ChildError: a check, or an export for it, failed.
    """
    context.observer.stage("checking", len(candidates))
    found: Checked = {}
    without: set[str] = set()  # backends that offer none
    for candidate in candidates:
        if candidate.backend not in without:
            context.observer.advance(0, candidate.key)
            answer = _check(context, inputs, candidate, recipe)
            if answer is None:
                without.add(candidate.backend)
            else:
                found[candidate.key] = answer
        context.observer.advance()
    return found


def _check(context: Context, inputs: Inputs, candidate: Candidate, recipe: Recipe | None) -> tuple[Problem, ...] | None:
    def request(files: tuple[p.OnnxFile, ...]) -> p.Check:
        return p.Check(
            candidate=candidate,
            model=context.run.model,
            folder=str((context.folder.work / "check").absolute()),
            batches=batches(context.settings),
            onnx=files,
            calibration=calibration_for(context, inputs, candidate),
            recipe=recipe,
        )

    with context.worker(f"check-{candidate.slug}") as worker:
        return ask_with_forms(worker, request, p.Checked, inputs.reader).problems
