"""What two Runs have in common, and so what of them can be compared; each answer is the reason why not, or empty."""

from __future__ import annotations

from collections.abc import Iterator

from bakeoff.errors import one_line
from bakeoff.records import Host, RunRecord

PIPELINE = ("numpy", "opencv-python-headless")  # what pre and post run on
MEMORY_SLACK = 0.02  # another kernel keeps a little more of the same memory for itself


def accuracy_refused(a: RunRecord, b: RunRecord) -> str:
    """Return why no accuracy of the two Runs is compared."""
    if _imported(a, b):
        return ""
    if why := _imgsz(a, b):
        return why
    names = a.model.class_names, b.model.class_names
    if len(names[0]) != len(names[1]):
        return f"other classes: {len(names[0])} in A, {len(names[1])} in B"
    for i, (one, other) in enumerate(zip(*names, strict=True)):
        if one != other:
            return one_line(f"other classes: class {i} is {one!r} in A, {other!r} in B")
    if a.dataset is None or b.dataset is None:
        return "the images are not known: the Run ended before they were read"
    if a.settings.labels != b.settings.labels:
        return "one Run read no labels (--no-labels)"
    if a.dataset.sha256 != b.dataset.sha256:
        return f"other images or labels: {_images(a)} in A, {_images(b)} in B"
    return ""


def speed_refused(a: RunRecord, b: RunRecord) -> str:
    """Return why no speed of the two Runs is compared: other hosts, or settings that change what is timed."""
    if _imported(a, b):
        return ""
    if why := _imgsz(a, b):
        return why
    if differences := list(_hosts(a.host, b.host)):
        return "another host: " + ", ".join(differences)
    if a.settings.device != b.settings.device:
        return f"another device: {a.settings.device} in A, {b.settings.device} in B"
    if a.settings.device != "cpu" and not (a.host.gpus and b.host.gpus):
        return "whether the GPU is the same is not known"
    threads = a.timing.get("threads"), b.timing.get("threads")
    if None not in threads and threads[0] != threads[1]:
        return f"other threads: {threads[0]} in A, {threads[1]} in B"
    return ""


def untested(a: RunRecord, b: RunRecord) -> str:
    """Return why no speed that can be compared is tested: nothing tells how the machine drifted between the Runs.

    A reference that is the same thing in both does: what slowed or sped up the machine did the same to it.
    """
    if _imported(a, b):
        return "imported figures have no samples"
    if a.dataset is None or b.dataset is None or a.dataset.sha256 != b.dataset.sha256 or _timed(a) != _timed(b):
        return "timed on other frames"
    if a.settings.timed_confidence != b.settings.timed_confidence:
        return f"timed at confidence {a.settings.timed_confidence:g} in A, {b.settings.timed_confidence:g} in B"
    no_drift = "how the machine drifted can't be told"
    if a.reference != b.reference:
        return one_line(f"{no_drift}: the reference is {a.reference} in A, {b.reference} in B")
    if a.model.sha256 != b.model.sha256:
        return f"{no_drift}: the reference is another Model"
    backend = a.reference.partition("/")[0]
    ours, theirs = _version(a, backend), _version(b, backend)
    if ours is None or theirs is None:
        return f"{no_drift}: the version of the reference's backend is unknown"
    if ours != theirs:
        return one_line(f"{no_drift}: the reference's {backend} is {ours} in A, {theirs} in B")
    for name in PIPELINE:
        if a.versions.get(name) != b.versions.get(name):
            return f"{no_drift}: {name} is {a.versions.get(name)} in A, {b.versions.get(name)} in B"
    if a.settings.device != "cpu" and a.host.gpu_driver != b.host.gpu_driver:
        return f"{no_drift}: the GPU's driver is {a.host.gpu_driver} in A, {b.host.gpu_driver} in B"
    if a.bakeoff != b.bakeoff:
        return f"{no_drift}: bakeoff is {a.bakeoff} in A, {b.bakeoff} in B"
    return ""


def notes(a: RunRecord, b: RunRecord) -> Iterator[str]:
    """Yield what else is different, a line each."""
    for name, run in (("A", a), ("B", b)):
        if run.imported is not None:
            yield f"{name} is imported: whether images and host are the same is not known; no intervals"
        elif run.finished is None:
            yield f"{name} was interrupted: its figures stand on what was measured until then"
        if run.settings.quick:
            yield f"{name} was a --quick Run: few rounds"
    if a.imported is not None or b.imported is not None:
        return
    if a.model.sha256 != b.model.sha256:
        yield one_line(f"another Model file: {a.model.path} in A, {b.model.path} in B")
    versions = {**a.versions, "bakeoff": a.bakeoff}, {**b.versions, "bakeoff": b.bakeoff}
    changed = [
        f"{name} {versions[0].get(name, 'absent')} → {versions[1].get(name, 'absent')}"
        for name in {**versions[0], **versions[1]}
        if versions[0].get(name) != versions[1].get(name)
    ]
    if changed:
        yield one_line("other versions: " + ", ".join(changed))
    for name in ("kernel", "os", "python", "governor", "container", "gpu_driver"):
        ours, theirs = getattr(a.host, name), getattr(b.host, name)
        if ours != theirs:
            yield one_line(f"other {name.replace('_', ' ')}: {ours or 'unknown'} in A, {theirs or 'unknown'} in B")


def _hosts(a: Host, b: Host) -> Iterator[str]:
    """Yield how two machines differ in what a speed depends on; what can't be told counts as another."""
    if a.cpu is None or b.cpu is None:
        yield "the CPU's name is not known"
    for name, words in (
        ("cpu", "CPU"),
        ("architecture", "architecture"),
        ("cores_physical", "physical cores"),
        ("cores_usable", "usable cores"),
        ("cpus_usable", "usable logical CPUs"),
        ("instruction_sets", "instruction sets"),
        ("virtual", "virtualisation"),
        ("gpus", "GPUs"),
    ):
        ours, theirs = getattr(a, name), getattr(b, name)
        if name == "cpus_usable" and None in (ours, theirs):
            continue  # a Run before version 3
        if ours != theirs:
            shown = (", ".join(one) or "none" if isinstance(one, tuple) else one for one in (ours, theirs))
            yield one_line("{} {} in A, {} in B".format(words, *("unknown" if one is None else one for one in shown)))
    if abs(a.memory_bytes - b.memory_bytes) > MEMORY_SLACK * max(a.memory_bytes, b.memory_bytes):
        yield f"memory {a.memory_bytes / 2**30:.1f} GiB in A, {b.memory_bytes / 2**30:.1f} GiB in B"


def _imported(a: RunRecord, b: RunRecord) -> bool:
    return a.imported is not None or b.imported is not None


def _imgsz(a: RunRecord, b: RunRecord) -> str:
    same = a.model.imgsz == b.model.imgsz
    return "" if same else f"another imgsz: {a.model.imgsz} pixels in A, {b.model.imgsz} in B"


def _images(run: RunRecord) -> str:
    assert run.dataset is not None
    return f"{run.dataset.images} images (sha256 {run.dataset.sha256[:8]}…)"


def _timed(run: RunRecord) -> int:
    """Return how many of the validation images were timed."""
    assert run.dataset is not None
    return min(run.settings.frames, run.dataset.images)


def _version(run: RunRecord, backend: str) -> str | None:
    return next((one.version for one in run.backends if one.name == backend), None)
