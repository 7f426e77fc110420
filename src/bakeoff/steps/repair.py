"""INT8 repair: a rejected INT8 Candidate again, with the layers that bring in the most error kept in float.

Layers are ranked once a Run, on calibration images; the ranking and the layers kept stand in `recipe.json`, the same
for every backend. Twice as many layers are kept at each attempt, until one is accepted or the budget is spent.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bakeoff import judge
from bakeoff.errors import InputError, one_line
from bakeoff.records import MIXED, Recipe, RepairAttempt, Trial, Verdict
from bakeoff.steps.context import Context
from bakeoff.steps.convert import ask_with_forms, calibration_spec, convert_into, plain_of, share_all
from bakeoff.steps.prepare import Inputs
from bakeoff.steps.verify import check_emulation, measure, verify_all, with_images
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError

RANKER = "onnxruntime"  # whose quantiser ranks the layers, for every backend
RECIPE = "recipe.json"
BUDGET = 0.25  # share of the layers that may be kept in float; more is hardly an INT8 conversion
FIRST = 1  # layers kept in float at the first attempt


def repair_all(context: Context, inputs: Inputs) -> None:
    """Add a mixed Candidate for each rejected INT8 one, and bring the mixed ones through."""
    if context.settings.repair and context.settings.labels:
        _propose(context)
    todo = [
        trial
        for trial in context.run.trials
        if trial.candidate.from_recipe
        and trial.status == "ok"
        and not trial.verified
        and plain_of(context.run, trial.candidate) is None
    ]
    if todo:
        _repair_these(context, inputs, todo)
    share_all(context)
    verify_all(context, inputs)  # those that got their Artifact just now


def _repair_these(context: Context, inputs: Inputs, todo: list[Trial]) -> None:
    try:
        ranked = rank(context, inputs)
    except ChildError as error:
        for trial in todo:
            context.fail(trial.candidate.key, "convert", error)
        return
    context.observer.stage("repairing INT8", len(todo))
    for trial in todo:
        key = trial.candidate.key
        try:
            _repair(context, inputs, trial, ranked)
        except ChildError as error:
            context.fail(key, error.step or "verify", error)
        context.observer.advance()


def _propose(context: Context) -> None:
    """Append a Trial for each mixed Candidate whose INT8 siblings are rejected, and none of them accepted."""
    run = context.run
    blocked = {(t.candidate.backend, t.candidate.shape): t.not_measured for t in run.trials}
    planned = {trial.candidate.key for trial in run.trials}
    rejected, accepted = (
        {
            (trial.candidate.backend, trial.candidate.shape)
            for trial in run.trials
            if trial.candidate.precision == "int8"
            and not trial.candidate.elsewhere
            and _verdict(context, trial).verdict == verdict
        }
        for verdict in ("rejected", "accepted")
    )
    new = [
        Trial(candidate=candidate, not_measured=blocked[candidate.backend, candidate.shape])
        for candidate in run.offered
        if candidate.precision == MIXED
        and not candidate.tuning
        and candidate.key not in planned
        and (candidate.backend, candidate.shape) in rejected - accepted
    ]
    for trial in new:
        context.observer.say(f"INT8 was rejected: trying {trial.candidate.key}")
    if new:
        context.change(trials=(*run.trials, *new))


def _verdict(context: Context, trial: Trial) -> Verdict:
    return judge.by_accuracy(trial, context.run.reference, context.settings.requirements)


def rank(context: Context, inputs: Inputs) -> Recipe:
    """Return the ranking of the Model's layers, made on first use and kept in the Run's folder.

    Raises:
        ChildError: it could not be made.
    """
    path = context.folder.path / RECIPE
    if path.exists():
        return read_recipe(path)
    context.observer.stage("ranking layers", 1)

    def request(files: tuple[p.OnnxFile, ...]) -> p.Rank:
        return p.Rank(
            backend=RANKER,
            model=context.run.model,
            folder=str((context.folder.work / "rank").absolute()),
            onnx=files,
            calibration=calibration_spec(context, inputs),
        )

    with context.worker("rank-layers") as worker:
        recipe = ask_with_forms(worker, request, p.Ranked, inputs.reader).recipe
    assert recipe is not None
    context.observer.advance()
    _write(context, recipe)
    return recipe


def _write(context: Context, recipe: Recipe) -> None:
    context.folder.write(RECIPE, msgspec.json.format(msgspec.json.encode(recipe), indent=1))


def with_worst(ranked: Recipe, count: int) -> Recipe:
    """Return the Recipe that keeps the `count` worst layers in float."""
    return msgspec.structs.replace(ranked, float_layers=tuple(one.layer for one in ranked.ranking[:count]))


def _repair(context: Context, inputs: Inputs, trial: Trial, ranked: Recipe) -> None:
    """Keep ever more layers in float until an attempt is accepted or the budget is spent; the last attempt stands.

    Raises:
        ChildError: a conversion or its Session failed.
    """
    key = trial.candidate.key
    limit = max(FIRST, int(len(ranked.ranking) * BUDGET))
    while True:
        tried = context.run.trial(key).repair
        if tried and (tried[-1].float_layers == limit or tried[-1].verdict == "accepted"):
            tried = tried[:-1]  # interrupted after its last attempt, before it was checked: do that one again
        count = min(2 * tried[-1].float_layers if tried else FIRST, limit)
        recipe = with_worst(ranked, count)
        try:
            artifact, seconds = convert_into(context, inputs, trial.candidate, context.folder.artifacts, recipe=recipe)
        except ChildError as error:
            error.step = "convert"
            raise
        now = context.change_trial(key, artifact=artifact)
        spent = (now.convert_s or ranked.seconds or 0.0) + seconds  # ranking and all attempts are part of its price
        with context.worker(key) as worker:
            fields = measure(context, inputs, now, worker)
            judged = _verdict(context, msgspec.structs.replace(now, **fields))
            attempt = RepairAttempt(float_layers=count, map_delta=fields["map_delta"], verdict=judged.verdict)
            done = judged.verdict == "accepted" or count == limit
            fields["agreement"] = with_images(fields["agreement"], context, inputs)
            context.change_trial(
                key, **{**fields, "verified": False, "convert_s": spent, "repair": (*tried, attempt)}
            )  # not verified before the last check has passed
            if done:
                check_emulation(context, key, worker)
                known = read_recipe(context.folder.path / RECIPE)
                _write(context, msgspec.structs.replace(known, kept={**known.kept, key: count}))
                context.change_trial(key, verified=True)
                return


def read_recipe(path: Path) -> Recipe:
    """Read a `recipe.json`.

    Raises:
        InputError: there is none, or it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recipe)
    except OSError as error:
        raise InputError(f"recipe {path} cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path} is not one of bakeoff's: {one_line(error, 120)}") from error
