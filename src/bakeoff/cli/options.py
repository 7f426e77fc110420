"""Options that several commands share, and how they become Settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.cli import quantities

if TYPE_CHECKING:
    from bakeoff.records import Settings, Workload

Decorator = Callable[[Any], Any]

model = click.argument("model", type=click.Path(path_type=str))
out = click.option("--out", type=click.Path(path_type=Path), help="Folder for the Run.  [default: bakeoff-MODEL-TIME]")

_CONFIG: list[Decorator] = [
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=lambda context, _, path: _read_config(context, path),
        help="TOML file with any of these options; the command line wins.",
    ),
]
_INPUT: list[Decorator] = [
    click.option("--data", metavar="DATA", help="Dataset: Ultralytics' yaml, or COCO's json."),
    click.option("--calibration", metavar="DIR", help="Images for INT8 calibration.  [default: the training split]"),
    click.option("--calibration-images", type=int, default=128, show_default=True, help="How many of them to draw."),
    click.option(
        "--int8-preset",
        type=click.Choice(["mixed", "performance"]),
        default="mixed",
        show_default=True,
        help="NNCF's preset for OpenVINO INT8.",
    ),
    click.option("--imgsz", type=int, help="Input side in pixels.  [default: the model's own]"),
    click.option("--seed", type=int, default=0, show_default=True, help="Of every draw and shuffle."),
    click.option("--device", default="cpu", show_default=True, help="Where to run."),
    click.option("--threads", type=int, help="Threads of each Session.  [default: the usable physical cores]"),
    click.option("--trust", is_flag=True, help="Unpickle MODEL freely: RUNS ANY CODE IN IT. Only for files you made."),
    click.option("--step-timeout", "step_timeout_s", type=float, metavar="S", help="Limit of one step of a child."),
    *_CONFIG,
]
_ARTIFACT: list[Decorator] = [
    click.option(
        "--artifact",
        "artifacts",
        multiple=True,
        metavar="PATH",
        help="An ONNX file, OpenVINO IR, TorchScript file or engine made elsewhere, judged like ours.  [repeatable]",
    ),
]
_SELECT: list[Decorator] = [
    *_ARTIFACT,
    click.option("--only", multiple=True, metavar="GLOB", help="Only Candidates whose key matches.  [repeatable]"),
    click.option("--skip", multiple=True, metavar="GLOB", help="Not those whose key matches.  [repeatable]"),
    click.option("--images", type=int, metavar="N", help="Only the first N validation images."),
    click.option(
        "--labels/--no-labels",
        default=True,
        help="Without labels: agreement with the reference alone; DATA may be a folder of images.",
    ),
    click.option(
        "--conf",
        type=float,
        help="Confidence to deploy with.  [default: 0.25 when timing; else the reference's best F1, cross-fitted]",
    ),
    click.option("--resume", is_flag=True, help="Go on with the interrupted Run in --out."),
    click.option("--json", "as_json", is_flag=True, help="Print the table as JSON."),
]
_INT8: list[Decorator] = [
    click.option(
        "--calibration-seeds",
        type=int,
        default=1,
        show_default=True,
        metavar="K",
        help="Convert INT8 from K draws of images, to see the spread.",
    ),
    click.option("--repair/--no-repair", default=True, help="Keep a rejected INT8's worst layers in float, and retry."),
]


def _requirements(*, again: bool) -> list[Decorator]:
    """Return the options of the Requirements; asked `again`, what is not given stays as it was."""

    def default(value: Any) -> dict[str, Any]:
        return {} if again else {"default": value, "show_default": True}

    def limit(read: Callable[[Any], float]) -> Any:
        return quantities.or_none(read) if again else read

    taken_away = " 'none' takes it away." if again else "  [default: any]"
    return [
        click.option("--max-map-drop", type=float, **default(0.01), help="Allowed loss of mAP50-95."),
        click.option(
            "--max-recall-drop",
            type=limit(float),
            metavar="X",
            help=f"Allowed loss of recall at one confidence.{taken_away}",
        ),
        click.option(
            "--latency-budget",
            "latency_budget_ms",
            type=limit(float),
            metavar="MS",
            help=f"1x1 latency to meet.{taken_away}",
        ),
        click.option("--percentile", type=float, **default(50.0), help="Percentile the budget applies to."),
        click.option(
            "--max-memory",
            "max_memory_bytes",
            type=limit(quantities.data_size),
            metavar="SIZE",
            help=f"Peak memory of the process that predicts, such as 500MB or 1.5GiB.{taken_away}",
        ),
        click.option(
            "--max-size",
            "max_size_bytes",
            type=limit(quantities.data_size),
            metavar="SIZE",
            help=f"Size of the Artifact on disk, such as 20MB.{taken_away}",
        ),
        click.option(
            "--prefer",
            type=click.Choice(["latency", "throughput", "accuracy", "size"]),
            **default("latency"),
            help="What the winner is best at.",
        ),
    ]


_TIMING: list[Decorator] = [
    click.option(
        "--workload",
        "workloads",
        multiple=True,
        default=["1x1", "1x2", "2x1"],
        show_default=True,
        metavar="SxB",
        help="Streams x batch.  [repeatable]",
    ),
    click.option("--frames", type=int, default=250, show_default=True, help="Frames a stream."),
    click.option(
        "--precision-target",
        type=quantities.share,
        default="2%",
        show_default=True,
        metavar="SHARE",
        help="Rounds go on until every speedup is known to this, up or down …",
    ),
    click.option(
        "--time-budget",
        "time_budget_s",
        type=quantities.duration,
        default="10m",
        show_default=True,
        metavar="TIME",
        help="… or until so much time went into timed rounds.",
    ),
    click.option("--quick", is_flag=True, help="Few rounds: a first look, not for deciding."),
]
_TUNE: list[Decorator] = [
    click.option("--tune", is_flag=True, help="Try each runtime's threads and streams first; time those that win too."),
]
_LOADS: list[Decorator] = [
    click.option(
        "--sweep",
        is_flag=True,
        help="Try threads, streams and batches of each runtime, at the Workloads given or at a grid for this machine.",
    ),
    click.option(
        "--cameras",
        "cameras_fps",
        type=quantities.frame_rate,
        metavar="FPS",
        help="How many cameras of this frame rate each Candidate serves; needs --slo-ms.",
    ),
    click.option("--slo-ms", type=float, metavar="MS", help="Latest Detections, counted from a frame's arrival."),
    click.option(
        "--percentile",
        "slo_percentile",
        type=float,
        default=99.0,
        show_default=True,
        help="Share of each level's frames that must keep it.",
    ),
    click.option(
        "--camera-seconds",
        type=quantities.duration,
        metavar="TIME",
        help="Limit of arrivals a Candidate.  [default: 60s for each number of streams]",
    ),
    click.option(
        "--sustain",
        "sustain_s",
        type=quantities.duration,
        metavar="TIME",
        help="Then predict 1x1 without a pause for so long, such as 10m.",
    ),
]


def _all(options: list[Decorator]) -> Decorator:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


inputs = _all(_INPUT)
artifact = _all(_ARTIFACT)
select = _all(_SELECT)
judging = _all([*_INT8, *_requirements(again=False)])
asked_again = _all([*_requirements(again=True), *_CONFIG])
timing = _all(_TIMING)
speed = _all([*_TIMING, *_TUNE])
loads = _all(_LOADS)


def settings(options: dict[str, Any], **fixed: Any) -> Settings:
    """Return the Settings that a command's options ask for."""
    import sys

    from bakeoff.records import Requirements, Settings, Workload

    values = {**options, **fixed}
    requirements = {name: values.pop(name) for name in Requirements.__struct_fields__ if name in values}
    if "workloads" in values:
        values["workloads"] = tuple(dict.fromkeys(Workload.parse(text) for text in values["workloads"]))
    values["sweep"] = _swept(values) if values.get("sweep") else ()
    known = {name: value for name, value in values.items() if name in Settings.__struct_fields__}
    command = ("bakeoff", *sys.argv[1:])
    return Settings(**{**known, "requirements": Requirements(**requirements), "command": command})


def _swept(values: dict[str, Any]) -> tuple[Workload, ...]:
    """Return the Workloads to sweep: those given, else a grid for this machine."""
    from bakeoff import host
    from bakeoff.speed import sweep

    source = click.get_current_context().get_parameter_source("workloads")
    default = source is click.core.ParameterSource.DEFAULT
    return sweep.grid(host.usable_cores()) if default else tuple(values["workloads"])


def _read_config(context: click.Context, path: Path | None) -> None:
    """Take defaults from a TOML file; an unknown name in it is an error."""
    if path is None:
        return
    from bakeoff.errors import InputError, nearest, one_line

    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"config {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"config {path} is not TOML: {one_line(error, 120)}") from error
    negated = {
        option.removeprefix("--"): parameter
        for parameter in context.command.params
        for option in parameter.secondary_opts
    }
    by_option = {
        option.removeprefix("--"): parameter
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    }
    defaults = {}
    for name, value in values.items():
        option = name.replace("_", "-")
        if option in negated and isinstance(value, bool):
            defaults[negated[option].name] = not value
            continue
        if option not in by_option or option == "config":
            raise InputError(f"config {path}: no option {name!r}{nearest(option, by_option)} see bakeoff run --help")
        parameter = by_option[option]
        if isinstance(parameter, click.Option) and parameter.multiple and not isinstance(value, list):
            value = [value]
        defaults[parameter.name] = value
    context.default_map = {**(context.default_map or {}), **defaults}
