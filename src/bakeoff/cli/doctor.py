"""`bakeoff doctor`: what will spoil timings here, and what in the set-up does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bakeoff.records import Finding

COLOURS = {"problem": "red", "warning": "yellow", "note": "cyan", "ok": "green"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """Look for what spoils timings on this machine, and name the command that mends it. Changes nothing."""
    import msgspec

    from bakeoff.doctor import examine

    found = examine()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    for line in lines(found):
        click.echo(line)


def lines(found: Sequence[Finding]) -> list[str]:
    """Return the Findings for a terminal: each on a line, its cure beneath, and a summary last."""
    wide = max((len(finding.topic) for finding in found), default=0)
    out = []
    for finding in found:
        level = click.style(f"{finding.level:<7}", fg=COLOURS[finding.level])
        out.append(f"{level}  {finding.topic:<{wide}}  {finding.what}")
        if finding.cure:
            out.append(f"{'':9}cure: {finding.cure}")
    counts = Counter[str](finding.level for finding in found)
    several = {"problem": "problems", "warning": "warnings", "note": "notes", "ok": "ok"}
    counted = ", ".join(f"{counts[one]} {one if counts[one] == 1 else more}" for one, more in several.items())
    return [*out, f"{counted}; nothing was changed"]
