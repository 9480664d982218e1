"""The queue of ``background()``: what ``multiprocessing.Queue`` documents, and more when processes are killed."""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import multiprocessing
import os
import queue
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import SECONDS, nothing, status, within

from izzati import background

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="these tests fork, look into /proc and send signals"),
    pytest.mark.usefixtures("forked_and_never_stuck"),
]

# More than any system lets a socket or a pipe hold.
MANY = 10_000
MEGABYTE = 1_000_000
SIZES = pytest.mark.parametrize("size", [100, MEGABYTE], ids=["small", "large"])
MAXSIZES = pytest.mark.parametrize("maxsize", [0, 1, 3])


@pytest.fixture
def run():
    """``run(function, *args)``: start a function in a process; killed when the test ends."""
    processes = []

    def start(function, *args):
        process, _ = background(function, args)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join(SECONDS)


@pytest.fixture(params=["izzati", "multiprocessing"])
def make_queue(request):
    """``make_queue(maxsize)``: the queue of ``background()``, and for comparison that of multiprocessing."""
    made = []

    def make(maxsize=0):
        made.append(own_queue(maxsize) if request.param == "izzati" else multiprocessing.Queue(maxsize))
        return made[-1]

    yield make
    for each in made:
        with contextlib.suppress(queue.Empty, ValueError):
            while True:
                each.get(timeout=0.02)
        each.close()
        each.join_thread()


def own_queue(maxsize=0):
    process, made = background(nothing, maxsize=maxsize)
    process.join(SECONDS)
    return made


def item(number, size):
    """An item that shows whether it is whole; equal for equal numbers."""
    return number, bytes([number % 251]) * size


def is_whole(number, data, *sizes):
    return len(data) in sizes and data == item(number, len(data))[1]


def put_items(q, items, count, *sizes):
    """Put items 0, 1, 2, ... of each size in turn; no put may wait for long."""
    for number in range(count):
        items.put(item(number, sizes[number % len(sizes)]), timeout=SECONDS)


def put_for_ever(q, items, writer, *sizes):
    number = 0
    while True:
        items.put((writer, *item(number, sizes[number % len(sizes)])), timeout=SECONDS)
        number += 1


def get_into(q, items, results, name=None):
    """Pass on what comes, until that is None."""
    for got in iter(lambda: items.get(timeout=SECONDS), None):
        results.put((name, got))


class TestAsMultiprocessingDocumentsIt:
    def test_items_come_out_in_the_order_in_which_they_went_in(self, make_queue):
        items = make_queue()
        put = [None, 0, "text", b"bytes", {"nested": [1, (2,), {3}]}, ValueError("an exception"), [0] * 100_000]
        for each in put:
            items.put(each)
        got = [items.get(timeout=SECONDS) for _ in put]
        assert repr(got) == repr(put)

    def test_an_item_is_what_it_was_when_it_was_put(self, make_queue):
        items = make_queue(maxsize=1)
        items.put([1])
        got = items.get(timeout=SECONDS)
        got.append(2)
        items.put(got)
        assert items.get(timeout=SECONDS) == [1, 2]

    def test_get_waits_for_what_another_process_puts(self, make_queue, run):
        there, back = make_queue(), make_queue()
        run(get_into, there, back)
        for number in range(100):
            there.put(number)
            assert back.get() == (None, number)

    def test_get_raises_empty_after_its_timeout(self, make_queue):
        items = make_queue()
        begin = time.monotonic()
        with pytest.raises(queue.Empty):
            items.get(timeout=0.1)
        assert 0.1 <= time.monotonic() - begin < SECONDS

    def test_get_within_its_timeout_returns_what_comes(self, make_queue, run):
        there, back = make_queue(), make_queue()
        run(get_into, there, back)
        there.put("item")
        assert back.get(timeout=SECONDS) == (None, "item")

    def test_get_nowait_raises_empty_at_once(self, make_queue):
        items = make_queue()
        with pytest.raises(queue.Empty):
            items.get_nowait()
        with pytest.raises(queue.Empty):
            items.get(block=False, timeout=1000)
        with pytest.raises(queue.Empty):
            items.get(timeout=0)
        with pytest.raises(queue.Empty):
            items.get(timeout=-1)

    def test_get_nowait_returns_what_is_there(self, make_queue):
        items = make_queue()
        items.put("item")
        assert within(SECONDS, lambda: not items.empty())
        assert items.get_nowait() == "item"

    def test_put_raises_full_when_maxsize_items_wait(self, make_queue):
        items = make_queue(maxsize=2)
        items.put_nowait(1)
        items.put(2, timeout=0)
        with pytest.raises(queue.Full):
            items.put_nowait(3)
        with pytest.raises(queue.Full):
            items.put(3, block=False, timeout=1000)
        begin = time.monotonic()
        with pytest.raises(queue.Full):
            items.put(3, timeout=0.3)
        assert 0.3 <= time.monotonic() - begin < SECONDS
        assert items.full()
        assert items.get(timeout=SECONDS) == 1
        assert not items.full()
        items.put(3, timeout=SECONDS)
        assert [items.get(timeout=SECONDS) for _ in range(2)] == [2, 3]

    def test_put_waits_for_room(self, make_queue, run):
        items, results = make_queue(maxsize=1), make_queue()
        run(get_into, items, results)
        for number in range(100):
            items.put(number)
        assert [results.get(timeout=SECONDS) for _ in range(100)] == [(None, number) for number in range(100)]

    def test_maxsize_holds_for_all_processes_together(self, make_queue, run):
        items, go, results = make_queue(maxsize=3), make_queue(), make_queue()
        run(fill, items, go, results)
        for taken, room in [(0, 3), (1, 1), (3, 3), (0, 0)]:
            for _ in range(taken):
                items.get(timeout=SECONDS)
            go.put("go")
            assert results.get(timeout=SECONDS) == room
            assert items.full()
            with pytest.raises(queue.Full):
                items.put_nowait("from here")

    def test_maxsize_0_is_never_full(self, make_queue):
        items = make_queue(maxsize=0)
        for number in range(1000):
            items.put_nowait(number)
        assert not items.full()
        assert [items.get(timeout=SECONDS) for _ in range(1000)] == list(range(1000))

    def test_qsize_and_empty_tell_what_waits(self, make_queue):
        items = make_queue()
        assert (items.qsize(), items.empty()) == (0, True)
        for size in range(1, 6):
            items.put("item")
            assert items.qsize() == size
            assert within(SECONDS, lambda: not items.empty())
        for size in reversed(range(5)):
            items.get(timeout=SECONDS)
            assert items.qsize() == size
        assert items.empty()

    def test_qsize_is_the_same_in_every_process(self, make_queue, run):
        items, results = make_queue(), make_queue()
        for _ in range(5):
            items.put("item")
        run(tell_size, items, results)
        assert results.get(timeout=SECONDS) == 5

    def test_a_closed_queue_neither_puts_nor_gets(self, make_queue):
        items = make_queue()
        items.put("item")
        items.close()
        items.close()
        for use in (items.get, items.get_nowait, lambda: items.put(1), lambda: items.put_nowait(1)):
            with pytest.raises(ValueError, match="closed"):
                use()

    def test_a_queue_closed_here_goes_on_elsewhere(self, make_queue, run):
        items, results = make_queue(), make_queue()
        run(get_into, items, results)
        items.put("item")
        items.put(None)
        items.close()
        items.join_thread()
        assert results.get(timeout=SECONDS) == (None, "item")

    def test_join_thread_needs_a_closed_queue(self, make_queue):
        with pytest.raises((ValueError, AssertionError), match="not closed"):
            make_queue().join_thread()

    def test_join_thread_waits_until_all_has_left_this_process(self, make_queue, run):
        items, go, results = make_queue(), make_queue(), make_queue()
        run(count_when_told, items, go, results, MANY)
        for number in range(MANY):
            items.put(item(number, 1000))
        items.close()
        joining = threading.Thread(target=items.join_thread, daemon=True)
        joining.start()
        joining.join(0.2)
        assert joining.is_alive()
        go.put("go")
        joining.join(SECONDS)
        assert not joining.is_alive()
        assert results.get(timeout=SECONDS) == MANY

    @pytest.mark.parametrize("how", ["returns", "closes", "joins and is gone"])
    @pytest.mark.parametrize(("count", "size"), [(MANY, 100), (50, MEGABYTE)], ids=["small", "large"])
    def test_what_a_process_put_before_its_end_arrives(self, make_queue, run, count, size, how):
        items = make_queue()
        process = run(put_and_end, items, how, count, size)
        for number in range(count):
            assert items.get(timeout=SECONDS) == item(number, size)
        process.join(SECONDS)
        assert process.exitcode == 0

    def test_a_process_waits_at_its_end_until_what_it_put_is_on_its_way(self, make_queue, run):
        items = make_queue()
        process = run(put_items, items, MANY, 100)
        process.join(0.3)
        assert process.is_alive()
        for _ in range(MANY):
            items.get(timeout=SECONDS)
        process.join(SECONDS)
        assert process.exitcode == 0

    def test_cancel_join_thread_lets_it_end_without_a_reader(self, make_queue, run):
        items = make_queue()
        process = run(put_and_end, items, "cancels", MANY, 100)
        process.join(SECONDS)
        assert process.exitcode == 0

    def test_put_needs_no_reader_for_many_small_items(self, make_queue):
        items = make_queue()
        for number in range(MANY):
            items.put(item(number, 100))
        for number in range(MANY):
            assert items.get(timeout=SECONDS) == item(number, 100)
        assert items.empty()

    def test_put_needs_no_reader_for_many_large_items(self, make_queue):
        items = make_queue()
        for number in range(200):
            items.put(item(number, MEGABYTE))
        for number in range(200):
            assert items.get(timeout=SECONDS) == item(number, MEGABYTE)
        assert items.empty()

    def test_small_and_large_items_keep_their_order(self, make_queue, run):
        items = make_queue()
        sizes = [10, 5 * MEGABYTE, 0, 100_000, 32_768, 32_600, 40_000, 65_536]
        run(put_items, items, 5 * len(sizes), *sizes)
        for number in range(5 * len(sizes)):
            assert items.get(timeout=SECONDS) == item(number, sizes[number % len(sizes)])

    def test_each_item_goes_to_one_of_several_getters_and_each_putters_in_order(self, make_queue, run):
        items, results = make_queue(), make_queue()
        getters = [run(get_into, items, results, getter) for getter in range(3)]
        putters = [run(put_tagged, items, putter, 500) for putter in range(3)]
        for putter in putters:
            putter.join(SECONDS)
            assert putter.exitcode == 0
        for _ in getters:
            items.put(None)
        got = [results.get(timeout=SECONDS) for _ in range(1500)]
        assert sorted(number for _, number in got) == [(putter, number) for putter in range(3) for number in range(500)]
        for getter in range(3):
            for putter in range(3):
                numbers = [number for name, (tag, number) in got if name == getter and tag == putter]
                assert numbers == sorted(numbers)
        for getter in getters:
            getter.join(SECONDS)
            assert getter.exitcode == 0

    def test_threads_of_one_process_share_it(self, make_queue):
        items = make_queue()
        got = [[] for _ in range(4)]
        putters = [threading.Thread(target=put_tagged, args=(None, items, tag, 300)) for tag in range(4)]
        getters = [threading.Thread(target=lambda own: own.extend(iter(items.get, None)), args=(own,)) for own in got]
        for thread in putters + getters:
            thread.start()
        for thread in putters:
            thread.join(SECONDS)
        for _ in getters:
            items.put(None)
        for thread in getters:
            thread.join(SECONDS)
        assert sorted(itertools.chain(*got)) == [(tag, number) for tag in range(4) for number in range(300)]
        for own in got:
            for tag in range(4):
                numbers = [number for putter, number in own if putter == tag]
                assert numbers == sorted(numbers)

    def test_it_goes_only_to_a_process_that_is_being_started(self, make_queue):
        with pytest.raises(RuntimeError, match="inheritance"):
            multiprocessing.reduction.ForkingPickler.dumps(make_queue())


def fill(q, items, go, results):
    """Whenever told, put until it is full, and say how many there was room for."""
    while True:
        go.get()
        room = 0
        with contextlib.suppress(queue.Full):
            while True:
                items.put("item", block=False)
                room += 1
        results.put(room)


def tell_size(q, items, results):
    results.put(items.qsize())


def count_when_told(q, items, go, results, count):
    go.get()
    results.put(sum(1 for _ in range(count) if items.get(timeout=SECONDS)))


def put_and_end(q, items, how, count, size):
    if how == "cancels":
        items.cancel_join_thread()
    put_items(q, items, count, size)
    if how in ("closes", "joins and is gone"):
        items.close()
    if how == "joins and is gone":
        items.join_thread()
        os._exit(0)  # past all that is done at an exit


def put_tagged(q, items, tag, count):
    for number in range(count):
        items.put((tag, number))


class Unpicklable:
    def __reduce__(self):
        raise LookupError("I stay here")


class TestWhatIsBetter:
    @pytest.mark.parametrize("maxsize", [0, 1])
    def test_an_item_that_cannot_be_pickled_raises_in_put_and_is_not_there(self, maxsize):
        items = own_queue(maxsize)
        with pytest.raises(LookupError, match="I stay here"):
            items.put(Unpicklable())
        with pytest.raises(Exception, match="lambda"):
            items.put([MEGABYTE * "x", lambda: None])
        assert (items.qsize(), items.empty(), items.full()) == (0, True, False)
        items.put_nowait("item")
        assert items.get_nowait() == "item"

    def test_an_item_is_there_when_put_returns(self):
        items = own_queue()
        for size in (10, MEGABYTE):
            items.put(item(1, size))
            assert not items.empty()
            assert items.get_nowait() == item(1, size)

    def test_changing_an_item_after_put_changes_nothing(self):
        items = own_queue()
        mutable = []
        for number in range(MANY):
            mutable[:] = [number] * 10
            items.put(mutable)
        assert [items.get(timeout=SECONDS)[-1] for _ in range(MANY)] == list(range(MANY))

    @pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
    def test_it_goes_to_processes_of_every_start_method(self, method):
        items = own_queue()
        process = multiprocessing.get_context(method).Process(target=items.put, args=("item",))
        process.start()
        assert items.get(timeout=SECONDS) == "item"
        process.join(SECONDS)
        assert process.exitcode == 0

    def test_a_default_timeout_of_sockets_is_not_its_own(self, run):
        socket.setdefaulttimeout(0.01)
        try:
            items, go = own_queue(), own_queue()
        finally:
            socket.setdefaulttimeout(None)
        got = []
        thread = threading.Thread(target=lambda: got.append(items.get()), daemon=True)
        run(put_when_told, items, go, "item")
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        go.put("go")
        thread.join(SECONDS)
        assert got == ["item"]

    def test_no_more_than_maxsize_items_wait_although_a_reader_was_held_up(self):
        items, results = own_queue(maxsize=2), own_queue()
        process, _ = background(get_while_held_up, (items, results))
        for number in range(4):
            items.put(number, timeout=SECONDS)
        assert results.get(timeout=SECONDS) == [0, 1]
        process.join(SECONDS)
        assert [items.get(timeout=SECONDS) for _ in range(2)] == [2, 3]
        room = 0
        with contextlib.suppress(queue.Full):
            while room < 10:
                items.put_nowait("item")
                room += 1
        assert room == 2

    def test_an_item_that_found_no_room_can_be_collected_with_its_exception(self):
        """Python crashes where the garbage collector finds the buffer of a pickle whose bytes are still looked at."""
        items = own_queue(1)
        items.put("first")
        try:
            items.put("second", block=False)
        except queue.Full as error:
            error.itself = error
        gc.collect()
        assert items.get(timeout=SECONDS) == "first"

    def test_a_process_that_drops_a_queue_goes_on_at_once(self, run):
        go, results = own_queue(), own_queue()
        process, _ = background(get_when_told, (go, results, MANY), name="reader of a dropped queue")
        try:
            run(put_and_drop, go, results, MANY)
            assert results.get(timeout=SECONDS) == "dropped"
            go.put("go")
            assert results.get(timeout=SECONDS) == list(range(MANY))
        finally:
            process.kill()
            process.join(SECONDS)


def get_when_told(q, go, results, count):
    go.get()
    results.put([q.get(timeout=SECONDS) for _ in range(count)])


def put_and_drop(q, go, results, count):
    """Find a queue, put more than is read, and forget it."""
    _, found = background(get_when_told, (go, results, count), name="reader of a dropped queue")
    for number in range(count):
        found.put(number)
    del _, found
    gc.collect()
    results.put("dropped")


def put_when_told(q, items, go, what):
    go.get(timeout=SECONDS)
    items.put(what)


def get_while_held_up(q, items, results):
    """Get two items, in threads that cannot go on when they have them: another one keeps the interpreter's lock."""
    got = []
    threads = [threading.Thread(target=lambda: got.append(items.get())) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(got) < 2:
        sum(range(20_000_000))
    for thread in threads:
        thread.join()
    results.put(sorted(got))


def report_items(q, items, reports, reader, timeout, *sizes):
    """Report the number of each item before the next one is taken; -1 if it is not as it was put.

    A report is written at once, or not at all.
    """
    reports.send_bytes(b"ready")
    while True:
        try:
            number, data = items.get(timeout=timeout)
            number = number if is_whole(number, data, *sizes) else -1
        except Exception:
            number = -1
        reports.send_bytes(b"%d %d" % (reader, number))


def received(reports):
    """The reports that are there: pairs of a reader and a number."""
    found = []
    while reports.poll():
        report = reports.recv_bytes()
        if report != b"ready":
            found.append(tuple(int(word) for word in report.split()))
    return found


def sleeps(process):
    """True if the main thread of a process waits for something."""
    return status(process.pid)[0] == "S"


def pass_through(items, *sizes):
    """What is put goes in, and comes out."""
    for number in range(10):
        each = item(number, sizes[number % len(sizes)])
        items.put(each, timeout=SECONDS)
        assert items.get(timeout=SECONDS) == each
    assert items.empty()


class TestWhenProcessesAreKilled:
    @MAXSIZES
    @pytest.mark.parametrize("timeout", [None, SECONDS], ids=["get()", "get(timeout)"])
    def test_a_reader_that_is_killed_while_it_waits_takes_nothing_along(self, run, maxsize, timeout):
        items = own_queue(maxsize)
        reports, reporting = multiprocessing.Pipe(duplex=False)
        for number in range(15):
            reader = run(report_items, items, reporting, number, timeout, 100)
            assert reports.poll(SECONDS)
            assert reports.recv_bytes() == b"ready"
            assert within(SECONDS, lambda reader=reader: sleeps(reader))
            reader.kill()
            reader.join(SECONDS)
            items.put(item(number, 100), timeout=SECONDS)
            assert items.get(timeout=SECONDS) == item(number, 100)
        run(report_items, items, reporting, 99, timeout, 100)
        for number in range(15):
            items.put(item(number, 100), timeout=SECONDS)
        got = []
        assert within(SECONDS, lambda: got.extend(received(reports)) or len(got) == 15)
        assert got == [(99, number) for number in range(15)]

    @MAXSIZES
    @SIZES
    def test_readers_killed_amid_a_stream_cost_an_item_each_at_most(self, run, maxsize, size):
        items = own_queue(maxsize)
        reports, reporting = multiprocessing.Pipe(duplex=False)
        count, kills = (MANY, 20) if size < MEGABYTE else (150, 20)
        writer = run(put_items, items, count, size)
        readers = [run(report_items, items, reporting, number, None, size) for number in range(2)]
        got = []
        for number in range(kills):
            time.sleep(random.uniform(0, 0.02))  # since a kill may come at any instant
            victim = readers.pop(0)
            victim.kill()
            victim.join(SECONDS)
            readers.append(run(report_items, items, reporting, 2 + number, (None, SECONDS)[number % 2], size))
            got += received(reports)
        for reader in readers:
            reader.kill()
            reader.join(SECONDS)
        got += received(reports)

        ended = False
        while not ended:
            ended = not writer.is_alive()
            with contextlib.suppress(queue.Empty):
                while True:
                    number, data = items.get(timeout=0.02)
                    assert is_whole(number, data, size)
                    got.append((-1, number))
        assert writer.exitcode == 0
        times = Counter(number for _, number in got)
        assert -1 not in times, "an item was damaged"
        assert set(times.values()) <= {1}, "an item came twice"
        assert set(times) <= set(range(count))
        assert count - len(times) <= kills + len(readers)
        for reader in {reader for reader, _ in got}:
            numbers = [number for one, number in got if one == reader]
            assert numbers == sorted(numbers)
        pass_through(items, size)

    @MAXSIZES
    @pytest.mark.parametrize("sizes", [(100,), (MEGABYTE,), (100, 100, MEGABYTE)], ids=["small", "large", "mixed"])
    def test_of_a_killed_writer_come_whole_items_from_the_first_on(self, run, maxsize, sizes):
        items = own_queue(maxsize)
        total = 0
        for name in range(13):
            writer = run(put_for_ever, items, name, *sizes)
            got = []
            if name < 12:  # a kill may come at any instant; the first of them while the process begins
                deadline = time.monotonic() + random.uniform(0, 0.04)
                with contextlib.suppress(queue.Empty):
                    while (left := deadline - time.monotonic()) > 0:
                        got.append(items.get(timeout=left))
            elif not total:  # all began slowly, or one was killed with the only place, which is found after seconds
                got.append(items.get(timeout=SECONDS))
            writer.kill()
            writer.join(SECONDS)
            with contextlib.suppress(queue.Empty):
                while True:
                    got.append(items.get_nowait())
            assert [(by, number) for by, number, _ in got] == [(name, number) for number in range(len(got))]
            assert all(is_whole(number, data, *sizes) for _, number, data in got)
            total += len(got)
        assert total
        assert items.qsize() == 0
        pass_through(items, *sizes)

    @MAXSIZES
    def test_readers_and_writers_killed_together_leave_a_queue_that_works(self, run, maxsize):
        items = own_queue(maxsize)
        reports, reporting = multiprocessing.Pipe(duplex=False)
        for number in range(8):
            writers = [run(put_items, items, MANY, 100, 50_000) for _ in range(2)]
            readers = [run(report_items, items, reporting, number, None, 100, 50_000) for _ in range(2)]
            time.sleep(random.uniform(0, 0.05))  # since a kill may come at any instant
            for process in random.sample(writers + readers, 4):
                process.kill()
            for process in writers + readers:
                process.join(SECONDS)
            assert all(report >= 0 for _, report in received(reports)), "an item was damaged"
            with contextlib.suppress(queue.Empty):
                while True:
                    assert is_whole(*items.get_nowait(), 100, 50_000)
            pass_through(items, 100, 50_000)

    @pytest.mark.parametrize("maxsize", [1, 2])
    @pytest.mark.parametrize("last", ["eventfd_read", "eventfd_write"])
    @pytest.mark.parametrize("how", [{"timeout": 0.5}, {"block": False}, {}], ids=["timeout", "nowait", "wait"])
    def test_places_that_were_lost_with_killed_readers_are_found_again(self, run, maxsize, last, how):
        items = own_queue(maxsize)
        for number in range(maxsize):
            items.put(item(number, 100))
        for _ in range(maxsize):
            run(die_with_an_item, items, last).join(SECONDS)
        assert items.empty()

        def is_put(number):
            with contextlib.suppress(queue.Full):
                items.put(item(number, 100), **how)
                return True
            return False

        for number in range(maxsize):
            assert within(SECONDS, lambda number=number: is_put(number))
        with pytest.raises(queue.Full):
            items.put_nowait("one too many")
        for number in range(maxsize):
            assert items.get(timeout=SECONDS) == item(number, 100)


def die_with_an_item(q, items, last):
    """Be killed in get() when an item has been taken, where the queue counts what it holds."""
    setattr(os, last, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    items.get()


def descriptors():
    """How many there are of each kind (sockets, pipes, ...) when nothing goes on any more."""
    assert within(SECONDS, lambda: "izzati background" not in threads())
    gc.collect()
    links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return Counter(os.readlink(link).split(":[")[0] for link in links if os.path.lexists(link))


def shared_memory():
    """Bytes in the files in memory of this system, those in flight included."""
    found = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Shmem:"))
    return int(found.split()[1]) * 1024


def threads():
    return {thread.name for thread in threading.enumerate()}


class TestNothingLeaks:
    @pytest.mark.parametrize("how", ["drops", "closes"])
    @pytest.mark.parametrize(("count", "size"), [(0, 0), (20, 100), (20, MEGABYTE), (MANY, 100)])
    def test_a_queue_takes_its_descriptors_along(self, count, size, how):
        own_queue()  # what is opened once for all of them is open now
        before = descriptors()
        for _ in range(3):
            items = own_queue()
            for number in range(count):
                items.put(item(number, size))
            for number in range(count // 2):
                assert items.get(timeout=SECONDS) == item(number, size)
            if how == "closes":
                items.close()
            del items
        assert descriptors() == before

    def test_large_items_leave_no_descriptor_with_who_got_them(self):
        items = own_queue()
        before = descriptors()
        for number in range(50):
            items.put(item(number, MEGABYTE))
            assert items.get(timeout=SECONDS) == item(number, MEGABYTE)
        assert descriptors() == before

    def test_a_process_takes_its_descriptors_along(self):
        results = own_queue()
        before = descriptors()
        for number in range(5):
            process, items = background(get_into_and_close, (results,))
            items.put(item(number, MEGABYTE))
            assert results.get(timeout=SECONDS) == item(number, MEGABYTE)
            process.join(SECONDS)
        del process, items
        assert descriptors() == before

    def test_named_work_that_has_ended_takes_its_descriptors_along(self):
        before = None
        for number in range(5):
            process, _ = background(nothing, name=f"ends at once {number}")
            process.join(SECONDS)
            before = before or descriptors()
        assert descriptors() == before

    @pytest.mark.alone
    @pytest.mark.parametrize("how", ["drops", "closes"])
    @pytest.mark.parametrize("count", [40, 400], ids=["in flight", "waiting, too"])
    def test_unread_large_items_are_freed_with_their_queue(self, count, how, caplog):
        items = own_queue()
        before = shared_memory()
        for number in range(40):
            items.put(item(number, 5 * MEGABYTE))
        for number in range(count - 40):
            items.put(item(number, 40_000))
        assert shared_memory() > before + 150 * MEGABYTE
        if how == "closes":
            items.close()
        else:
            del items
        gc.collect()
        assert within(SECONDS, lambda: shared_memory() < before + 50 * MEGABYTE)

    @pytest.mark.parametrize("how", ["drops", "closes"])
    def test_items_that_nobody_can_read_any_more_are_given_up_in_silence(self, how, caplog):
        caplog.set_level(logging.DEBUG)
        items = own_queue()
        for number in range(MANY):
            items.put(item(number, 100))
        if how == "closes":
            items.close()
            items.join_thread()
        else:
            del items
        gc.collect()
        assert within(SECONDS, lambda: "izzati background" not in threads()), "it tries again and again"
        assert not caplog.records

    @pytest.mark.alone
    def test_a_killed_reader_leaves_no_memory_behind(self, run):
        items = own_queue()
        before = shared_memory()
        for _ in range(5):
            reader = run(hold_items, items)
            for number in range(10):
                items.put(item(number, 5 * MEGABYTE))
            assert within(SECONDS, items.empty)
            reader.kill()
            reader.join(SECONDS)
        assert within(SECONDS, lambda: shared_memory() < before + 50 * MEGABYTE)


def get_into_and_close(q, results):
    results.put(q.get(timeout=SECONDS))
    q.close()


def hold_items(q, items):
    held = []
    while True:
        held.append(items.get())
