"""A Run's folder: `results.json` (all records) and `samples.npz` (all raw samples), saved after every step.

Format history of `results.json` (`version`):
  1  2026-11: first.
  2  2026-11: intervals of every accuracy figure, operating point, agreement, parity, INT8 repair. A Run of version 1
     has none of these and is read as it is.
  3  2026-11: why timing ended, telemetry, cold starts, sweeps, cameras, sustained load. Older Runs have none of these.
  4  2026-11: Artifacts made elsewhere (`artifacts` in the Settings, `elsewhere` in a Candidate); shapes that
     `bakeoff tune` tries, memory of timed processes. Older Runs have none of these.
  5  2026-11: takeaways as data, chances of meeting Requirements, limits of memory and size, Runs made of a table of
     somebody else's figures (`imported`, `reported`), the host's GPUs. Older Runs have none of these.

While a Run goes on, raw samples are written as parts (`work/samples/*.npz`), each whole or absent; `consolidate`
makes `samples.npz` of them. A reader takes both, so a killed Run is readable and can be resumed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff.errors import StoreError, one_line
from bakeoff.records import RunRecord
from bakeoff.speed.samples import WorkloadSamples

FORMAT = "bakeoff-run"
VERSION = 5
LATER = {"rest_ns": -1, "window": -1}  # fields of timing samples since version 3, and what stands for "unknown"
RESULTS, SAMPLES = "results.json", "samples.npz"

Arrays = Mapping[str, npt.NDArray[Any]]


class _Head(msgspec.Struct, kw_only=True):
    format: str = ""
    version: int = 0


class Document(msgspec.Struct, kw_only=True):
    """A Run's `results.json`, as bakeoff writes it."""

    format: str
    version: int
    run: RunRecord


class RunFolder:
    """One Run's folder. `create` or `resume` takes it for writing; constructed plainly, it is only read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = VERSION  # of what `load` read last
        self._lock: IO[str] | None = None
        self._made = False

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """Make a new Run's folder, or take an empty one.

        Raises:
            StoreError: it holds a Run already, can't be written, or another process uses it.
        """
        folder = cls(path)
        if (path / RESULTS).exists():
            raise StoreError(f"{path} holds a Run already; continue it with --resume or choose another --out")
        try:
            if path.exists() and any(path.iterdir()):
                raise StoreError(f"{path} is not empty; choose another --out")
            folder._made = not path.exists()
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"folder {path} cannot be made: {error.strerror or error}; choose another --out"
            ) from error
        folder._take()
        return folder

    @classmethod
    def resume(cls, path: Path) -> RunFolder:
        """Open an existing Run's folder for writing; see `create` for what it raises."""
        if not (path / RESULTS).exists():
            raise StoreError(f"{path} holds no Run to resume: no {RESULTS} in it")
        folder = cls(path)
        folder._take()
        return folder

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def work(self) -> Path:
        """What is needed only while the Run goes on: frame cache, ONNX forms, parts."""
        return self.path / "work"

    @property
    def artifacts(self) -> Path:
        """The Artifacts, a folder each."""
        return self.path / "artifacts"

    @property
    def logs(self) -> Path:
        """The children's output: `logs/<candidate>.log`."""
        return self.path / "logs"

    def save(self, run: RunRecord) -> None:
        """Write `results.json`, whole or not at all.

        Raises:
            StoreError: the disk is full or read-only.
        """
        document = Document(format=FORMAT, version=VERSION, run=run)
        self._write(self.path / RESULTS, msgspec.json.format(msgspec.json.encode(document), indent=1))

    def load(self) -> RunRecord:
        """Read `results.json`.

        Raises:
            StoreError: there is none, it is damaged, or it was written by a newer bakeoff.
        """
        path = self.path / RESULTS
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{self.path} holds no Run: {path.name} cannot be read ({error.strerror})") from error
        try:
            head = msgspec.json.decode(data, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"{path} is damaged: {one_line(error, 120)}") from error
        if head.format != FORMAT:
            raise StoreError(f"{path} is no Run of bakeoff")
        if head.version > VERSION:
            raise StoreError(f"{path} has format {head.version}, this bakeoff reads up to {VERSION}; upgrade bakeoff")
        self.version = head.version
        try:
            return msgspec.json.decode(data, type=Document).run
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"{path} is damaged: {one_line(error, 120)}") from error

    def write(self, name: str, data: bytes) -> None:
        """Write a file beside `results.json`, whole or not at all.

        Raises:
            StoreError: the disk is full or read-only.
        """
        self._write(self.path / name, data)

    def put(self, part: str, arrays: Arrays) -> None:
        """Write one part of the samples, whole or not at all; a part of the same name is replaced."""
        folder = self.work / "samples"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            os.replace(file.name, folder / f"{part}.npz")
        except OSError as error:
            raise self._full(folder, error) from error

    def samples(self, *prefixes: str) -> dict[str, npt.NDArray[Any]]:
        """Return the samples whose names begin with one of the prefixes, or all.

        Raises:
            StoreError: a file is damaged.
        """
        found: dict[str, npt.NDArray[Any]] = {}
        for path in self._sources():
            found.update(_read(path, prefixes or ("",)))
        return found

    def timings(self) -> dict[tuple[str, str], WorkloadSamples]:
        """Return all timing samples by Candidate key and Workload."""
        fields: dict[tuple[str, str], dict[str, npt.NDArray[Any]]] = {}
        for name, array in self.samples("timing/").items():
            who, _, field = name.removeprefix("timing/").rpartition("/")
            key, _, workload = who.rpartition(":")
            fields.setdefault((key, workload), {})[field] = array
        for arrays in fields.values():  # what older Runs lack
            for name, unknown in LATER.items():
                arrays.setdefault(name, np.full(len(arrays["round"]), unknown, np.int64))
        return {who: WorkloadSamples(**arrays) for who, arrays in fields.items()}

    def resamples(self) -> dict[str, dict[str, npt.NDArray[np.floating[Any]]]]:
        """Return the overall accuracy figures on every resampled image set (B,), by Candidate key and figure."""
        found: dict[str, dict[str, npt.NDArray[np.floating[Any]]]] = {}
        for name, array in self.samples("resamples/").items():
            key, _, figure = name.removeprefix("resamples/").rpartition("/")
            if array.ndim == 1:  # those of each class have two dimensions
                found.setdefault(key, {})[figure] = array
        return found

    def telemetry(self) -> dict[str, npt.NDArray[Any]]:
        """Return the windows of telemetry, one array a quantity (`bakeoff.speed.telemetry.Telemetry.windows`)."""
        found = self.samples("telemetry/")
        return {name.removeprefix("telemetry/"): array for name, array in found.items()}

    def copy(self, path: Path) -> RunFolder:
        """Copy the Run into another folder, taken for writing as by `create`; parts of its samples are made one file.

        Raises:
            StoreError: the other folder holds something, or can't be written.
        """
        needless = {".lock", "frames", "onnx", "heads", "rank", "draws"}

        def passed_over(folder: str, names: list[str]) -> set[str]:
            return needless & set(names) if Path(folder) in (self.path, self.work) else set()

        if self.path.resolve() in path.resolve().parents:
            raise StoreError(f"{path} lies within {self.path}, of which it is to be a copy; choose another --out")
        target = RunFolder.create(path)
        try:
            shutil.copytree(self.path, path, dirs_exist_ok=True, ignore=passed_over)
            target.consolidate()
        except (OSError, shutil.Error) as error:
            target.discard()
            target.__exit__(None, None, None)
            cure = "free some space or choose another --out"
            raise StoreError(f"{self.path} cannot be copied to {path}: {one_line(error, 120)}; {cure}") from error
        return target

    def consolidate(self) -> None:
        """Make one `samples.npz` of all parts (and of the one there is)."""
        if not list(self._parts()):
            return
        temporary = self.path / f".{SAMPLES}.tmp"
        try:
            with zipfile.ZipFile(temporary, "w") as target:
                done: set[str] = set()
                for path in reversed(self._sources()):  # parts are newer than what stands in samples.npz
                    with zipfile.ZipFile(path) as source:
                        for name in source.namelist():
                            if name not in done:
                                done.add(name)
                                with source.open(name) as read, target.open(name, "w", force_zip64=True) as write:
                                    shutil.copyfileobj(read, write)
            _sync(temporary)
            os.replace(temporary, self.path / SAMPLES)
        except OSError as error:
            raise self._full(self.path, error) from error
        shutil.rmtree(self.work / "samples", ignore_errors=True)

    def clean(self) -> None:
        """Remove what only a Run in progress needs."""
        shutil.rmtree(self.work, ignore_errors=True)

    def discard(self) -> None:
        """Empty a folder that `create` took, and remove it if `create` made it."""
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if self._made:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def _parts(self) -> Iterator[Path]:
        yield from sorted((self.work / "samples").glob("*.npz"))

    def _sources(self) -> list[Path]:
        whole = self.path / SAMPLES
        return [*([whole] if whole.exists() else []), *self._parts()]

    def _take(self) -> None:
        try:
            self._lock = (self.path / ".lock").open("a+")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._lock.seek(0)
                owner = self._lock.read().strip() or "unknown"
                raise StoreError(
                    f"{self.path} is in use by process {owner}; wait for it or choose another --out"
                ) from error
            self._lock.truncate(0)
            self._lock.write(str(os.getpid()))
            self._lock.flush()
        except OSError as error:
            raise self._full(self.path, error) from error

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            raise self._full(path, error) from error

    def _full(self, path: Path, error: OSError) -> StoreError:
        return StoreError(
            f"{path} cannot be written: {error.strerror or error}; free some space or choose another --out"
        )


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        os.fsync(file.fileno())


def _read(path: Path, prefixes: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name.startswith(prefixes)}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path} is damaged: {one_line(error, 120)}") from error
