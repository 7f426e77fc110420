"""The command line: one command a file; only here is a BakeoffError caught."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import click

from bakeoff.cli import (
    backends,
    compare,
    convert,
    demo,
    doctor,
    import_table,
    judge,
    plan,
    predict,
    report,
    run,
    selftest,
    time,
    tune,
    verify,
)
from bakeoff.errors import BakeoffError, one_line
from bakeoff.version import __version__

INTERRUPTED = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="This trained detector, on this machine: which runtime to deploy, and what it costs in accuracy.",
    epilog="Start with: bakeoff demo, or bakeoff run MODEL.pt --data data.yaml",
)
@click.version_option(__version__, prog_name="bakeoff")
def cli() -> None:
    """Hold the commands together."""


for command in (
    run,
    demo,
    doctor,
    backends,
    plan,
    convert,
    verify,
    time,
    tune,
    selftest,
    report,
    predict,
    judge,
    compare,
    import_table,
):
    cli.add_command(command.command)


def main() -> NoReturn:
    """Run the command line; exit codes are those of contract 1."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        colour = False if os.environ.get("NO_COLOR") else None  # https://no-color.org; rich knows it, click does not
        result: Any = cli.main(args=arguments, prog_name="bakeoff", standalone_mode=False, color=colour)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("bakeoff: interrupted; what was measured is kept", err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        click.echo(f"bakeoff: error: {one_line(error.format_message())}", err=True)
        return 2
    except BakeoffError as error:
        click.echo(f"bakeoff: error: {one_line(error, 1000)}", err=True)
        return error.exit_code
    except BrokenPipeError:  # the reader of stdout went away; what is left in its buffer has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt
