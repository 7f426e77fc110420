"""How much an INT8 conversion depends on its calibration images: converted again from other draws of them."""

from __future__ import annotations

import shutil

import msgspec

from bakeoff.records import Artifact, CalibrationDraw, Trial
from bakeoff.steps.context import Context
from bakeoff.steps.convert import calibration_spec, convert_into, plain_of
from bakeoff.steps.prepare import Inputs
from bakeoff.steps.verify import measure
from bakeoff.worker.parent import ChildError


def draw_all(context: Context, inputs: Inputs) -> None:
    """Convert and verify each INT8 Candidate that is ok from `--calibration-seeds` draws, the Run's own the first."""
    settings = context.settings
    todo = [
        (trial, seed)
        for trial in context.run.trials
        if trial.status == "ok" and trial.candidate.calibrated and not trial.repair and trial.accuracy is not None
        if plain_of(context.run, trial.candidate) is None  # the spread is that of its plain form
        for seed in range(settings.seed + 1, settings.seed + settings.calibration_seeds)
        if seed not in {draw.seed for draw in trial.calibration_draws}
    ]
    if not todo:
        return
    pool = len(inputs.calibration_pool)
    if pool <= settings.calibration_images:
        context.observer.say(
            f"--calibration-seeds: each draw takes all {pool} calibration images, so they differ in order alone; "
            "give more images, or fewer with --calibration-images"
        )
    context.observer.stage("calibrating", len(todo) * (1 + len(inputs.validation)))
    for trial, seed in todo:
        context.observer.advance(0, f"{trial.candidate.key}, seed {seed}")
        _draw(context, inputs, trial, seed)


def _draw(context: Context, inputs: Inputs, trial: Trial, seed: int) -> None:
    key = trial.candidate.key
    folder = context.folder.work / "draws"
    try:
        artifact, _ = convert_into(context, inputs, trial.candidate, folder, calibration_spec(context, inputs, seed))
        context.observer.advance()
        draw = _measured(context, inputs, trial, artifact, seed)
        known = context.run.trial(key).calibration_draws
        context.change_trial(key, calibration_draws=(*known, draw))
    except ChildError as error:  # the Candidate itself stands: this is one more draw that could not be had
        context.observer.say(f"{key}: the draw of seed {seed} failed: {error.cause}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(context: Context, inputs: Inputs, trial: Trial, artifact: Artifact, seed: int) -> CalibrationDraw:
    other = msgspec.structs.replace(trial, artifact=artifact)
    with context.worker(trial.candidate.key) as worker:
        fields = measure(context, inputs, other, worker, keep=False)
    accuracy, point = fields["accuracy"], fields["operating_point"]
    return CalibrationDraw(
        seed=seed,
        map50_95=accuracy.map50_95,
        map50=accuracy.map50,
        recall=point.recall.value,
        map_delta=fields["map_delta"],
    )
