"""Engine files: Ultralytics' header of metadata, then the engine; beside it `engine.json`, which says what made it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bakeoff.backend import ultralytics_metadata
from bakeoff.backends.trt.gpu import Gpu
from bakeoff.backends.trt.options import Options, Profile
from bakeoff.backends.trt.versions import AMPERE_PLUS, SAME_CAPABILITY, TITLES, parsed
from bakeoff.errors import one_line
from bakeoff.records import Model

ENGINE, SIDECAR = "model.engine", "engine.json"
LENGTH_BYTES = 4  # little-endian, of the JSON that follows
FORMAT = 1  # of the sidecar


@dataclass(frozen=True, kw_only=True)
class Made:
    """What made an engine: what is in `engine.json`."""

    key: str  # of the Candidate
    model_sha256: str
    module: str  # tensorrt or tensorrt_rtx
    version: str  # of it
    precision: str
    profiles: list[dict[str, int]]  # min, opt and max batch of each
    targets: list[str]  # compute capabilities it was built for; empty: that of the GPU alone
    gpu: str | None = None  # that it was built on
    capability: str | None = None
    hardware_level: str | None = None
    version_compatible: bool = False
    dla: int | None = None
    calibration: dict[str, Any] | None = None  # method, images, seed
    engine_sha256: str = ""  # without the header
    format: int = FORMAT


def metadata(model: Model, profiles: Sequence[Profile], precision: str, options: Options) -> dict[str, Any]:
    """Return what Ultralytics writes before an engine and reads from there, for a bakeoff engine."""
    lowest = min(profile.low for profile in profiles)
    found = ultralytics_metadata(model, lowest)
    args = {**found["args"], "half": precision == "fp16", "int8": precision.startswith("int8")}
    names = {str(index): name for index, name in found.get("names", {}).items()}  # as JSON has them
    found = {**found, "names": names, "args": args, "precision": precision}
    return found if options.dla is None else {**found, "dla": str(options.dla)}


def write(folder: Path, engine: bytes, header: dict[str, Any], made: Made) -> None:
    """Write `model.engine` and `engine.json`."""
    text = json.dumps(header).encode()
    with (folder / ENGINE).open("wb") as file:
        file.write(len(text).to_bytes(LENGTH_BYTES, "little"))
        file.write(text)
        file.write(engine)
    content = {**asdict(made), "engine_sha256": hashlib.sha256(engine).hexdigest()}
    (folder / SIDECAR).write_text(json.dumps(content, indent=1) + "\n")


def read(file: Path) -> tuple[dict[str, Any] | None, bytes]:
    """Return an engine file's metadata (`None` where it has no such header) and the engine's bytes.

    Raises:
        ValueError: nothing that could be an engine is left in it.
    """
    content = file.read_bytes()
    header, engine = _split(content)
    if not engine:
        raise ValueError(f"{file} holds no engine: {len(content)} bytes; was it cut short? build it again")
    return header, engine


def _split(content: bytes) -> tuple[dict[str, Any] | None, bytes]:
    """Take a header off, where there is one: an engine of its own begins with other bytes, which are no JSON."""
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    end = LENGTH_BYTES + length
    if not 0 < length <= len(content) - LENGTH_BYTES:
        return None, content
    try:
        header = json.loads(content[LENGTH_BYTES:end])
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None, content
    return (header, content[end:]) if isinstance(header, dict) else (None, content)


def dla_core(header: dict[str, Any] | None) -> int | None:
    """Return the DLA core that an engine's header names; `None`: it is for the GPU.

    Raises:
        ValueError: it names something else.
    """
    core = None if header is None else header.get("dla")
    if core is None:
        return None
    if str(core) not in ("0", "1"):
        raise ValueError(f"the engine's header names the DLA core {core!r}; expected 0 or 1: build it again")
    return int(core)


def read_sidecar(folder: Path) -> Made | None:
    """Return what made the engine in a folder; `None` where nothing says so, as for one made elsewhere.

    Raises:
        ValueError: `engine.json` is damaged, or of a later format.
    """
    file = folder / SIDECAR
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_bytes())
        if content["format"] > FORMAT:
            raise ValueError(f"format {content['format']}; this bakeoff reads {FORMAT}")
        known = {field.name for field in fields(Made)}
        made = Made(**{name: value for name, value in content.items() if name in known})
        _check_types(made)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{file} is damaged: {one_line(error, 100)}; build the engine again") from error
    return made


def _check_types(made: Made) -> None:
    texts = (made.key, made.model_sha256, made.module, made.version, made.precision, made.engine_sha256)
    if not all(isinstance(text, str) for text in texts) or made.module not in TITLES:
        raise ValueError("a text is none")
    parsed(made.version)
    if not all(isinstance(target, str) for target in made.targets):
        raise ValueError("targets are no texts")
    for capability in (made.capability, *made.targets):
        if capability is not None:
            _number(capability)


def refuse_elsewhere(made: Made, *, module: str, version: str, gpu: Gpu, model: Model) -> None:
    """Refuse an engine that is another runtime's, another version's, another GPU's or another Model's.

    Raises:
        RuntimeError: both sides, and the command that builds it again.
    """
    why = (
        _other_version(made, module, version)
        or _other_gpu(made, gpu)
        or (
            None
            if made.model_sha256 == model.sha256
            else f"of the model {made.model_sha256[:12]}…, but {model.path} is {model.sha256[:12]}…"
        )
    )
    if why is not None:
        data = " --data DATA" if made.calibration is not None else ""
        command = f"bakeoff convert {shlex.quote(model.path)} --to {shlex.quote(made.key)}{data}"
        raise RuntimeError(f"this engine is {why}; build it again here: {command}")


def check_whole(made: Made, engine: bytes) -> None:
    """Refuse an engine other than the one that was written with its sidecar.

    Raises:
        RuntimeError: its bytes differ.
    """
    if made.engine_sha256 and hashlib.sha256(engine).hexdigest() != made.engine_sha256:
        raise RuntimeError(f"{ENGINE} is not the engine that {SIDECAR} is about; build it again")


def _other_version(made: Made, module: str, version: str) -> str | None:
    later = made.version_compatible and parsed(version) >= parsed(made.version)
    if made.module == module and (made.version == version or later):
        return None
    return f"for {TITLES[made.module]} {made.version}, but {TITLES[module]} {version} is here"


def _other_gpu(made: Made, gpu: Gpu) -> str | None:
    here = f"but {gpu.name} (compute capability {gpu.capability}) is here"
    if made.targets:
        return None if gpu.capability in made.targets else f"for compute capability {', '.join(made.targets)}, {here}"
    if made.hardware_level == AMPERE_PLUS:
        return None if _number(gpu.capability) >= (8, 0) else f"for compute capability 8.0 and later, {here}"
    if made.capability != gpu.capability or (made.hardware_level != SAME_CAPABILITY and made.gpu != gpu.name):
        return f"built on {made.gpu} (compute capability {made.capability}), {here}"
    return None


def _number(capability: str) -> tuple[int, int]:
    major, _, minor = capability.partition(".")
    return int(major), int(minor)
