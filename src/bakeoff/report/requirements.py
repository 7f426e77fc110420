"""How likely each Candidate meets each Requirement: as lines for a terminal, and as the report's table."""

from __future__ import annotations

from collections.abc import Iterator

from bakeoff import judge
from bakeoff.report.table import Line, View
from bakeoff.report.words import table

NAMED = 3  # Candidates of one chance, at most, that a line names


def lines(view: View) -> Iterator[str]:
    """Yield a line a Requirement: who is how likely to meet it, the likeliest first; large groups are counted."""
    judged = [line for line in _judged(view) if line.key != view.run.reference]
    for name, words in _asked(view).items():
        said: dict[str, list[str]] = {}
        for line in sorted(judged, key=lambda line: (-line.verdict.chances.get(name, -1.0), line.key)):
            said.setdefault(_cell(line, name) or "can't be told", []).append(line.key)
        if said:
            told = (
                f"{chance}: {', '.join(keys) if len(keys) <= NAMED else f'{len(keys)} of {len(judged)}'}"
                for chance, keys in said.items()
            )
            yield f"Chance of meeting {words}: {'; '.join(told)}"


def sections(view: View) -> Iterator[str]:
    """Yield the report's part on chances; nothing where none can be told."""
    judged = _judged(view)
    if not any(line.verdict.chances for line in judged):
        return
    asked = _asked(view)
    yield "## How likely each meets the Requirements"
    yield (
        "The share of resamples in which a Candidate meets a Requirement: of image sets for a loss of accuracy, of "
        "rounds for the latency. Memory and size are known. Empty: can't be told. *accepted* asks for more than a good "
        "chance: the loss must be shown by its whole interval."
    )
    rows = [[f"`{line.key}`", *(_cell(line, name) for name in asked)] for line in judged]
    yield table(["Candidate", *(f"`{words}`" for words in asked.values())], rows)


def _judged(view: View) -> list[Line]:
    return [line for line in view.lines if line.trial.status == "ok"]


def _asked(view: View) -> dict[str, str]:
    """Return the limits that were given, by name: as on the command line; of accuracy only where that was asked for."""
    requirements = view.run.settings.requirements
    limits = {
        name: allowed
        for name, allowed in judge.asked(requirements).items()
        if view.run.settings.accuracy or name not in judge.DROPS
    }
    words = {name: f"--{name} {judge.amount(name, allowed)}" for name, allowed in limits.items()}
    if judge.LATENCY in words:
        words[judge.LATENCY] += f" (p{requirements.percentile:g})"
    return words


def _cell(line: Line, name: str) -> str:
    chance = line.verdict.chances.get(name)
    return "" if chance is None else judge.likely(name, chance)
