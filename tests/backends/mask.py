"""Children that run as on this CPU without VNNI: `no_vnni.c`, built and preloaded."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("no_vnni.c")


class Unavailable(Exception):
    """The mask can't be had here; says why."""


def build(folder: Path) -> Path:
    """Compile the mask and try it; return the library.

    Raises:
        Unavailable: another kind of CPU, no compiler, or CPUID can't be made to fault.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Unavailable("the mask is for x86-64 Linux")
    compiler = shutil.which("gcc")
    if compiler is None:
        raise Unavailable("no gcc to build the mask with")
    library = folder / "no_vnni.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    tried = subprocess.run(
        ["true"], env={**os.environ, **preload(library)}, capture_output=True, text=True, check=False
    )
    if tried.returncode:
        raise Unavailable(tried.stderr.strip() or f"a process with the mask ended with {tried.returncode}")
    return library


def preload(library: Path, *, keep_avx512: bool = False) -> dict[str, str]:
    """Return the environment that puts a child under the mask."""
    return {"LD_PRELOAD": str(library), "NO_VNNI": "avx512" if keep_avx512 else "all"}


def python(arguments: Sequence[object], mask: Mapping[str, str] | None = None) -> str:
    """Run Python with these arguments from the repository's root, under a mask or natively; return what it prints."""
    command = [sys.executable, *(str(word) for word in arguments)]
    environment = {**os.environ, **(mask or {}), "PYTHONFAULTHANDLER": ""}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout
