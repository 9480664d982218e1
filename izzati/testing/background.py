"""The contract of background work: what every plugin that implements ``izzati_background`` must do.

The work may run on another machine. So the suite uses no channel to it but the queues that the plugin itself has
returned: a function answers through its own queue, or through that of other work, which it gets as an argument. No
pipe, file or ``multiprocessing.Queue`` is handed over, for none of them might be there. What the plugin must be able to
do for this is to take the queues that it has returned as arguments of further work, as users hand them over, too.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import queue
import random
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from izzati.backend import Backend
from izzati.handles import BackgroundOptions, Process, Queue
from izzati.testing.served import serving

__all__ = ["BackgroundSuite"]

T = TypeVar("T")

MOMENT = 0.25
"""Seconds in which nothing shall happen. Where they are too few, a wrong plugin may pass, but no right one fails."""
MEBIBYTE = 1 << 20
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(ValueError, st.text())
    | st.builds(BackgroundOptions, name=st.text()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=8,
)
"""Whatever can be pickled and has a ``repr`` that tells its types, too."""


# The functions that run in the background. They stand here, so that a process that was spawned, or another machine that
# has izzati[testing], can import them.


def idle(q: Queue) -> None:
    """Wait until it is ended, and leave the queue to others."""
    threading.Event().wait()


def begin_and_idle(q: Queue) -> None:
    """Say that it runs, then wait until it is ended."""
    q.put("started")
    threading.Event().wait()


def tell_arguments(q: Queue, *args: Any, **kwargs: Any) -> None:
    """Say what it was given."""
    q.put((args, kwargs))


def tell_where(q: Queue) -> None:
    """Say on which machine and in which process it runs, then wait until it is ended."""
    q.put((socket.gethostname(), os.getpid()))
    threading.Event().wait()


def echo(q: Queue, answers: Queue) -> None:
    """Send on what comes in, as it is."""
    while True:
        answers.put(q.get())


def pass_on(q: Queue, source: Queue) -> None:
    """Give out what it takes from a queue that is not its own."""
    while True:
        q.put(source.get())


def take_one(q: Queue, source: Queue) -> None:
    """Give out one item of a queue that is not its own, and return."""
    q.put(source.get())


def beat(q: Queue) -> None:
    """Put number after number; where the queue is bounded, whenever one was taken."""
    for number in itertools.count():
        q.put(number)


def return_when_told(q: Queue) -> None:
    """Wait for one item, and return."""
    q.get()


def crash(q: Queue) -> None:
    """Say that it runs, and raise."""
    q.put("started")
    raise ZeroDivisionError("on purpose: the suite looks how this is told")


def crash_if_told(q: Queue) -> None:
    """Raise if the next item says so; else say that it runs again, and return."""
    if q.get() == "raise":
        raise ZeroDivisionError("on purpose: the suite looks whether it starts again")
    q.put("started again")


def die_while_waiting(q: Queue, answers: Queue) -> None:
    """Say that it runs and pass on what comes; once told to die, do so without a word while waiting for more."""
    answers.put("started")
    while (item := q.get()) != "return":
        if item == "die":
            threading.Timer(MOMENT, os._exit, (9,)).start()
        else:
            answers.put(item)


def begin(q: Queue) -> None:
    """Say that it runs, and return."""
    q.put("started")


def answer_from_the_background(q: Queue, text: dict[str, Any], data: list[Any]) -> dict[str, Any]:
    """A callback of a Backend that serves in the background: puts what it got, and says where it runs."""
    q.put(text)
    return {"where": socket.gethostname()}


class Unpicklable:
    """Stays where it is."""

    def __reduce__(self) -> NoReturn:
        raise LookupError("this item stays where it is")


class Starter:
    """Starts work as izzati does, and remembers what it has started.

    :param plugin: the plugin that is asked.
    :param seconds: an upper bound for the end of what was killed.
    """

    def __init__(self, plugin: Any, seconds: float) -> None:
        self._plugin = plugin
        self._seconds = seconds
        self._started: list[tuple[Process, Queue]] = []

    def __call__(
        self,
        target: Callable[..., object],
        *args: Any,
        name: str | None = None,
        restart: bool = False,
        maxsize: int = 0,
        **kwargs: Any,
    ) -> tuple[Process, Queue]:
        """Run ``target(q, *args, **kwargs)``; a plugin that declines has failed."""
        options = BackgroundOptions(name=name, restart=restart, maxsize=maxsize)
        handles = self.ask(target, args, kwargs, options)
        assert handles is not None, f"the plugin declined to run {target.__name__}, which is not local"
        return handles

    def ask(
        self, target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], options: BackgroundOptions
    ) -> tuple[Process, Queue] | None:
        """Ask the plugin, which may decline."""
        handles = self._plugin.izzati_background(target=target, args=args, kwargs=kwargs, options=options)
        if handles is None:
            return None
        self._started.append(handles)
        process, made = handles
        return process, made

    def end(self) -> None:
        """Kill all that runs, and let go of the queues."""
        for process, _ in self._started:
            process.kill()
        for process, made in self._started:
            process.join(self._seconds)
            made.cancel_join_thread()  # who would read it has been killed
            made.close()
        left = [process.name for process, _ in self._started if process.is_alive()]
        assert not left, f"killed, and alive after {self._seconds} s: {', '.join(left)}"


class BackgroundSuite:
    """What every plugin that implements ``izzati_background`` must do; subclass it and override ``plugin``::

        import pytest
        from izzati.testing import BackgroundSuite

        from izzati_cluster import Cluster


        class TestCluster(BackgroundSuite):
            does_not = {"test_qsize_empty_and_full_tell_what_waits": "the cluster's queues do not count"}

            @pytest.fixture
            def plugin(self):
                return Cluster(address="local")

    Where a Backend's own server is spawned rather than forked, it gets the plugin by pickle, so that its class has to
    be importable.
    """

    does_not: ClassVar[Mapping[str, str]] = {}
    """Names of tests that are skipped, each with the reason why the plugin cannot do what it tests."""

    seconds: ClassVar[float] = 20
    """An upper bound for what should take no time at all. Set it higher if your work takes that long to start."""

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the plugin that is tested: an object whose method ``izzati_background`` implements the hook."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say what it tests: override the fixture `plugin`, "
            "and return an object that implements izzati_background"
        )

    @pytest.fixture
    def start(self, plugin: Any) -> Iterator[Starter]:
        """``start(target, *args, name=None, restart=False, maxsize=0, **kwargs)`` returns the process and its queue.

        What it has started is killed when the test ends. There is no need to override it.
        """
        starter = Starter(plugin, self.seconds)
        yield starter
        starter.end()

    @pytest.fixture
    def answers(self, start: Starter) -> Queue:
        """A queue whose own function never touches it. There is no need to override it."""
        return start(idle)[1]

    @pytest.fixture
    def echoes(self, start: Starter, answers: Queue) -> tuple[Queue, Queue]:
        """A queue into which to put, and one from which that comes back. There is no need to override it."""
        return start(echo, answers)[1], answers

    @pytest.fixture(autouse=True)
    def _skip_what_it_does_not(self, request: pytest.FixtureRequest) -> None:
        unknown = [name for name in self.does_not if not (name.startswith("test_") and hasattr(self, name))]
        assert not unknown, f"{type(self).__name__}.does_not names what is no test of the suite: {', '.join(unknown)}"
        name = request.function.__name__
        if name in self.does_not:
            pytest.skip(f"{type(self).__name__}.does_not: {self.does_not[name]}")

    def test_the_function_gets_its_queue_first_then_args_and_kwargs(self, start: Starter) -> None:
        """What the function puts into its first argument arrives at the queue that was returned."""
        _, q = start(tell_arguments, "Hello", 3, whom="Rex", tags=["a", None])
        assert q.get(timeout=self.seconds) == (("Hello", 3), {"whom": "Rex", "tags": ["a", None]})

    @settings(
        max_examples=25,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to make a failure smaller would wait for each again
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(values=st.lists(VALUES, max_size=20))
    def test_any_value_arrives_as_it_was_put_in_order_and_once(
        self, echoes: tuple[Queue, Queue], values: list[Any]
    ) -> None:
        """There and back: a last item of its own shows that nothing else comes between or behind."""
        there, back = echoes
        last = f"the last: {uuid.uuid4()}"
        for value in (*values, last):
            there.put(value, timeout=self.seconds)
        got = list(iter(lambda: back.get(timeout=self.seconds), last))
        assert [repr(value) for value in got] == [repr(value) for value in values]
        assert back.empty()

    def test_large_items_arrive_whole_both_ways(self, echoes: tuple[Queue, Queue]) -> None:
        """5 MiB are more than a pipe or a packet holds; a small item behind them must not overtake."""
        there, back = echoes
        item = random.Random(0).randbytes(5 * MEBIBYTE)  # noqa: S311 - compresses badly, and is no secret
        for value in (item, "small", item):
            there.put(value, timeout=self.seconds)
        got = [back.get(timeout=self.seconds) for _ in range(3)]
        arrived = [value == expected for value, expected in zip(got, (item, "small", item), strict=True)]
        assert arrived == [True, True, True]  # the items themselves would make a very long message

    def test_each_item_goes_to_one_of_several_getters(self, start: Starter, answers: Queue) -> None:
        """Whoever holds a queue may get from it, and takes no more than it asks for."""
        for number in range(3):
            answers.put(number, timeout=self.seconds)
        getters = [start(take_one, answers)[1] for _ in range(2)]
        taken = [each.get(timeout=self.seconds) for each in getters]
        taken.append(answers.get(timeout=self.seconds))
        assert sorted(taken) == [0, 1, 2]
        assert answers.empty()

    def test_every_work_has_a_queue_of_its_own(self, start: Starter) -> None:
        """The same function, started twice without a name, is two works."""
        (_, one), (_, two) = start(idle), start(idle)
        one.put("for one", timeout=self.seconds)
        with pytest.raises(queue.Empty):
            two.get(timeout=MOMENT)
        assert one.get(timeout=self.seconds) == "for one"

    def test_get_raises_empty_after_its_timeout(self, start: Starter) -> None:
        """The exceptions are those of the module ``queue``, as with multiprocessing."""
        _, q = start(idle)
        with pytest.raises(queue.Empty):
            self._in_time(q.get_nowait)
        with pytest.raises(queue.Empty):
            self._in_time(lambda: q.get(block=False))
        began = time.monotonic()
        with pytest.raises(queue.Empty):
            self._in_time(lambda: q.get(timeout=MOMENT))
        assert time.monotonic() - began > 0.9 * MOMENT, "get() did not wait"

    def test_put_raises_full_beyond_maxsize(self, start: Starter) -> None:
        """A bounded queue holds what it was made for, no more and no less."""
        _, q = start(idle, maxsize=2)
        q.put("first", timeout=self.seconds)
        q.put_nowait("second")
        with pytest.raises(queue.Full):
            self._in_time(lambda: q.put_nowait("one too many"))
        with pytest.raises(queue.Full):
            self._in_time(lambda: q.put("one too many", block=False))
        began = time.monotonic()
        with pytest.raises(queue.Full):
            self._in_time(lambda: q.put("one too many", timeout=MOMENT))
        assert time.monotonic() - began > 0.9 * MOMENT, "put() did not wait"
        assert q.get(timeout=self.seconds) == "first"
        q.put("third", timeout=self.seconds)
        assert [q.get(timeout=self.seconds) for _ in range(2)] == ["second", "third"]

    def test_qsize_empty_and_full_tell_what_waits(self, start: Starter) -> None:
        """They may lag behind, as with multiprocessing; when nothing goes on they are right."""
        _, q = start(idle, maxsize=2)

        def told() -> tuple[int, bool, bool]:
            return q.qsize(), q.empty(), q.full()

        def become(expected: tuple[int, bool, bool]) -> None:
            assert self._within(lambda: told() == expected), f"(qsize, empty, full): {told()}, not {expected}"

        become((0, True, False))
        q.put("first", timeout=self.seconds)
        become((1, False, False))
        q.put("second", timeout=self.seconds)
        become((2, False, True))
        for _ in range(2):
            q.get(timeout=self.seconds)
        become((0, True, False))

    def test_what_cannot_be_pickled_raises_in_put_here_and_now(self, start: Starter) -> None:
        """Who put it learns why, and the queue goes on as if nothing had been put."""
        _, q = start(idle, maxsize=1)
        with pytest.raises(LookupError, match="this item stays where it is"):
            q.put(Unpicklable(), timeout=self.seconds)
        q.put("the next", timeout=self.seconds)
        assert q.get(timeout=self.seconds) == "the next"

    def test_a_closed_queue_is_closed_here_only(self, start: Starter) -> None:
        """What was put before arrives, and put() and get() say that they are no longer to be used."""
        process, q = start(return_when_told)
        q.put("return", timeout=self.seconds)
        q.close()
        self._in_time(q.join_thread)
        for use in (q.get, q.get_nowait, lambda: q.put("after"), lambda: q.put_nowait("after")):
            with pytest.raises(ValueError):  # noqa: PT011 - what it says is the plugin's to choose
                self._in_time(use)
        self._require_end(process)
        assert process.exitcode == 0

    def test_is_alive_and_exitcode_tell_of_a_return(self, start: Starter) -> None:
        """Alive and without an exit code until the function has returned."""
        process, q = start(return_when_told)
        assert process.is_alive()
        assert process.exitcode is None
        q.put("return", timeout=self.seconds)
        self._require_end(process)
        assert process.exitcode == 0

    def test_join_returns_in_time_while_it_runs(self, start: Starter) -> None:
        """``join(timeout)`` is how a program looks after its work without being held up by it."""
        process, _ = start(idle)
        for timeout in (0, MOMENT):
            began = time.monotonic()
            self._in_time(lambda timeout=timeout: process.join(timeout))  # type: ignore[misc]
            assert time.monotonic() - began > 0.9 * timeout, "join() did not wait"
            assert process.is_alive()

    def test_exitcode_is_1_after_an_exception(self, start: Starter) -> None:
        """Unless it shall start again, a function that raises is at its end; what it had put arrives."""
        process, q = start(crash)
        self._require_end(process)
        assert process.exitcode == 1
        assert q.get(timeout=self.seconds) == "started"
        with pytest.raises(queue.Empty):
            q.get(timeout=MOMENT)

    def test_terminate_really_ends_it(self, start: Starter) -> None:
        """Not only the handle says so: the function does nothing more."""
        process, q = start(beat, maxsize=1)
        self._require_end_for_good(process, q, process.terminate)

    def test_kill_really_ends_it(self, start: Starter) -> None:
        """Not only the handle says so: the function does nothing more."""
        process, q = start(beat, maxsize=1)
        self._require_end_for_good(process, q, process.kill)

    def test_a_reader_that_is_killed_swallows_nothing(self, start: Starter, answers: Queue) -> None:
        """Where a reader takes a lock, or items in advance, who comes after it gets nothing."""
        reader, told = start(pass_on, answers)
        answers.put("to the first", timeout=self.seconds)
        assert told.get(timeout=self.seconds) == "to the first"
        reader.join(MOMENT)  # by then it waits in get(), where a kill is worst; if not, this tests less
        reader.kill()
        self._require_end(reader)
        for number in range(5):
            answers.put(number, timeout=self.seconds)
        _, told = start(pass_on, answers)
        assert [told.get(timeout=self.seconds) for _ in range(5)] == [0, 1, 2, 3, 4]

    def test_restart_starts_it_again_after_an_exception(self, start: Starter) -> None:
        """With its queue as it was: the second item is for the second run."""
        process, q = start(crash_if_told, restart=True)
        for item in ("raise", "return"):
            q.put(item, timeout=self.seconds)
        self._require_end(process)
        assert q.get(timeout=self.seconds) == "started again"
        assert process.exitcode == 0

    def test_restart_starts_it_again_after_a_violent_end_with_its_queue(self, start: Starter, answers: Queue) -> None:
        """Nobody catches what ends a process at once; the next run gets all that is put after that, in order."""
        process, q = start(die_while_waiting, answers, restart=True)
        assert answers.get(timeout=self.seconds) == "started"
        q.put("die", timeout=self.seconds)
        assert answers.get(timeout=self.seconds) == "started"
        for item in (*range(5), "return"):
            q.put(item, timeout=self.seconds)
        assert [answers.get(timeout=self.seconds) for _ in range(5)] == [0, 1, 2, 3, 4]
        self._require_end(process)
        assert process.exitcode == 0

    def test_restart_does_not_start_it_again_after_a_return(self, start: Starter) -> None:
        """Who returns is done."""
        process, q = start(begin, restart=True)
        self._require_end(process)
        assert process.exitcode == 0
        assert q.get(timeout=self.seconds) == "started"
        with pytest.raises(queue.Empty):
            q.get(timeout=MOMENT)

    def test_terminate_ends_for_good_what_restarts(self, start: Starter) -> None:
        """An end that was asked for is no crash."""
        process, q = start(beat, restart=True, maxsize=1)
        self._require_end_for_good(process, q, process.terminate)

    def test_kill_ends_for_good_what_restarts(self, start: Starter) -> None:
        """An end that was asked for is no crash, and what watches over the function does not leave it behind."""
        process, q = start(beat, restart=True, maxsize=1)
        self._require_end_for_good(process, q, process.kill)

    def test_a_name_finds_the_running_work_and_its_queue(self, start: Starter) -> None:
        """Nothing is started a second time, and either pair of handles is for the same work."""
        name = _new_name()
        process, q = start(begin_and_idle, name=name)
        assert q.get(timeout=self.seconds) == "started"
        found, found_queue = start(begin_and_idle, name=name)
        assert found.is_alive()
        found_queue.put("through what was found", timeout=self.seconds)
        assert q.get(timeout=self.seconds) == "through what was found"
        found.kill()
        self._require_end(process)

    def test_a_name_that_runs_another_function_is_a_value_error(self, start: Starter) -> None:
        """The one that runs is not harmed by it."""
        name = _new_name()
        process, _ = start(begin_and_idle, name=name)
        with pytest.raises(ValueError, match=name):
            start(idle, name=name)
        assert process.is_alive()

    def test_a_name_is_free_again_after_the_end(self, start: Starter) -> None:
        """Even for another function, as soon as ``join`` has returned."""
        name = _new_name()
        process, _ = start(idle, name=name)
        process.kill()
        self._require_end(process)
        again, q = start(begin_and_idle, name=name)
        assert q.get(timeout=self.seconds) == "started"
        assert again.is_alive()

    def test_the_handles_work_inside_a_callback(self, plugin: Any, start: Starter, answers: Queue) -> None:
        """Callbacks run in threads of the server, which did not start the work."""
        process, q = start(echo, answers)

        def send(text: dict[str, Any], data: list[Any]) -> dict[str, Any]:
            q.put(text["name"], timeout=self.seconds)
            return {"echo": answers.get(timeout=self.seconds), "alive": process.is_alive()}

        def end(text: dict[str, Any], data: list[Any]) -> dict[str, Any]:
            process.terminate()
            process.join(self.seconds)
            return {"alive": process.is_alive()}

        with serving(Backend({"/send": send, "/end": end}, plugins=[plugin], only=())) as served:
            for name in ("Rex", "Zoë"):
                answer = served.request(path=f"/send?name={name.replace('ë', '%C3%AB')}")
                assert (answer.status, answer.json) == (200, {"echo": name, "alive": True})
            answer = served.request(path="/end")
            assert (answer.status, answer.json) == (200, {"alive": False})

    def test_local_work_runs_on_this_machine_or_is_declined(self, start: Starter) -> None:
        """``options.local`` is how a Backend asks for its own server; whoever declines leaves it to the next plugin."""
        handles = start.ask(tell_where, (), {}, BackgroundOptions(local=True))
        if handles is not None:
            process, q = handles
            assert q.get(timeout=self.seconds) == (socket.gethostname(), process.pid)

    def test_a_backend_in_the_background_serves_on_this_machine(self, plugin: Any) -> None:
        """Whoever takes a Backend's server gets a pipe with it, and lets it go when the server is to end."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        backend = Backend(answer_from_the_background, background=True, plugins=[plugin], only=())
        handles = backend.run("127.0.0.1", port)
        assert isinstance(handles, tuple)
        process, q = handles
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=self.seconds)) as connection:
                connection.request("POST", "/?name=Rex")
                response = connection.getresponse()
                assert (response.status, json.load(response)) == (200, {"where": socket.gethostname()})
            assert q.get(timeout=self.seconds) == {"name": "Rex"}
            process.terminate()
            self._require_end(process)
        finally:
            process.kill()
            process.join(self.seconds)
        with socket.create_server(("127.0.0.1", port)):
            pass  # free again

    def test_nothing_is_left_behind(self, start: Starter) -> None:
        """Neither a child of this process nor any that did the work; the first one may leave helpers that stay."""
        if sys.platform != "linux":
            pytest.skip("sys.platform: the processes are looked up in Linux's /proc")
        before: set[int] = set()
        for number, restart in enumerate((True, True, False)):
            process, q = start(tell_where, restart=restart)
            host, pid = q.get(timeout=self.seconds)
            process.kill()
            self._require_end(process)
            if host == socket.gethostname():
                assert self._within(lambda pid=pid: _gone(pid)), "the process of the function goes on"  # type: ignore[misc]
            if number == 0:
                before = _children()
        assert self._within(lambda: _children() <= before), "processes are left that nobody has ended, or looked after"

    def _in_time(self, call: Callable[[], T]) -> T:
        """What the call returns or raises. It is made in a thread, since one without an end would tell nothing."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self.seconds + 1)  # a call that waits for as long as that may say itself that it was too long
        assert not thread.is_alive(), f"a call that should not wait did not return within {self.seconds} s"
        return future.result()

    def _within(self, condition: Callable[[], bool]) -> bool:
        """True as soon as the condition holds, False if it never does in time."""
        deadline = time.monotonic() + self.seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)  # between two looks, not instead of one
        return True

    def _require_end(self, process: Process) -> None:
        self._in_time(lambda: process.join(self.seconds))
        assert not process.is_alive(), f"alive after {self.seconds} s"
        assert process.exitcode is not None, "no exit code, although it has ended"

    def _require_end_for_good(self, process: Process, q: Queue, end: Callable[[], None]) -> None:
        for _ in range(3):
            q.get(timeout=self.seconds)  # it runs
        end()
        self._require_end(process)
        assert process.exitcode != 0, "an exit code of 0, as if the function had returned"
        deadline = time.monotonic() + self.seconds
        try:
            while time.monotonic() < deadline:
                q.get(timeout=MOMENT)
        except queue.Empty:
            return
        pytest.fail(f"the function goes on after {self.seconds} s")


def _new_name() -> str:
    """A name that no other run of the suite uses, wherever names are found."""
    return f"izzati-suite-{uuid.uuid4()}"


def _status(pid: int | str) -> tuple[str, int]:
    """The state of a process, and its parent; X if there is none."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:2]
    except OSError:
        return "X", 0
    return state, int(parent)


def _gone(pid: int) -> bool:
    """True if there is no such process, or only what is left of it until its parent looks."""
    return _status(pid)[0] in "ZX"


def _children() -> set[int]:
    """The processes that this one has started, those included that have ended and still wait to be asked."""
    return {int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _status(pid)[1] == os.getpid()}
