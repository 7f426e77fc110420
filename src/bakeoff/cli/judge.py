"""`bakeoff judge`: an old Run asked again with new Requirements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli import options


@click.command("judge")
@click.argument("run", type=click.Path(path_type=Path))
@options.asked_again
@click.option("--save", is_flag=True, help="Write the new Requirements, Verdicts and report into RUN.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write them into DIR, as a copy of RUN.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(run: Path, save: bool, out: Path | None, as_json: bool, **changes: Any) -> int:
    """Judge a Run again by other Requirements; nothing is measured again.

    Requirements that are not given stay those of RUN. Without --save or --out nothing is written.
    """
    from bakeoff.api import Run
    from bakeoff.cli import terminal
    from bakeoff.errors import InputError

    if save and out is not None:
        raise InputError("--save writes into RUN and --out into a copy of it; give one of them")
    judged = Run(run).judge(**changes)
    if missing := judged.missing:
        click.echo(missing, err=True)
    if save or out is not None:
        judged = Run(judged.save(out))
    if as_json:
        click.echo(terminal.as_json(judged))
    else:
        terminal.show(judged, written=save or out is not None)
    return 0 if judged.ok else 1
