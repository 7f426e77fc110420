"""`bakeoff selftest`: every Candidate of one backend on a small model, and one file to send with a bug report.

It is a short Run of its own. The file holds what the Run measured and what the machine is, with no path, user name or
host name of it: those are replaced wherever they stand in a log.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bakeoff import host, registry
from bakeoff.api import Run
from bakeoff.backend import missing
from bakeoff.bake import bake
from bakeoff.doctor import CHECKS, guarded
from bakeoff.errors import InputError, StoreError, nearest
from bakeoff.records import Settings, Trial
from bakeoff.report.table import Cell
from bakeoff.steps.context import Observer
from bakeoff.steps.probe import probe_all
from bakeoff.version import __version__
from bakeoff.worker.parent import log_tail

FORMAT, VERSION, FILE = "bakeoff-selftest", 1, "selftest.json"
IMAGES, FRAMES, CALIBRATION_IMAGES, TIME_BUDGET_S = 16, 30, 32, 30.0
SETUP = ("jetson", "gpu", "packages")  # of what `bakeoff doctor` looks at
APART = ("candidate", "label", "status", "reason")  # columns of the table that are no figures

Document = dict[str, Any]


def selftest(backend: str, model: Path, data: Path, folder: Path, observer: Observer) -> Document:
    """Build, run, check and time every Candidate of a backend, write `selftest.json`, and return what is in it.

    Args:
        backend: its name.
        model: an Ultralytics `.pt` or an `.onnx` file.
        data: a dataset with labels and a training split.
        folder: of the Run, new or empty; the file lies in it.
        observer: who watches.

    Raises:
        BakeoffError: no such backend, bad input, or a folder that can't be used.
    """
    if backend not in registry.names():
        raise InputError(f"backend {backend!r} not found{nearest(backend, registry.names())} see bakeoff backends")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as logs:
        (probed,) = probe_all(host.describe(), Path(logs), names=[backend])
        status = probed.status
        probe_log = log_tail(Path(logs) / f"probe-{backend}.log")
    document: Document = {
        "format": FORMAT,
        "version": VERSION,
        "bakeoff": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "backend": status,
        "probe_log": probe_log,
        "host": host.describe(),
        "versions": host.versions(),
        "setup": [finding for topic in SETUP for finding in guarded(topic, CHECKS[topic], Path("/"))],
        "candidates": [],
    }
    if status.cannot_convert is None and status.cannot_run is None:
        _check_readable(model)
        settings = Settings(
            model=str(model),
            data=str(data),
            only=(f"{backend}/*",),
            images=IMAGES,
            frames=FRAMES,
            quick=True,
            calibration_images=CALIBRATION_IMAGES,
            repair=False,
            time_budget_s=TIME_BUDGET_S,
        )
        document |= _measured(Run(bake(settings, folder, observer)))
    ran = [
        one for one in document["candidates"] if one["status"] == "ok" and one["candidate"].startswith(f"{backend}/")
    ]
    document |= {"passed": bool(ran) and not _broken(document), "seconds": round(time.monotonic() - started, 1)}
    plain = msgspec.json.decode(msgspec.json.encode(document))
    scrubbed: Document = scrub(plain, private(folder))
    _write(folder / FILE, msgspec.json.format(msgspec.json.encode(scrubbed), indent=1))
    return scrubbed


def _check_readable(model: Path) -> None:
    """Refuse a checkpoint where nothing can read one, and say what will do."""
    if model.suffix != ".onnx" and (reason := missing("ultralytics", "ultralytics")):
        raise InputError(
            f"{model.name} is a PyTorch checkpoint: {reason}, or give it as ONNX with --model dynamic.onnx, made on "
            "another machine by bakeoff convert --to onnxruntime/fp32/dyn"
        )


def _broken(document: Document) -> list[str]:
    return [one["candidate"] for one in document["candidates"] if one["status"] == "failed"]


def _measured(run: Run) -> Document:
    record = run.record
    rows = {row["candidate"]: row for row in run.rows}
    return {
        "model": {
            "file": Path(record.model.path).name,
            "sha256": record.model.sha256,
            "format": record.model.format,
            "imgsz": record.model.imgsz,
            "classes": len(record.model.class_names),
        },
        "settings": {
            "images": record.settings.images,
            "frames": record.settings.frames,
            "workloads": [str(workload) for workload in record.settings.workloads],
            "threads": record.timing.get("threads"),
            "calibration_images": record.settings.calibration_images,
        },
        "reference": record.reference,
        "backends": record.backends,
        "candidates": [_candidate(trial, rows[trial.candidate.key]) for trial in record.trials],
    }


def _candidate(trial: Trial, row: Mapping[str, Cell]) -> Document:
    failure, artifact = trial.failure, trial.artifact
    return {
        "candidate": trial.candidate.key,
        "status": trial.status,
        "reason": trial.reason,
        "failure": None
        if failure is None
        else {"step": failure.step, "kind": failure.kind, "cause": failure.cause, "log_tail": failure.log_tail},
        "figures": {name: cell for name, cell in row.items() if cell is not None and name not in APART},
        "session": trial.session,
        "parity": trial.parity,
        "artifact": None if artifact is None else {"files": artifact.files, "how": artifact.how},
    }


def private(folder: Path) -> dict[str, str]:
    """Return what must not leave this machine, as it may stand in a log, and what is put for it; longest first."""
    found = {
        str(folder.absolute()): "RUN",
        str(folder.resolve()): "RUN",
        os.getcwd(): "CWD",
        sys.prefix: "PYTHON",
        sys.base_prefix: "PYTHON",
        str(Path(__file__).resolve().parent): "BAKEOFF",
        tempfile.gettempdir(): "TMP",
        str(Path.home()): "HOME",
        platform.node(): "HOST",
    }
    with contextlib.suppress(KeyError, OSError):  # a container may have no name for its user
        found[getpass.getuser()] = "USER"
    return {word: found[word] for word in sorted(found, key=len, reverse=True) if len(word) > 1}


def scrub(value: Any, words: Mapping[str, str]) -> Any:
    """Return plain JSON values with these words replaced in every text, where they stand by themselves."""
    if isinstance(value, dict):
        return {name: scrub(one, words) for name, one in value.items()}
    if isinstance(value, list):
        return [scrub(one, words) for one in value]
    if isinstance(value, str):
        for word, put in words.items():
            value = re.sub(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", put, value)
    return value


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another --out") from error
