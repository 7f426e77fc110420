"""`bakeoff predict`: what was measured, put to work on images, videos and cameras."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bakeoff.predictor import Predictor
    from bakeoff.steps.context import Observer

INTERRUPTED = 130


@click.command("predict")
@click.argument("path", metavar="RUN|ARTIFACT", type=click.Path(path_type=str))
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--only", metavar="KEY", help="Candidate of the Run.  [default: the recommended one]")
@click.option("--conf", type=float, help="Confidence that Detections must exceed.  [default: as measured, or 0.25]")
@click.option("--draw", metavar="DIR", help="New folder for the frames with boxes on them.")
@click.option("--limit", type=int, metavar="N", help="End after N frames.")
@click.option("--device", help="Where to run.  [default: as measured]")
@click.option("--threads", type=int, help="Threads of the Session.  [default: as measured]")
@click.option("--imgsz", type=int, help="Input side of a file made elsewhere that does not tell it.")
@click.option("--data", metavar="DATA", help="Dataset yaml with the class names of a file that does not tell them.")
@click.option("--trust", is_flag=True, help="Unpickle a checkpoint freely: RUNS ANY CODE IN IT.")
def command(path: str, sources: tuple[str, ...], **values: Any) -> None:
    """Predict images, folders, globs, videos, cameras (0) and streams (rtsp://...).

    RUN is a Run's folder, ARTIFACT the folder that `bakeoff convert` made or a file made elsewhere. Each frame's boxes
    go to stdout as one line of JSON, frames a second to stderr.
    """
    import msgspec

    from bakeoff.cli import terminal
    from bakeoff.errors import WorkerError
    from bakeoff.predictor import Options, Predictor
    from bakeoff.records import Failure

    observer = terminal.Plain()
    encode = msgspec.json.Encoder().encode
    try:
        with Predictor(Options(path=path, sources=sources, **values), observer) as predictor:
            facts, candidate = predictor.facts, predictor.choice.candidate
            observer.say(f"{candidate.key} on {facts.device}, computing in {facts.precision}")
            try:
                for prediction in predictor:
                    sys.stdout.write(encode(prediction).decode() + "\n")
                    sys.stdout.flush()
            except BrokenPipeError:  # as of `| head`: nobody reads on
                raise
            except BaseException:
                _tell(predictor, observer)
                raise
            _tell(predictor, observer)
    except KeyboardInterrupt:
        observer.say("bakeoff: interrupted")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except WorkerError as error:
        if isinstance(error.failure, Failure) and error.failure.kind != "error" and error.failure.log_tail:
            click.echo(error.failure.log_tail, err=True)
        raise


def _tell(predictor: Predictor, observer: Observer) -> None:
    if predictor.pace.frames:
        observer.say(str(predictor.pace))
