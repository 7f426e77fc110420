from __future__ import annotations

from collections import Counter

import pytest

from bakeoff.records import Workload
from bakeoff.speed import schedule

ONE, BATCH, STREAMS = (Workload.parse(text) for text in ("1x1", "1x2", "2x1"))


@pytest.mark.parametrize(("frames", "workload", "counted"), [(250, ONE, 250), (250, BATCH, 125), (7, BATCH, 4)])
def test_rounds_give_every_candidate_the_predictions_it_needs_and_hardly_more(frames, workload, counted):
    rounds = schedule.rounds_needed(workload, frames, quick=False)
    assert counted <= rounds * schedule.BLOCK < counted + schedule.BLOCK


class Machine:
    """Runs a Plan on a machine whose intervals narrow with the root of the rounds."""

    def __init__(self, base, *, spread=0.0, target=0.02, budget_s=1e9, round_s=1.0, done=None):
        self.spread, self.round_s = spread, round_s
        self.rounds = []  # (generation, workload)
        self.plan = schedule.Plan(
            base=base, done=done or dict.fromkeys(base, 0), target=target, budget_s=budget_s, half_width=self.half_width
        )

    def half_width(self, workload):
        done = self.plan.done[workload]
        return None if done < 3 else self.spread / done**0.5

    def run(self, generation=0):
        while True:
            wanting = self.plan.begin(generation)
            if not wanting and generation >= schedule.GENERATIONS - 1:
                return self
            while wanting:
                for workload in wanting:
                    self.rounds.append((generation, workload))
                    self.plan.done[workload] += 1
                    self.plan.spent_s += self.round_s
                wanting = self.plan.wanting(generation)
            generation += 1


def test_where_intervals_are_narrow_at_once_there_are_the_rounds_that_n_frames_need_over_three_generations():
    machine = Machine({ONE: 63, BATCH: 32, STREAMS: 63}).run()
    assert machine.plan.done == {ONE: 63, BATCH: 32, STREAMS: 63}
    share = Counter(machine.rounds)
    assert [share[g, ONE] for g in range(3)] == [21, 21, 21]
    assert [share[g, BATCH] for g in range(3)] == [11, 11, 10]
    assert {machine.plan.ended(w) for w in (ONE, BATCH, STREAMS)} == {"precision"}


def test_workloads_take_turns():
    machine = Machine({ONE: 6, STREAMS: 6}).run()
    assert [workload for _, workload in machine.rounds[:4]] == [ONE, STREAMS, ONE, STREAMS]


@pytest.mark.parametrize("spread", [0.1, 0.2, 0.4, 1.0])
def test_rounds_go_on_until_every_interval_is_as_narrow_as_asked_and_not_much_longer(spread):
    machine = Machine({ONE: 21, BATCH: 11}, spread=spread).run()
    for workload, base in ((ONE, 21), (BATCH, 11)):
        needed = (spread / 0.02) ** 2
        assert max(needed, base) <= machine.plan.done[workload] <= max(needed + schedule.CHECK_EVERY, base)
        assert machine.plan.ended(workload) == "precision"


def test_more_rounds_are_shared_out_over_more_generations():
    machine = Machine({ONE: 21}, spread=0.6).run()
    share = Counter(generation for generation, _ in machine.rounds)
    assert len(share) > schedule.GENERATIONS
    assert max(share.values()) <= 0.3 * len(machine.rounds)


@pytest.mark.parametrize("base", [1, 2, 3, 7, 63])
def test_there_are_three_generations_even_where_intervals_are_narrow_at_once(base):
    machine = Machine({ONE: base}).run()
    assert machine.plan.done[ONE] >= base
    assert {generation for generation, _ in machine.rounds} >= set(range(min(base, schedule.GENERATIONS)))


def test_the_time_budget_ends_the_rounds_and_is_named():
    machine = Machine({ONE: 63, STREAMS: 63}, spread=10, budget_s=200).run()
    assert 150 <= len(machine.rounds) <= 202
    assert machine.plan.ended(ONE) == machine.plan.ended(STREAMS) == "time budget"
    assert {generation for generation, _ in machine.rounds} >= {0, 1, 2}


def test_a_budget_that_is_over_at_once_still_leaves_everything_a_few_rounds():
    machine = Machine({ONE: 63, STREAMS: 63}, spread=10, budget_s=0).run()
    assert machine.plan.done == {ONE: schedule.QUICK_ROUNDS, STREAMS: schedule.QUICK_ROUNDS}


def test_without_a_target_the_base_is_enough():
    machine = Machine({ONE: 6}, spread=10, target=None).run()
    assert machine.plan.done == {ONE: 6}
    assert machine.plan.ended(ONE) == "frames"


def test_a_resumed_run_does_what_is_missing_in_generations_of_its_own():
    machine = Machine({ONE: 30}, done={ONE: 20}).run(generation=2)
    assert machine.rounds == [(2, ONE)] * 10


def test_orders_are_shuffled_and_repeat_with_the_seed():
    keys = list("abcdef")
    orders = [tuple(schedule.shuffled(keys, 0, n)) for n in range(50)]
    assert len(set(orders)) > 40
    assert orders == [tuple(schedule.shuffled(keys, 0, n)) for n in range(50)]
    assert Counter(order[0] for order in orders).keys() == set(keys)


def test_what_does_not_fit_in_memory_is_timed_in_groups_with_the_reference_in_each():
    peaks = {"ref": 4, "a": 4, "b": 4, "c": 4, "huge": 100}
    groups = schedule.groups(list(peaks), "ref", peaks, 20)  # 70% of 20, less the reference: two others fit
    assert groups == [["ref", "a", "b"], ["ref", "c"], ["ref", "huge"]]
    assert schedule.groups(list(peaks), "ref", peaks, 10_000) == [list(peaks)]
