"""The garbage collector waits while a large body becomes values, and is afterwards as it was."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import pytest

from izzati import Codec, collector_paused

SMALL, LARGE = b"x", b"x" * 1_000_000


class Asking(Codec):
    """Says whether the collector is at work while it decodes."""

    reads = ("application/x-asking",)

    def decode(self, body, request):
        return {"collects": gc.isenabled()}


@pytest.fixture
def ask(serve):
    served = serve(lambda text, data: text, plugins=[Asking()])

    def call(body):
        return served.request(body=body, headers={"Content-Type": "application/x-asking"}).json["collects"]

    call.served = served
    return call


def test_it_waits_while_a_large_body_is_decoded_and_not_for_a_small_one(ask):
    assert ask(LARGE) is False
    assert gc.isenabled()
    assert ask(SMALL) is True


@pytest.mark.parametrize("rest", [SMALL, LARGE], ids=["small", "large"])
def test_it_waits_while_the_parts_of_a_large_form_are_decoded(ask, rest):
    begin = b'--b\r\nContent-Disposition: form-data; name="'
    asking = begin + b'asking"\r\nContent-Type: application/x-asking\r\n\r\nx\r\n'
    form = asking + begin + b'rest"\r\n\r\n' + rest + b"\r\n--b--\r\n"
    answer = ask.served.request(body=form, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.json["asking"] == {"collects": rest == SMALL}


def test_a_program_that_has_switched_it_off_finds_it_off(ask):
    gc.disable()
    try:
        ask(LARGE)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_a_program_has_frozen_stays_frozen(ask):
    gc.freeze()
    try:
        ask(LARGE)
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


NODE = """
import gc, http.client, threading, weakref
from izzati import Backend, collector_paused

class Node:  # in a cycle, so that only the collector finds out that nobody needs it
    def __init__(self):
        self.itself = self
"""


def test_what_callbacks_leave_is_collected_although_every_body_is_large():
    source = """
left = []
server = Backend(lambda text, data: left.append(weakref.ref(Node())), only=["server", "json"]).listen("127.0.0.1", 0)
threading.Thread(target=server.serve, daemon=True).start()
connection = http.client.HTTPConnection(*server.address)
body = b'{"lists": [' + b",".join([b"[]"] * 100_000) + b"]}"
for _ in range(300):
    if left and left[0]() is None:
        break
    connection.request("POST", "/", body, {"Content-Type": "application/json"})
    connection.getresponse().read()
print(left[0]() is None)
"""
    assert printed(NODE + source) == [b"True"]


def test_garbage_is_collected_although_pauses_overlap_without_end():
    source = """
import time
with collector_paused(1 << 20):
    left, end = weakref.ref(Node()), time.monotonic() + 10
    while left() is not None and time.monotonic() < end:
        with collector_paused(1 << 20):
            pass
    print(left() is None, gc.isenabled())
print(gc.isenabled())
"""
    assert printed(NODE + source) == [b"True", b"False", b"True"]


def printed(source):
    """The words that a program prints: in a process of its own, since others have more to collect, and do so less."""
    return subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, timeout=60).stdout.split()


def test_a_program_that_has_switched_the_collector_off_never_has_it_called(collections):
    gc.disable()
    try:
        with collector_paused(1 << 20):
            deadline = time.monotonic() + 0.3
            while time.monotonic() < deadline:
                with collector_paused(1 << 20):
                    pass
    finally:
        gc.enable()
    assert collections == []


@pytest.fixture
def collections():
    """The generations that are collected meanwhile."""
    found = []

    def note(phase, info):
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is forked here")
def test_it_is_at_work_in_a_process_that_was_forked_meanwhile():
    source = """if True:
        import gc, os
        from izzati import collector_paused
        with collector_paused(1 << 20), collector_paused(1 << 20):
            child = os.fork()
            if not child:
                with collector_paused(1 << 20):
                    pass
                os._exit(10 + gc.isenabled())
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(ended, gc.isenabled())
    """
    assert printed(source) == [b"11", b"True"]
