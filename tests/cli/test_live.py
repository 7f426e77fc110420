"""What a person sees while a Run is at work: rows fill as Trials finish, all of it within the terminal."""

from __future__ import annotations

import io
import threading

import msgspec
import pytest
from rich.console import Console

from bakeoff.cli import live
from bakeoff.cli.live import LiveTable
from bakeoff.records import Candidate, Failure, RunRecord, Trial, Workload
from bakeoff.steps.context import Context, Silent
from bakeoff.store import RunFolder
from tests.report.test_report import record
from tests.test_judge import FINE, trial

SINGLE = Workload(streams=1, batch=1)


def console(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, highlight=False)


def seen(table: LiveTable, width: int = 80, height: int = 24) -> list[str]:
    """Return the lines that are on the terminal."""
    file = io.StringIO()
    Console(file=file, width=width, height=height, highlight=False).print(table.render())
    return file.getvalue().splitlines()


def waiting(name: str, **fields: object) -> Trial:
    return Trial(candidate=Candidate(backend=name, precision="fp32", shape="dyn"), **fields)


def row(table: LiveTable, key: str, **size: int) -> list[str]:
    return next(line for line in seen(table, **size) if line.startswith(key)).split()


def test_a_row_fills_as_its_trial_goes_on():
    table = LiveTable(console())
    table.stage("converting", 2)
    for one in (waiting("a"), waiting("b")):
        table.trial(one)
    assert row(table, "b/fp32/dyn")[1:] == ["waiting"]
    table.advance(0, "b/fp32/dyn")
    assert row(table, "b/fp32/dyn")[1:] == ["converting"]
    table.advance(0, "b/fp32/dyn: Building engine 1 of 6")
    assert seen(table)[-1] == "b/fp32/dyn: Building engine 1 of 6"
    whole = trial("b", FINE, convert_s=1.5)
    table.trial(msgspec.structs.replace(whole, accuracy=None, map_delta=None))
    table.stage("verifying", 10)
    assert row(table, "b/fp32/dyn")[1:] == ["converted", "1.5", "0.0"]
    table.trial(msgspec.structs.replace(whole, verified=True))
    assert row(table, "b/fp32/dyn")[1:] == ["verified", "0.6000", "+0.0000", "1.5", "0.0"]
    table.stage("timing, part 1", 10)
    for median_ms in (30.0, 10.0, 12.0):
        table.block("b/fp32/dyn", SINGLE, median_ms)
        table.advance(1, "1x1 b/fp32/dyn")
    assert row(table, "b/fp32/dyn")[1:] == ["timing", "0.6000", "+0.0000", "12.0", "1.5", "0.0"]
    assert "3/10" in seen(table)[-2]
    table.trial(waiting("b", failure=Failure(step="time", kind="signal", cause="killed")))
    assert row(table, "b/fp32/dyn")[1] == "failed"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 10), (80, 6), (20, 3)])
def test_more_candidates_than_lines_never_leave_the_terminal(width, height):
    table = LiveTable(console(width, height))
    table.stage("timing, part 1", 100)
    for i in range(60):
        skip = "not installed" if i % 3 == 0 else None
        table.trial(waiting(f"backend-of-a-long-name-{i}", skip=skip))
        table.block(f"backend-of-a-long-name-{i}/fp32/dyn", SINGLE, 1234.5)
    table.advance(1, "1x1 backend-of-a-long-name-31/fp32/dyn")
    lines = seen(table, width, height)
    assert len(lines) < height or height < 4
    assert max(map(len, lines)) <= width
    if height >= 10:
        assert any(line.startswith("… ") and "more" in line for line in lines)
    if width >= 80 and height >= 10:
        assert any("31/fp32/dyn" in line and "1234.5" in line for line in lines), "the one at work"
        assert any("skipped" in line for line in lines)


def test_names_from_outside_are_not_obeyed():
    table = LiveTable(console())
    table.stage("converting\x1b[2J", 2)
    table.trial(waiting("x\x1b[2J[bold]"))
    table.advance(0, "x\x1b[2J[bold]/fp32/dyn")
    assert "\x1b" not in "\n".join(seen(table))
    assert any("[bold]" in line for line in seen(table))


def test_nothing_is_written_but_when_the_run_says_something_and_seldom_between_blocks(monkeypatch):
    own = console()
    before = threading.active_count()
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    with live.table(own) as table:
        assert threading.active_count() == before
        table.stage("timing, part 1", 1000)
        table.trial(waiting("a"))
        written = []
        for _ in range(1000):
            now[0] += 0.01
            size = own.file.tell()
            table.block("a/fp32/dyn", SINGLE, 1.0)
            table.advance(1, "1x1 a/fp32/dyn")
            written.append(own.file.tell() > size)
    assert 5 <= sum(written) <= 11, "once a second at most"


def left(own: Console) -> str:
    """Return what still stands after the last time that lines were erased."""
    return own.file.getvalue().rsplit("\x1b[2K", 1)[-1]


def test_the_table_goes_at_the_end_and_stays_where_something_ended_it():
    done, ended = console(), console()
    with live.table(done) as table:
        table.trial(waiting("a"))
    assert "a/fp32/dyn" in done.file.getvalue()
    assert "a/fp32/dyn" not in left(done)

    def interrupted() -> None:
        with live.table(ended) as table:
            table.trial(waiting("a"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "a/fp32/dyn" in left(ended)


class Told(Silent):
    def __init__(self) -> None:
        self.trials: list[tuple[str, bool]] = []

    def trial(self, trial: Trial) -> None:
        self.trials.append((trial.candidate.key, trial.verified))


def test_a_context_tells_each_trial_that_changed_and_an_observer_need_not_listen(tmp_path):
    run: RunRecord = record()
    told = Told()
    for observer in (told, Silent()):
        with RunFolder.create(tmp_path / type(observer).__name__) as folder:
            context = Context(folder, run, observer)
            context.change(finished=None)
            context.change_trial("b/fp32/dyn", verified=True)
            context.change(trials=(*context.run.trials, waiting("z")))
            context.tell_block("b/fp32/dyn", SINGLE, 1.0)
    assert told.trials == [("b/fp32/dyn", True), ("z/fp32/dyn", False)]
