from __future__ import annotations

import sys
import threading
import time

import pytest

from bakeoff.speed.quiet import wait_until_quiet

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads' states are read from /proc")


def test_it_waits_for_a_thread_that_spins_and_no_longer_than_the_limit():
    done = threading.Event()

    def spin():
        while not done.is_set():
            sum(range(100))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        assert wait_until_quiet(limit_ns=30_000_000) >= 30_000_000
    finally:
        done.set()
        thread.join()


def test_threads_that_sleep_are_no_reason_to_wait(monkeypatch):
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    naps = []
    monkeypatch.setattr(time, "sleep", naps.append)
    try:
        wait_until_quiet(limit_ns=10**12)
        assert len(naps) < 50
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_where_the_system_tells_no_states_nothing_is_waited_for(monkeypatch):
    monkeypatch.setattr("bakeoff.speed.quiet.TASKS", "/nonexistent")
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("slept"))
    wait_until_quiet()
