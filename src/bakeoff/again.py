"""An old Run judged again with new Requirements: nothing is measured, and what was measured is not touched."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bakeoff import judge, report
from bakeoff.bake import concluded
from bakeoff.errors import InputError
from bakeoff.records import RunRecord
from bakeoff.store import RunFolder


def judge_again(folder: RunFolder, run: RunRecord, changes: Mapping[str, float | str | None]) -> RunRecord:
    """Return a Run's record with changed Requirements (by field; `None`: as they were) and the Verdicts by them.

    Args:
        folder: the Run's, for its samples.
        run: its record.
        changes: infinity takes a limit away.

    Raises:
        InputError: a Requirement that is none.
        StoreError: the samples can't be read.
    """
    requirements = judge.changed(run.settings.requirements, changes)
    settings = msgspec.structs.replace(run.settings, requirements=requirements)
    run = msgspec.structs.replace(run, settings=settings)
    return concluded(run, folder)


def missing(folder: RunFolder, run: RunRecord) -> str:
    """Return in a line what a Run's samples lack, and what can't be told without; empty where nothing is lacking."""
    lacks = []
    timed = [trial for trial in run.trials if trial.timed]
    if timed and not folder.timings():
        lacks.append("no timing samples: no latency, speedup or tie can be told")
    resamples = folder.resamples()
    lost = [trial.candidate.key for trial in run.trials if trial.map_delta is not None]
    if any("map50_95" not in resamples.get(key, {}) for key in lost):
        lacks.append("no resampled image sets: no chance of keeping an allowed loss can be told")
    elif run.settings.requirements.max_recall_drop is not None and any(
        "op_recall" not in resamples.get(key, {}) for key in lost
    ):
        lacks.append("no recall on resampled image sets: no chance of keeping max-recall-drop can be told")
    return f"{folder.path} holds {'; '.join(lacks)}" if lacks else ""


def save(folder: RunFolder, run: RunRecord, out: Path | None = None) -> Path:
    """Write new Verdicts and the report into the Run's folder, or into a copy of it; return which.

    Raises:
        InputError: the folder lacks the samples that its report stands on, or the Run can still be resumed.
        StoreError: the folder can't be read or written, or is in use.
    """
    if any(trial.timed for trial in run.trials) and not folder.timings():
        raise InputError(f"{folder.path} holds no timing samples: a report made again would lose its latencies")
    if out is None and run.finished is None and run.imported is None:
        raise InputError(
            f"the Run in {folder.path} was interrupted: finish it with --resume, or write a copy with --out DIR"
        )
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    with RunFolder.resume(folder.path) if out is None else folder.copy(out) as target:
        target.save(msgspec.structs.replace(run, judged_again=now))
        report.write(target)
    return target.path
