"""`bakeoff predict`: the Pipeline that was measured, on images, videos and cameras, in a child process.

Frames are grabbed, predicted and drawn in the child: only boxes cross the pipe, one answer a frame.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from bakeoff import host
from bakeoff.data import sources, yolo
from bakeoff.errors import InputError, StoreError, WorkerError
from bakeoff.predictor import choice
from bakeoff.predictor.choice import Choice
from bakeoff.records import Prediction, Record, SessionFacts
from bakeoff.steps.context import Observer, Silent
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

KEPT = 1000  # of the last frames' durations; a camera may go on for months


class Options(Record, frozen=True, kw_only=True):
    """What to predict with and how; `None`: as it was measured."""

    path: str  # of a Run's folder, an Artifact's, or a file made elsewhere
    sources: tuple[str, ...]
    only: str | None = None  # a Candidate of the Run
    conf: float | None = None
    limit: int | None = None  # frames in all
    draw: str | None = None  # folder for frames with boxes on them
    device: str | None = None
    threads: int | None = None
    imgsz: int | None = None  # this and `data`: of an Artifact made elsewhere that does not tell them
    data: str | None = None  # dataset yaml, for the class names
    trust: bool = False


class Pace:
    """How fast frames went through: what each took, and all of them together."""

    def __init__(self) -> None:
        self.frames = 0
        self.dropped = 0
        self._parts: dict[str, deque[int]] = {}
        self.seconds = 0.0  # from the first frame asked for to the last one had
        self._began = 0.0

    def start(self) -> None:
        """Begin to count: what came before was loading."""
        self._began = time.monotonic()

    def add(self, answer: p.Predicted) -> None:
        """Count one frame."""
        self.frames += 1
        self.dropped += answer.dropped
        self.seconds = time.monotonic() - self._began
        for name in ("decode", "pre", "run", "post", "draw"):
            duration: int | None = getattr(answer, f"{name}_ns")
            if duration is not None:
                self._parts.setdefault(name, deque(maxlen=KEPT)).append(duration)

    def median_ms(self, *parts: str) -> float | None:
        """Return the median of some durations' sum over the last frames; `None` where one has none."""
        if not all(self._parts.get(part) for part in parts):
            return None
        return statistics.median(map(sum, zip(*(self._parts[part] for part in parts), strict=True))) * 1e-6

    def __str__(self) -> str:
        """Say it in one line: frames a second with all that was done, then the parts, decoding apart."""
        if not self.frames:
            return "no frame predicted"
        whole = self.median_ms("pre", "run", "post")
        pre, run, post = (self.median_ms(part) for part in ("pre", "run", "post"))
        parts = [f"prediction {whole:.2f} ms (pre {pre:.2f}, run {run:.2f}, post {post:.2f})"]
        for name, part in (("decoding", "decode"), ("drawing", "draw")):
            if (median := self.median_ms(part)) is not None:
                parts.append(f"{name} {median:.2f} ms")
        rate = f"{self.frames / self.seconds:.1f} frames/s in all" if self.seconds > 0 else ""
        dropped = f", {self.dropped} dropped because newer ones came" if self.dropped else ""
        noun = "frame" if self.frames == 1 else "frames"
        return f"{self.frames} {noun}{dropped}: {rate}; medians: {', '.join(parts)}"


class Predictor:
    """A child with a loaded Artifact and open sources; a context manager to iterate over."""

    def __init__(self, options: Options, observer: Observer | None = None) -> None:
        """Find the sources and start a child.

        Raises:
            InputError: an option, a source or an Artifact that can't be.
        """
        self.options = options
        self.observer = observer or Silent()
        self.pace = Pace()
        _check(options)
        self._sources = sources.find(options.sources)
        path = Path(options.path)
        saved = choice.saved(path, options.only)
        if saved is not None and (options.imgsz or options.data):
            raise InputError(f"{path} tells imgsz and class names itself; leave --imgsz and --data out")
        if saved is not None and saved.candidate.threads not in (None, options.threads or saved.candidate.threads):
            raise InputError(f"{saved.candidate.key} loads with {saved.candidate.threads} threads; leave --threads out")
        names = () if options.data is None else yolo.read_names(Path(options.data))
        draw = None if options.draw is None else _folder_for(Path(options.draw))
        default = host.usable_cores() if saved is None else saved.threads
        threads = options.threads or default
        self._scratch = tempfile.TemporaryDirectory(prefix="bakeoff-")
        scratch = Path(self._scratch.name)
        self._worker = Worker(scratch / "predict.log", threads=threads)
        try:
            self.choice = saved or self._made_elsewhere(path, scratch / "artifact", names, threads)
            self.facts = self._load(self.choice, threads)
            confidence = self.choice.confidence if options.conf is None else options.conf
            self._worker.ask(p.OpenSources(sources=tuple(self._sources), confidence=confidence, draw=draw), type(None))
        except ChildError as error:
            failure = error.failure("load", scratch, "")
            self._end(graceful=False)
            raise WorkerError(f"{path} cannot be loaded: {error.cause}", failure) from error
        except BaseException:
            self._end(graceful=False)
            raise
        for note in self.choice.notes:
            self.observer.say(note)

    def _made_elsewhere(self, path: Path, folder: Path, names: Sequence[str], threads: int) -> Choice:
        options = self.options
        return choice.made_elsewhere(
            self._worker, path, folder, only=options.only, imgsz=options.imgsz, class_names=names, threads=threads
        )

    def _load(self, chosen: Choice, threads: int) -> SessionFacts:
        request = p.Load(
            candidate=chosen.candidate,
            artifact=chosen.artifact,
            # whoever made the folder does not decide that its checkpoint may run code here
            model=msgspec.structs.replace(chosen.model, trusted=self.options.trust),
            threads=threads,
            device=self.options.device or chosen.device,
        )
        return self._worker.ask(request, p.Loaded).facts

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(graceful=self.options.draw is not None)  # a video must be finished, or no player reads it

    def __iter__(self) -> Iterator[Prediction]:
        """Yield each frame's Prediction as soon as it is there.

        Raises:
            InputError: at the end, where sources could not be read; all others were predicted.
            WorkerError: the runtime died.
        """
        unread: list[str] = []
        self.pace.start()
        while self.options.limit is None or self.pace.frames < self.options.limit:
            try:
                answer = self._worker.ask(p.NextFrame(), p.Predicted)
            except ChildError as error:
                what = f"{self.choice.candidate.key} failed after {self.pace.frames} frames: {error.cause}"
                raise WorkerError(what, error.failure("predict", error.log.parent, "")) from error
            for line in answer.unread:
                if len(self._sources) == 1:
                    raise InputError(line)
                unread.append(line)
                self.observer.say(line)
            if answer.prediction is None:
                break
            self.pace.add(answer)
            yield answer.prediction
        if unread:
            many = f"{len(unread)} of {len(self._sources)} sources not read, or not to their end"
            raise InputError(f"{many}; the first: {unread[0]}")

    def _end(self, *, graceful: bool) -> None:
        if graceful:
            self._worker.close()
        else:
            self._worker.kill()
        self._scratch.cleanup()


def _check(options: Options) -> None:
    if options.conf is not None and not 0 < options.conf < 1:
        raise InputError(f"conf {options.conf:g} is not between 0 and 1")
    for name in ("limit", "threads", "imgsz"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"{name} {value} is not positive")
    if not options.sources:
        raise InputError(f"no source to predict; {sources.KINDS}")


def _folder_for(path: Path) -> str:
    """Return an empty folder for what is drawn, absolute: never one where it could replace the images themselves."""
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StoreError(f"{path} is not an empty folder; choose another --draw")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"folder {path} cannot be made: {error.strerror or error}; choose another --draw") from error
    return str(path.absolute())
