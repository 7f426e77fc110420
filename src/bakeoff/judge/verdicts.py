"""The Verdicts: accuracy decides who may win, the limits who meets them, the preference who does win."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import msgspec

from bakeoff.judge import limits, reported
from bakeoff.judge.contest import Evidence, winner
from bakeoff.judge.limits import Limit, Resamples
from bakeoff.judge.requirements import DROPS, check
from bakeoff.records import Requirements, Trial, Verdict
from bakeoff.speed.samples import Timings

NONE: Resamples = MappingProxyType({})


def judge(
    trials: Sequence[Trial],
    reference: str,
    timings: Timings,
    requirements: Requirements,
    resamples: Resamples = NONE,
) -> list[Verdict]:
    """Return a Verdict for each Trial, in order; none is recommended where nothing accepted beats the reference.

    Args:
        trials: of a Run, the reference's among them.
        reference: its key.
        timings: the Run's timing samples.
        requirements: what the user needs.
        resamples: accuracy figures on resampled image sets, for the chances that need them.

    Raises:
        InputError: a Requirement that is none.
    """
    check(requirements)
    known = evidence(trials, reference, timings, resamples)
    if known is None:
        return [Verdict(key=trial.candidate.key, verdict="") for trial in trials]
    stands = {trial.candidate.key: known.limits(trial, requirements) for trial in trials}
    verdicts = {trial.candidate.key: _verdict(trial, reference, stands[trial.candidate.key]) for trial in trials}
    within = [trial for trial in trials if meets(verdicts[trial.candidate.key], stands[trial.candidate.key])]
    best = winner(within, known, requirements.prefer)
    if best is not None:
        trial, tied = best
        own = verdicts[trial.candidate.key]
        verdicts[own.key] = msgspec.structs.replace(own, verdict="recommended", tied_with=tuple(sorted(tied)))
        for key in tied:
            verdicts[key] = msgspec.structs.replace(verdicts[key], tied_with=(own.key,))
    return [verdicts[trial.candidate.key] for trial in trials]


def evidence(trials: Sequence[Trial], reference: str, timings: Timings, resamples: Resamples = NONE) -> Evidence | None:
    """Return what is known of these Candidates; `None` where the reference is not among them."""
    own = next((trial for trial in trials if trial.candidate.key == reference), None)
    return None if own is None else Evidence(reference=own, timings=timings, resamples=resamples)


def meets(verdict: Verdict, stands: Sequence[Limit]) -> bool:
    """Whether a Candidate may win: every Requirement is shown to be met; doubt is never a win."""
    return verdict.verdict in ("accepted", "recommended", "reference") and all(
        limit.verdict == "accepted" for limit in stands
    )


def by_accuracy(trial: Trial, reference: str, requirements: Requirements) -> Verdict:
    """Return what a measured Trial's accuracy alone says: each margin asked for must be shown to be kept."""
    is_judged = trial.status == "ok" and trial.candidate.key != reference
    return _verdict(trial, reference, limits.drops(trial, reference, requirements, NONE) if is_judged else ())


def _verdict(trial: Trial, reference: str, stands: Sequence[Limit]) -> Verdict:
    key = trial.candidate.key
    chances = {limit.name: limit.chance for limit in stands if limit.chance is not None}
    over = "; ".join(limit.why for limit in stands if limit.name not in DROPS and limit.verdict != "accepted")
    if key == reference:
        word = "reference" if trial.status == "ok" else ""
        return Verdict(key=key, verdict=word, why=over, chances=chances)
    drops = [limit for limit in stands if limit.name in DROPS]
    if trial.status != "ok":
        return Verdict(key=key, verdict="")
    if not drops and trial.agreement is not None:
        share = trial.agreement.matched_share
        why = f"no labels: {share.value:.1%} [{share.low:.1%}, {share.high:.1%}] of both sides' boxes have a partner"
        return Verdict(key=key, verdict="undecided", why=why, chances=chances)
    if not drops:
        return Verdict(key=key, verdict="", why=reported.NOTHING if trial.reported else "", chances=chances)
    said = [limit.verdict for limit in drops]
    whole = next((verdict for verdict in ("rejected", "undecided") if verdict in said), "accepted")
    why = "; ".join(dict.fromkeys(limit.why for limit in drops))
    if over and whole == "accepted":
        why = f"{why}; {over}"
    return Verdict(key=key, verdict=whole, why=why, chances=chances)
