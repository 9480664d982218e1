"""The built-in server among many callers, slow and quick: nobody is held up, nobody is dropped."""

from __future__ import annotations

import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import SECONDS

from izzati.testing import read_answer

PROGRAM = """
import os, time
from izzati import Backend

def wait(text, data):
    os.write(1, b"waits\\n")  # at once, where print would write twice
    time.sleep(float(text["seconds"]))
    return {"waited": text["seconds"]}

Backend({"/": lambda text, data: {}, "/wait": wait}, only=(), options={"logs": {"requests": False}}).run("127.0.0.1", 0)
"""
EMPTY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
MANY = 1000


@pytest.fixture
def program(tmp_path):
    """A program that serves in a process of its own, where both have descriptors enough."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    previous = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    (tmp_path / "app.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    greeting = []
    while not greeting or not greeting[-1].startswith("Ctrl-C"):
        greeting.append(process.stderr.readline())
        assert greeting[-1], "".join(greeting)
    process.port = int(re.search(r"127\.0\.0\.1:(\d+)", "".join(greeting))[1])
    # A server whose log goes to a pipe that nobody reads is held up by that.
    reader = threading.Thread(target=process.stderr.read, daemon=True)
    reader.start()
    yield process
    process.kill()
    process.wait()
    reader.join(SECONDS)
    process.stdout.close()
    process.stderr.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, previous)


def connect(program):
    return socket.create_connection(("127.0.0.1", program.port), timeout=SECONDS)


def ask(program, data=EMPTY):
    with connect(program) as sock:
        sock.sendall(data)
        return read_answer(sock).status


BEGUN = {
    "half a head": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Le",
    "half a small body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nabc",
    "half a chunk": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
    "the beginning of a large body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    b"Content-Length: 1000000\r\n\r\n" + bytes(70_000),
}


@pytest.mark.parametrize("begun", BEGUN)
def test_five_hundred_callers_that_do_not_go_on_hold_up_nobody(program, begun):
    slow = [connect(program) for _ in range(500)]
    try:
        for sock in slow:
            sock.sendall(BEGUN[begun])
        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(lambda _: ask(program), range(100))) == [200] * 100
    finally:
        for sock in slow:
            sock.close()
    assert ask(program) == 200


def test_a_thousand_callers_at_once_are_all_answered(program):
    callers = [connect(program) for _ in range(MANY)]
    try:
        for sock in callers:
            sock.sendall(EMPTY)
        assert [read_answer(sock).status for sock in callers] == [200] * MANY
    finally:
        for sock in callers:
            sock.close()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (b"no HTTP\r\n\r\n", 400),
        (b"POST /no HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + bytes(1000), 404),
    ],
)
def test_callers_that_stay_when_they_have_been_refused_take_no_thread_each(program, refused, status):
    callers = [connect(program) for _ in range(300)]
    try:
        for sock in callers:
            sock.sendall(refused)
        assert [read_answer(sock).status for sock in callers] == [status] * 300
        assert len(os.listdir(f"/proc/{program.pid}/task")) < 100
        assert ask(program) == 200
    finally:
        for sock in callers:
            sock.close()


def test_answers_that_take_long_hold_up_nobody(program):
    request = b"POST /wait?seconds=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    slow = [connect(program) for _ in range(40)]
    try:
        for sock in slow:
            sock.sendall(request)
        assert program.stdout.readline() == "waits\n"
        with selectors.DefaultSelector() as selector:
            for sock in slow:
                selector.register(sock, selectors.EVENT_READ)
            assert ask(program) == 200
            assert selector.select(0) == []  # before any of the slow ones
        assert [read_answer(sock).status for sock in slow] == [200] * 40
    finally:
        for sock in slow:
            sock.close()


def test_requests_in_flight_are_all_answered_when_it_is_told_to_end(program):
    request = b"POST /wait?seconds=0.5 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    callers = [connect(program) for _ in range(20)]
    try:
        for sock in callers:
            sock.sendall(request)
        for _ in callers:
            assert program.stdout.readline() == "waits\n"
        program.send_signal(signal.SIGTERM)
        assert [read_answer(sock).status for sock in callers] == [200] * 20
        assert program.wait(SECONDS) == 0
    finally:
        for sock in callers:
            sock.close()


def test_what_had_been_sent_when_it_was_told_to_end_is_answered_and_what_had_not_is_told(program):
    old = [connect(program) for _ in range(20)]
    half, slow = connect(program), connect(program)
    for sock in old:
        sock.sendall(EMPTY)
        assert read_answer(sock).status == 200
    slow.sendall(b"POST /wait?seconds=0.5 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    assert program.stdout.readline() == "waits\n"
    half.sendall(EMPTY[:20])
    for sock in old:
        sock.sendall(EMPTY)
    new = [connect(program) for _ in range(10)]
    for sock in new:
        sock.sendall(EMPTY)
    program.send_signal(signal.SIGTERM)
    assert [read_answer(sock).status for sock in (*old, *new, slow)] == [200] * 31
    assert read_answer(half).status == 503
    assert program.wait(SECONDS) == 0
    for sock in (*old, *new, slow, half):
        sock.close()
