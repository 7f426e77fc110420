"""`bakeoff compare`: two Runs side by side, and a gate for a build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakeoff.errors import InputError, StoreError, one_line

if TYPE_CHECKING:
    from bakeoff.records import Comparison

BROKEN = 3
STDOUT = Path("-")


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--fail-if", multiple=True, metavar="RULE", help='Such as "latency_1x1_ms > +5%".  [repeatable]')
@click.option("--allow-missing", is_flag=True, help="A rule that can't be told is no broken one.")
@click.option(
    "--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write it for a pull request; -: to stdout."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(
    a: Path, b: Path, fail_if: tuple[str, ...], allow_missing: bool, markdown: Path | None, as_json: bool
) -> int:
    """Compare Run B with Run A, the baseline: accuracy, speed, and rules that B must keep.

    Exit code 3 where a rule is broken. The rules: docs/compare.md.
    """
    import msgspec

    from bakeoff import api

    if as_json and markdown == STDOUT:
        raise InputError("--json and --markdown - both want stdout; give --markdown a file")
    found = api.compare(a, b, fail_if=fail_if, allow_missing=allow_missing)
    quiet = as_json or markdown == STDOUT
    if markdown == STDOUT:
        click.echo(found.markdown(), nl=False)
    elif markdown is not None:
        try:
            markdown.write_text(found.markdown(), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{markdown} cannot be written: {error.strerror or error}") from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found.record)).decode())
    elif not quiet:
        _show(found.record, found.summary)
    for line in found.broken:
        click.echo(line, err=quiet)  # a log shows it in any case
    return 0 if found.passed else BROKEN


def _show(comparison: Comparison, summary: list[str]) -> None:
    from bakeoff.cli import terminal
    from bakeoff.report import compare

    if rows := compare.accuracy_rows(comparison):
        terminal.table(("Candidate (mAP50-95)", *compare.ACCURACY_HEAD[1:]), _printable(rows))
        click.echo()
    for workload in comparison.workloads:
        head = (f"Candidate ({workload})", *compare.SPEED_HEAD[1:])
        terminal.table(head, _printable(compare.speed_rows(comparison, workload)))
        click.echo()
    for line in summary:
        click.echo(line)


def _printable(rows: list[list[str]]) -> list[list[str]]:
    """Return rows without control characters: keys of imported Runs are not ours."""
    return [[one_line(cell) for cell in row] for row in rows]
