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


def test_turns_cover_three_generations_and_every_round_once():
    needed = {ONE: 63, BATCH: 32, STREAMS: 63}
    plans = list(schedule.turns(needed, 0, 0))
    assert len(plans) == 3
    assert Counter(turn.workload for plan in plans for turn in plan) == needed
    numbers = [turn.round for plan in plans for turn in plan]
    assert numbers == list(range(158))
    for g, plan in enumerate(plans):
        assert {turn.generation for turn in plan} == {g}
        assert 20 <= sum(turn.workload == ONE for turn in plan) <= 22


def test_a_resumed_run_goes_on_with_new_generations_and_round_numbers():
    plans = list(schedule.turns({ONE: 10}, 2, 50))
    assert [turn.generation for plan in plans for turn in plan] == [2] * 10
    assert plans[0][0].round == 50


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
