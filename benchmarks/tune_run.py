"""`bakeoff tune` on the shared model at 320x320: the committed Run that shows what tuning shapes is worth on a CPU.

Runs the command as a user would, and keeps the tables, the report, the charts and the record (not the artifacts and raw
samples) under `results/tune-cpu`.
"""

from __future__ import annotations

import sys

from common import committed_run

SMALLER = (  # at 640, or with PyTorch's slower shapes, the same takes several times as long
    *("--imgsz", "320", "--time-budget", "5m"),
    *("--only", "onnxruntime/fp32/static", "--only", "openvino/fp32/dyn"),
)

if __name__ == "__main__":
    sys.exit(committed_run("tune", "tune-cpu", SMALLER, __doc__ or ""))
