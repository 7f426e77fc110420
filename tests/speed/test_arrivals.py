from __future__ import annotations

import threading

import numpy as np
import pytest

from bakeoff.pipeline import Times
from bakeoff.speed.arrivals import LEAD_NS, Queue, Schedule, ServerPool, hold_frames
from bakeoff.testing import FakeClock
from tests.speed.queues import MS, simulate


def evenly(cameras, interval_ms, frames):
    phases = np.arange(cameras, dtype=np.int64) * (interval_ms * MS // cameras)
    return Schedule(phase_ns=phases, interval_ns=interval_ms * MS, frames=frames)


class Frames:
    """Frames of 100 bytes, each full of its own number."""

    def frame(self, i):
        return np.full(100, i % 250, np.uint8)


class OnClock:
    """A predictor that takes time on a fake clock, and remembers what it saw and when."""

    def __init__(self, clock, ms):
        self.clock, self.ms, self.seen = clock, ms, []

    def predict(self, frames):
        self.seen.append((int(frames[0][0]), self.clock.now_ns))
        self.clock.advance(self.ms(len(self.seen)))
        return [], Times(pre_ns=0, run_ns=1, post_ns=0)


def pool(ms, *, late_ms=0.0):
    clock = FakeClock()
    predictor = OnClock(clock, ms)
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        clock.advance(seconds * 1e3 + late_ms)

    frames = hold_frames(Frames(), 10)
    return ServerPool([predictor], frames, clock, sleep), predictor, sleeps


def test_one_more_camera_leaves_the_phases_of_the_others():
    few, more = (Schedule.draw(n, 33 * MS, 5, (0, 3)).phase_ns for n in (4, 5))
    assert few.tolist() == more[:4].tolist()
    assert (more >= 0).all()
    assert (more < 33 * MS).all()
    assert Schedule.draw(4, 33 * MS, 5, (0, 4)).phase_ns.tolist() != few.tolist()


def test_waiting_frames_are_taken_in_order_of_their_scheduled_arrival():
    queue = Queue(evenly(3, 30, 2))  # due at 0, 10, 20 and 30, 40, 50
    assert queue.take(0) == (0, 0)
    assert [queue.take(25 * MS)[0] for _ in range(2)] == [2, 4]
    assert queue.take(25 * MS) == (1, 30 * MS), "none waits: the next that will come"


def test_a_newer_frame_replaces_its_own_cameras_waiting_one_and_no_other():
    queue = Queue(evenly(2, 10, 3))  # camera 0 at 0, 10, 20; camera 1 at 5, 15, 25
    assert queue.take(16 * MS)[0] == 1, "camera 0's newest"
    assert sorted(queue.dropped) == [0, 3]
    assert queue.take(16 * MS)[0] == 4
    assert queue.take(21 * MS)[0] == 2
    assert queue.take(21 * MS) == (5, 25 * MS)
    assert queue.take(99 * MS) is None
    assert sorted(queue.dropped) == [0, 3], "each frame is taken or dropped, once"


def test_a_frame_that_is_being_served_is_never_replaced():
    served = simulate(evenly(1, 10, 4), 1, lambda frame, begin: 25 * MS)
    assert served.latency_ns[0].tolist() == [25 * MS, np.inf, 30 * MS, 45 * MS]


@pytest.mark.parametrize("servers", [1, 2, 3])
@pytest.mark.parametrize("cameras", [1, 2, 7, 12])
def test_every_frame_is_done_or_dropped_and_no_latency_is_shorter_than_its_service(servers, cameras):
    rng = np.random.default_rng(cameras)
    times = rng.integers(1, 20, 1000) * MS
    served = simulate(Schedule.draw(cameras, 33 * MS, 20, (1,)), servers, lambda frame, begin: int(times[frame]))
    done = np.isfinite(served.latency_ns)
    assert (done == np.isfinite(served.wait_ns)).all()
    service = served.latency_ns[done] - served.wait_ns[done]
    assert (service == times[: done.size].reshape(done.shape)[done]).all()
    assert (served.wait_ns[done] >= 0).all()
    assert done[:, -1].all(), "nothing replaces the last frame of a camera"
    waited = served.wait_ns[:, :-1][done[:, :-1]]
    assert (served.wait_ns[served.slept] == 0).all(), "an idle server takes a frame when it comes"
    assert (waited <= 33 * MS).all(), "after that the camera's next one has replaced it"


@pytest.mark.parametrize(("servers", "cameras", "drops"), [(1, 3, 0), (2, 6, 0), (1, 4, 1), (2, 7, 1), (3, 9, 0)])
def test_deterministic_service_keeps_up_to_s_over_d_and_no_further(servers, cameras, drops):
    """30 ms between a camera's frames, 10 ms a frame: S servers keep 3 S cameras, whatever their phases are."""
    for seed in range(5):
        served = simulate(Schedule.draw(cameras, 30 * MS, 60, (seed,)), servers, lambda frame, begin: 10 * MS)
        assert bool(np.isinf(served.latency_ns).any()) == bool(drops)


def test_many_unsynchronised_cameras_wait_as_an_m_d_1_queue_does():
    """Pollaczek-Khinchine: the mean wait is rho D / (2 (1 - rho)). Drawn anew each time, phases are nearly Poisson."""
    service, cameras, rho = 1 * MS, 400, 0.5
    interval = round(cameras * service / rho)
    waits = [
        simulate(Schedule.draw(cameras, interval, 1, (seed,)), 1, lambda frame, begin: service).wait_ns.mean()
        for seed in range(60)
    ]
    assert np.mean(waits) == pytest.approx(rho * service / (2 * (1 - rho)), rel=0.1)


def test_a_stall_is_in_the_latency_of_every_frame_that_came_during_it():
    """No coordinated omission: one stall of 300 ms; 30 frames came meanwhile, a closed loop would have seen one."""
    clock = FakeClock()
    stalled = [50]

    def service(frame, begin):
        return 302 * MS if frame == stalled[0] else 2 * MS

    schedule = Schedule(phase_ns=np.zeros(1, np.int64), interval_ns=10 * MS, frames=200)
    latency_ms = simulate(schedule, 1, service).latency_ns[0] / MS
    late = latency_ms > 9
    assert late[50:80].all(), "30 frames were due while the server stood still: dropped, or late"
    assert late.sum() <= 31
    assert latency_ms[50] == 302

    closed, predictor = [], OnClock(clock, lambda call: 302 if call - 1 == stalled[0] else 2)
    for _ in range(200):
        begin = clock.now_ns
        predictor.predict([np.zeros(1)])
        closed.append(clock.now_ns - begin)
    assert np.sum(np.array(closed) / MS > 9) == 1, "the closed loop hides it: its p99 is 2 ms"
    assert np.percentile(closed, 99) / MS == 2
    assert np.percentile(latency_ms, 99, method="inverted_cdf") == np.inf


def test_frames_that_queue_behind_a_stall_carry_their_wait_even_where_none_is_dropped():
    schedule = Schedule(phase_ns=(np.arange(10) * 10 * MS).astype(np.int64), interval_ns=1000 * MS, frames=1)
    served = simulate(schedule, 1, lambda frame, begin: (51 if frame == 0 else 1) * MS)
    assert (served.latency_ns[:, 0] / MS).tolist() == [51, 42, 33, 24, 15, 6, 1, 1, 1, 1]


def test_the_pool_counts_from_the_scheduled_arrival_on_its_clock():
    servers, predictor, sleeps = pool(lambda call: 4)
    served = servers.serve(Schedule(phase_ns=np.array([2 * MS, 3 * MS]), interval_ns=20 * MS, frames=2))
    assert (served.latency_ns / MS).tolist() == [[4, 4], [7, 7]]
    assert (served.wait_ns / MS).tolist() == [[0, 0], [3, 3]]
    assert served.slept.tolist() == [[True, True], [False, False]]
    zero = 3 * 4 * MS + LEAD_NS  # after the uncounted predictions
    assert predictor.seen[3][1] == zero + 2 * MS
    assert sleeps == pytest.approx([(LEAD_NS + 2 * MS) * 1e-9, 0.012]), "it sleeps once a frame: it does not spin"


def test_a_late_wake_up_is_part_of_the_latency():
    servers, _, _ = pool(lambda call: 4, late_ms=0.5)
    served = servers.serve(Schedule(phase_ns=np.array([0]), interval_ns=20 * MS, frames=3))
    assert served.latency_ns[0] / MS == pytest.approx([4.5] * 3)
    assert served.wait_ns[0] / MS == pytest.approx([0.5] * 3)


def test_a_server_that_wakes_too_early_sleeps_again():
    clock = FakeClock()
    predictor = OnClock(clock, lambda call: 1)
    servers = ServerPool([predictor], [np.zeros(1)], clock, lambda seconds: clock.advance(max(0.001, seconds * 500)))
    served = servers.serve(Schedule(phase_ns=np.array([0]), interval_ns=20 * MS, frames=3))
    assert (served.wait_ns >= 0).all()
    assert served.latency_ns[0] / MS == pytest.approx([1] * 3, abs=0.01)


def test_uncounted_predictions_come_first_and_fewer_after_the_first_time():
    servers, predictor, _ = pool(lambda call: 1)
    one = Schedule(phase_ns=np.array([0]), interval_ns=20 * MS, frames=4)
    servers.serve(one)
    assert len(predictor.seen) == 3 + 4
    servers.serve(one)
    assert len(predictor.seen) == 3 + 4 + 1 + 4


def test_real_threads_share_the_frames_and_none_is_served_twice():
    seen, lock, names = [], threading.Lock(), set()

    class Counting:
        def predict(self, frames):
            with lock:
                seen.append(int(frames[0][0]))
                names.add(threading.get_ident())
            return [], Times(pre_ns=0, run_ns=1, post_ns=0)

    servers = ServerPool([Counting(), Counting(), Counting()], hold_frames(Frames(), 10))
    served = servers.serve(Schedule.draw(5, 2 * MS, 20, (0,)))
    assert np.isfinite(served.latency_ns).sum() + np.isinf(served.latency_ns).sum() == 100
    assert len(seen) - 3 * 3 == np.isfinite(served.latency_ns).sum()
    assert len(names) == 3
    assert (served.latency_ns >= served.wait_ns).all()


def test_a_server_that_fails_ends_the_load_with_its_error():
    class Explodes:
        calls = 0

        def predict(self, frames):
            self.calls += 1
            if self.calls > 5:
                raise RuntimeError("no luck")
            return [], Times(pre_ns=0, run_ns=1, post_ns=0)

    servers = ServerPool([Explodes(), OnClock(FakeClock(), lambda call: 0)], [np.zeros(1, np.uint8)])
    with pytest.raises(RuntimeError, match="no luck"):
        servers.serve(Schedule.draw(4, 2 * MS, 20, (0,)))


def test_frames_held_keep_to_their_limit_but_there_is_always_one():
    assert len(hold_frames(Frames(), 10)) == 10
    assert len(hold_frames(Frames(), 10, limit_bytes=350)) == 3
    assert len(hold_frames(Frames(), 10, limit_bytes=10)) == 1
