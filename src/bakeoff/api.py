"""The Python API: `bakeoff.run(…)`, `bakeoff.tune(…)`, and the Run that it returns."""

from __future__ import annotations

import copy
import datetime
import os
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from bakeoff import again, comparison, importing, report, takeaways
from bakeoff.bake import bake, succeeded
from bakeoff.errors import InputError
from bakeoff.predictor import Options, Predictor
from bakeoff.records import Comparison, Prediction, Requirements, RunRecord, Settings, Takeaway, Verdict, Workload
from bakeoff.report import cameras, frames, notebook, requirements, summary, sustain, table
from bakeoff.report import compare as report_of_two
from bakeoff.report import tune as report_of_tune
from bakeoff.report.takeaways import answer
from bakeoff.steps.context import Observer
from bakeoff.store import RunFolder

PathLike = str | os.PathLike[str]
Of = Literal["table", "samples"]


class Run:
    """A Run's folder, read. In a notebook it shows itself as a table."""

    def __init__(self, path: PathLike) -> None:
        """Read a Run's folder.

        Raises:
            StoreError: there is none, or it can't be read.
        """
        self.folder = RunFolder(Path(path))
        self._view = table.View.of(self.folder)
        self._is_new = False  # judged again, and not written

    @property
    def path(self) -> Path:
        """The Run's folder."""
        return self.folder.path

    @property
    def record(self) -> RunRecord:
        """All records, as in `results.json`."""
        return self._view.run

    @property
    def rows(self) -> list[dict[str, table.Cell]]:
        """The rows of `table.csv`; `None` is an empty cell."""
        return [table.row(self._view, line) for line in self._view.lines]

    def table(self) -> Any:
        """Return the table as a pandas DataFrame where pandas is installed, else as a list of dicts."""
        return self.to_pandas() if find_spec("pandas") else self.rows

    def samples(self) -> Any:
        """Return each counted prediction as a row: whose it is, pre, run, post and latency in ms.

        As a pandas DataFrame where pandas is installed, else as a dict of NumPy arrays, a column each. The columns:
        candidate, workload, generation, round, stream, prediction, pre_ms, run_ms, post_ms, latency_ms.
        """
        if find_spec("pandas"):
            return self.to_pandas("samples")
        return {name: cells for name, (_, cells) in self._columns("samples").items()}

    def to_pandas(self, of: Of = "table") -> Any:
        """Return the table, or the samples, as a pandas DataFrame; every column has the same type in every Run.

        Raises:
            InputError: pandas is not installed, or there is no frame of that name.
        """
        return frames.to_pandas(self._columns(of))

    def to_polars(self, of: Of = "table") -> Any:
        """Return the table, or the samples, as a polars DataFrame; every column has the same type in every Run.

        Raises:
            InputError: polars is not installed, or there is no frame of that name.
        """
        return frames.to_polars(self._columns(of))

    def _columns(self, of: Of) -> frames.Columns:
        if of == "table":
            return frames.table(self._view)
        if of == "samples":
            return frames.samples(self.folder.timings(), [line.key for line in self._view.lines])
        raise InputError(f"frame {of!r} is none; ask for 'table' or 'samples'")

    @property
    def summary(self) -> list[summary.Column]:
        """The columns that people look at first, as text, in wide and narrow forms."""
        return summary.columns(self._view)

    @property
    def verdict(self) -> Verdict | None:
        """The recommended Candidate's Verdict; `None` where nothing is recommended."""
        return None if self._view.recommended is None else self._view.recommended.verdict

    @property
    def answer(self) -> str:
        """The recommendation in words."""
        return answer(self._view)

    @property
    def takeaways(self) -> tuple[Takeaway, ...]:
        """What follows from the figures, a conclusion a rule (docs/takeaways.md)."""
        return takeaways.of(self._view)

    @property
    def loads(self) -> list[str]:
        """What cameras and sustained load said, a line a Candidate; empty where nobody asked."""
        return [*cameras.lines(self._view), *sustain.lines(self._view)]

    @property
    def tuned(self) -> list[str]:
        """What a tune recommends for each Workload, what that gains and costs, and how to serve more cameras."""
        return list(report_of_tune.lines(self._view))

    @property
    def chances(self) -> list[str]:
        """How likely each Candidate meets each Requirement, a line a Requirement."""
        return list(requirements.lines(self._view))

    def judge(
        self,
        *,
        max_map_drop: float | None = None,
        max_recall_drop: float | None = None,
        latency_budget_ms: float | None = None,
        percentile: float | None = None,
        max_memory_bytes: float | None = None,
        max_size_bytes: float | None = None,
        prefer: str | None = None,
    ) -> Run:
        """Return the same Run judged by other Requirements; nothing is measured, and nothing written before `save`.

        `None` leaves a Requirement as it was, `math.inf` takes a limit away.

        Raises:
            BakeoffError: a Requirement that is none, or a folder that can't be read any more.
        """
        changes = {
            "max_map_drop": max_map_drop,
            "max_recall_drop": max_recall_drop,
            "latency_budget_ms": latency_budget_ms,
            "percentile": percentile,
            "max_memory_bytes": max_memory_bytes,
            "max_size_bytes": max_size_bytes,
            "prefer": prefer,
        }
        judged = copy.copy(self)
        judged._view = self._view.judged(again.judge_again(self.folder, self.record, changes), self.folder.timings())
        judged._is_new = True
        return judged

    def save(self, out: PathLike | None = None) -> Path:
        """Write the Verdicts of `judge` and the report into the Run's folder, or into a copy of it; return which.

        Raises:
            BakeoffError: the folder lacks samples or belongs to an interrupted Run, or can't be written.
        """
        return again.save(self.folder, self.record, None if out is None else Path(out))

    @property
    def missing(self) -> str:
        """What an old Run's samples lack to tell everything that is asked, in a line; empty where nothing."""
        return again.missing(self.folder, self.record)

    @property
    def ok(self) -> bool:
        """What exit code 0 means: the reference is ok, and one other if others were selected."""
        return succeeded(self.record)

    def report(self, path: PathLike) -> Path:
        """Write the report to a `.html` or `.md` file, or the table to a `.csv` or `.parquet` file.

        Raises:
            InputError: another suffix; or Parquet without polars.
        """
        if not self._is_new:
            report.export(self.folder, Path(path))
            return Path(path)
        with tempfile.TemporaryDirectory(prefix="bakeoff-") as scratch:  # what the Run's folder says stays as it is
            written = again.save(self.folder, self.record, Path(scratch) / self.path.name)
            report.export(RunFolder(written), Path(path))
        return Path(path)

    def _repr_html_(self) -> str:
        return notebook.render(self._view)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {len(self.rows)} Candidates)"


class Compared:
    """Two Runs side by side, as `bakeoff compare` shows them. In a notebook it shows itself as Markdown."""

    def __init__(self, record: Comparison) -> None:
        self.record = record

    @property
    def passed(self) -> bool:
        """Whether no rule is broken or lacks data; true without rules."""
        return self.record.passed

    @property
    def broken(self) -> list[str]:
        """A line for each rule that is broken, and one for each that lacks data."""
        return report_of_two.rule_lines(self.record)

    @property
    def summary(self) -> list[str]:
        """What differs, and what could not be compared; a line each."""
        return report_of_two.summary(self.record)

    def markdown(self) -> str:
        """Return the comparison as Markdown, fit for a pull request."""
        return report_of_two.markdown(self.record)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def __repr__(self) -> str:
        return f"Compared({self.record.a.path!r}, {self.record.b.path!r}, passed={self.passed})"


def compare(
    a: PathLike | Run, b: PathLike | Run, *, fail_if: Sequence[str] = (), allow_missing: bool = False
) -> Compared:
    """Compare Run B with Run A: difference of accuracy, ratio of speed, and rules that B must keep.

    Args:
        a: the Run to compare with, or its folder.
        b: the Run that is asked about, or its folder.
        fail_if: rules, as of `bakeoff compare --fail-if`.
        allow_missing: a rule that can't be told is no broken one.

    Raises:
        BakeoffError: a folder without a Run, or a rule that can't be read.
    """
    one, other = (report_of_two.side(run.path if isinstance(run, Run) else Path(run)) for run in (a, b))
    return Compared(comparison.compare(one, other, fail_if, allow_missing=allow_missing))


def default_out(model: PathLike) -> Path:
    """Return `bakeoff-MODEL-DATE-TIME`, a folder that does not exist yet."""
    return Path(f"bakeoff-{Path(model).stem}-{datetime.datetime.now():%Y%m%d-%H%M%S}")


def run(
    model: PathLike,
    *,
    data: PathLike,
    out: PathLike | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    artifacts: Sequence[PathLike] = (),
    calibration: PathLike | None = None,
    workloads: Sequence[str] = ("1x1", "1x2", "2x1"),
    frames: int = 250,
    imgsz: int | None = None,
    images: int | None = None,
    conf: float | None = None,
    labels: bool = True,
    max_map_drop: float = 0.01,
    max_recall_drop: float | None = None,
    latency_budget_ms: float | None = None,
    percentile: float = 50.0,
    max_memory_bytes: int | None = None,
    max_size_bytes: int | None = None,
    prefer: str = "latency",
    quick: bool = False,
    precision_target: float = 0.02,
    time_budget_s: float = 600.0,
    tune: bool = False,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    seed: int = 0,
    trust: bool = False,
    calibration_images: int = 128,
    calibration_seeds: int = 1,
    int8_preset: str = "mixed",
    repair: bool = True,
    step_timeout_s: float | None = None,
    observer: Observer | None = None,
) -> Run:
    """Convert a Model for every runtime here, verify, time and judge each; the options are those of `bakeoff run`.

    Raises:
        BakeoffError: bad input, or a folder that can't be used.
            A Candidate that fails raises nothing: its Trial says so.
    """
    settings = Settings(
        model=os.fspath(model),
        data=os.fspath(data),
        calibration=None if calibration is None else os.fspath(calibration),
        only=tuple(only),
        skip=tuple(skip),
        artifacts=tuple(os.fspath(path) for path in artifacts),
        workloads=tuple(dict.fromkeys(Workload.parse(text) for text in workloads)),
        frames=frames,
        images=images,
        imgsz=imgsz,
        conf=conf,
        labels=labels,
        device=device,
        threads=threads,
        seed=seed,
        quick=quick,
        precision_target=precision_target,
        time_budget_s=time_budget_s,
        tune=tune,
        trust=trust,
        calibration_images=calibration_images,
        calibration_seeds=calibration_seeds,
        int8_preset=int8_preset,
        repair=repair,
        step_timeout_s=step_timeout_s,
        requirements=Requirements(
            max_map_drop=max_map_drop,
            max_recall_drop=max_recall_drop,
            latency_budget_ms=latency_budget_ms,
            percentile=percentile,
            max_memory_bytes=max_memory_bytes,
            max_size_bytes=max_size_bytes,
            prefer=prefer,
        ),
    )
    folder = Path(out) if out is not None else default_out(model)
    return Run(bake(settings, folder, observer, resume=resume))


def tune(
    model: PathLike,
    *,
    data: PathLike,
    out: PathLike | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    calibration: PathLike | None = None,
    workloads: Sequence[str] = ("1x1", "1x2", "2x1"),
    frames: int = 250,
    imgsz: int | None = None,
    images: int | None = None,
    conf: float | None = None,
    quick: bool = False,
    precision_target: float = 0.02,
    time_budget_s: float = 600.0,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    seed: int = 0,
    trust: bool = False,
    calibration_images: int = 128,
    int8_preset: str = "mixed",
    step_timeout_s: float | None = None,
    observer: Observer | None = None,
) -> Run:
    """Try shapes and settings of loading, and recommend one for each Workload; the options are those of `bakeoff tune`.

    Raises:
        BakeoffError: bad input, or a folder that can't be used.
            A Candidate that fails raises nothing: its Trial says so.
    """
    settings = Settings(
        model=os.fspath(model),
        data=os.fspath(data),
        calibration=None if calibration is None else os.fspath(calibration),
        only=tuple(only),
        skip=tuple(skip),
        workloads=tuple(dict.fromkeys(Workload.parse(text) for text in workloads)),
        frames=frames,
        images=images,
        imgsz=imgsz,
        conf=conf,
        device=device,
        threads=threads,
        seed=seed,
        quick=quick,
        precision_target=precision_target,
        time_budget_s=time_budget_s,
        trust=trust,
        calibration_images=calibration_images,
        int8_preset=int8_preset,
        step_timeout_s=step_timeout_s,
        accuracy=False,
        shapes=True,
    )
    folder = Path(out) if out is not None else default_out(model)
    return Run(bake(settings, folder, observer, resume=resume))


def import_table(
    path: PathLike,
    *,
    out: PathLike | None = None,
    reference: str | None = None,
    observer: Observer | None = None,
) -> Run:
    """Make a Run of somebody else's figures: a CSV with columns as in `table.csv`, any subset.

    Raises:
        BakeoffError: the table means nothing, or the folder can't be used.
    """
    folder = Path(out) if out is not None else default_out(path)
    return Run(importing.import_table(Path(path), folder, reference=reference, observer=observer))


def predict(
    path: PathLike,
    source: PathLike | int | Sequence[PathLike | int],
    *,
    only: str | None = None,
    conf: float | None = None,
    limit: int | None = None,
    draw: PathLike | None = None,
    device: str | None = None,
    threads: int | None = None,
    imgsz: int | None = None,
    data: PathLike | None = None,
    trust: bool = False,
    observer: Observer | None = None,
) -> Iterator[Prediction]:
    """Yield the Prediction of each frame; nothing is loaded before the first is asked for.

    The arguments are those of `bakeoff predict`: `path` is a Run's folder, an Artifact's, or a file made elsewhere;
    `source` an image, a folder, a glob, a video, a camera's number, a URL, or a list of these.

    Raises:
        InputError: bad input; at the end, where a source could not be read: all others were predicted.
        WorkerError: the runtime can't load the Artifact, or died.
    """
    several = list(source) if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    options = Options(
        path=os.fspath(path),
        sources=tuple(str(one) if isinstance(one, int) else os.fspath(one) for one in several),
        only=only,
        conf=conf,
        limit=limit,
        draw=None if draw is None else os.fspath(draw),
        device=device,
        threads=threads,
        imgsz=imgsz,
        data=None if data is None else os.fspath(data),
        trust=trust,
    )
    with Predictor(options, observer) as predictor:
        yield from predictor
