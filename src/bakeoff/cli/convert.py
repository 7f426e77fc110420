"""`bakeoff convert`: one Artifact, or what would stand in its way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.cli import options

if TYPE_CHECKING:
    from bakeoff.steps.check import Checked


@click.command("convert")
@options.model
@click.option("--to", "key", metavar="CANDIDATE", help="A key from `bakeoff plan MODEL`.")
@click.option("--check", "check_only", is_flag=True, help="Convert nothing: name what a runtime would not take.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: MODEL-CANDIDATE]")
@click.option("--recipe", type=click.Path(path_type=Path), help="A Run's recipe.json, for an int8+fp32 Candidate.")
@options.inputs
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    default=["1x1", "1x2", "2x1"],
    show_default=True,
    metavar="SxB",
    help="A static Artifact gets a file for each batch size.",
)
@click.option("--json", "as_json", is_flag=True, help="Print artifact.json, or with --check what it found, as JSON.")
def command(
    key: str | None, check_only: bool, out: Path | None, recipe: Path | None, as_json: bool, **values: Any
) -> None:
    """Convert MODEL for one Candidate.

    With --check, only look at its graph: for one Candidate, or for all whose backend offers a check.
    """
    from bakeoff.bake import checked, convert_one
    from bakeoff.cli import terminal
    from bakeoff.errors import WorkerError
    from bakeoff.records import Failure
    from bakeoff.steps.scripts import SCRIPT

    if key is None and not check_only:
        raise click.UsageError("Missing option '--to'; or give --check to look at the graph alone.")
    settings = options.settings(values)
    folder = out or Path(f"{Path(settings.model).stem}-{(key or '').replace('/', '-')}")
    try:
        with terminal.observer() as observer:
            if check_only or key is None:
                found = checked(settings, key, observer, recipe)
            else:
                artifact = convert_one(settings, key, folder, observer, recipe)
    except WorkerError as error:
        if isinstance(error.failure, Failure) and error.failure.log_tail:
            click.echo(error.failure.log_tail, err=True)
        raise
    if check_only:
        _tell(found, as_json=as_json)
        return
    if as_json:
        click.echo((folder / "artifact.json").read_text(encoding="utf-8"))
        return
    for file in artifact.files:
        click.echo(f"{folder / file.path}  {file.size_bytes / 1e6:.2f} MB")
    if (folder / SCRIPT).exists():
        click.echo(f"{folder / SCRIPT}  predicts with it, without bakeoff")


def _tell(found: Checked, *, as_json: bool) -> None:
    """Print the problems, each once with the Candidates that have it.

    Raises:
        InputError: some are fatal.
    """
    import json

    from bakeoff.cli import terminal
    from bakeoff.errors import InputError

    keys: dict[Any, list[str]] = {}
    for key, problems in found.items():
        for problem in problems:
            keys.setdefault(problem, []).append(key)
    rows = [
        ("fatal" if problem.fatal else "warning", problem.node, problem.what, problem.cure, " ".join(some))
        for problem, some in keys.items()
    ]
    if as_json:
        names = ("level", "node", "what", "cure", "candidates")
        found_rows = [dict(zip(names, (*row[:-1], row[-1].split()), strict=True)) for row in sorted(rows)]
        click.echo(json.dumps(found_rows, indent=1, ensure_ascii=False))
    elif rows:
        terminal.table(("", "node", "what", "way out", "Candidates"), sorted(rows), words=3)
    else:
        click.echo(f"nothing stands in the way of {', '.join(found)}")
    stopped = [key for key, problems in found.items() if any(problem.fatal for problem in problems)]
    if stopped:
        first = next(problem for problem in found[stopped[0]] if problem.fatal)
        where = f"node {first.node}: " if first.node else ""
        raise InputError(
            f"{len(stopped)} of {len(found)} Candidates cannot be converted; "
            f"{stopped[0]}: {where}{first.what}; {first.cure}"
        )
