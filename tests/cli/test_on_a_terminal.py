"""A real Run on a real terminal of 80 columns: what is written to it while it goes on, and at the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from tests.cli.runner import FAST, SOURCE

WIDTH, HEIGHT = 80, 24
PROGRAM = "from bakeoff.cli import main; main()"


def on_terminal(*arguments: object, cwd: object) -> tuple[int, str]:
    """Run `bakeoff ARGUMENTS` on a terminal; return the exit code and all that was written."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "CI")}
    environment = {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)  # type: ignore[call-overload]
    os.close(theirs)
    written = b""
    try:
        while True:
            try:
                some = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not some:
                break
            written += some
        return process.wait(60), written.decode()
    finally:
        process.kill()
        os.close(ours)


@pytest.mark.slow
def test_a_run_fills_its_table_and_ends_with_the_whole_one(tmp_path, tiny_model, tiny_data):
    only = ("--only", "onnxruntime/fp32/static", "--out", "run")
    code, written = on_terminal("run", tiny_model, "--data", tiny_data, *only, *FAST, cwd=tmp_path)
    assert code == 0, written
    ups = [int(count) for count in re.findall(r"\x1b\[(\d+)A", written)]
    assert written.count("\x1b[1A") + sum(ups) > 0, "it is redrawn"
    assert max(ups, default=1) < HEIGHT
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    lines = [line for part in plain.split("\r\n") for line in part.split("\r")]
    assert [line for line in lines if len(line) > WIDTH and not line.startswith("Report: ")] == []
    for word in ("waiting", "converting", "converted", "verifying", "verified", "timing"):
        assert re.search(rf"onnxruntime/fp32/static +{word}", plain), word
    last = plain[plain.rindex("verdict") :]
    assert re.search(r"onnxruntime/fp32/dyn +reference +0\.\d{4} +\d+\.\d +1\.00", last)
    assert "Report: run/report.html" in last
