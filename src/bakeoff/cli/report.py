"""`bakeoff report`: the report again, from a Run's folder alone."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="One .html, .md, .csv or .parquet file.  [default: all, in RUN]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON, and write nothing.")
def command(run: Path, out: Path | None, as_json: bool) -> None:
    """Write the report of a Run again: table.csv, report.md, report.html and the charts."""
    from bakeoff import report
    from bakeoff.store import RunFolder

    if as_json:
        from bakeoff.api import Run
        from bakeoff.cli import terminal

        if out is not None:
            raise click.UsageError("--json writes nothing; leave it or --out out")
        click.echo(terminal.as_json(Run(run)))
        return
    folder = RunFolder(run)
    folder.load()
    if out is None:
        report.write(folder)
        click.echo(f"{run / 'report.html'}")
    else:
        report.export(folder, out)
        click.echo(str(out))
