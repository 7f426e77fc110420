"""`bakeoff tune` on the shared model at 320x320: the committed Run that shows what tuning shapes is worth on a CPU.

Runs the command as a user would, and keeps the tables, the report, the charts and the record (not the artifacts and raw
samples) under `results/tune-cpu`.
"""

from __future__ import annotations

import sys

from common import committed_run

SMALLER = ("--imgsz", "320", "--time-budget", "4m")  # at 640 the same takes four times as long

if __name__ == "__main__":
    sys.exit(committed_run("tune", "tune-cpu", SMALLER, __doc__ or ""))
