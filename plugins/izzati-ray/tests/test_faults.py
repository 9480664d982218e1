"""What the end of a piece loses, and what it does not."""

from __future__ import annotations

import os
import queue
import signal

import pytest
from helpers import SECONDS, die_of, gone, idle, leave, leave_decently, new_name, tell_gpus, tell_pid, wait_at, within

from izzati import BackgroundError


def get(q):
    return q.get(timeout=SECONDS)


def drain(q):
    """Everything that comes, until nothing has come for a while."""
    found = []
    try:
        while True:
            found.append(q.get(timeout=3))
    except queue.Empty:
        return found


@pytest.fixture
def answers(start):
    return start(idle, resources={"usual": 1})[1]


def test_messages_for_a_worker_that_is_killed_wait_for_the_next_one(start, answers):
    _, q = start(tell_pid, answers, restart=True)
    os.kill(get(answers), signal.SIGKILL)
    for number in range(100):
        q.put(number, timeout=SECONDS)
    assert get(answers) > 0  # another process
    assert [get(answers) for _ in range(100)] == list(range(100))


def test_a_worker_that_is_killed_and_shall_not_restart_leaves_what_waited(start, answers):
    process, q = start(tell_pid, answers)
    pid = get(answers)
    os.kill(pid, signal.SIGSTOP)  # so that nothing of this is taken
    for number in range(3):
        q.put(number, timeout=SECONDS)
    os.kill(pid, signal.SIGKILL)
    process.join(SECONDS)
    assert (process.is_alive(), process.exitcode) == (False, 255)
    # At most the first one was on its way to a reader that was waiting for it.
    assert drain(q) in ([0, 1, 2], [1, 2])


@pytest.mark.parametrize(("code", "expected"), [(None, 0), (3, 3), ("a sentence", 1)])
def test_sys_exit_gives_the_exit_code_that_a_process_would_have(start, code, expected):
    process, _ = start(leave, code)
    process.join(SECONDS)
    assert process.exitcode == expected


def test_terminate_can_be_noticed_and_is_not_answered_by_a_restart(start, answers):
    process, _ = start(leave_decently, answers, restart=True)
    assert get(answers) == "ready"
    process.terminate()
    process.join(SECONDS)
    assert process.exitcode == 3
    assert get(answers) == "SIGTERM arrived"
    assert answers.empty()


def test_terminate_ends_what_waits_for_a_node_that_has_what_it_needs(start):
    process, _ = start(idle, resources={"nowhere": 1})
    assert process.is_alive()
    process.terminate()
    process.join(SECONDS)
    assert process.exitcode == -15


def test_a_gpu_goes_to_one_after_the_other(start):
    first, q = start(tell_gpus, num_gpus=1)
    assert get(q) == "0"
    second, q = start(tell_gpus, num_gpus=1)
    with pytest.raises(queue.Empty):
        q.get(timeout=1)
    assert second.is_alive()  # it waits until the first has ended
    first.kill()
    assert get(q) == "0"


def test_a_worker_that_crashes_again_and_again_is_terminated_between_two_starts(start, answers):
    process, q = start(die_of, answers, restart=True)
    for _ in range(3):
        assert get(answers) == "dies"
    process.terminate()
    process.join(SECONDS)
    assert process.exitcode == -15
    assert q.empty()


def test_an_inbox_that_is_killed_starts_again_with_its_worker_and_loses_what_waited(start, cluster, answers):
    _, gate = start(idle)
    before = cluster.head.inboxes()
    process, q = start(wait_at, gate, answers, restart=True, name=new_name())
    worker = get(answers)
    (inbox,) = cluster.head.inboxes() - before
    for number in range(3):
        q.put(number, timeout=SECONDS)
    os.kill(inbox, signal.SIGKILL)
    for number in range(10, 13):
        q.put(number, timeout=SECONDS)  # waits until it is there again
    assert get(answers) != worker
    assert within(SECONDS, lambda: gone(worker)), "it goes on although its inbox has ended"
    gate.put("open", timeout=SECONDS)
    assert [get(answers) for _ in range(3)] == [10, 11, 12]
    assert process.is_alive()


def test_an_inbox_that_shall_not_restart_says_that_it_is_gone(start, cluster):
    before = cluster.head.inboxes()
    process, q = start(idle)
    (inbox,) = cluster.head.inboxes() - before
    os.kill(inbox, signal.SIGKILL)
    process.join(SECONDS)
    assert (process.is_alive(), process.exitcode) == (False, 255)
    with pytest.raises(BackgroundError, match="is no more"):
        q.put("late")


def test_a_node_that_is_killed_loses_at_most_what_its_worker_had_in_hand(start, cluster, answers):
    cluster.add("127.0.0.4", "--num-cpus=1", '--resources={"spare": 1}')
    doomed = cluster.nodes[-1]
    _, q = start(tell_pid, answers, restart=True, resources={"spare": 1})
    first = get(answers)
    assert first in doomed.processes()
    for number in range(50):
        q.put(number, timeout=SECONDS)
    assert get(answers) == 0
    doomed.kill()
    for number in range(50, 100):
        q.put(number, timeout=SECONDS)
    replacement = cluster.add("127.0.0.5", "--num-cpus=1", '--resources={"spare": 1}')
    found = drain_until(answers, 99)
    assert within(SECONDS, lambda: any(pid in found for pid in replacement.processes()))
    numbers = [each for each in found if each < 100]
    assert numbers == sorted(set(numbers))  # in order, and none twice
    lost = set(range(1, 100)) - set(numbers)
    assert len(lost) <= 1, lost


def drain_until(q, last):
    found = [get(q)]
    while found[-1] != last:
        found.append(get(q))
    return found
