"""The main job on the shared model and its 250 images: the Run whose table the README shows.

Runs `bakeoff run` as a user would, and keeps the table, the report, the charts and the record (not the artifacts and
raw samples) under `results/deeppcb-cpu`.
"""

from __future__ import annotations

import sys

from common import committed_run

if __name__ == "__main__":
    sys.exit(committed_run("run", "deeppcb-cpu", (), __doc__ or ""))
