"""Steps 1 and 2: read the Model and the dataset, ask the backends, plan the Trials, fill the frame cache."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from bakeoff import plan
from bakeoff.accuracy.boxes import GroundTruth
from bakeoff.data import calibration, frames
from bakeoff.data.dataset import DatasetFiles, check_sizes, open_dataset
from bakeoff.data.images import content_hash, is_image, list_images
from bakeoff.data.letterbox import Geometry
from bakeoff.errors import InputError
from bakeoff.models import check_file
from bakeoff.records import BackendStatus, Candidate, Dataset, Model, Shapes
from bakeoff.steps.context import Context
from bakeoff.steps.probe import probe_all
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker


@dataclass(kw_only=True)
class Inputs:
    """What the steps need beside the record: the image files, and who exports the Model."""

    reader: ModelReader
    splits: tuple[tuple[Path, ...], tuple[Path, ...]] | None = None  # all of the dataset's validation and training
    validation: list[Path] = field(default_factory=list)  # the ones that are measured on
    calibration_pool: list[Path] = field(default_factory=list)  # what calibration images are drawn from
    no_calibration: str | None = None  # why there are none
    adopted: list[Candidate] = field(default_factory=list)  # the Artifacts made elsewhere that `--artifact` names


class ModelReader:
    """The child that has the model file open: describes it, exports it as ONNX, once for each batch and opset."""

    def __init__(
        self,
        path: Path,
        *,
        imgsz: int | None,
        trust: bool,
        log: Path,
        work: Path,
        threads: int,
        timeout_s: float | None,
        inspect: bool = False,
    ) -> None:
        check_file(path)
        self._ask = p.Describe(path=str(path), imgsz=imgsz, trust=trust, inspect=inspect)
        self._log, self._work, self._threads, self._timeout_s = log, work, threads, timeout_s
        self._worker: Worker | None = None
        self._files: dict[tuple[int | None, int], p.OnnxFile] = {}

    def __enter__(self) -> ModelReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def describe(self) -> Model:
        """Read the file.

        Raises:
            InputError: it is no model that bakeoff can take, or reading it took the reader down.
        """
        self._worker = Worker(self._log, threads=self._threads, timeout_s=self._timeout_s)
        try:
            return self._worker.ask(self._ask, Model)
        except ChildError as error:
            self._worker.kill()
            self._worker = None
            raise InputError(f"model {self._ask.path} cannot be read: {error.cause}") from error

    def onnx(self, batch: int | None, opset: int) -> p.OnnxFile:
        """Return the Model as ONNX, exported on first use.

        Raises:
            ChildError: the export failed.
        """
        key = (batch, opset)
        if key not in self._files:
            if self._worker is None:
                self.describe()
            assert self._worker is not None
            self._work.mkdir(parents=True, exist_ok=True)
            path = self._work / f"{'dynamic' if batch is None else f'b{batch}'}-opset{opset}.onnx"
            try:
                seconds = self._worker.ask(p.Export(batch=batch, opset=opset, path=str(path)), float)
            except InputError as error:
                raise ChildError("error", str(error), self._log) from error
            except ChildError:
                self._worker.kill()
                self._worker = None
                raise
            self._files[key] = p.OnnxFile(batch=batch, opset=opset, path=str(path), export_s=seconds)
        return self._files[key]

    @property
    def files(self) -> tuple[p.OnnxFile, ...]:
        """All forms exported so far."""
        return tuple(self._files.values())


def plan_trials(context: Context, inputs: Inputs) -> None:
    """Probe the backends and lay out the Trials in the record."""
    settings, model = context.settings, context.run.model
    probed = probe_all(context.run.host, context.folder.logs, model, context.threads, settings.batches, settings.device)
    statuses = [one.status for one in probed]
    _check_device(context, statuses)
    for one in probed:
        if one.status.cannot_run is not None and not one.candidates:
            context.observer.say(f"backend {one.status.name} proposes nothing: {one.status.cannot_run}")
    candidates = [*(candidate for one in probed for candidate in one.candidates), *inputs.adopted]
    reference = plan.reference_of(model, candidates)
    by_key = {key: others for one in probed for key, others in one.shapes.items()}
    known = {candidate.key: candidate for candidate in candidates}
    others = {key for some in by_key.values() for key in some if known[key].on_request}
    chosen = plan.select(candidates, reference, settings.only, settings.skip, others)
    shapes: list[Shapes] = []
    if settings.shapes:
        runnable = {one.name for one in statuses if one.cannot_convert is None and one.cannot_run is None}
        shapes = plan.to_tune(candidates, chosen, by_key, settings, runnable)
        keys = [key for one in shapes for key in (one.key, *one.shapes) if key != reference.key]
        chosen = [reference, *(known[key] for key in keys)]
    offered = tuple(
        candidate
        for candidate in candidates
        if candidate.on_request
        and candidate not in chosen
        and not any(candidate.matches(pattern) for pattern in settings.skip)
    )
    trials = plan.trials(
        chosen,
        statuses,
        settings.workloads,
        calibration=inputs.no_calibration,
        judged=settings.accuracy and settings.labels,
    )
    if settings.shapes:  # what can't run can't be tuned: building it would be for nothing
        trials = [msgspec.structs.replace(trial, skip=trial.skip or trial.built_only) for trial in trials]
    if any(trial.candidate.sees_images and trial.skip is None for trial in trials):
        check_calibration(context, inputs)
    context.change(
        backends=tuple(statuses),
        shapes=tuple(shapes),
        reference=reference.key,
        offered=offered,
        trials=tuple(trials),
    )


def _check_device(context: Context, statuses: Sequence[BackendStatus]) -> None:
    """Refuse a device that no backend runs on, and say who runs elsewhere."""
    asked = context.settings.device
    elsewhere = [status.title for status in statuses if status.device not in (None, asked)]
    if asked != "cpu" and not any(status.device == asked for status in statuses):
        raise InputError(f"device {asked!r}: no backend runs on it here; see bakeoff backends, or use --device cpu")
    if elsewhere:
        context.observer.say(f"on the CPU, for bakeoff does not run them on {asked}: {', '.join(elsewhere)}")


def read_dataset(context: Context, inputs: Inputs) -> None:
    """Read the dataset's files and labels, check it against the Model, and draw the calibration images.

    Raises:
        InputError: anything about the dataset that contract 5 names.
    """
    settings, model = context.settings, context.run.model
    if settings.data is None:
        raise InputError("a dataset is needed: --data data.yaml")
    # what is only timed needs no labels, so its images may lie in a plain folder
    labelled = settings.labels and settings.accuracy
    dataset = _open(context, settings.data, labels=labelled)
    check_names(model, dataset)
    inputs.splits = dataset.validation, dataset.training
    inputs.validation = list(dataset.validation[: settings.images])
    missing = [path for path in inputs.validation if not path.is_file()]
    if missing:
        raise InputError(f"{len(missing)} validation images do not exist, the first is {missing[0]}")
    labels = [dataset.labels(path) for path in inputs.validation]
    boxes = sum(one.boxes for one in labels)
    if boxes == 0 and labelled:
        raise InputError(
            f"dataset {settings.data} has no labels for its {len(labels)} validation images: "
            f"expected {dataset.labels_from}"
        )
    find_calibration(context, inputs)
    context.observer.stage("decoding images", len(inputs.validation))
    index = frames.build(
        context.frames,
        inputs.validation,
        model.imgsz,
        settings.frames if settings.speed else 0,
        progress=lambda done: context.observer.advance(),
        threads=context.threads,
    )
    check_sizes(dataset, inputs.validation, labels, index.frame_wh)
    geometries = [Geometry.of(wh, model.imgsz) for wh in index.frame_wh]
    truth = GroundTruth.of(labels, geometries, dataset.class_names)
    digest = hashlib.sha256()
    for path, one in zip(inputs.validation, labels, strict=True):
        digest.update(content_hash(path).encode())
        digest.update(one.content())
    read = Dataset(
        path=settings.data,
        class_names=dataset.class_names,
        images=len(inputs.validation),
        boxes=boxes,
        sha256=digest.hexdigest(),
        background_images=sum(not one.boxes for one in labels) if labelled else 0,
        duplicate_boxes=sum(one.duplicates for one in labels),
        calibration_from=settings.calibration or ("train" if inputs.calibration_pool else None),
        calibration_images=min(settings.calibration_images, len(inputs.calibration_pool)),
    )
    before = context.run.dataset
    if before is not None and before.sha256 != read.sha256:
        raise InputError(
            f"dataset {settings.data} changed since the Run in {context.folder.path} began; begin a new one"
        )
    # an ONNX file without names takes the dataset's
    context.change(dataset=read, model=msgspec.structs.replace(model, class_names=dataset.class_names))
    context.folder.put(
        "truth",
        {
            **truth.arrays(),
            "images/frame_wh": np.array(index.frame_wh, np.int32),
            "images/names": np.array([str(path) for path in inputs.validation]),
        },
    )


def find_calibration(context: Context, inputs: Inputs) -> None:
    """Find the images that calibration may draw from, or note why there are none."""
    inputs.calibration_pool = _calibration_pool(context, inputs)
    if not inputs.calibration_pool:
        inputs.no_calibration = "INT8 needs calibration images; give --data with a 'train' split, or --calibration DIR"


def check_calibration(context: Context, inputs: Inputs) -> None:
    """Refuse calibration images that are validation images too, of all that the dataset has.

    Raises:
        InputError: naming them.
    """
    if context.settings.data is not None:
        calibration.check_disjoint(inputs.calibration_pool, _splits(context, inputs, context.settings.data)[0])


def _open(context: Context, data: str, *, labels: bool) -> DatasetFiles:
    model = context.run.model
    return open_dataset(Path(data), model.class_names, named=model.named, labels=labels)


def _splits(context: Context, inputs: Inputs, data: str) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return all validation and training images; a large json is read once."""
    if inputs.splits is None:
        dataset = _open(context, data, labels=False)
        inputs.splits = dataset.validation, dataset.training
    return inputs.splits


def check_names(model: Model, dataset: DatasetFiles) -> None:
    """Refuse a dataset whose classes are not the Model's.

    Raises:
        InputError: naming both.
    """
    ours, theirs = model.class_names, dataset.class_names
    if len(ours) != len(theirs):
        raise InputError(
            f"model {model.path} has {len(ours)} classes ({_some(ours)}) but dataset {dataset.path} has {len(theirs)} "
            f"({_some(theirs)}); use the dataset that the model was trained for"
        )
    if model.named and ours != theirs:
        i = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        raise InputError(
            f"class {i} is {ours[i]!r} in model {model.path} but {theirs[i]!r} in dataset {dataset.path}; "
            "make the names and their order the same"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def _calibration_pool(context: Context, inputs: Inputs) -> list[Path]:
    settings = context.settings
    if settings.calibration is not None:
        folder = Path(settings.calibration)
        if not folder.is_dir():
            raise InputError(f"--calibration {folder} is no folder")
        pool = list_images(folder)
        if not pool:
            raise InputError(f"--calibration {folder} holds no images")
        return pool
    if settings.data is None:
        return []
    _, training = _splits(context, inputs, settings.data)
    return [path for path in training if is_image(path) and path.is_file()]


def check_room(context: Context, trials: int) -> None:
    """Warn where the disk may be too small for the Artifacts and what is written on the way to them."""
    need = context.run.model.size_bytes * 6 * trials
    free = shutil.disk_usage(context.folder.path).free
    if free < need:
        context.observer.say(
            f"only {free / 1e6:.0f} MB free in {context.folder.path}: the Artifacts may need {need / 1e6:.0f} MB"
        )
