"""`bakeoff tune`, between converting and timing: shapes that compute the same, screened; then settings of the best.

What is found here decides which settings of loading get a Trial. All shapes are Trials anyway, and are timed afresh in
the ordinary rounds: what is recommended follows from those (`speed.tune`).
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from bakeoff.accuracy import parity
from bakeoff.records import Shapes, Trial
from bakeoff.speed import tune
from bakeoff.steps.context import Context
from bakeoff.steps.prepare import Inputs
from bakeoff.steps.sweep import Family, add_settings, fresh, swept
from bakeoff.steps.verify import check_health, load, load_figures
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError

SHARE = 0.5  # of the time budget that trying may take; a screening that has begun is finished


def tune_all(context: Context, inputs: Inputs) -> None:
    """Check that all shapes compute the same, and screen what is not screened yet: first shapes, then settings."""
    if context.run.timing:
        return  # timing has begun: a Run that was interrupted there keeps the Trials that it has
    _check_all(context, len(inputs.validation))
    if context.run.trial(context.run.reference).status != "ok":
        return
    for family in context.run.shapes:
        if family.screened is None and not family.settled:
            _screen_shapes(context, family)
    todo = [family for family in context.run.shapes if not family.settled]
    spent = _spent(context)
    left = max(0.0, SHARE * context.settings.time_budget_s - spent)
    for number, family in enumerate(todo, 1):  # what one leaves over is the next one's
        _screen_settings(context, family, until_s=spent + left * number / len(todo))
    _check_all(context, len(inputs.validation))  # those that were added


def _check_all(context: Context, images: int) -> None:
    """Load each Trial that is not loaded yet, and hold its raw outputs against those of the plain shape."""
    todo = [trial for trial in context.run.trials if trial.status == "ok" and trial.load_s is None]
    if not todo:
        return
    sources = {context.run.reference, *(tune.plain_of(context.run, trial.candidate.key) for trial in todo)}
    trials = [  # those that others are held against come first, and again where a Run goes on in another place
        trial
        for trial in context.run.trials
        if trial.status == "ok" and trial.candidate.key in sources and not _heads(context, trial).exists()
    ]
    trials += [trial for trial in todo if trial not in trials]
    context.observer.stage("checking that all compute the same", len(trials))
    for trial in trials:
        key = trial.candidate.key
        context.observer.advance(0, key)
        try:
            _check(context, trial, min(images, parity.IMAGES))
        except ChildError as error:
            context.fail(key, error.step or "verify", error)
            if key == context.run.reference:
                return
        context.observer.advance()


def _check(context: Context, trial: Trial, images: int) -> None:
    """Predict some images in a child; a plain shape is compared with the reference, another one with the plain one."""
    key = trial.candidate.key
    reference, plain = context.run.reference, tune.plain_of(context.run, key)
    beside = context.run.trial(reference if plain is None or plain == key else plain)
    others_follow = key in (reference, plain)
    cache = str(context.frames.absolute())

    def detect(folder: Path, *, write: bool) -> p.Detected:
        heads = str(folder.absolute())
        return worker.ask(p.Detect(cache=cache, start=0, stop=images, heads=heads, is_reference=write), p.Detected)

    with context.worker(key) as worker:
        loaded = load(context, trial, worker)
        ready_s = worker.age_s
        found = detect(_heads(context, beside), write=beside.candidate.key == key)
        check_health([found], worker)
        context.change_trial(key, **load_figures(loaded, ready_s, found, worker), parity=found.parity)
        if others_follow and beside.candidate.key != key:
            detect(_heads(context, trial), write=True)
        if plain not in (None, key) and found.parity is not None:
            cause = parity.differs(found.parity.reference, trial.candidate.precision)
            if cause is not None:
                raise ChildError("output", cause, worker.log)


def _heads(context: Context, trial: Trial) -> Path:
    """Where a Trial's raw outputs are, for others to be held against."""
    return context.folder.work / "heads" / trial.candidate.slug


def _screen_shapes(context: Context, family: Shapes) -> None:
    """Time the shapes of one Candidate beside each other."""
    trials = _ok(context, family)
    if len(trials) < 2:
        return
    if _spent(context) >= SHARE * context.settings.time_budget_s:
        return  # the main timing tells them apart all the same
    started = time.monotonic()
    found = swept(context, Family(plain=trials[0], tuned=tuple(trials[1:])), context.settings.workloads, "shapes")
    _keep(context, family.key, screened=found, seconds=family.seconds + time.monotonic() - started)


def _screen_settings(context: Context, family: Shapes, until_s: float) -> None:
    """Time the settings of those shapes that are the fastest somewhere, and add those that beat their plain form.

    No screening begins once `until_s` were spent on all of them.
    """
    trials = {trial.candidate.key: trial for trial in _ok(context, family)}
    best = tune.fastest_shapes(family, [str(w) for w in context.settings.workloads]) if family.screened else {}
    keys = dict.fromkeys(key for key in (best.values() if best else [family.key]) if key in trials)
    for key in keys:
        tuned = [one for one in context.run.offered if one.tuning and one.plain.key == key]
        if not tuned or key in {one.key for one in context.run.sweep}:
            continue
        if _spent(context) >= until_s:
            why = f"settings of `{key}` were not tried: its part of the time budget was spent"
            _keep(context, family.key, left_out=why)
            break
        started = time.monotonic()
        plain = trials[key]
        found = swept(
            context,
            Family(plain=plain, tuned=tuple(fresh(plain, one) for one in tuned)),
            context.settings.workloads,
        )
        context.change(sweep=(*context.run.sweep, found))
        known = next(one for one in context.run.shapes if one.key == family.key)
        _keep(context, family.key, seconds=known.seconds + time.monotonic() - started)
    for key in keys:
        timed_at = [str(w) for w in context.settings.workloads if best.get(str(w), key) == key]
        _add_winners(context, key, timed_at)
    _keep(context, family.key, settled=True)


def _add_winners(context: Context, key: str, timed_at: list[str]) -> None:
    """Append a Trial for each setting of a shape that beats its plain form at one of the Workloads."""
    target = context.settings.precision_target
    swept_here = [one for one in context.run.sweep if one.key == key]
    add_settings(context, {won for one in swept_here for won in tune.winning_settings(one, target, timed_at)})


def _ok(context: Context, family: Shapes) -> list[Trial]:
    """Return the Trials of a family that are whole, the plain one first; none without it."""
    trials = [context.run.trial(key) for key in (family.key, *family.shapes)]
    ok = [trial for trial in trials if trial.status == "ok"]
    return ok if trials[0] in ok else []


def _spent(context: Context) -> float:
    return sum(one.seconds for one in context.run.shapes)


def _keep(context: Context, key: str, **fields: object) -> None:
    """Change the record of one family."""
    context.change(
        shapes=tuple(msgspec.structs.replace(one, **fields) if one.key == key else one for one in context.run.shapes)
    )
