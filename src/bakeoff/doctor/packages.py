"""Packages that do not fit together, read from their metadata: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from bakeoff.doctor.gpu import driver_cuda, has_nvidia_gpu
from bakeoff.records import Finding

TOPIC = "packages"
ROOT = "bakeoff"
# Distributions that bring the same module: the one installed last wins, and removing one breaks the other.
SAME_MODULE = (
    ("cv2", ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")),
    ("onnxruntime", ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")),
    ("pynvml", ("nvidia-ml-py", "pynvml")),
)
KEEP = {"cv2": "opencv-python-headless", "pynvml": "nvidia-ml-py"}  # which to keep; else the last of those installed
CUDA = re.compile(r"^cuda\s*(?::[^=]*)?=\s*(?:'([\d.]+)'|None)", re.MULTILINE)


def check(root: Path) -> list[Finding]:
    """Return what does not fit together among the packages that bakeoff uses."""
    found = [*_doubles(), *_broken(), *_torch(root), *_onnxruntime(root)]
    if not any(finding.level in ("problem", "warning") for finding in found):
        found.append(Finding(level="ok", topic=TOPIC, what="every installed one has what it requires"))
    return found


def _doubles() -> Iterator[Finding]:
    for module, names in SAME_MODULE:
        there = {name: version for name in names if (version := installed(name)) is not None}
        if len(there) < 2:
            continue
        keep = KEEP.get(module, list(there)[-1])
        keep = keep if keep in there else list(there)[-1]
        others = " ".join(name for name in there if name != keep)
        listed = " and ".join(f"{name} {version}" for name, version in there.items())
        alike = len(set(there.values())) == 1 and module == "cv2"
        yield Finding(
            level="note" if alike else "warning",
            topic=TOPIC,
            what=f"{listed} both bring the module {module}: the one installed last is in force",
            cure=f"pip uninstall -y {others} && pip install --force-reinstall --no-deps {keep}=={there[keep]}",
        )


def _broken() -> Iterator[Finding]:
    for name, requirement, version in broken():
        wanted = f"{requirement.name}{requirement.specifier}"
        has = f"{requirement.name} {version} is installed" if version else "it is not installed"
        yield Finding(
            level="warning",
            topic=TOPIC,
            what=f"{name} {installed(name)} requires {wanted}; {has}",
            cure=f"pip install '{wanted}'",
        )


def broken(start: str = ROOT) -> list[tuple[str, Requirement, str | None]]:
    """Return what is not met among the packages that `start` uses, those of its extras too where they are installed.

    Each: the package that requires, what it requires, and the version that is there instead (None: none is).
    """
    found: list[tuple[str, Requirement, str | None]] = []
    todo, seen = [start], {canonicalize_name(start)}
    while todo:
        name = todo.pop(0)
        for requirement in required(name, extras=name == start):
            key = canonicalize_name(requirement.name)
            version = installed(requirement.name)
            if version is None:
                optional = name == start and requirement.marker is not None and "extra" in str(requirement.marker)
                if not optional and not stands_in(requirement.name):
                    found.append((name, requirement, None))
                continue
            if not fits(requirement, version):
                found.append((name, requirement, version))
            if key not in seen:
                seen.add(key)
                todo.append(requirement.name)
    return found


def required(name: str, *, extras: bool) -> Iterator[Requirement]:
    """Yield what an installed package requires here; with `extras`, what any of its extras would besides."""
    try:
        one = distribution(name)
    except PackageNotFoundError:
        return
    names = one.metadata.get_all("Provides-Extra") or [] if extras else []
    for line in one.requires or []:
        try:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *names)):
                yield requirement
        except (InvalidRequirement, UndefinedEnvironmentName):
            continue  # a package whose metadata nobody can read is not ours to judge


def fits(requirement: Requirement, version: str) -> bool:
    """Whether a version is one of those required; one that is no version by PEP 440 counts as fitting."""
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True


def stands_in(name: str) -> bool:
    """Whether another distribution brings the same module, as opencv-python-headless does for opencv-python."""
    groups = [names for _, names in SAME_MODULE if canonicalize_name(name) in names]
    return any(installed(other) is not None for names in groups for other in names)


def installed(name: str) -> str | None:
    """Return the version of an installed distribution."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def _torch(root: Path) -> Iterator[Finding]:
    build = torch_build()
    if build is None:
        return
    version, cuda = build
    driver = driver_cuda()
    if cuda is None:
        if has_nvidia_gpu(root):
            what = f"torch {version} is built for the CPU alone, and here is an NVIDIA GPU"
            cure = "install the build for CUDA that pytorch.org/get-started names for this machine"
            yield Finding(level="warning", topic=TOPIC, what=what, cure=cure)
    elif driver is not None and (major := int(cuda.split(".")[0])) > driver[0]:
        # Within one major version any newer driver or runtime will do (CUDA's minor version compatibility).
        what = f"torch {version} needs a driver for CUDA {major}; this one runs CUDA {driver[0]}.{driver[1]} at most"
        cure = f"a newer NVIDIA driver (Ubuntu: sudo ubuntu-drivers install), or a torch built for CUDA {driver[0]}"
        yield Finding(level="problem", topic=TOPIC, what=what, cure=cure)


def torch_build(name: str = "torch") -> tuple[str, str | None] | None:
    """Return torch's version and the CUDA that it is built for (None: none), from its file version.py."""
    try:
        one: Distribution = distribution(name)
        content = Path(str(one.locate_file(f"{name}/version.py"))).read_text()
    except (PackageNotFoundError, OSError):
        return None
    match = CUDA.search(content)
    return (one.version, match[1]) if match else None


def _onnxruntime(root: Path) -> Iterator[Finding]:
    version = installed("onnxruntime")
    if version is not None and installed("onnxruntime-gpu") is None and has_nvidia_gpu(root):
        what = f"onnxruntime {version} is built for the CPU alone, and here is an NVIDIA GPU"
        cure = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
        yield Finding(level="warning", topic=TOPIC, what=what, cure=cure)
