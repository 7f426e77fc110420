"""What the steps share: the Run's folder, its record so far, and who watches."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bakeoff import host
from bakeoff.records import MIXED, Candidate, RunRecord, Settings, Trial, Workload
from bakeoff.store import RunFolder
from bakeoff.worker.parent import ChildError, Worker


class Observer(Protocol):
    """Who is told how far a Run is: a terminal, a log, nobody."""

    def stage(self, name: str, total: int) -> None:
        """A stage of `total` equal parts begins."""
        ...

    def advance(self, parts: int = 1, what: str = "") -> None:
        """Some parts are done, perhaps none; `what`, where it is given, is or was at work."""
        ...

    def say(self, text: str) -> None:
        """One line worth keeping."""
        ...


class TrialObserver(Observer, Protocol):
    """An Observer that is told of each Trial too. Each of the two methods is optional.

    Neither is called beside a measurement; what they do between blocks must be short.
    """

    def trial(self, trial: Trial) -> None:
        """A Trial is new, or has changed."""
        ...

    def block(self, key: str, workload: Workload, median_ms: float) -> None:
        """A timed block of a Candidate is over; the median latency of its predictions."""
        ...


class Silent:
    """An Observer that tells nobody."""

    def stage(self, name: str, total: int) -> None:
        """See `Observer.stage`."""

    def advance(self, parts: int = 1, what: str = "") -> None:
        """See `Observer.advance`."""

    def say(self, text: str) -> None:
        """See `Observer.say`."""


class Context:
    """A Run at work."""

    def __init__(self, folder: RunFolder, run: RunRecord, observer: Observer) -> None:
        self.folder = folder
        self.run = run
        self.observer = observer

    @property
    def settings(self) -> Settings:
        """What was asked."""
        return self.run.settings

    @property
    def threads(self) -> int:
        """Threads of each Session, fixed at load."""
        return self.settings.threads or host.usable_cores()

    def threads_of(self, candidate: Candidate) -> int:
        """Threads of a Candidate's Session: those that its key names, or what all others get."""
        return candidate.threads or self.threads

    def device_of(self, candidate: Candidate) -> str:
        """The device of a Candidate's Session: the one asked for, or the CPU where its backend does not run there."""
        found = (status.device for status in self.run.backends if status.name == candidate.backend)
        return next(found, None) or self.settings.device

    @property
    def frames(self) -> Path:
        """The frame cache's folder."""
        return self.folder.work / "frames"

    def change(self, **fields: Any) -> None:
        """Change the record and save it."""
        before = self.run.trials
        self.run = msgspec.structs.replace(self.run, **fields)
        self.folder.save(self.run)
        known = set(map(id, before))
        self.tell(*(trial for trial in self.run.trials if id(trial) not in known))

    def tell(self, *trials: Trial) -> None:
        """Tell who watches of Trials, where it wants to know."""
        if (told := getattr(self.observer, "trial", None)) is not None:
            for trial in trials:
                told(trial)

    def tell_block(self, key: str, workload: Workload, median_ms: float) -> None:
        """Tell who watches of a timed block, where it wants to know."""
        if (told := getattr(self.observer, "block", None)) is not None:
            told(key, workload, median_ms)

    def change_trial(self, key: str, **fields: Any) -> Trial:
        """Change one Trial and save the record."""
        trials = tuple(
            msgspec.structs.replace(trial, **fields) if trial.candidate.key == key else trial
            for trial in self.run.trials
        )
        self.change(trials=trials)
        return self.run.trial(key)

    def fail(self, key: str, step: str, error: ChildError) -> None:
        """Make a child's end its Trial's Failure, and say so in one line."""
        failure = error.failure(step, self.folder.path, self.reproduce(step, key))
        self.change_trial(key, failure=failure)
        self.observer.say(f"{key} failed to {step}: {error.cause} (log: {failure.log})")

    def worker(self, name: str) -> Worker:
        """Start a child whose output goes to `logs/<name>.log`; one named by a Candidate's key gets its threads."""
        threads = next((self.threads_of(t.candidate) for t in self.run.trials if t.candidate.key == name), self.threads)
        return Worker(self.folder.logs / f"{name}.log", threads=threads, timeout_s=self.settings.step_timeout_s)

    def reproduce(self, step: str, key: str) -> str:
        """Return the command that runs one step of one Candidate again."""
        settings = self.settings
        elsewhere = any(trial.candidate.elsewhere for trial in self.run.trials if trial.candidate.key == key)
        measured = "verify" if settings.accuracy else "time"
        command = step if step == "time" or (step == "convert" and not elsewhere) else measured
        if MIXED in key and not elsewhere:
            command = "verify"  # which layers stay in float follows from accuracy
        words = ["bakeoff", command, settings.model, "--to" if command == "convert" else "--only", key]
        plain = Settings(model=settings.model)
        names = [
            "data",
            "calibration",
            "calibration_images",
            "int8_preset",
            "imgsz",
            "seed",
            "threads",
            "device",
            "step_timeout_s",
        ]
        names += {"convert": [], "verify": ["images", "conf"], "time": ["images", "frames", "conf", "quick"]}[command]
        if command == "verify":
            judged = settings.requirements
            words += [] if judged.max_map_drop == 0.01 else ["--max-map-drop", f"{judged.max_map_drop:g}"]
            words += [] if judged.max_recall_drop is None else ["--max-recall-drop", f"{judged.max_recall_drop:g}"]
        if command == "time":
            names += ["slo_ms", "camera_seconds", "sustain_s"]
            if settings.cameras_fps is not None:
                words += ["--cameras", f"{settings.cameras_fps:g}fps", "--percentile", f"{settings.slo_percentile:g}"]
        if command == "verify" and not settings.labels:
            words.append("--no-labels")
        for name in names:
            value = getattr(settings, name)
            if value != getattr(plain, name):
                option = f"--{name.removesuffix('_s').replace('_', '-')}"
                words += [option] if value is True else [option, str(value)]
        if elsewhere:  # all of them: their names depend on each other
            words += [word for path in settings.artifacts for word in ("--artifact", path)]
        if command != "verify" and settings.workloads != plain.workloads:
            words += [word for workload in settings.workloads for word in ("--workload", str(workload))]
        return shlex.join([*words, *(["--trust"] if settings.trust else [])])
