"""Check src/bakeoff/backends/trt with mypy against TensorRT's real API: `python tools/check_tensorrt_types.py`.

TensorRT itself does not install without NVIDIA's own index. The types come from the package tensorrt-stubs, made from
TensorRT 10.13: fetched once into .tensorrt-stubs, mended where it is no Python, and put in the place of the `Any` of
`trt/api.py` in a copy of the source. The few names that TensorRT-RTX alone has are added.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUTURE = "from __future__ import annotations"
STUBS = ROOT / ".tensorrt-stubs"
PACKAGE = "tensorrt-stubs==10.13.0.35.1"
MODULE = "tensorrt_types"
TYPES = {
    "Builder": "Builder",
    "BuilderConfig": "IBuilderConfig",
    "Network": "INetworkDefinition",
    "Parser": "OnnxParser",
    "Engine": "ICudaEngine",
}
MENDED = (
    (r"\bin: ", "in_: "),  # a keyword
    (r"channel_axis: int\)", "channel_axis: int = 0)"),  # behind parameters with defaults
    (r"(min|opt|max): Dims\b", r"\1: typing.Sequence[int]"),  # "can implicitly convert Python iterables"
    (r"(?m)^(class Dims:)$", r"\1\n    def __iter__(self) -> typing.Iterator[int]: ..."),
    (r"-> bool:", "-> __builtins_bool:"),  # `bool` is one of the module's data types
    (r"\A", "from builtins import bool as __builtins_bool\n"),
    # what TensorRT-RTX has beside it (read from its module, 1.7)
    (
        r"(?m)^(class IBuilderConfig:)$",
        r"\1\n    num_compute_capabilities: int"
        r"\n    def set_compute_capability(self, compute_capability: ComputeCapability, index: int)"
        r" -> __builtins_bool: ...",
    ),
    (r"(?m)^(class BuilderFlag:)$", r"\1\n    REQUIRE_USER_ALLOCATION: typing.ClassVar[BuilderFlag]"),
    (r"\Z", "\nclass ComputeCapability:\n    SM75: typing.ClassVar[ComputeCapability]\n"),
)
CONFIG = """
[mypy]
python_version = 3.10
strict = true
warn_unused_ignores = false
follow_imports = silent
[mypy-{module}]
ignore_errors = true
[mypy-cv2.*,onnx.*,onnxruntime.*,cuda.*]
ignore_missing_imports = true
"""


def fetched(folder: Path = STUBS) -> Path:
    """Return the mended stub, fetching the package where it is not there yet, or was mended otherwise.

    Raises:
        CalledProcessError: pip can't fetch it.
    """
    stub = folder / hashlib.sha256(repr((PACKAGE, MENDED)).encode()).hexdigest()[:12] / f"{MODULE}.pyi"
    if not stub.exists():
        with tempfile.TemporaryDirectory() as scratch:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
            subprocess.run(pip, check=True)
            (wheel,) = Path(scratch).glob("*.whl")
            text = zipfile.ZipFile(wheel).read("tensorrt_bindings/tensorrt.pyi").decode()
        text = text.replace("\r\n", "\n")
        for pattern, replacement in MENDED:
            text, count = re.subn(pattern, replacement, text)
            if not count:
                raise RuntimeError(f"{PACKAGE}: nothing to mend by {pattern!r}; look at the stub")
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(text)
    return stub


def api(stub: Path) -> str:
    """Return what takes the place of `trt/api.py`: the module as a class with all its classes."""
    names = re.findall(r"(?m)^class (\w+)", stub.read_text())
    return "\n".join(
        [
            f"import {MODULE} as _t",
            *(f"{name} = _t.{theirs}" for name, theirs in TYPES.items()),
            "class Trt:",
            "    __name__: str",
            "    __version__: str",
            *(f"    {name} = _t.{name}" for name in names),
            "",
        ]
    )


def check(source: Path, stub: Path) -> list[str]:
    """Return what mypy finds wrong in `backends/trt` of a folder like `src`."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "src"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.dist-info", "__pycache__"))
        shutil.copy(stub, copy)
        checked = copy / "bakeoff" / "backends" / "trt"
        (checked / "api.py").unlink()
        (checked / "api.pyi").write_text(api(stub))
        for file in checked.glob("*.py"):  # a class made of a variable's attribute is beyond mypy, whatever its type
            text = re.sub(r"# type: ignore\[[\w, -]+\]", "# type: ignore", file.read_text())
            text = re.sub(r"\btrt: Any\b", "trt: bakeoff.backends.trt.api.Trt", text)
            if "bakeoff.backends.trt.api.Trt" in text:
                text = text.replace(FUTURE, f"{FUTURE}\nimport bakeoff.backends.trt.api", 1)
            file.write_text(text)
        config = Path(scratch) / "mypy.ini"
        config.write_text(CONFIG.format(module=MODULE))
        mypy = [sys.executable, "-m", "mypy", "--config-file", str(config), "--cache-dir", str(Path(scratch) / "cache")]
        done = subprocess.run(
            [*mypy, "--no-error-summary", "-p", "bakeoff.backends.trt"],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(f"mypy failed: {done.stderr[-500:]}")
    return [line for line in done.stdout.splitlines() if " error: " in line]


def main() -> int:
    """Print what is wrong; 1 where something is."""
    found = check(ROOT / "src", fetched())
    print("\n".join(found) or "backends/trt agrees with the types of TensorRT 10.13")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
