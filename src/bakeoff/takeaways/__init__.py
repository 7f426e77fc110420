"""Takeaways: conclusions in words, drawn by rules from a Run's figures alone; docs/takeaways.md defines each.

A rule reads a View and returns a Takeaway, or `None` where it has nothing to say. The order of rows changes none.
"""

from __future__ import annotations

from collections.abc import Callable

from bakeoff.records import Takeaway
from bakeoff.takeaways import costs, doubt, trade, wins
from bakeoff.view import View

Rule = Callable[[View], Takeaway | None]
RULES: dict[str, Rule] = {
    "no-intervals": doubt.no_intervals,
    "fastest-without-loss": wins.fastest_without_loss,
    "easy-win": wins.easy_win,
    "balance": trade.balance,
    "most-extreme": wins.most_extreme,
    "second-camera": costs.second_camera,
    "avoid-loss": costs.avoid_loss,
    "avoid-slow": costs.avoid_slow,
    "avoid-dominated": trade.avoid_dominated,
    "avoid-failed": costs.avoid_failed,
    "over-limit": costs.over_limit,
    "undecided": doubt.undecided,
    "tied": doubt.tied,
    "not-measured": doubt.not_measured,
}


def draw(view: View) -> tuple[Takeaway, ...]:
    """Return what the rules say of a Run, in their order; nothing where the reference did not come through."""
    if view.reference.trial.status != "ok":
        return ()
    return tuple(found for rule in RULES.values() if (found := rule(view)) is not None)


def of(view: View) -> tuple[Takeaway, ...]:
    """Return a Run's takeaways as they were saved; those of an older Run, which has none, are drawn now."""
    return view.run.takeaways or draw(view)
