"""The Python API: `bakeoff.run(…)`, `bakeoff.tune(…)`, and the Run that it returns."""

from __future__ import annotations

import copy
import datetime
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakeoff import again, report
from bakeoff.bake import bake, succeeded
from bakeoff.records import Requirements, RunRecord, Settings, Verdict, Workload
from bakeoff.report import cameras, requirements, sustain, table
from bakeoff.report import tune as report_of_tune
from bakeoff.report.takeaways import answer
from bakeoff.steps.context import Observer
from bakeoff.store import RunFolder

PathLike = str | os.PathLike[str]


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
        """Return the rows as a pandas DataFrame where pandas is installed, else as a list of dicts."""
        try:
            import pandas
        except ImportError:
            return self.rows
        return pandas.DataFrame(self.rows)

    @property
    def verdict(self) -> Verdict | None:
        """The recommended Candidate's Verdict; `None` where nothing is recommended."""
        return None if self._view.recommended is None else self._view.recommended.verdict

    @property
    def answer(self) -> str:
        """The recommendation in words."""
        return answer(self._view)

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
        """Write the report to a `.html`, `.md` or `.csv` file.

        Raises:
            InputError: another suffix.
        """
        if not self._is_new:
            report.export(self.folder, Path(path))
            return Path(path)
        with tempfile.TemporaryDirectory(prefix="bakeoff-") as scratch:  # what the Run's folder says stays as it is
            written = again.save(self.folder, self.record, Path(scratch) / self.path.name)
            report.export(RunFolder(written), Path(path))
        return Path(path)

    def _repr_html_(self) -> str:
        from html import escape

        shown = ("candidate", "status", "verdict", "val_map50_95", "map_delta", "latency_1x1_ms", "speedup_1x1")
        rows = [{name: row[name] for name in shown} for row in self.rows]
        head = "".join(f"<th>{name}</th>" for name in shown)
        cells = (
            "".join(
                f"<td>{escape('' if v is None else f'{v:.4g}' if isinstance(v, float) else str(v))}</td>"
                for v in row.values()
            )
            for row in rows
        )
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {len(self.rows)} Candidates)"


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
