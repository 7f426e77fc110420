"""`bakeoff plan`: what `run` would try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bakeoff.cli import options

if TYPE_CHECKING:
    from bakeoff.records import Candidate

MANY = 4  # options of one Candidate on request: so many share a line


@click.command("plan")
@options.model
@options.inputs
@options.artifact
@click.option("--only", multiple=True, metavar="GLOB", help="Only Candidates whose key matches.  [repeatable]")
@click.option("--skip", multiple=True, metavar="GLOB", help="Not those whose key matches.  [repeatable]")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool, **values: Any) -> None:
    """List the Candidates that `run` would try for MODEL, without running them."""
    import json

    from bakeoff.bake import ON_REQUEST, SETTING, planned
    from bakeoff.cli import terminal

    trials = planned(options.settings(values))
    rows = [
        (
            trial.candidate.key,
            trial.candidate.label,
            "on request" if trial.skip in (ON_REQUEST, SETTING) else {"ok": "ready"}.get(trial.status, trial.status),
            trial.skip or trial.built_only or "",
        )
        for trial in trials
    ]
    if as_json:
        names = ("candidate", "label", "status", "reason")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=1))
        return
    settings: dict[str, list[str]] = {}  # key -> what may come after it, on request
    variants: dict[str, list[str]] = {}
    for trial in trials:
        one = trial.candidate
        if trial.skip == SETTING:
            settings.setdefault(one.plain.key, []).append("/".join(one.tuning))
        elif trial.skip == ON_REQUEST and one.options:
            variants.setdefault(_without_options(one), []).append("/".join(one.options))
    many = {key: names for key, names in variants.items() if len(names) >= MANY}
    rows = [
        row
        for row, trial in zip(rows, trials, strict=True)
        if trial.skip != SETTING
        and not (trial.skip == ON_REQUEST and trial.candidate.options and _without_options(trial.candidate) in many)
    ]
    rows += [(f"{key}/…", "", "on request", ", ".join(names)) for key, names in (*many.items(), *settings.items())]
    terminal.table(("candidate", "label", "status", "reason"), rows, ranks={"label": 1})


def _without_options(candidate: Candidate) -> str:
    return "/".join((candidate.backend, candidate.precision, candidate.shape))
