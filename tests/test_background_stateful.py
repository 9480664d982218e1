"""Background work under random orders of events: hypothesis starts, feeds, reads, kills, joins and finds it again."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import queue
import signal
import sys
import time

import pytest
from helpers import SECONDS, gone, nothing, status, within
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from izzati import background

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="this test forks, and looks into /proc"),
    pytest.mark.usefixtures("forked_and_never_stuck"),
]

SIZES = st.lists(st.sampled_from([100, 300_000]), min_size=1, max_size=30)
NAMES = itertools.count()


def echo(q, results, tag):
    """Send back what comes, with who it went to, until that is None."""
    for number, data in iter(q.get, None):
        results.put((tag, os.getpid(), number, data))


def put_by_name(q, results, name, items):
    """Find the work of this name from another process, and give it items."""
    _, found = background(echo, (results, "not found"), name=name)
    for item in items:
        found.put(item, timeout=SECONDS)


def payload(number, size):
    return bytes([number % 251]) * size


def children():
    """The processes that this one has started, those included that have ended and still wait to be asked."""
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if status(pid)[1] == os.getpid()}


class Work:
    """A worker, and what this test knows about it."""

    def __init__(self, tag, results, name, restart, maxsize):
        self.tag, self.name, self.restart = tag, name, restart
        self.process, self.queue = background(echo, (results, tag), name=name, restart=restart, maxsize=maxsize)
        self.sizes = []  # of all items that were put
        self.got = []  # the numbers of those that came back
        self.sure = set()  # the numbers of those that must come back, as no process was killed that could have had them
        self.pids = set()  # of the processes that have answered
        self.runs = True

    def __repr__(self):
        return f"<worker {self.tag}>"

    def next_items(self, sizes):
        """Items of these sizes, with their numbers."""
        first = len(self.sizes)
        return [(number, payload(number, size)) for number, size in enumerate(sizes, first)]

    def was_given(self, items):
        self.sizes += [len(data) for _, data in items]
        if self.runs:
            self.sure |= {number for number, _ in items}

    def receive(self, pid, number, data):
        assert number < len(self.sizes)
        assert data == payload(number, self.sizes[number])
        assert not self.got or number > self.got[-1], "out of order, or twice"
        self.got.append(number)
        self.pids.add(pid)

    def missing(self):
        return self.sure.difference(self.got)


class BackgroundWork(RuleBasedStateMachine):
    works = Bundle("works")

    def __init__(self):
        super().__init__()
        self.before = children()
        self.workers = []
        process, self.results = background(nothing)
        process.join(SECONDS)

    def begin(self, name, restart, maxsize):
        self.workers.append(Work(len(self.workers), self.results, name, restart, maxsize))
        return self.workers[-1]

    def collect(self, timeout):
        """Take the results that come, until there is none for so many seconds."""
        with contextlib.suppress(queue.Empty):
            while True:
                tag, pid, number, data = self.results.get(timeout=timeout)
                self.workers[tag].receive(pid, number, data)

    def collect_until(self, condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, [(work, work.missing()) for work in self.workers]
            self.collect(0.005)

    @rule(target=works, named=st.booleans(), restart=st.booleans(), maxsize=st.sampled_from([0, 3]))
    def start(self, named, restart, maxsize):
        return self.begin(f"stateful {next(NAMES)}" if named else None, restart, maxsize)

    @rule(work=works, sizes=SIZES)
    def put(self, work, sizes):
        for item in work.next_items(sizes):
            try:
                work.queue.put(item, block=work.runs, timeout=SECONDS)
            except queue.Full:
                assert not work.runs
                break
            work.was_given([item])

    @rule(timeout=st.sampled_from([0, 0.01]))
    def get(self, timeout):
        self.collect(timeout)

    @rule(work=works)
    def get_all(self, work):
        self.collect_until(lambda: not work.missing())

    @rule(work=works, force=st.booleans())
    def end_by_signal(self, work, force):
        expected = -signal.SIGKILL if force else -signal.SIGTERM
        (work.process.kill if force else work.process.terminate)()
        work.process.join(SECONDS)
        assert not work.process.is_alive()
        if work.runs:
            assert work.process.exitcode == expected
            work.runs = False
            work.sure.clear()

    @rule(work=works)
    def kill_the_one_below(self, work):
        """Kill the process that does the work; above it is the one that starts it again."""
        below = [pid for pid in work.pids if status(pid)[1] == work.process.pid and not gone(pid)]
        if work.restart and below and len(work.pids) < 3:  # the pauses double
            os.kill(below[0], signal.SIGKILL)
            assert within(SECONDS, lambda: gone(below[0]))
            work.sure.clear()

    @rule(work=works)
    def let_return(self, work):
        if work.runs:
            work.queue.put(None, timeout=SECONDS)
            # A process waits at its end until its results are on their way.
            self.collect_until(lambda: not work.process.is_alive())
            work.process.join(SECONDS)
            assert work.process.exitcode == 0
            work.runs = False

    @rule(work=works, timeout=st.sampled_from([0, 0.01]))
    def join(self, work, timeout):
        work.process.join(timeout if work.runs else SECONDS)
        assert work.process.is_alive() == work.runs
        assert (work.process.exitcode is None) == work.runs

    @rule(target=works, work=works)
    def start_or_find_by_name(self, work):
        if work.name is None:
            return work
        if not work.runs and not any(other.runs and other.name == work.name for other in self.workers):
            again = self.begin(work.name, work.restart, work.queue.maxsize)
            assert again.process.pid != work.process.pid
            return again
        running = next(other for other in self.workers if other.runs and other.name == work.name)
        process, found = background(echo, (self.results, "not found"), name=work.name)
        assert (process.pid, process.is_alive()) == (running.process.pid, True)
        running.queue = found
        return running

    @rule(work=works, sizes=SIZES)
    def put_from_elsewhere(self, work, sizes):
        if work.name is not None and work.runs:
            items = work.next_items(sizes)
            process, _ = background(put_by_name, (self.results, work.name, items))
            work.was_given(items)
            process.join(SECONDS)
            assert process.exitcode == 0

    @invariant()
    def is_alive_tells_who_runs(self):
        for work in self.workers:
            assert work.process.is_alive() == work.runs

    def teardown(self):
        try:
            for work in self.workers:
                self.collect_until(lambda work=work: not work.missing())
        finally:
            for work in self.workers:
                work.process.kill()
            for work in self.workers:
                work.process.join(SECONDS)
            pids = set().union(*(work.pids for work in self.workers))
            all_ended = within(SECONDS, lambda: all(map(gone, pids)))
            for pid in itertools.filterfalse(gone, pids):
                os.kill(pid, signal.SIGKILL)
        assert all_ended, "something outlives the process that it worked for"
        assert not any(work.process.is_alive() for work in self.workers)
        self.workers.clear()
        gc.collect()
        assert within(SECONDS, lambda: children() <= self.before)


def test_background_work_keeps_its_promises_in_any_order_of_events():
    run_state_machine_as_test(
        BackgroundWork,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # to make a failure smaller, each step's deadline would pass again and again
            suppress_health_check=list(HealthCheck),
        ),
    )
