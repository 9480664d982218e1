"""Faults that really happen to a program that serves: it is killed, runs out of descriptors, waits for ever."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from helpers import SECONDS, within
from hostile.cases import head, multipart, part, post, upload
from hostile.program import Program, echo
from hostile.wire import answered

from izzati.testing import read_answer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")

HALF = post(b"x" * 3_000_000, "image/png", length=6_000_000)
FEW = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))\n"
"""What leaves a program few descriptors."""
NAMED = "import os\ndel os.O_TMPFILE\n"
"""What makes any system one whose temporary files have names."""


@pytest.fixture
def start(tmp_path):
    """``start(source)`` starts a program, which ends with the test."""
    with ExitStack() as stack:
        yield lambda source: stack.enter_context(Program(tmp_path, source))


def connect(program):
    return socket.create_connection(("127.0.0.1", program.port), SECONDS)


def ask(program, data):
    with connect(program) as sock:
        sock.sendall(data)
        return read_answer(sock)


def files_of(program, folder):
    """What the process has open in a folder, whether or not it has a name."""
    names = []
    for descriptor in Path(f"/proc/{program.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it may have been closed since
            names.append(os.readlink(descriptor))
    return [name for name in names if name.startswith(str(folder))]


@pytest.mark.parametrize("before", ["", NAMED], ids=["anonymous", "named"])
def test_of_uploads_to_a_server_that_is_killed_nothing_is_left_once_it_serves_again(start, tmp_path, before):
    folder = tmp_path / "spool"
    folder.mkdir()
    source = before + echo(spool={"folder": str(folder)})
    program, other = start(source), start(source)
    with connect(program) as sock, connect(other) as another:
        sock.sendall(HALF)
        another.sendall(HALF)
        assert within(SECONDS, lambda: files_of(program, folder) and files_of(other, folder))
        program.process.kill()
        program.process.wait(SECONDS)
        start(source)
        # What another program is still receiving stays.
        assert len(list(folder.iterdir())) == bool(before)
        another.sendall(b"x" * 3_000_000)
        assert read_answer(another).json["files"][0][2] == 6_000_000
    assert within(SECONDS, lambda: list(folder.iterdir()) == [])


SAVING = """
import io
import time
from izzati import Backend, Sink, hookimpl

class Endless(io.RawIOBase):
    def readable(self):
        return True
    def readinto(self, buffer):
        print("reads", flush=True)
        buffer[:1] = b"x"
        return 1

class Elsewhere(Sink):
    def write(self, data): pass
    def commit(self): pass
    def abort(self): pass
    def open(self): return Endless()

class Store:
    @hookimpl
    def izzati_store(self): return Elsewhere()

Backend(lambda text, data: data[0].save("saved"), plugins=[Store()], only=()).run("127.0.0.1", 0)
"""


def test_a_server_that_is_killed_while_it_saves_leaves_no_part_of_a_file(start, tmp_path):
    (tmp_path / "saved").mkdir()
    program = start(SAVING)
    with connect(program) as sock:
        sock.sendall(post(multipart(upload("x")), "multipart/form-data; boundary=limit"))
        assert program.process.stdout.readline() == b"reads\n"
        program.process.kill()
        program.process.wait(SECONDS)
    assert list((tmp_path / "saved").iterdir()) == []


def test_a_server_without_descriptors_answers_again_when_it_has_some_and_leaves_nothing(start, tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    program = start(FEW + echo(spool={"folder": str(folder)}))
    callers = [connect(program) for _ in range(100)]
    try:
        for sock in callers:
            sock.sendall(HALF[:2_000_000] if callers.index(sock) % 2 else HALF[:60])
        assert within(SECONDS, lambda: len(os.listdir(f"/proc/{program.process.pid}/fd")) >= 59)
    finally:
        for sock in callers:
            sock.close()
    assert within(SECONDS, lambda: answered(program.port))
    assert within(SECONDS, lambda: files_of(program, folder) == [])
    assert within(SECONDS, lambda: len(os.listdir(f"/proc/{program.process.pid}/fd")) < 40)
    assert "Traceback" not in program.new_log()


STUCK = """
import threading
from izzati import Backend, Limits

def stuck(text, data):
    print("stuck", flush=True)
    threading.Event().wait()

callbacks = {{"/": lambda text, data: "well", "/stuck": stuck}}
options = {{"server": {{"threads": 4, "grace_seconds": 0.5}}}}
Backend(callbacks, limits=Limits(seconds={seconds}), options=options, only=()).run("127.0.0.1", 0)
"""


def test_callbacks_that_never_return_keep_nobody_from_an_answer_if_there_is_a_limit(start):
    program = start(STUCK.format(seconds=0.1))
    callers = [connect(program) for _ in range(12)]
    for sock in callers:
        sock.sendall(head("Content-Length: 0", target="/stuck"))
    assert [read_answer(sock).status for sock in callers] == [503] * 12
    assert ask(program, head("Content-Length: 0")).json == "well"
    for sock in callers:
        sock.close()
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(SECONDS) == 0


def test_callbacks_that_never_return_keep_a_program_from_ending_for_the_grace_only(start):
    program = start(STUCK.format(seconds=None))
    callers = [connect(program) for _ in range(3)]
    for sock in callers:
        sock.sendall(head("Content-Length: 0", target="/stuck"))
        assert program.process.stdout.readline() == b"stuck\n"
    assert ask(program, head("Content-Length: 0")).json == "well"
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(SECONDS) == 0
    for sock in callers:
        assert sock.recv(1) == b""
        sock.close()
    assert re.search("still under way after 0.5 seconds", program.new_log())


def test_fifty_heads_that_trickle_are_each_told_so_in_time_and_hold_up_nobody(start):
    """Each byte comes in time, and the whole of them never would."""
    program = start(echo(server={"head_seconds": 0.5}))
    slow = [connect(program) for _ in range(50)]
    try:
        deadline = time.monotonic() + 0.4
        request = iter(head("Content-Length: 0", "X: " + "x" * 10_000))
        while time.monotonic() < deadline:
            letter = bytes([next(request)])
            for sock in slow:
                sock.sendall(letter)
            assert answered(program.port)
        assert [read_answer(sock).status for sock in slow] == [408] * 50
    finally:
        for sock in slow:
            sock.close()


@pytest.mark.parametrize(
    ("begun", "rest", "statuses"),
    [
        (head("Content-Length: 0")[:1], b"\0\r\n\r\n", {400, 408}),
        (head("Content-Length: 3", "Content-Type: image/png"), b"abc", {200, 408}),
    ],
    ids=["heads", "bodies"],
)
def test_what_comes_at_the_very_moment_when_its_time_is_over_is_answered_once(start, begun, rest, statuses):
    seconds = 0.5
    program = start(echo(server={"head_seconds": seconds, "block_seconds": seconds}))
    callers = [connect(program) for _ in range(200)]
    due = []
    try:
        for number, sock in enumerate(callers):
            sock.sendall(begun)
            due.append(time.monotonic() + seconds + (number / len(callers) - 0.75) / 100)
        for sock, moment in zip(callers, due, strict=True):
            while time.monotonic() < moment:
                pass  # a sleep would miss it
            with suppress(OSError):
                sock.sendall(rest)
        assert answered(program.port)
        for sock in callers:
            assert read_answer(sock).status in statuses
    finally:
        for sock in callers:
            sock.close()
    assert "Traceback" not in program.new_log()


def turns(program):
    """How often its threads have had a turn."""
    threads = Path(f"/proc/{program.process.pid}/task").iterdir()
    return [re.findall(r"ctxt_switches:\s+(\d+)", (thread / "status").read_text()) for thread in threads]


def rests(program):
    """True if no thread has a turn while this looks: all wait for something to come."""
    before = turns(program)
    time.sleep(0.02)  # twice as long as any thread waits in vain
    return turns(program) == before


@pytest.mark.parametrize("length", [30, -1], ids=["head", "body"])
def test_what_comes_while_the_program_stands_still_is_in_time(start, length):
    """Its container is frozen, or a callback lets no other thread have its turn."""
    request = post(b"abc", "image/png")
    program = start(echo(server={"head_seconds": 1, "block_seconds": 1}))
    with connect(program) as sock:
        sock.sendall(request[:length])
        assert answered(program.port)  # and so that has been taken
        assert within(SECONDS, lambda: rests(program))
        program.process.send_signal(signal.SIGSTOP)
        time.sleep(1.1)  # what the program may take for its caller's
        sock.sendall(request[length:])
        program.process.send_signal(signal.SIGCONT)
        assert read_answer(sock).status == 200


def test_want_of_descriptors_keeps_nobody_from_an_answer_who_is_connected(start):
    program = start(FEW + echo(logs={"requests": True}))
    with ExitStack() as stack:
        connected = stack.enter_context(connect(program))
        connected.sendall(post(b"{}", "application/json")[:-1])
        others = [stack.enter_context(connect(program)) for _ in range(60)]
        for sock in others:
            sock.sendall(HALF[:60])  # idle ones are hung up
        assert within(SECONDS, lambda: "no file descriptor is left" in program.new_log())
        connected.sendall(b"}")
        assert read_answer(connected).status == 200


def test_who_has_sent_no_whole_head_gives_way_where_descriptors_are_used_up(start):
    program = start(FEW + echo(server={"head_seconds": 1000}))
    with ExitStack() as stack:
        requesting = stack.enter_context(connect(program))
        requesting.sendall(post(b"{}", "application/json")[:-1])
        silent = [stack.enter_context(connect(program)) for _ in range(25)]
        beginning = [stack.enter_context(connect(program)) for _ in range(60)]
        for sock in beginning:
            sock.sendall(HALF[:60])
        assert answered(program.port)  # whose turn comes behind all of them
        refused = read_answer(beginning[0])
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert "as many connections as it may" in refused.json["detail"]
        assert [sock.recv(1) for sock in silent] == [b""] * 25
        requesting.sendall(b"}")
        assert read_answer(requesting).status == 200


def test_who_sends_a_request_just_when_another_one_needs_the_place_is_answered(start):
    program = start(FEW + echo(server={"head_seconds": 1000}))
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(program)) for _ in range(30)]
        assert answered(program.port)
        program.process.send_signal(signal.SIGSTOP)
        time.sleep(1.1)  # after so long whoever is silent may have to go
        others = [stack.enter_context(connect(program)) for _ in range(60)]
        for sock in silent:
            sock.sendall(post(b"{}", "application/json")[:-1])
        program.process.send_signal(signal.SIGCONT)
        for sock in others:
            sock.close()
        for sock in silent:
            sock.sendall(b"}")
            assert read_answer(sock).status == 200


def test_who_has_sent_nothing_gives_way_before_who_has_begun_a_request(start):
    program = start(FEW + echo(server={"head_seconds": 1000}))
    request = post(b"{}", "application/json")
    with ExitStack() as stack:
        beginning = [stack.enter_context(connect(program)) for _ in range(15)]
        for sock in beginning:
            sock.sendall(request[:30])
        silent = [stack.enter_context(connect(program)) for _ in range(20)]
        assert answered(program.port)
        program.process.send_signal(signal.SIGSTOP)
        time.sleep(1.1)
        others = [stack.enter_context(connect(program)) for _ in range(15)]
        program.process.send_signal(signal.SIGCONT)
        assert answered(program.port)
        for sock in beginning:
            sock.sendall(request[30:])
            assert read_answer(sock).status == 200
        for sock in (*silent, *others):
            sock.close()


def test_where_nobody_gives_way_newcomers_are_told(start):
    program = start(FEW + echo(server={"block_seconds": 1000}))
    with ExitStack() as stack:
        requesting = [stack.enter_context(connect(program)) for _ in range(60)]
        for sock in requesting:
            sock.sendall(post(b"{}", "application/json")[:-1])
        refused = ask(program, post(b"{}", "application/json"))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        requesting[0].sendall(b"}")
        assert read_answer(requesting[0]).status == 200


def test_connections_that_send_nothing_leave_descriptors_for_the_files_of_a_request(start):
    program = start(FEW + echo())
    photos = [part(f'; name="f"; filename="{number}"', bytes([number]) * 400_000) for number in range(8)]
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(connect(program))
        answer = ask(program, post(multipart(*photos), "multipart/form-data; boundary=limit"))
        assert answer.status == 200, answer
        assert [found[2] for found in answer.json["files"]] == [400_000] * 8


def test_a_form_of_many_files_takes_few_descriptors_and_little_memory(start, tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    program = start(FEW + echo(spool={"folder": str(folder)}))
    files = [bytes([number % 256, number // 256]) * 50_000 for number in range(500)]
    before = peak(program)
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + each + b"\r\n" for each in files
    )
    answer = ask(program, post(body + b"--b--\r\n", "multipart/form-data; boundary=b"))
    assert [found[2:] for found in answer.json["files"]] == [
        [len(each), hashlib.sha256(each).hexdigest()] for each in files
    ]
    assert peak(program) - before < 20e6
    assert files_of(program, folder) == []


def peak(program):
    """Bytes of memory that it had at most."""
    return memory(program, "VmHWM")


def memory(program, which="VmRSS"):
    """Bytes of memory that it has."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+)", status)[1]) * 1024


def test_a_form_of_many_values_gives_back_the_memory_that_they_took(start):
    value = b"[" + b",".join([b"[" * 97 + b"]" * 97] * 40) + b"]"
    headers = b'Content-Disposition: form-data; name="v"\r\nContent-Type: application/json\r\n\r\n'
    fields = (b"--b\r\n" + headers + value + b"\r\n") * 500
    program = start(echo())
    before = memory(program)
    ask(program, post(fields + b"--b--\r\n", "multipart/form-data; boundary=b"))
    assert answered(program.port)
    taken = peak(program) - before
    assert taken > 100e6
    assert memory(program) - before < taken / 3


def test_whoever_was_connected_when_a_program_is_told_to_stop_is_answered(start):
    program = start(echo())
    program.process.send_signal(signal.SIGSTOP)
    with ExitStack() as stack:
        waiting = [stack.enter_context(connect(program)) for _ in range(300)]
        for sock in waiting:
            sock.sendall(post(b"{}", "application/json"))
        program.process.send_signal(signal.SIGTERM)
        program.process.send_signal(signal.SIGCONT)
        assert {read_answer(sock).status for sock in waiting} == {200}


MEMORY = """
import ctypes
from izzati import Backend

def callback(text, data):
    if "tell" in text:
        ctypes.CDLL(None).malloc_stats()  # on stderr, with a line for each arena

Backend(callback, only=()).run("127.0.0.1", 0)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_threads_that_answer_share_their_memory_once_bodies_are_long(start):
    program = start(MEMORY)
    body = b'{"a":"' + b"\\u00e9" * 500_000 + b'"}'
    with ThreadPoolExecutor(8) as callers:
        answers = callers.map(lambda _: ask(program, post(body, "application/json")), range(32))
        assert {answer.status for answer in answers} == {200}
    assert ask(program, post(b'{"tell":1}', "application/json")).status == 200
    told = []
    assert within(SECONDS, lambda: told.append(program.new_log()) or "max mmap bytes" in "".join(told))
    assert 1 <= len(re.findall("^Arena ", "".join(told), re.MULTILINE)) <= 3


def test_whoever_is_hung_up_for_want_of_descriptors_may_have_just_sent_something(start):
    program = start(FEW + echo())
    with ExitStack() as stack:
        kept = [stack.enter_context(connect(program)) for _ in range(30)]
        for sock in kept:
            sock.sendall(head("Content-Length: 0"))
            assert read_answer(sock).status == 200
        # While a body is decoded, for one turn after it: more callers than there are descriptors, and all the old ones.
        kept[0].sendall(post(b"[" + b"0," * 3_000_000 + b"0]", "application/json"))
        others = [stack.enter_context(connect(program)) for _ in range(60)]
        for sock in kept[1:]:
            sock.sendall(head("Content-Length: 0"))
        for sock in others:
            sock.close()
        assert within(SECONDS, lambda: answered(program.port))
    assert "Traceback" not in program.new_log()
