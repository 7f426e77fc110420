"""Backends that misbehave, each in one way. The tests install this file as a third party's distribution."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

import numpy as np

from bakeoff.testing import FakeBackend, FakeSession

RUNS_OF_VERIFYING = 6  # images in the tiny dataset


class _Bad(FakeBackend):
    """Calls `convert_hook`, `load_hook` and `run_hook` on its way; each name below overrides one."""

    def convert(self, job):
        self.convert_hook()
        return super().convert(job)

    def load(self, job):
        self.load_hook()
        session = super().load(job)
        backend, honest, runs = self, session.run, [0]

        def run(images):
            runs[0] += 1
            return backend.run_hook(honest(images), runs[0])

        session.run = run
        return session

    def convert_hook(self):
        pass

    def load_hook(self):
        pass

    def run_hook(self, outputs, number):
        return outputs


class Good(_Bad):
    name = "good"


class Segfault(_Bad):
    name = "segfault"

    def convert_hook(self):
        print("about to read address 0", flush=True)
        ctypes.string_at(0)


class Killed(_Bad):
    name = "killed"

    def load_hook(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Exits(_Bad):
    name = "exits"

    def run_hook(self, outputs, number):
        os._exit(7)


class Leaves(_Bad):
    name = "leaves"

    def convert_hook(self):
        sys.exit(0)


class LongText(_Bad):
    name = "longtext"

    def convert_hook(self):
        raise ValueError("the cause stands first" + "\nand is followed by a very long text \x1b[31m" * 5000)


class HangsInConvert(_Bad):
    name = "hangs-in-convert"

    def convert_hook(self):
        os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "300.25")  # a converter's own process must not stay behind either
        time.sleep(300)


class HangsInLoad(_Bad):
    name = "hangs-in-load"

    def load_hook(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(300)


class HangsInRun(_Bad):
    name = "hangs-in-run"

    def run_hook(self, outputs, number):
        while True:
            pass


class OutOfMemory(_Bad):
    name = "out-of-memory"

    def load_hook(self):
        np.empty(1 << 60, np.uint8)


class NotANumber(_Bad):
    name = "not-a-number"

    def run_hook(self, outputs, number):
        outputs[0][:, 5, 3] = np.nan
        return outputs


class InfiniteBoxes(_Bad):
    name = "infinite-boxes"

    def run_hook(self, outputs, number):
        outputs[0][:, 2, 3] = np.inf
        return outputs


class DeadScores(_Bad):
    name = "dead-scores"

    def run_hook(self, outputs, number):
        outputs[0][:, 4:] = 0
        return outputs


class WrongShape(_Bad):
    name = "wrong-shape"

    def run_hook(self, outputs, number):
        return [outputs[0][:, :5]]


class WrongType(_Bad):
    name = "wrong-type"

    def run_hook(self, outputs, number):
        return [outputs[0].astype(np.float64)]


class NoOutput(_Bad):
    name = "no-output"

    def run_hook(self, outputs, number):
        return []


class NoArtifact(_Bad):
    name = "no-artifact"

    def convert(self, job):
        super().convert(job)


class OtherPrecision(_Bad):
    name = "other-precision"

    def load(self, job):
        return FakeSession(2, "fp16")


class OtherDevice(_Bad):
    name = "other-device"

    def load(self, job):
        session = super().load(job)
        session.device = "cuda:0"
        return session


class DiesWhenTimed(_Bad):
    name = "dies-when-timed"

    def run_hook(self, outputs, number):
        if number > RUNS_OF_VERIFYING + 2:
            os.kill(os.getpid(), signal.SIGABRT)
        return outputs


class Noisy(_Bad):
    """Prints what is no text, by the megabyte; it is in order otherwise."""

    name = "noisy"

    def convert_hook(self):
        for _ in range(48):
            os.write(1, bytes(range(256)) * 256)
            os.write(2, b"\x00\xff\x1b[2J" * 8192)


class ClosesPipe(_Bad):
    name = "closes-pipe"

    def load_hook(self):
        os.closerange(3, 64)


class WritesIntoPipe(_Bad):
    name = "writes-into-pipe"

    def load_hook(self):
        os.write(int(sys.argv[2]), b"rubbish on the pipe of the protocol")


BACKENDS = {cls.name: cls.__name__ for cls in _Bad.__subclasses__()}
