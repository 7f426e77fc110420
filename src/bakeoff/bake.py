"""One bake-off, step by step."""

from __future__ import annotations

import contextlib
import datetime
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bakeoff import host, judge, plan, report, takeaways
from bakeoff.errors import BakeoffError, InputError, StoreError, WorkerError
from bakeoff.records import (
    MIXED,
    Artifact,
    BackendStatus,
    Candidate,
    Model,
    Recipe,
    RunRecord,
    Settings,
    Trial,
    Verdict,
)
from bakeoff.steps import (
    adopt,
    cameras,
    check,
    convert,
    draws,
    prepare,
    repair,
    scripts,
    sustain,
    sweep,
    time,
    tune,
    verify,
)
from bakeoff.steps.context import Context, Observer, Silent
from bakeoff.steps.probe import probe_all
from bakeoff.store import VERSION, RunFolder
from bakeoff.version import __version__
from bakeoff.view import View
from bakeoff.worker.parent import ChildError, Worker

ON_REQUEST = "runs where --only matches it, to repair a rejected INT8 Candidate, or in bakeoff tune"
SETTING = "runs where --only matches it, or where --tune or bakeoff tune finds it faster than the plain form"


def bake(settings: Settings, out: Path, observer: Observer | None = None, *, resume: bool = False) -> Path:
    """Do what the settings ask, and return the Run's folder.

    Raises:
        BakeoffError: bad input, or a folder that can't be used; what was measured before stays in the folder.
    """
    _check(settings)
    with RunFolder.resume(out) if resume else RunFolder.create(out) as folder:
        try:
            with _reader(settings, folder) as reader:
                context = _begin(settings, folder, reader, observer or Silent(), resume=resume)
                inputs = prepare.Inputs(reader=reader)
                _steps(context, inputs)
        except BakeoffError:
            if resume or _planned(folder):
                _leave_readable(folder)
            else:
                folder.discard()  # after a mistyped name, the same --out must do
            raise
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk shows up anywhere
            _leave_readable(folder)
            where = error.filename or folder.path
            raise StoreError(f"{where}: {error.strerror or error}; free some space or choose another --out") from error
        except BaseException:
            _leave_readable(folder)
            raise
        return folder.path


def _steps(context: Context, inputs: prepare.Inputs) -> None:
    settings = context.settings
    if not context.run.trials:
        inputs.adopted = adopt.adopt_all(context)
    prepare.read_dataset(context, inputs)
    if not context.run.trials:
        prepare.plan_trials(context, inputs)
    prepare.check_room(context, len(context.run.trials))
    convert.convert_all(context, inputs)
    if settings.accuracy and reference_ok(context.run):
        verify.verify_all(context, inputs)
    if settings.accuracy and reference_ok(context.run):
        repair.repair_all(context, inputs)
        draws.draw_all(context, inputs)
    if settings.speed and reference_ok(context.run):
        sweep.sweep_all(context, inputs)
        if settings.shapes:
            tune.tune_all(context, inputs)
        time.time_all(context)
    if settings.cameras_fps is not None and reference_ok(context.run):
        cameras.count_all(context)
    if settings.sustain_s is not None and reference_ok(context.run):
        sustain.sustain_all(context)
    done = concluded(context.run, context.folder)
    context.change(verdicts=done.verdicts, takeaways=done.takeaways, finished=_now())
    scripts.save_all(context)
    context.folder.consolidate()
    context.folder.clean()
    report.write(context.folder)


def judged(run: RunRecord, folder: RunFolder) -> list[Verdict]:
    """Return the Verdicts on a Run as it stands."""
    return judge.judge(
        run.trials, run.reference, folder.timings(), run.settings.requirements, resamples=folder.resamples()
    )


def concluded(run: RunRecord, folder: RunFolder) -> RunRecord:
    """Return a Run with the Verdicts and takeaways that its Trials and Requirements make."""
    done = msgspec.structs.replace(run, verdicts=tuple(judged(run, folder)))
    return msgspec.structs.replace(done, takeaways=takeaways.draw(View.make(done, folder.timings())))


def reference_ok(run: RunRecord) -> bool:
    """Whether the reference came through so far."""
    return bool(run.trials) and run.trial(run.reference).status == "ok"


def succeeded(run: RunRecord) -> bool:
    """Whether a Run is worth exit code 0: the reference is ok, and so is another if others were selected."""
    others = [trial for trial in run.trials if trial.candidate.key != run.reference]
    return reference_ok(run) and (not others or any(trial.status in ("ok", "built") for trial in others))


def planned(settings: Settings) -> list[Trial]:
    """Return the Trials that a Run would begin with, without running them, and those that it makes on request.

    Raises:
        InputError: bad input, or a pattern that matches nothing.
    """
    _check(settings)
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as scratch:
        folder = RunFolder.create(Path(scratch) / "run")
        with folder, _reader(settings, folder) as reader:
            context = _begin(settings, folder, reader, Silent(), resume=False)
            inputs = prepare.Inputs(reader=reader)
            if settings.data is not None or settings.calibration is not None:
                prepare.find_calibration(context, inputs)
            inputs.adopted = adopt.adopt_all(context)
            prepare.plan_trials(context, inputs)
            offered = () if settings.only else context.run.offered
            return [
                *context.run.trials,
                *(Trial(candidate=one, skip=SETTING if one.tuning else ON_REQUEST) for one in offered),
            ]


def convert_one(
    settings: Settings, key: str, out: Path, observer: Observer | None = None, recipe: Path | None = None
) -> Artifact:
    """Convert the Model for one Candidate into the folder `out`; a mixed one needs a Run's `recipe.json`.

    Raises:
        InputError: unknown Candidate, or one that can't be converted here.
        WorkerError: the conversion failed.
    """
    _check(settings)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out} is not an empty folder; choose another --out")
    with _proposed(settings, observer) as (context, inputs, statuses, candidates):
        candidate = plan.named(candidates, key)
        layers = _recipe(candidate, recipe, context.run.model)
        if candidate.sees_images:
            prepare.check_calibration(context, inputs)
        (trial,) = plan.trials([candidate], statuses, (), calibration=inputs.no_calibration)
        if trial.skip is not None:
            raise InputError(f"{key} cannot be converted here: {trial.skip}")
        try:
            with context.worker(key) as worker:
                made = convert.convert(worker, candidate, context, inputs, out, recipe=layers)
                assert made.artifact is not None
                _script(context, worker, out, candidate, made.artifact)
        except ChildError as error:
            failure = error.failure("convert", context.folder.path, context.reproduce("convert", key))
            raise WorkerError(f"{key} failed to convert: {error.cause}", failure) from error
    return made.artifact


def _script(context: Context, worker: Worker, out: Path, candidate: Candidate, artifact: Artifact) -> None:
    """Write what stands beside an Artifact; without a script it is an Artifact all the same."""
    try:
        scripts.save(worker, out, candidate, artifact, context.run.model, context.settings.timed_confidence)
    except ChildError as error:
        context.observer.say(f"{candidate.key} gets no {scripts.SCRIPT}: {error.cause}")


def checked(
    settings: Settings, key: str | None = None, observer: Observer | None = None, recipe: Path | None = None
) -> check.Checked:
    """Return what would go wrong in converting the Model for one Candidate, or for all that are not on request.

    Raises:
        InputError: unknown Candidate, or no backend that offers a check.
        WorkerError: the check failed.
    """
    _check(settings)
    with _proposed(settings, observer, inspect=True) as (context, inputs, _, proposed):
        if key is None:
            layers = None
            candidates = [candidate for candidate in proposed if not candidate.on_request]
        else:
            candidates = [plan.named(proposed, key)]
            layers = _recipe(candidates[0], recipe, context.run.model)
        if any(candidate.sees_images for candidate in candidates):
            prepare.check_calibration(context, inputs)
        try:
            found = check.check_all(context, inputs, candidates, layers)
        except ChildError as error:
            failure = error.failure("convert", context.folder.path, "")
            raise WorkerError(f"the check failed: {error.cause}", failure) from error
        if not found:
            raise InputError(f"{key or 'no backend here'}: no check of the graph is offered; see bakeoff backends")
        return found


@contextlib.contextmanager
def _proposed(
    settings: Settings, observer: Observer | None, *, inspect: bool = False
) -> Iterator[tuple[Context, prepare.Inputs, list[BackendStatus], list[Candidate]]]:
    """Yield the context of a Run that is not kept, the calibration images found, and what the backends propose."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as scratch:
        folder = RunFolder.create(Path(scratch) / "run")
        with folder, _reader(settings, folder, inspect=inspect) as reader:
            context = _begin(settings, folder, reader, observer or Silent(), resume=False)
            inputs = prepare.Inputs(reader=reader)
            prepare.find_calibration(context, inputs)
            run = context.run
            probed = probe_all(run.host, folder.logs, run.model, context.threads, settings.batches)
            yield context, inputs, [one.status for one in probed], [one for some in probed for one in some.candidates]


def _recipe(candidate: Candidate, path: Path | None, model: Model) -> Recipe | None:
    """Return the Recipe of a mixed Candidate."""
    if candidate.precision != MIXED:
        return None
    if path is None:
        raise InputError(f"{candidate.key} needs --recipe FILE: the recipe.json of a Run that made one")
    recipe = repair.read_recipe(path)
    if recipe.model_sha256 != model.sha256:
        raise InputError(f"recipe {path} was made for another model than {model.path}; use that of its own Run")
    count = recipe.kept.get(candidate.plain.key) or max(recipe.kept.values(), default=0)
    if not count:
        raise InputError(f"recipe {path} keeps no layer in float; use one of a Run that repaired an INT8 Candidate")
    return repair.with_worst(recipe, count)


def _check(settings: Settings) -> None:
    """Refuse what no Run can be made of."""
    if not re.fullmatch("[a-z]+(:[0-9]+)?", settings.device):
        raise InputError(f"device {settings.device!r} is none; give cpu or cuda:0")
    judge.check(settings.requirements)
    if not settings.labels and settings.requirements.max_recall_drop is not None:
        raise InputError("max-recall-drop needs labels: leave it or --no-labels out")
    if not settings.labels and settings.calibration_seeds > 1:
        raise InputError("calibration-seeds compares mAP, which needs labels: leave it or --no-labels out")
    if not 0 < settings.precision_target < 1:
        raise InputError(f"precision-target {settings.precision_target:g} is not a share such as 0.02")
    if not settings.time_budget_s >= 0:
        raise InputError(f"time-budget {settings.time_budget_s:g} is not 0 s or more")
    if settings.conf is not None and not 0 < settings.conf < 1:
        raise InputError(f"conf {settings.conf:g} is not between 0 and 1")
    positive = {
        "frames": settings.frames,
        "images": settings.images,
        "imgsz": settings.imgsz,
        "threads": settings.threads,
        "calibration-images": settings.calibration_images,
        "calibration-seeds": settings.calibration_seeds,
        "step-timeout": settings.step_timeout_s,
    }
    for name, value in positive.items():
        if value is not None and not value > 0:
            raise InputError(f"{name} {value:g} is not positive")
    if settings.seed < 0:
        raise InputError(f"seed {settings.seed} is negative; give 0 or more")
    if not settings.workloads:
        raise InputError("no Workload to time; give one such as --workload 1x1")
    cameras.check(settings)
    sustain.check(settings)


def _reader(settings: Settings, folder: RunFolder, *, inspect: bool = False) -> prepare.ModelReader:
    return prepare.ModelReader(
        Path(settings.model),
        imgsz=settings.imgsz,
        trust=settings.trust,
        log=folder.logs / "model.log",
        work=folder.work / "onnx",
        timeout_s=settings.step_timeout_s,
        threads=settings.threads or host.usable_cores(),
        inspect=inspect,
    )


def _begin(
    settings: Settings, folder: RunFolder, reader: prepare.ModelReader, observer: Observer, *, resume: bool
) -> Context:
    """Return the context of a new Run, or of the one in the folder if it was asked to do the same."""
    observer.stage("reading the model", 1)
    if not resume:
        run = RunRecord(
            created=_now(),
            settings=settings,
            bakeoff=__version__,
            versions=host.versions(),
            host=host.describe(),
            model=reader.describe(),
        )
        observer.advance()
        folder.save(run)
        return Context(folder, run, observer)
    run = folder.load()
    if folder.version < VERSION:
        raise InputError(f"{folder.path} was begun by an older bakeoff ({run.bakeoff}); begin a new Run")
    for name in Settings.__struct_fields__:
        old, new = getattr(run.settings, name), getattr(settings, name)
        if name not in ("command", "step_timeout_s") and old != new:
            raise InputError(f"{folder.path} was begun with {name} = {old}, not {new}; resume with the same options")
    model: Model = reader.describe()
    observer.advance()
    if model.sha256 != run.model.sha256:
        raise InputError(f"{settings.model} changed since the Run in {folder.path} began; begin a new one")
    context = Context(folder, msgspec.structs.replace(run, settings=settings), observer)
    context.tell(*run.trials)
    return context


def _planned(folder: RunFolder) -> bool:
    """Whether a Run got as far as its Trials."""
    try:
        return bool(folder.load().trials)
    except StoreError:
        return False


def _leave_readable(folder: RunFolder) -> None:
    """After an interruption: a table of what there is. A folder with nothing measured is left as it is."""
    try:
        run = folder.load()
        if any(trial.verified or trial.convert_s is not None for trial in run.trials):
            folder.save(concluded(run, folder))
            report.write(folder, charts=False)
    except (StoreError, OSError):
        return  # the first error is the one to tell


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
