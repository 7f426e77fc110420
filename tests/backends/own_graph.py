"""Hold an Artifact's Session against its own graph, as verification does; run as a module, so that it can be masked.

`python -m tests.backends.own_graph RUN KEY`: one Artifact of a Run on the shared images.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bakeoff import registry
from bakeoff.accuracy import parity
from bakeoff.backend import LoadJob
from bakeoff.data.calibration import tensors
from bakeoff.data.yolo import read_dataset
from bakeoff.store import RunFolder
from tests.backends.networks import Forms
from tests.shared import DATA


def compare(session: Any, images: Sequence[Path], imgsz: int) -> dict[str, Any]:
    """Return the scores' error, what the probe finds, and why bakeoff refuses the Session, if it does."""
    comparison = parity.Comparison()
    for path in images:
        tensor = tensors([path], imgsz)
        got = np.array(session.run(tensor)[0][0])
        comparison.add(session.emulate(tensor)[0][0], got)
    groups, saturates = comparison.groups(), session.saturates()
    (error,) = (one.confident_error for one in groups if one.group == "scores")
    return {"scores_error": error, "saturates": saturates, "says": parity.contradiction(groups, saturates)}


def main(folder: Path, key: str) -> None:
    """Print what `compare` finds."""
    run = RunFolder(folder).load()
    trial = run.trial(key)
    assert trial.artifact is not None
    artifact = msgspec.structs.replace(trial.artifact, folder=str(folder / trial.artifact.folder))
    forms = Forms(Path(run.model.path), folder)
    job = LoadJob(candidate=trial.candidate, artifact=artifact, model=forms, threads=1)
    images = read_dataset(DATA).validation[: parity.EMULATED]
    with registry.load(trial.candidate.backend).load(job) as session:
        print(json.dumps(compare(session, images, run.model.imgsz)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
