"""A Run as its readers see it: each Candidate's Trial and Verdict, with every figure that follows from its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bakeoff import judge
from bakeoff.errors import StoreError
from bakeoff.records import RunRecord, Trial, Verdict, Workload
from bakeoff.speed.conditions import Conditions, Windows, conditions
from bakeoff.speed.samples import Latency, Timings, half_width, speedup, summarise
from bakeoff.speed.tune import Tuned, tuned
from bakeoff.stats import Ratio
from bakeoff.store import RunFolder

ACCURACY = ("precision", "recall", "map50", "map50_95")
TEXTS = frozenset(  # columns of `table.csv` that hold words; all others hold figures
    {"candidate", "label", "backend", "precision", "shape", "device", "status", "reason", "verdict", "tied_with",
     "warm_up_settled", "timing_ended_1x1"}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure minus the reference's, with its 95% interval; the bounds are `None` where a table gives none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """All that the report says of one Candidate."""

    trial: Trial
    verdict: Verdict
    latencies: Mapping[str, Latency]  # by Workload
    speedups: Mapping[str, Ratio]
    conditions: Mapping[str, Conditions]
    map_delta: Difference | None = None  # of mAP50-95; None for the reference

    @property
    def key(self) -> str:
        """The Candidate's key."""
        return self.trial.candidate.key

    @property
    def two_frames_ms(self) -> float | None:
        """What it takes to serve one frame of each of two cameras."""
        both = [self.latencies[w].median_ms for w in ("1x2", "2x1") if w in self.latencies]
        return min(both, default=None)

    def accuracy(self, name: str) -> float | None:
        """Return one of `ACCURACY`, measured or reported."""
        measured = self.trial.accuracy
        return self.trial.reported.get(f"val_{name}") if measured is None else float(getattr(measured, name))


@dataclass(frozen=True, kw_only=True)
class View:
    """A Run, read."""

    run: RunRecord
    lines: tuple[Line, ...]
    tuned: Tuned | None = None  # of a tune alone
    miss: judge.Miss | None = None  # where nothing meets the Requirements
    timings: Timings = field(default_factory=dict, repr=False)
    _ratios: dict[tuple[str, str, str], Ratio | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, folder: RunFolder) -> View:
        """Read a Run's folder; statistics are derived from its samples."""
        run = folder.load()
        if not run.trials:
            raise StoreError(f"the Run in {folder.path} ended before it had anything to report")
        return cls.make(run, folder.timings(), folder.telemetry())

    @classmethod
    def make(cls, run: RunRecord, timings: Timings, windows: Windows | None = None) -> View:
        """Derive every figure of the report."""
        met = conditions(timings, windows or {})
        verdicts = {verdict.key: verdict for verdict in run.verdicts}
        lines = []
        for trial in run.trials:
            key = trial.candidate.key
            latencies = _reported_latencies(run, trial) if trial.reported else _latencies(run, trial, timings)
            around = {workload: met[key, workload] for workload in latencies if (key, workload) in met}
            lines.append(
                Line(
                    trial=trial,
                    verdict=verdicts.get(key, Verdict(key=key, verdict="")),
                    latencies=latencies,
                    speedups=_reported_speedups(run, trial) if trial.reported else _speedups(run, trial, timings),
                    conditions=around,
                    map_delta=_map_delta(run, trial),
                )
            )
        miss = judge.nearest_miss(run, timings)
        return cls(run=run, lines=tuple(lines), tuned=tuned(run, timings), miss=miss, timings=timings)

    def judged(self, run: RunRecord, timings: Timings) -> View:
        """Return the same figures with the Verdicts of a record judged again."""
        verdicts = {verdict.key: verdict for verdict in run.verdicts}
        lines = tuple(replace(line, verdict=verdicts[line.key]) for line in self.lines)
        return replace(self, run=run, lines=lines, miss=judge.nearest_miss(run, timings))

    def ratio(self, slow: Line, fast: Line, workload: str) -> Ratio | None:
        """Return `slow`'s time over `fast`'s for one Workload: paired by rounds, or of somebody else's medians."""
        pair = slow.key, fast.key, workload
        if pair not in self._ratios:  # rules ask for all pairs, many times
            self._ratios[pair] = self._ratio(slow, fast, workload)
        return self._ratios[pair]

    def _ratio(self, slow: Line, fast: Line, workload: str) -> Ratio | None:
        if slow.trial.reported or fast.trial.reported:
            return _of_medians(slow.latencies.get(workload), fast.latencies.get(workload))
        ours, theirs = (self.timings.get((line.key, workload)) for line in (slow, fast))
        return None if ours is None or theirs is None else speedup(ours.medians, theirs.medians)

    def widest(self, workload: str) -> float | None:
        """Return the half width of the widest speedup's interval at a Workload, as a share."""
        widths = [half_width(line.speedups[workload]) for line in self.lines if workload in line.speedups]
        return max((width for width in widths if width is not None), default=None)

    @property
    def reference(self) -> Line:
        """The reference's line."""
        return next(line for line in self.lines if line.key == self.run.reference)

    @property
    def recommended(self) -> Line | None:
        """The recommended line, if there is one."""
        return next((line for line in self.lines if line.verdict.verdict == "recommended"), None)


def workloads(view: View) -> list[Workload]:
    """Return the Workloads that were timed for any Candidate."""
    return [w for w in view.run.settings.workloads if any(str(w) in line.latencies for line in view.lines)]


def _latencies(run: RunRecord, trial: Trial, timings: Timings) -> dict[str, Latency]:
    found: dict[str, Latency] = {}
    for workload in run.settings.workloads:
        samples = timings.get((trial.candidate.key, str(workload)))
        if samples is not None:
            found[str(workload)] = summarise(samples, workload, run.settings.frames)
    return found


def _speedups(run: RunRecord, trial: Trial, timings: Timings) -> dict[str, Ratio]:
    key, found = trial.candidate.key, {}
    for workload in map(str, run.settings.workloads):
        samples, reference = (timings.get((one, workload)) for one in (key, run.reference))
        if key == run.reference or samples is None or reference is None:
            continue
        if (ratio := speedup(reference.medians, samples.medians)) is not None:
            found[workload] = ratio
    return found


def _reported_latencies(run: RunRecord, trial: Trial) -> dict[str, Latency]:
    """Return somebody else's medians, with what else they say of 1x1."""
    said = trial.reported
    return {
        str(w): Latency(
            samples=None,
            rounds=None,
            median_ms=said[f"latency_{w}_ms"],
            mean_ms=said.get(f"latency_{w}_mean_ms"),
            p95_ms=said.get(f"latency_{w}_p95_ms"),
            p99_ms=said.get(f"latency_{w}_p99_ms"),
            worst=None,
            jitter_ms=None,
            pre_ms=said.get(f"pre_{w}_ms"),
            run_ms=said.get(f"run_{w}_ms"),
            post_ms=said.get(f"post_{w}_ms"),
            frames_s=said.get(f"frames_{w}_s"),
            frames_per_s=_reported_rate(said, w, run.settings.frames),
            rest_ms=None,
            outliers=None,
            intervals={},
        )
        for w in run.settings.workloads
        if f"latency_{w}_ms" in said
    }


def _reported_rate(said: Mapping[str, float], workload: Workload, frames: int) -> float | None:
    """Return frames/s over all streams, as stated or from the time of N frames a stream."""
    stated, seconds = said.get(f"frames_per_s_{workload}"), said.get(f"frames_{workload}_s")
    return stated if stated is not None or seconds is None else workload.streams * frames / seconds


def _reported_speedups(run: RunRecord, trial: Trial) -> dict[str, Ratio]:
    """Return the speedups that somebody else states, or else the ratios of medians, which have no interval."""
    found = {}
    own, reference = (_reported_latencies(run, one) for one in (trial, run.trial(run.reference)))
    for workload in map(str, run.settings.workloads):
        stated = trial.reported.get(f"speedup_{workload}")
        ratio = _of_medians(reference.get(workload), own.get(workload))
        if stated is not None:
            low, high = _bounds(trial, f"speedup_{workload}")
            ratio = Ratio(value=stated, low=low, high=high)
        if ratio is not None and trial.candidate.key != run.reference:
            found[workload] = ratio
    return found


def _of_medians(slow: Latency | None, fast: Latency | None) -> Ratio | None:
    if slow is None or fast is None:
        return None
    return Ratio(value=slow.median_ms / fast.median_ms, low=None, high=None)


def _map_delta(run: RunRecord, trial: Trial) -> Difference | None:
    if trial.map_delta is not None:
        return Difference(value=trial.map_delta.value, low=trial.map_delta.low, high=trial.map_delta.high)
    if not trial.reported or trial.candidate.key == run.reference:
        return None
    value = trial.reported.get("map_delta")
    low, high = (None, None) if value is None else _bounds(trial, "map_delta")
    own, base = (one.reported.get("val_map50_95") for one in (trial, run.trial(run.reference)))
    if value is None and own is not None and base is not None:
        value = round(own - base, 9)  # 0.59 - 0.60 is -0.01
    return None if value is None else Difference(value=value, low=low, high=high)


def _bounds(trial: Trial, column: str) -> tuple[float, float] | tuple[None, None]:
    """Return the interval that a table gives, if it gives both ends."""
    low, high = (trial.reported.get(f"{column}{bound}") for bound in ("_low", "_high"))
    return (None, None) if low is None or high is None else (low, high)
