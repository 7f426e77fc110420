"""Progress of a conversion, from the child's log to who watches."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from bakeoff.backend import tell_progress
from bakeoff.steps.progress import shown


def wait_for(seen: list[str], text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in seen:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)


def test_the_newest_line_of_progress_is_shown_while_the_block_lasts(tmp_path, capsys):
    log, seen = tmp_path / "child.log", []
    log.write_text("progress: of an earlier child\n")
    with shown(log, seen.append, every_s=0.01):
        for text in ("Building engine 1 of 6", "Building engine 2 of 6"):
            tell_progress(text)
            with log.open("a") as file:
                file.write(f"a warning\n{capsys.readouterr().out}half a li")
            wait_for(seen, text)
            with log.open("a") as file:
                file.write("ne\n")
    assert seen == ["Building engine 1 of 6", "Building engine 2 of 6"]
    with log.open("a") as file:
        file.write("progress: too late\n")
    time.sleep(0.05)
    assert "too late" not in seen


def test_a_log_that_is_not_there_shows_nothing_and_leaves_no_thread(tmp_path):
    before = threading.active_count()
    with shown(Path(tmp_path / "none.log"), print, every_s=0.01):
        time.sleep(0.05)
    assert threading.active_count() == before
