"""TensorRT's logger and progress monitor: lines in the child's log, errors kept for the Failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from bakeoff.backend import tell_progress
from bakeoff.backends.trt.api import Trt
from bakeoff.errors import one_line

# said of builds that succeed (TensorRT-RTX 1.7 on a host with no GPU)
HARMLESS = ("Thread context has not been set", "is unsupported in TensorRT-RTX")
EVERY_S = 1.0  # of progress, at most
WARNING = 2  # TensorRT's severities: 0 internal error, 1 error, 2 warning, 3 info, 4 verbose


class Logger(Protocol):
    """What `logger` returns: a `trt.ILogger`, and what it has heard."""

    errors: list[str]  # since the last `begin`, each as one line

    @property
    def itself(self) -> Any:
        """The same object, for TensorRT's own parameters: to a checker, a Protocol is no `ILogger`."""
        ...

    def begin(self) -> None:
        """Forget earlier errors."""
        ...

    def cause(self, what: str) -> str:
        """Return `what` with the first error, in one line."""
        ...


_loggers: dict[str, Logger] = {}


def logger(trt: Trt, say: Callable[[str], None] = print) -> Logger:
    """Return the one logger of this process for a Python module; TensorRT ignores any but the first that it gets.

    Args:
        trt: `tensorrt` or `tensorrt_rtx`.
        say: where lines go; a child's standard output is its log.
    """
    known = _loggers.get(trt.__name__)
    if known is None:
        known = _loggers[trt.__name__] = _made(trt, say)
    known.begin()
    return known


def _made(trt: Trt, say: Callable[[str], None]) -> Logger:
    class _Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        @property
        def itself(self) -> Any:
            return self

        def begin(self) -> None:
            self.errors = []

        def log(self, severity: Any, message: str) -> None:
            level = int(severity)
            harmless = any(text in message for text in HARMLESS)
            if level < WARNING and not harmless:
                self.errors.append(one_line(message, 400))
            if level <= int(trt.ILogger.INFO):
                say(f"[{'info' if harmless else severity.name.lower()}] {message}")

        def cause(self, what: str) -> str:
            return f"{what}: {self.errors[0]}" if self.errors else f"{what}, and TensorRT says nothing of why"

    return cast(Logger, _Logger())


def monitor(trt: Trt, say: Callable[[str], None] = tell_progress, clock: Callable[[], float] = time.monotonic) -> Any:
    """Return a `trt.IProgressMonitor` that says how far each outer phase of a build is, at most once a second."""

    class _Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, tuple[int, int]] = {}  # phase -> steps done, of how many
            self._said = clock()
            self._lock = threading.Lock()  # TensorRT calls from threads of its own

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            with self._lock:
                self._steps[phase] = (0, steps)

        def phase_finish(self, phase: str) -> None:
            with self._lock:
                self._steps.pop(phase, None)

        def step_complete(self, phase: str, step: int) -> bool:
            with self._lock:
                done, steps = self._steps.get(phase, (0, 0))
                self._steps[phase] = (max(done, step + 1), steps)
                if clock() - self._said >= EVERY_S:
                    self._said = clock()
                    say("; ".join(f"{name} {some} of {all_}" for name, (some, all_) in self._steps.items()))
            return True

    return _Monitor()
