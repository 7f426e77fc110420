"""From Trials, their timings and the Requirements to Verdicts; pure.

Accuracy decides who may win, speed who does. With margin m, a Candidate is accepted when the whole interval of its
mAP50-95 difference lies above -m, rejected when it lies below, undecided otherwise.
"""

from __future__ import annotations

from bakeoff.judge.contest import pair_ratio
from bakeoff.judge.limits import (
    MIN_IMAGES,
    SINGLE,
    Limit,
    Resamples,
    enough_samples,
    images_needed,
    images_to_decide,
    margin_verdict,
)
from bakeoff.judge.miss import Miss, amount, doubt, likely, nearest_miss, relaxed
from bakeoff.judge.requirements import DROPS, FIELDS, LATENCY, PREFERENCES, asked, changed, check
from bakeoff.judge.verdicts import by_accuracy, judge

__all__ = [
    "DROPS",
    "FIELDS",
    "LATENCY",
    "MIN_IMAGES",
    "PREFERENCES",
    "SINGLE",
    "Limit",
    "Miss",
    "Resamples",
    "amount",
    "asked",
    "by_accuracy",
    "changed",
    "check",
    "doubt",
    "enough_samples",
    "images_needed",
    "images_to_decide",
    "judge",
    "likely",
    "margin_verdict",
    "nearest_miss",
    "pair_ratio",
    "relaxed",
]
