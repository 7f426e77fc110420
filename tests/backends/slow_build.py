"""A TensorRT-RTX whose builds take five minutes: its progress monitor sleeps. Installed by the tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bakeoff.backends.tensorrt_rtx import TensorRtRtx
from bakeoff.backends.trt import log

HERE = Path(os.environ.get("BAKEOFF_TEST_SLOW", "."))


class SlowBuild(TensorRtRtx):
    name = "slow-build"

    def convert(self, job):
        honest = log.monitor

        def monitor(trt):
            made = honest(trt)

            class _Slow(trt.IProgressMonitor):
                def __init__(self):
                    super().__init__()

                def phase_start(self, phase, parent, steps):
                    made.phase_start(phase, parent, steps)

                def phase_finish(self, phase):
                    made.phase_finish(phase)

                def step_complete(self, phase, step):
                    (HERE / "reached").touch()
                    time.sleep(300)
                    return made.step_complete(phase, step)

            return _Slow()

        log.monitor = monitor
        return super().convert(job)
