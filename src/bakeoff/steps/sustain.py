"""What each Candidate does under a load that goes on for minutes: one after the other, each in one process."""

from __future__ import annotations

import math
import time

from bakeoff import plan
from bakeoff.errors import InputError
from bakeoff.records import Settings, Trial, Workload
from bakeoff.speed import sustain
from bakeoff.speed.sustain import SustainedSamples
from bakeoff.speed.telemetry import Telemetry
from bakeoff.steps.context import Context
from bakeoff.steps.team import Team, team
from bakeoff.worker import protocol as p

SAVE_EVERY_S = 30.0
SINGLE = Workload(streams=1, batch=1)
PREPARE_S = 4  # of progress: starting, loading and warming up a child


def sustain_all(context: Context) -> None:
    """Load each Candidate that was asked for; one that was interrupted begins anew: it has cooled down meanwhile."""
    settings, run = context.settings, context.run
    assert settings.sustain_s is not None
    chosen = plan.asked_for(run.trials, run.reference, settings.only, settings.skip)
    keys = [trial.candidate.key for trial in chosen if _open(trial)]
    if keys:
        context.observer.stage("sustained", round(len(keys) * (settings.sustain_s + PREPARE_S)))
    number = int(run.timing.get("generations", 0))
    for key in keys:
        with team(context, {key: [SINGLE]}, number, PREPARE_S) as members, Telemetry.open(settings.device) as telemetry:
            if key in members.keys:
                _Load(context, members, telemetry, key, settings.sustain_s).run()


def check(settings: Settings) -> None:
    """Refuse Settings that can't be done.

    Raises:
        InputError: one line.
    """
    asked = settings.sustain_s
    if asked is None:
        return
    if not settings.speed:
        raise InputError("sustain belongs to timing; use bakeoff time")
    if not 0 < asked < math.inf:
        raise InputError(f"sustain {asked:g} s is not positive; give a duration such as --sustain 10m")


def _open(trial: Trial) -> bool:
    done = trial.sustained is not None and trial.sustained.complete
    return trial.status == "ok" and not done and trial.candidate.takes(1)


class _Load:
    """One Candidate under load."""

    def __init__(self, context: Context, members: Team, telemetry: Telemetry, key: str, asked_s: float) -> None:
        self._context, self._members, self._telemetry = context, members, telemetry
        self._key, self._asked_s = key, asked_s
        self._stretches: list[SustainedSamples] = []
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Predict until the time is over; what was measured is kept, whatever ends it."""
        telemetry, key = self._telemetry, self._key
        telemetry.watch(self._members.pids[key])
        telemetry.start()
        began, shown, frames = time.monotonic_ns(), 0, 0
        try:
            while (at_ns := time.monotonic_ns() - began) < self._asked_s * 1e9:
                left_s = self._asked_s - at_ns * 1e-9
                frames = self._stretch(at_ns, min(left_s, sustain.stretch_s(self._asked_s)), frames)
                if frames < 0:
                    return
                seconds = round((time.monotonic_ns() - began) * 1e-9)
                self._context.observer.advance(seconds - shown, key)
                shown = seconds
                if time.monotonic() - self._saved_at > SAVE_EVERY_S:
                    self._save()
        finally:
            if self._stretches:
                self._finish(complete=(time.monotonic_ns() - began) * 1e-9 >= self._asked_s)

    def _stretch(self, at_ns: int, seconds: float, first_frame: int) -> int:
        """Measure one stretch; return the number of frames so far, -1 where the child failed."""
        context = self._context
        request = p.Sustain(
            cache=str(context.frames.absolute()),
            confidence=context.settings.timed_confidence,
            seconds=seconds,
            first_frame=first_frame,
        )
        answer = self._members.ask(self._key, request, p.Stretch)
        if answer is None:
            return -1
        window = self._telemetry.after_block(self._key)
        latency_ns = answer.latency_ns.get().tolist()
        self._stretches.append(SustainedSamples.of(latency_ns, at_ns, answer.span_ns, window))
        return first_frame + len(latency_ns)

    def _save(self) -> SustainedSamples:
        self._stretches = [SustainedSamples.join(self._stretches)]
        name = self._context.run.trial(self._key).candidate.slug
        windows = self._telemetry.windows()
        self._context.folder.put(f"sustain-{name}", sustain.arrays(self._key, self._stretches[0], windows))
        self._saved_at = time.monotonic()
        return self._stretches[0]

    def _finish(self, *, complete: bool) -> None:
        telemetry = self._telemetry
        found = sustain.answer(
            self._save(),
            self._asked_s,
            telemetry.windows(),
            telemetry.sources,
            telemetry.unknown,
            complete=complete,
            seed=self._context.settings.seed,
        )
        self._context.change_trial(self._key, sustained=found)
