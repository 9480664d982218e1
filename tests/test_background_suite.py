"""The suite for background work: the built-in plugin passes it, and for each of its tests a wrong plugin fails."""

from __future__ import annotations

import dataclasses
import multiprocessing.queues
import os
import queue
import socket
import subprocess
import sys
import textwrap
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from izzati import hookimpl
from izzati.builtin.processes import Processes
from izzati.testing.background import BackgroundSuite

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the wrong plugins fork")


JAMS = "elsewhere than on Linux, a multiprocessing.Queue is used, which a killed reader can jam"


class TestProcesses(BackgroundSuite):
    does_not = (
        {}
        if sys.platform == "linux"
        else {
            "test_a_reader_that_is_killed_swallows_nothing": JAMS,
            "test_restart_starts_it_again_after_a_violent_end_with_its_queue": JAMS,
            "test_qsize_empty_and_full_tell_what_waits": "multiprocessing.Queue.qsize() is not on every system",
        }
    )

    @pytest.fixture(params=multiprocessing.get_all_start_methods())
    def plugin(self, request):
        return Processes(request.param)


# Wrong plugins. Most are the built-in one, with one thing spoilt in what the caller gets, or in what is asked of it.


class Spoilt:
    """The built-in plugin; a subclass spoils a part of it."""

    def __init__(self):
        self.right = Processes("fork")

    def change(self, target, args, kwargs, options):
        return target, args, kwargs, options

    def spoil(self, process, queue):
        return process, queue

    @hookimpl
    def izzati_background(self, target, args, kwargs, options):
        target, args, kwargs, options = self.change(target, args, kwargs, options)
        return self.spoil(*self.right.izzati_background(target=target, args=args, kwargs=kwargs, options=options))


class Handle:
    """Passes on what is not spoilt."""

    def __init__(self, right):
        self.right = right

    def __getattr__(self, name):
        if name == "right":
            raise AttributeError(name)  # while it is unpickled
        return getattr(self.right, name)


class SpoilsQueue(Spoilt):
    def spoil(self, process, queue):
        return process, self.Queue(queue)


class SpoilsProcess(Spoilt):
    def spoil(self, process, queue):
        return self.Process(process), queue


class TurnsArgumentsAround(Spoilt):
    def change(self, target, args, kwargs, options):
        return target, args[::-1], kwargs, options


class PutsTwice(SpoilsQueue):
    class Queue(Handle):
        def put(self, item, *args, **kwargs):
            self.right.put(item, *args, **kwargs)
            self.right.put(item, *args, **kwargs)


class CutsOff(SpoilsQueue):
    class Queue(Handle):
        def put(self, item, *args, **kwargs):
            self.right.put(item[:65_536] if isinstance(item, bytes) else item, *args, **kwargs)


class TakesInAdvance(SpoilsQueue):
    class Queue(Handle):
        def __init__(self, right):
            super().__init__(right)
            self.taken = []

        def get(self, *args, **kwargs):
            if not self.taken:
                self.taken.append(self.right.get(*args, **kwargs))
                try:
                    while True:
                        self.taken.append(self.right.get_nowait())
                except queue.Empty:
                    pass
            return self.taken.pop(0)


class HasOneQueueForAll(Spoilt):
    first = None

    def spoil(self, process, queue):
        self.first = self.first or queue
        return process, self.first


class RaisesAnotherException(SpoilsQueue):
    class Queue(Handle):
        def get(self, *args, **kwargs):
            try:
                return self.right.get(*args, **kwargs)
            except queue.Empty:
                raise TimeoutError from None


class ForgetsMaxsize(Spoilt):
    def change(self, target, args, kwargs, options):
        return target, args, kwargs, dataclasses.replace(options, maxsize=0)


class CountsNothing(SpoilsQueue):
    class Queue(Handle):
        def qsize(self):
            return 0


class Plain:
    """multiprocessing as it is: its queue pickles in a thread, and is jammed by a reader that is killed."""

    @hookimpl
    def izzati_background(self, target, args, kwargs, options):
        context = multiprocessing.get_context("fork")
        made = SilentQueue(options.maxsize, ctx=context)
        process = context.Process(target=target, args=(made, *args), kwargs=kwargs)
        process.start()
        return process, made


class SilentQueue(multiprocessing.queues.Queue):
    """Its thread prints no traceback: that may fail where pytest does so at the same time (Python 3.11)."""

    @staticmethod
    def _on_queue_feeder_error(error, item):
        pass


class NeverCloses(SpoilsQueue):
    class Queue(Handle):
        def close(self):
            pass

        def join_thread(self):
            pass


class IsAlwaysAlive(SpoilsProcess):
    class Process(Handle):
        def is_alive(self):
            return True


class JoinsToTheEnd(SpoilsProcess):
    class Process(Handle):
        def join(self, timeout=None):
            self.right.join(60)


class NeverFails(SpoilsProcess):
    class Process(Handle):
        @property
        def exitcode(self):
            return self.right.exitcode and 0


class OnlySays(SpoilsProcess):
    """The process says that it has ended, and goes on."""

    class Process(Handle):
        said = False

        def say(self):
            self.said = True

        def is_alive(self):
            return not self.said and self.right.is_alive()

        def join(self, timeout=None):
            if not self.said:
                self.right.join(timeout)

        @property
        def exitcode(self):
            return -15 if self.said else self.right.exitcode


class OnlySaysTerminated(OnlySays):
    class Process(OnlySays.Process):
        def terminate(self):
            self.say()


class OnlySaysKilled(OnlySays):
    class Process(OnlySays.Process):
        def kill(self):
            self.say()


class NeverRestarts(Spoilt):
    def change(self, target, args, kwargs, options):
        return target, args, kwargs, dataclasses.replace(options, restart=False)


class RestartsAfterExceptionsOnly(NeverRestarts):
    """In the same process, whose violent end nobody sees."""

    def change(self, target, args, kwargs, options):
        return (until_it_returns if options.restart else target), *super().change(target, args, kwargs, options)[1:]

    @hookimpl
    def izzati_background(self, target, args, kwargs, options):
        if options.restart:
            args = (target, *args)
        return super().izzati_background(target, args, kwargs, options)


def until_it_returns(q, target, *args, **kwargs):
    while True:
        try:
            return target(q, *args, **kwargs)
        except Exception as error:
            print("starts again after", error)


class RestartsForEver(Spoilt):
    """In processes without end, whatever the end of the last one was."""

    @hookimpl
    def izzati_background(self, target, args, kwargs, options):
        if options.restart:
            args, target = (target, *args), again_and_again
        return super().izzati_background(target, args, kwargs, options)


def again_and_again(q, target, *args, **kwargs):
    while True:
        target(q, *args, **kwargs)


class FindsNoName(Spoilt):
    def change(self, target, args, kwargs, options):
        return target, args, kwargs, dataclasses.replace(options, name=None)


class ForgetsNoName(FindsNoName):
    """A name belongs for ever to the first one that had it, whatever it runs, and whether it runs."""

    def __init__(self):
        super().__init__()
        self.known = {}

    @hookimpl
    def izzati_background(self, target, args, kwargs, options):
        if options.name not in self.known:
            handles = super().izzati_background(target, args, kwargs, options)
            if options.name is None:
                return handles
            self.known[options.name] = handles
        return self.known[options.name]


class BelongsToAThread(SpoilsQueue):
    class Queue(Handle):
        def __init__(self, right):
            super().__init__(right)
            self.owner = threading.get_ident()

        def put(self, item, *args, **kwargs):
            if threading.get_ident() != self.owner:
                raise RuntimeError("this queue belongs to another thread")
            self.right.put(item, *args, **kwargs)


class RunsElsewhere(Spoilt):
    """Sends everything to another machine, local or not."""

    def change(self, target, args, kwargs, options):
        return on_another_machine, (target, *args), kwargs, options


def on_another_machine(q, target, *args, **kwargs):
    """Of another machine, what shows is its name."""
    socket.gethostname = lambda: "another machine"
    target(q, *args, **kwargs)


class LeavesAProcess(Spoilt):
    """Has a helper for each work, and forgets it."""

    def spoil(self, process, queue):
        multiprocessing.get_context("fork").Process(target=threading.Event().wait, daemon=True).start()
        return process, queue


WRONG = [
    (TurnsArgumentsAround, "test_the_function_gets_its_queue_first_then_args_and_kwargs"),
    (PutsTwice, "test_any_value_arrives_as_it_was_put_in_order_and_once"),
    (CutsOff, "test_large_items_arrive_whole_both_ways"),
    (PutsTwice, "test_each_item_goes_to_one_of_several_getters"),
    (TakesInAdvance, "test_each_item_goes_to_one_of_several_getters"),
    (HasOneQueueForAll, "test_every_work_has_a_queue_of_its_own"),
    (RaisesAnotherException, "test_get_raises_empty_after_its_timeout"),
    (ForgetsMaxsize, "test_put_raises_full_beyond_maxsize"),
    (CountsNothing, "test_qsize_empty_and_full_tell_what_waits"),
    (Plain, "test_what_cannot_be_pickled_raises_in_put_here_and_now"),
    (NeverCloses, "test_a_closed_queue_is_closed_here_only"),
    (IsAlwaysAlive, "test_is_alive_and_exitcode_tell_of_a_return"),
    (JoinsToTheEnd, "test_join_returns_in_time_while_it_runs"),
    (NeverFails, "test_exitcode_is_1_after_an_exception"),
    (OnlySaysTerminated, "test_terminate_really_ends_it"),
    (NeverFails, "test_terminate_really_ends_it"),
    (OnlySaysKilled, "test_kill_really_ends_it"),
    (NeverFails, "test_kill_really_ends_it"),
    (Plain, "test_a_reader_that_is_killed_swallows_nothing"),
    (NeverRestarts, "test_restart_starts_it_again_after_an_exception"),
    (RestartsAfterExceptionsOnly, "test_restart_starts_it_again_after_a_violent_end_with_its_queue"),
    (RestartsForEver, "test_restart_does_not_start_it_again_after_a_return"),
    (OnlySaysTerminated, "test_terminate_ends_for_good_what_restarts"),
    (OnlySaysKilled, "test_kill_ends_for_good_what_restarts"),
    (FindsNoName, "test_a_name_finds_the_running_work_and_its_queue"),
    (FindsNoName, "test_a_name_that_runs_another_function_is_a_value_error"),
    (ForgetsNoName, "test_a_name_that_runs_another_function_is_a_value_error"),
    (ForgetsNoName, "test_a_name_is_free_again_after_the_end"),
    (BelongsToAThread, "test_the_handles_work_inside_a_callback"),
    (RunsElsewhere, "test_local_work_runs_on_this_machine_or_is_declined"),
    (RunsElsewhere, "test_a_backend_in_the_background_serves_on_this_machine"),
    (LeavesAProcess, "test_nothing_is_left_behind"),
]
"""Which plugin must fail which test."""

SUITES = """
import pytest
import test_background_suite as wrong
from izzati.builtin.processes import Processes
from izzati.testing.background import BackgroundSuite


class Quick(BackgroundSuite):
    seconds = 1  # each of many waits for what never comes


class TestNoPlugin(Quick):
    pass


class TestDoesNot(Quick):
    does_not = {"test_kill_really_ends_it": "nothing can be killed here"}

    @pytest.fixture
    def plugin(self):
        return Processes("fork")


class TestMisspelt(TestDoesNot):
    does_not = {"test_kill": "nothing can be killed here"}


class Declines:
    def izzati_background(self, target, args, kwargs, options):
        return None


class TestDeclines(Quick):
    @pytest.fixture
    def plugin(self):
        return Declines()
"""
SUITE = """

class Test{plugin}(Quick):
    @pytest.fixture
    def plugin(self):
        return wrong.{plugin}()
"""
SUITES += "".join(SUITE.format(plugin=plugin.__name__) for plugin in dict(WRONG))
ANY = "test_kill_really_ends_it"
LOCAL = "test_local_work_runs_on_this_machine_or_is_declined"
BESIDE = [("NoPlugin", ANY), ("DoesNot", ANY), ("Misspelt", ANY), ("Declines", ANY), ("Declines", LOCAL)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run every wrong plugin against the test that it must fail: (plugin, test) to its (outcome, message)s."""
    folder = tmp_path_factory.mktemp("wrong")
    folder.joinpath("test_wrong.py").write_text(textwrap.dedent(SUITES))
    folder.joinpath("pytest.ini").write_text("[pytest]\n")
    tests = [f"test_wrong.py::Test{plugin.__name__}::{test}" for plugin, test in WRONG]
    tests += [f"test_wrong.py::Test{name}::{test}" for name, test in BESIDE]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml", *tests]
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(command, check=False, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {}
    for case in ET.parse(folder / "report.xml").iter("testcase"):
        key = case.get("classname").rpartition(".Test")[2], case.get("name")
        told = [(each.tag, each.get("message")) for each in case if each.tag in ("failure", "error", "skipped")]
        found.setdefault(key, []).extend(told)  # one that fails may have another error at its end
    return found


@on_linux
@pytest.mark.once
@pytest.mark.parametrize(
    ("plugin", "test"), [pytest.param(*row, id="-".join((row[0].__name__, row[1]))) for row in WRONG]
)
def test_a_wrong_plugin_fails_the_test_of_what_it_does_wrong(outcomes, plugin, test):
    assert "failure" in dict(outcomes[plugin.__name__, test])


def test_every_test_of_the_suite_has_a_wrong_plugin_that_fails_it():
    assert {test for _, test in WRONG} == {name for name in dir(BackgroundSuite) if name.startswith("test_")}


@on_linux
@pytest.mark.once
def test_a_suite_without_a_plugin_says_what_to_override(outcomes):
    ((outcome, message),) = outcomes["NoPlugin", ANY]
    assert outcome == "error"
    assert "TestNoPlugin does not say what it tests: override the fixture `plugin`" in message


@on_linux
@pytest.mark.once
def test_what_a_plugin_does_not_do_is_skipped_with_its_reason(outcomes):
    assert outcomes["DoesNot", ANY] == [("skipped", "TestDoesNot.does_not: nothing can be killed here")]


@on_linux
@pytest.mark.once
def test_a_misspelt_test_in_does_not_is_an_error(outcomes):
    ((outcome, message),) = outcomes["Misspelt", ANY]
    assert outcome == "error"
    assert "does_not names what is no test of the suite: test_kill" in message


@on_linux
@pytest.mark.once
def test_who_declines_everything_fails_but_for_local_work(outcomes):
    ((outcome, message),) = outcomes["Declines", ANY]
    assert outcome == "failure"
    assert "the plugin declined to run beat, which is not local" in message
    assert outcomes["Declines", LOCAL] == []
