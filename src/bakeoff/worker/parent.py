"""The parent's side: start a child, ask it, wait without polling, and make of every way to die a `ChildError`."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

import msgspec

from bakeoff.errors import InputError, one_line
from bakeoff.records import Failure
from bakeoff.worker.protocol import Request
from bakeoff.worker.wire import Failed, ProtocolError, decode_reply, receive, send

T = TypeVar("T")
TAIL_BYTES = 4000
TAIL_LINES = 30
DEFAULT_TIMEOUT_S = 1800.0


class ChildError(Exception):
    """A child could not do what it was asked."""

    step: str | None = None  # set where it is not the caller's own

    def __init__(self, kind: str, cause: str, log: Path) -> None:
        super().__init__(cause)
        self.kind = kind
        self.cause = cause
        self.log = log

    def failure(self, step: str, run_folder: Path, reproduce: str) -> Failure:
        """Return the whole story as a record."""
        log = os.path.relpath(self.log, run_folder) if self.log.is_relative_to(run_folder) else str(self.log)
        return Failure(
            step=step,
            kind=self.kind,
            cause=self.cause,
            log_tail=log_tail(self.log),
            log=log,
            reproduce=reproduce,
        )


class Worker:
    """One child process; a context manager that leaves none behind."""

    def __init__(self, log: Path, *, threads: int, timeout_s: float | None = None) -> None:
        """Start a child whose output goes to `log`; `timeout_s` bounds each answer (default 30 minutes)."""
        self.log = log
        self.peak_memory_bytes: int | None = None
        self._timeout_s = timeout_s or DEFAULT_TIMEOUT_S
        self._started = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.mkdtemp(prefix="bakeoff-")  # the child's temporary files, gone with it
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self._in, self._out = ours_in, ours_out
        with log.open("ab") as output:
            self._process = _spawn(theirs_in, theirs_out, output, threads, self._scratch)
        os.close(theirs_in)
        os.close(theirs_out)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def age_s(self) -> float:
        """Seconds since the process was started."""
        return time.monotonic() - self._started

    def ask(self, request: Request, answer: type[T], *, timeout_s: float | None = None) -> T:
        """Send a request and wait for its answer.

        Raises:
            InputError: the child says that what the user gave is bad.
            ChildError: anything else went wrong; after most of them the child is gone.
        """
        self.send(request)
        return self.answer(answer, timeout_s=timeout_s)

    def send(self, request: Request) -> None:
        """Send a request; `answer` must follow."""
        with contextlib.suppress(BrokenPipeError):  # dead already: `answer` finds out how
            send(self._out, request)

    def answer(self, answer: type[T], *, timeout_s: float | None = None) -> T:
        """Wait for the answer to the last request; see `ask`."""
        limit = self._timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit

        def ready() -> None:
            if not _readable(self._in, deadline):
                self.kill()
                raise ChildError("timeout", f"no answer within {limit:g} s; killed", self.log)

        try:
            payload = receive(self._in, ready)
            if payload is None:
                raise self._death()
            reply = decode_reply(payload)
            if isinstance(reply, Failed):
                if reply.bad_input:
                    raise InputError(reply.cause)
                raise ChildError("error", reply.cause, self.log)
            self.peak_memory_bytes = reply.peak_memory_bytes
            return msgspec.msgpack.decode(reply.value, type=answer)
        except (ProtocolError, msgspec.DecodeError) as error:
            if self._process.poll() is not None:
                raise self._death() from error
            self.kill()
            raise ChildError(
                "protocol", f"the child's answer is unreadable: {one_line(error, 100)}", self.log
            ) from error

    def close(self) -> None:
        """Let the child end by itself; kill it if it does not within 5 s."""
        self._close_pipes()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()

    def kill(self) -> None:
        """End the child and its own children, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close_pipes()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _close_pipes(self) -> None:
        for name in ("_in", "_out"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)

    def _death(self) -> ChildError:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            return ChildError("protocol", "the child closed its pipe and went on; killed", self.log)
        self.kill()  # what it left in its process group
        if code >= 0:
            return ChildError("exit", f"the child ended with exit code {code} without an answer", self.log)
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " (often: out of memory)" if -code == signal.SIGKILL else ""
        return ChildError("signal", f"the child was killed by {name}{hint}", self.log)


def _spawn(fd_in: int, fd_out: int, log: IO[bytes], threads: int, scratch: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        # OpenMP takes its width when a thread first uses it: set before the runtime is imported, for every stream
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": scratch,
        "YOLO_CONFIG_DIR": scratch,
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "bakeoff.worker.child", str(fd_in), str(fd_out), str(threads)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        pass_fds=(fd_in, fd_out),
        start_new_session=True,
    )


def _readable(fd: int, deadline: float) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLHUP)
    while (left := deadline - time.monotonic()) > 0:
        if poller.poll(min(left, 3600) * 1000):
            return True
    return bool(poller.poll(0))


def log_tail(log: Path) -> str:
    """Return the last lines of a log, printable, at most 4 kB."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = text.splitlines()[-TAIL_LINES:]
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines)
