"""What the rules of `--fail-if` find in two Runs. What can't be told is no pass: it is missing, and said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bakeoff.comparison.rules import Rule
from bakeoff.errors import InputError, nearest, one_line
from bakeoff.records import CandidateChange, FigureChange, RuleFinding, RuleResult, SpeedChange

Cell = str | int | float | None
Row = Mapping[str, Cell]
OF_FILES = ("size_bytes", "float_layers")  # the same whoever measures
OF_ACCURACY = (
    "images", "val_", "map", "precision_delta", "recall_delta", "op_", "confidence", "restoring_", "d_ece", "coco_",
    "matched_share", "mean_iou", "score_", "class_flips", "box_error_px", "calibration_",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Two Runs, as rules see them."""

    rows_a: Mapping[str, Row]  # by Candidate key; cells by column of `table.csv`
    rows_b: Mapping[str, Row]
    changes: Mapping[str, CandidateChange]
    reference: str
    accuracy_refused: str
    speed_refused: Callable[[str], str]  # of one Candidate

    def result(self, rule: Rule) -> RuleResult:
        """Return what one rule finds.

        A rule is about the Candidates that its pattern matches, that are `ok` in A or in B, and of which A or B has the
        figure. One that is about none finds insufficient data.

        Raises:
            InputError: its pattern matches no Candidate at all.
        """
        keys = [key for key in self.changes if rule.covers(key)]
        if not keys:
            near = nearest(rule.pattern, self.changes)
            raise InputError(
                f"rule {one_line(rule.text, 80)!r}: no Candidate matches {rule.pattern!r}{near} see table.csv"
            )
        broken, missing, held = [], [], 0
        for key in keys:
            if not self._concerns(rule, key):
                continue
            why = self._missing(rule, key)
            if why:
                missing.append(RuleFinding(candidate=key, text=why))
                continue
            breaks, text = self._look(rule, key)
            if breaks is None:
                missing.append(RuleFinding(candidate=key, text=text))
            elif breaks:
                broken.append(RuleFinding(candidate=key, text=text))
            else:
                held += 1
        if not (broken or missing or held):
            which = "any Candidate" if rule.pattern == "*" else f"a Candidate that {rule.pattern} matches"
            missing.append(RuleFinding(candidate="", text=f"neither A nor B has {rule.column} of {which}"))
        return RuleResult(rule=rule.text, broken=tuple(broken), missing=tuple(missing), held=held)

    def _cells(self, rule: Rule, key: str) -> tuple[Cell, Cell]:
        return tuple(rows.get(key, {}).get(rule.column) for rows in (self.rows_a, self.rows_b))  # type: ignore[return-value]

    def _concerns(self, rule: Rule, key: str) -> bool:
        change = self.changes[key]
        if "ok" not in (change.status_a, change.status_b):
            return False
        if key == self.reference and _beside_reference(rule):
            return False
        return self._cells(rule, key) != (None, None)

    def _missing(self, rule: Rule, key: str) -> str:
        """Return why a rule can't be told of a Candidate; empty: both sides are there and may be compared."""
        a, b = self._cells(rule, key)
        if b is None:
            return "B has no such Candidate" if key not in self.rows_b else self._absent(rule, key)
        if not rule.compares:
            return ""
        if a is None:
            return "A has no such Candidate" if key not in self.rows_a else f"A has no {rule.column} of it"
        if rule.column in OF_FILES:
            return ""
        about_accuracy = rule.column.startswith(OF_ACCURACY)
        refused = self.accuracy_refused if about_accuracy else self.speed_refused(key)
        if refused:
            return f"{'accuracy' if about_accuracy else 'speed'} can't be compared: {refused}"
        thresholds = [rows[key].get("confidence") for rows in (self.rows_a, self.rows_b)]
        if rule.column.startswith("op_") and thresholds[0] != thresholds[1]:
            return f"at another threshold: confidence {_shown(thresholds[0])} in A, {_shown(thresholds[1])} in B"
        return ""

    def _absent(self, rule: Rule, key: str) -> str:
        change = self.changes[key]
        why = f": {change.status_b}, {change.reason_b}" if change.status_b != "ok" else ""
        return one_line(f"B has no {rule.column} of it{why}", 200)

    def _look(self, rule: Rule, key: str) -> tuple[bool | None, str]:
        """Return whether a Candidate breaks a rule (`None`: it can't be told), and the figures in words."""
        a, b = self._cells(rule, key)
        assert b is not None
        if isinstance(b, str) or isinstance(rule.limit, str):
            before = f" (in A: {_shown(a)})" if a != b else ""
            return rule.breaks(str(b)), f"{rule.column} is {_shown(b)}{before}"
        if not rule.compares:
            return rule.breaks(b), f"{rule.column} is {_shown(b)}"
        assert isinstance(a, (int, float))
        if rule.relative and a == 0:
            return None, f"{rule.column} is 0 in A: nothing is a percentage of it"
        value = b / a - 1 if rule.relative else b - a
        bounds = self._bounds(rule, key)
        text = f"{rule.column} {_shown(a)} → {_shown(b)} ({_signed(rule, value)}"
        if bounds is None:
            text += ")"
        else:
            name = "drift-free " if rule.column.startswith("latency_") else "95% "
            text += f"; {name}[{_signed(rule, bounds[0])}, {_signed(rule, bounds[1])}])"
        if not rule.surely:
            return rule.breaks(value), text
        if bounds is None:
            return None, f"no interval: {self._no_interval(rule, key)}"
        return rule.breaks(bounds[0]) and rule.breaks(bounds[1]), text

    def _figure(self, rule: Rule, key: str) -> FigureChange | SpeedChange | None:
        change = self.changes[key]
        workload = rule.column.removeprefix("latency_").removesuffix("_ms")
        return change.accuracy.get(rule.column) or (
            change.speed.get(workload) if rule.column == f"latency_{workload}_ms" else None
        )

    def _bounds(self, rule: Rule, key: str) -> tuple[float, float] | None:
        """Return the 95% interval of a change, in the rule's own terms."""
        figure = self._figure(rule, key)
        if isinstance(figure, FigureChange) and figure.low is not None and figure.high is not None:
            if not rule.relative:
                return figure.low, figure.high
            return (figure.low / figure.a, figure.high / figure.a) if figure.a else None
        if isinstance(figure, SpeedChange) and figure.drift_free_low is not None and figure.drift_free_high is not None:
            low, high = 1 / figure.drift_free_high - 1, 1 / figure.drift_free_low - 1
            return (low, high) if rule.relative else (low * (figure.a_ms or 0), high * (figure.a_ms or 0))
        return None

    def _no_interval(self, rule: Rule, key: str) -> str:
        figure = self._figure(rule, key)
        if isinstance(figure, SpeedChange):
            return figure.untested
        return self.changes[key].no_interval


def passed(results: Sequence[RuleResult], *, allow_missing: bool) -> bool:
    """Whether no rule is broken, and none lacks data unless that is allowed."""
    return not any(one.broken or (one.missing and not allow_missing) for one in results)


def _beside_reference(rule: Rule) -> bool:
    """Whether a rule compares a Candidate with the reference, so that the reference itself can't be asked about."""
    drift_free = rule.surely and rule.column.startswith("latency_")
    return drift_free or "_delta" in rule.column or rule.column.startswith("speedup_")


def _shown(cell: Cell) -> str:
    if cell is None:
        return "empty"
    return one_line(f"{cell:.5g}" if isinstance(cell, float) else str(cell), 80)


def _signed(rule: Rule, value: float) -> str:
    return f"{value:+.1%}" if rule.relative else f"{value:+.4g}"
