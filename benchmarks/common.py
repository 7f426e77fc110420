"""What the benchmarks share: inputs, scratch folder, Ultralytics' own exports, the result file and its table."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bakeoff import host
from bakeoff.stats import Ratio
from bakeoff.version import __version__

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SCRATCH = HERE / ".bench"
SHARED = Path(os.environ.get("BAKEOFF_SHARED", HERE.parents[1] / "shared"))
IMGSZ = 640
QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(SCRATCH / "ultralytics-settings")}
RUNTIMES = ("pytorch", "torchscript", "onnxruntime", "openvino")
SUFFIXES = {"pytorch": ".pt", "torchscript": ".torchscript", "onnxruntime": ".onnx", "openvino": "_openvino_model"}
FORMATS = ("torchscript", "onnx", "openvino")
KEPT = ("table.csv", "tune.csv", "report.md", "results.json", "charts")  # of a committed Run

os.environ.update(QUIET)  # for this process and all that it starts


def shared_model() -> Path:
    """Return the trained model that all figures are about."""
    return _shared("models/yolov8n-deeppcb.pt")


def shared_images() -> list[Path]:
    """Return the validation images, in order."""
    return sorted(_shared("deeppcb/images/val").glob("*.jpg"))


def class_names() -> dict[int, str]:
    """Return the dataset's classes."""
    import yaml

    names: dict[int, str] = yaml.safe_load(_shared("deeppcb/data.yaml").read_text())["names"]
    return names


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        raise SystemExit(
            f"benchmarks need {name} of the shared folder, which is not beside this checkout; "
            "put it there as ../shared, or name the folder in BAKEOFF_SHARED"
        )
    return path


def dataset(folder: Path, images: Sequence[tuple[str, Path]], *, link: bool = False) -> Path:
    """Write a dataset of (name, image) pairs with their labels and return its yaml.

    A copy, because Ultralytics writes a cache beside the labels; `link` makes symbolic links instead.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("images", "labels"):
        (folder / kind / "val").mkdir(parents=True)
    for name, image in images:
        label = _shared("deeppcb/labels/val") / f"{image.stem}.txt"
        for source, target in (
            (image, folder / "images" / "val" / f"{name}{image.suffix}"),
            (label, folder / "labels" / "val" / f"{name}.txt"),
        ):
            if link:
                target.symlink_to(source)
            else:
                shutil.copyfile(source, target)
    path = folder / "data.yaml"
    document = {"path": str(folder), "train": "images/val", "val": "images/val", "names": class_names()}
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


def ultralytics_files() -> dict[str, Path]:
    """Return one model file a runtime, exported by Ultralytics itself (batch 1, 640) on the first call."""
    folder = SCRATCH / f"exports-{version('ultralytics')}-{version('torch')}-{version('openvino')}"
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.pt"
    files = {runtime: folder / f"model{suffix}" for runtime, suffix in SUFFIXES.items()}
    if not (folder / "done").exists():
        print("exporting with Ultralytics (once; kept in benchmarks/.bench) …", file=sys.stderr)
        shutil.copyfile(shared_model(), model)
        code = "import sys; from ultralytics import YOLO; YOLO(sys.argv[1]).export(format=sys.argv[2], imgsz=640)"
        for form in FORMATS:
            execute([sys.executable, "-c", code, str(model), form], folder / f"{form}.log")
        (folder / "done").touch()
    return files


def execute(command: Sequence[str], log: Path, *, codes: Sequence[int] = (0,)) -> None:
    """Run a command with its output in a log file; another exit code ends the benchmark."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode
    if code not in codes:
        tail = log.read_text(errors="replace")[-3000:]
        raise SystemExit(f"{tail}\nbenchmark stopped: exit code {code} from {' '.join(command[1:5])} …; log above")


def ratio(value: Ratio) -> dict[str, float | None]:
    """Return a ratio and its 95% interval as plain values."""
    return {"value": value.value, "low": value.low, "high": value.high}


def met(value: Ratio, limit: float) -> str:
    """Whether a ratio stays within a limit: `yes`, `no`, or `undecided` where the interval holds the limit."""
    if value.low is None or value.high is None:
        return f"{'yes' if value.value <= limit else 'no'} (no interval)"
    return "yes" if value.high <= limit else "no" if value.low > limit else "undecided"


def shown(value: Ratio) -> str:
    """Return a ratio with its interval, for people."""
    interval = "" if value.low is None or value.high is None else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.value:.3f}{interval}"


def figure(name: str, target: str, measured: str, reached: str) -> dict[str, str]:
    """Return one line of the last table of `run_all.py`."""
    return {"figure": name, "target": target, "measured": measured, "met": reached}


def write(name: str, folder: Path, settings: dict[str, Any], figures: list[dict[str, str]], **measured: Any) -> None:
    """Write `NAME.json` and print the figures."""
    document = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": ["python", f"benchmarks/{name}.py", *_plain_arguments()],
        "bakeoff": __version__,
        "versions": host.versions(),
        "host": msgspec.to_builtins(host.describe()),
        "settings": settings,
        "figures": figures,
        **measured,
    }
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items())
    (folder / f"{name}.json").write_text("{\n" + lines + "\n}\n")
    table(("figure", "target", "measured", "met"), [tuple(line.values()) for line in figures])


def _plain_arguments() -> list[str]:
    """Return the command line without the machine's own paths."""
    return [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    print()
    for row in (head, tuple("-" * width for width in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(flush=True)


def committed_run(command: str, name: str, options: Sequence[str], description: str) -> int:
    """Run `bakeoff COMMAND` on the shared model, keep what people read under `results/NAME`, return the exit code.

    From the repository's root, so that the record holds relative paths. Further arguments go to bakeoff.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--name", default=name, help="folder under results/")
    arguments, more = parser.parse_known_args()
    repo = HERE.parent
    shared = Path(os.path.relpath(SHARED, repo))
    out = SCRATCH / arguments.name
    shutil.rmtree(out, ignore_errors=True)
    words = [
        str(Path(sys.executable).with_name("bakeoff")), command, str(shared / "models" / "yolov8n-deeppcb.pt"),
        "--data", str(shared / "deeppcb" / "data.yaml"), "--out", str(out.relative_to(repo)), *options, *more,
    ]  # fmt: skip
    code = subprocess.run(words, cwd=repo, check=False).returncode
    if (out / "table.csv").exists():
        target = RESULTS / arguments.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for one in KEPT:
            if (out / one).is_dir():
                shutil.copytree(out / one, target / one)
            elif (out / one).exists():
                shutil.copy(out / one, target / one)
    return code
