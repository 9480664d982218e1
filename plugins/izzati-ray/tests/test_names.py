"""Work that is found by its name."""

from __future__ import annotations

import gc
import pickle

import pytest
from helpers import SECONDS, gone, idle, leave, new_name, tell_pid, within
from izzati_ray import work
from izzati_ray.work import describe

from izzati import BackgroundOptions


def adder(amount):
    def add(q, start=0):
        q.put(q.get() + amount + start)

    return add


def same(one, other):
    descriptions = [describe(target, args, {}, BackgroundOptions(name="n")) for target, args in (one, other)]
    return descriptions[0].difference(descriptions[1])


def test_closures_with_the_same_code_and_values_are_the_same_work():
    assert same((adder(1), ()), (adder(1), ())) is None


def test_closures_that_hold_other_values_are_other_work():
    assert "with other arguments" in same((adder(1), ()), (adder(2), ()))


def test_lambdas_of_the_same_name_with_another_code_are_other_work():
    assert "with another code" in same((lambda q: q.put(1), ()), (lambda q: q.put(2), ()))


def test_arguments_that_are_equal_are_the_same_whatever_their_pickles_are():
    one, other = {8: 0, 0: 8}, {0: 8, 8: 0}
    assert same((idle, (one,)), (idle, (other,))) is None


def test_arguments_that_cannot_be_compared_are_other_work():
    class Incomparable:
        def __init__(self, number):
            self.number = number

        def __eq__(self, other):
            raise ArithmeticError

        __hash__ = None

    assert "with other arguments" in same((idle, (Incomparable(1),)), (idle, (Incomparable(2),)))


def test_a_name_with_other_arguments_is_a_value_error_and_with_the_same_it_is_found(start):
    _, answers = start(idle)
    name = new_name()
    process, q = start(tell_pid, answers, name=name)
    assert answers.get(timeout=SECONDS)
    with pytest.raises(ValueError, match=f"{name}.*with other arguments: choose another name, or end that one first"):
        start(tell_pid, q, name=name)
    found, _ = start(tell_pid, answers, name=name)
    assert found == process
    q.put("still here", timeout=SECONDS)
    assert answers.get(timeout=SECONDS) == "still here"


def test_the_inbox_of_a_name_goes_some_time_after_the_end_of_its_work(start, cluster, monkeypatch):
    monkeypatch.setattr(work, "LINGER", 0.1)
    before = cluster.head.inboxes()
    process, _ = start(idle, name=new_name())
    assert len(cluster.head.inboxes() - before) == 1
    process.kill()
    assert within(SECONDS, lambda: not cluster.head.inboxes() - before)
    assert (process.is_alive(), process.exitcode) == (False, 255)  # nobody is left who knew


def test_work_whose_handles_are_gone_goes_on(start):
    _, answers = start(idle)
    process, q = start(tell_pid, answers, forgotten=True)
    pid = answers.get(timeout=SECONDS)
    copy = pickle.loads(pickle.dumps(q))
    del process, q
    gc.collect()
    _, _ = start(idle)  # lets go of what is no longer held
    for number in range(3):
        copy.put(number, timeout=SECONDS)
    assert [answers.get(timeout=SECONDS) for _ in range(3)] == [0, 1, 2]
    assert not gone(pid)


def test_the_inbox_of_work_without_a_name_goes_with_its_end_and_the_last_handle(start, cluster):
    before = cluster.head.inboxes()
    process, q = start(leave, 0, forgotten=True)
    process.join(SECONDS)
    assert (process.exitcode, q.empty()) == (0, True)
    assert len(cluster.head.inboxes() - before) == 1
    del process, q
    gc.collect()
    _, _ = start(leave, 0)  # lets go of what is no longer held
    assert within(SECONDS, lambda: len(cluster.head.inboxes() - before) == 1)
