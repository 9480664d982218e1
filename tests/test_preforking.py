"""Background work of an application whose server forks its workers."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from contextlib import ExitStack

import pytest
from deployment import command, running
from helpers import SECONDS, gone, status, within

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gunicorn forks, and /proc is looked into")

APPLICATION = """
import os
from izzati import Backend, background

def clerk(q):
    while True:
        with open("done", "a") as done:
            done.write(f"{os.getpid()} {q.get()}\\n")

def callback(text, data):
    q.put(text["number"])
    return os.getpid()

p, q = background(clerk, OPTIONS)
backend = Backend(callback)
"""
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def start(tmp_path):
    """``start(options, *words)``: gunicorn with two workers, and the options of the application's ``background()``."""
    with ExitStack() as stack:

        def start_gunicorn(options, *words):
            (tmp_path / "app.py").write_text(APPLICATION.replace("OPTIONS", options))
            first, *others = command("gunicorn")
            return Office(stack.enter_context(running([first, *words, *others], tmp_path)), tmp_path / "done")

        yield start_gunicorn


class Office:
    """The application above, whose callers leave numbers, and whose clerks take them."""

    def __init__(self, program, done):
        self.program = program
        self.workers = set()
        self._done = done
        self._numbers = itertools.count()
        self._sent = 0

    def send(self):
        """The worker that took the next number."""
        worker = int(self.program.ask(json.dumps({"number": next(self._numbers)}), JSON).body)
        self._sent += 1
        return worker

    def send_to_each_of_two_workers(self):
        """Those two, once each of them has taken a number."""
        workers = set()
        assert within(SECONDS, lambda: workers.add(self.send()) or len(workers) == 2), self.program.log
        self.workers |= workers
        return workers

    def clerks(self):
        """The processes that have taken what was sent, all of it, once and in order."""
        lines = []

        def all_are_done():
            lines[:] = [line.split() for line in self._done.read_text().splitlines()] if self._done.exists() else []
            return len(lines) >= self._sent

        assert within(SECONDS, all_are_done), self.program.log
        assert sorted(int(number) for _, number in lines) == list(range(self._sent))
        return {int(pid) for pid, _ in lines}


def test_without_a_name_each_worker_has_a_process_of_its_own(start):
    office = start("")
    workers = office.send_to_each_of_two_workers()
    clerks = office.clerks()
    assert {status(clerk)[1] for clerk in clerks} == workers
    (first, second) = clerks
    os.kill(status(first)[1], signal.SIGKILL)
    assert within(SECONDS, lambda: gone(first))
    assert not gone(second)


@pytest.mark.parametrize(
    ("options", "words"),
    [("name='clerk'", []), ("", ["--preload"]), ("name='clerk', restart=True", ["--preload"])],
    ids=["a name", "preloaded", "both, restarted"],
)
class TestOneForAll:
    def test_one_process_serves_every_worker_and_outlives_each_of_them(self, start, options, words):
        office = start(options, *words)
        before = office.send_to_each_of_two_workers()
        clerks = office.clerks()
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        assert within(SECONDS, lambda: all(gone(worker) for worker in before))
        assert not office.send_to_each_of_two_workers() & before
        assert office.clerks() == clerks
        assert len(clerks) == 1

    def test_sigterm_leaves_no_process(self, start, options, words):
        office = start(options, *words)
        workers, clerks = office.send_to_each_of_two_workers(), office.clerks()
        assert office.program.end() == 0
        assert within(SECONDS, lambda: all(gone(pid) for pid in workers | clerks))

    def test_nor_does_sigkill(self, start, options, words):
        office = start(options, *words)
        workers, clerks = office.send_to_each_of_two_workers(), office.clerks()
        office.program.process.kill()
        assert within(SECONDS, lambda: all(gone(pid) for pid in workers | clerks))
