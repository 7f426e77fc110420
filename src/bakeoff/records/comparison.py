"""What `bakeoff compare` finds of two Runs, A and B; as `--json` prints it."""

from __future__ import annotations

from bakeoff.records.base import Record


class ComparedRun(Record, frozen=True, kw_only=True):
    """Which Run one side is."""

    path: str
    created: str
    finished: bool
    imported: bool
    model: str  # path as given to the Run
    model_sha256: str
    reference: str
    recommended: str | None


class FigureChange(Record, frozen=True, kw_only=True):
    """One accuracy figure of a Candidate in both Runs."""

    a: float | None
    b: float | None
    delta: float | None  # B minus A; `None`: a value is missing, or they can't be compared
    low: float | None = None  # of its 95% interval, paired by image
    high: float | None = None

    @property
    def says(self) -> str:
        """`better`, `worse`, `tie`, or nothing where nothing was tested."""
        if self.low is None or self.high is None:
            return ""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "tie"


class SpeedChange(Record, frozen=True, kw_only=True):
    """One Candidate's speed at one Workload in both Runs. Ratios are A's time over B's: above 1, B is faster."""

    a_ms: float | None  # median latency
    b_ms: float | None
    ratio: float | None  # of the times as they were taken
    ratio_low: float | None = None  # unpaired: drift of the machine between the Runs is not in the interval
    ratio_high: float | None = None
    drift_free: float | None = None  # B's speedup over A's, against one and the same reference
    drift_free_low: float | None = None
    drift_free_high: float | None = None
    untested: str = ""  # why there is no drift-free interval

    @property
    def says(self) -> str:
        """`faster`, `slower`, `tie`, or nothing where nothing was tested."""
        if self.drift_free_low is None or self.drift_free_high is None:
            return ""
        return "faster" if self.drift_free_low > 1 else "slower" if self.drift_free_high < 1 else "tie"


class CandidateChange(Record, frozen=True, kw_only=True):
    """One Candidate in both Runs, or in one alone."""

    key: str
    status_a: str | None  # `None`: not in A
    status_b: str | None
    reason_b: str = ""
    verdict_a: str = ""
    verdict_b: str = ""
    accuracy: dict[str, FigureChange] = {}  # by column of `table.csv`
    no_interval: str = ""  # why accuracy has no interval here, though it can be compared
    speed: dict[str, SpeedChange] = {}  # by Workload


class RuleFinding(Record, frozen=True, kw_only=True):
    """What a rule says of one Candidate."""

    candidate: str
    text: str


class RuleResult(Record, frozen=True, kw_only=True):
    """What a `--fail-if` rule found."""

    rule: str
    broken: tuple[RuleFinding, ...] = ()
    missing: tuple[RuleFinding, ...] = ()  # figures that are not there, or can't be compared
    held: int = 0  # Candidates that keep the rule


class Comparison(Record, frozen=True, kw_only=True):
    """Two Runs side by side; `bakeoff compare` exits with 3 unless `passed`."""

    a: ComparedRun
    b: ComparedRun
    accuracy_refused: str = ""  # why no accuracy is compared
    speed_refused: str = ""
    notes: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()  # timed in both
    candidates: tuple[CandidateChange, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    passed: bool = True
