"""Where nothing meets the Requirements: who comes nearest, what it lacks, and what to change."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bakeoff.judge.limits import Limit, megabytes
from bakeoff.judge.requirements import DROPS, LATENCY, MEMORY, SIZE
from bakeoff.judge.verdicts import evidence, meets
from bakeoff.records import RunRecord, Trial, Verdict
from bakeoff.speed.samples import Timings
from bakeoff.stats import TAILS

SCALE = 0.001  # of a drop: an allowed loss of nothing has no share to exceed it by
UNITS = {LATENCY: " ms"}


@dataclass(frozen=True, kw_only=True)
class Miss:
    """The Candidate that comes nearest to meeting the Requirements, where none but the reference does."""

    key: str
    limits: tuple[Limit, ...]  # those that it is not shown to meet
    reference_meets: bool

    @property
    def relaxed(self) -> dict[str, str]:
        """The least values, as for the command line, with which it would meet them; empty where one is unknown."""
        values = {limit.name: relaxed(limit) for limit in self.limits}
        return {name: value for name, value in values.items() if value is not None} if all(values.values()) else {}

    @property
    def words(self) -> str:
        """Who misses what by how much, with which chance, and what to change, in two sentences (Markdown)."""
        lacks = " and ".join(_lack(limit) for limit in self.limits)
        change = " ".join(f"--{name} {value}" for name, value in self.relaxed.items())
        ways = [f"it would meet `{change}`"] if change else []
        ways += [limit.cure for limit in self.limits if limit.cure]
        text = f"The nearest miss is `{self.key}`: {lacks}."
        return f"{text} {'; '.join(ways)[0].upper()}{'; '.join(ways)[1:]}." if ways else text


def nearest_miss(run: RunRecord, timings: Timings) -> Miss | None:
    """Return who comes nearest where no judged Candidate but the reference is shown to meet every Requirement.

    The nearest has the smallest sum, over the limits that it misses, of what it needs beyond the limit as a share of
    the limit. `None` where one meets them all, or where nothing was judged.
    """
    requirements, verdicts = run.settings.requirements, {verdict.key: verdict for verdict in run.verdicts}
    known = evidence(run.trials, run.reference, timings)
    if known is None:
        return None
    missed: list[tuple[tuple[float, int, str], Trial, tuple[Limit, ...]]] = []
    reference_meets, others = False, 0
    for trial in run.trials:
        verdict = verdicts.get(trial.candidate.key, Verdict(key="", verdict=""))
        stands = known.limits(trial, requirements)
        is_reference = trial.candidate.key == run.reference
        if trial.status != "ok" or not verdict.verdict:
            continue
        if not is_reference and not any(limit.name in DROPS for limit in stands):
            continue  # without labels no loss can be told
        others += not is_reference
        if meets(verdict, stands):
            if not is_reference:
                return None
            reference_meets = True
            continue
        lacking = tuple(_with_chance(limit, verdict) for limit in stands if limit.verdict != "accepted")
        rank = (sum(_excess(limit) for limit in lacking), len(lacking), trial.candidate.key)
        missed.append((rank, trial, lacking))
    if not missed or not others:
        return None
    _, trial, lacking = min(missed, key=lambda one: one[0])
    return Miss(key=trial.candidate.key, limits=lacking, reference_meets=reference_meets)


def doubt(verdict: Verdict) -> str:
    """Return in words which Requirements a Candidate is less than 97.5% sure to meet; empty where none."""
    unsure = [f"--{name} is {chance:.0%}" for name, chance in verdict.chances.items() if chance < TAILS[1] / 100]
    return f"Its chance of meeting {' and of meeting '.join(unsure)}." if unsure else ""


def likely(name: str, chance: float) -> str:
    """Return a chance in words: resamples can't tell whether one is 0 or 1, but memory and size are known."""
    if name in (MEMORY, SIZE):
        return "yes" if chance else "no"
    if chance < 0.005:
        return "below 1%"
    return "above 99%" if chance > 0.995 else f"{chance:.0%}"


def amount(name: str, value: float) -> str:
    """Return a Requirement's value in words."""
    return megabytes(value) if name in (MEMORY, SIZE) else f"{value:.4g}{UNITS.get(name, '')}"


def relaxed(limit: Limit) -> str | None:
    """Return the least allowance, to four digits and as the command line takes it, that would be kept."""
    if limit.needed is None:
        return None
    unit = 1e6 if limit.name in (MEMORY, SIZE) else 1.0
    needed = max(limit.needed, 0.0) / unit
    digits = 3 - math.floor(math.log10(needed)) if needed > 0 else 4
    steps = math.ceil(needed * 10.0**digits)
    text = f"{steps / 10.0**digits:.{max(digits, 0)}f}"
    if float(text) < needed or (limit.name in DROPS and float(text) <= needed):  # a drop must stay below it
        text = f"{(steps + 1) / 10.0**digits:.{max(digits, 0)}f}"
    return text if unit == 1 else f"{text}MB"


def _lack(limit: Limit) -> str:
    told = []
    if limit.needed is not None and limit.needed > limit.allowed:
        most = "up to " if limit.name in DROPS and limit.verdict == "undecided" else ""
        told.append(f"{most}{amount(limit.name, limit.needed - limit.allowed)} over")
    if limit.chance is not None and limit.name not in (MEMORY, SIZE):
        told.append(f"chance of meeting it {likely(limit.name, limit.chance)}")
    shown = f" ({', '.join(told)})" if told else ""
    return f"{limit.figure} against --{limit.name} {amount(limit.name, limit.allowed)}{shown}"


def _excess(limit: Limit) -> float:
    """Return what a Candidate needs beyond the limit as a share of the limit."""
    needed = limit.seems if limit.needed is None else limit.needed
    return math.inf if needed is None else (needed - limit.allowed) / max(limit.allowed, SCALE)


def _with_chance(limit: Limit, verdict: Verdict) -> Limit:
    return replace(limit, chance=verdict.chances.get(limit.name, limit.chance))
