"""`bakeoff plan`: what `run` would try."""

from __future__ import annotations

from typing import Any

import click

from bakeoff.cli import options


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
    settings: dict[str, list[str]] = {}
    for trial in trials:
        if trial.skip == SETTING:
            settings.setdefault(trial.candidate.plain.key, []).append("/".join(trial.candidate.tuning))
    rows = [row for row, trial in zip(rows, trials, strict=True) if trial.skip != SETTING]
    rows += [(f"{key}/…", "", "on request", ", ".join(names)) for key, names in settings.items()]
    terminal.table(("candidate", "label", "status", "reason"), rows)
