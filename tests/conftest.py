"""Fixtures: a Backend that records what arrives, a file to send, and forks that never get stuck."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import pytest
from helpers import JPEG, SECONDS

from izzati.discovery import installed

pytest_plugins = ["izzati.testing"]

# A test uses the plugins that it means, whatever else is installed where it runs; processes that it starts likewise.
os.environ["IZZATI_BLOCK"] = ",".join(entry.name for entry in installed())


@pytest.fixture(autouse=True)
def room(request, tmp_path_factory):
    """A test marked ``alone`` uses what the whole system has once: none of another worker runs beside it."""
    if sys.platform == "win32" or "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    import fcntl  # noqa: PLC0415 - not on Windows

    how = fcntl.LOCK_EX if request.node.get_closest_marker("alone") else fcntl.LOCK_SH
    # Locks of processes, since those of descriptors would live on in forked children. Who waits for the room keeps the
    # door meanwhile, or those that share the room would come and go for ever.
    with (tmp_path_factory.getbasetemp().parent / "room").open("w+b") as lock:
        fcntl.lockf(lock, how, 1, 0)  # the door
        fcntl.lockf(lock, how, 1, 1)  # the room
        fcntl.lockf(lock, fcntl.LOCK_UN, 1, 0)
        yield


@pytest.fixture
def recorder(serve):
    """Serve a callback that keeps what it got, with each file read whole; ``recorder.calls`` has it."""
    calls = []

    def callback(text, data):
        calls.append((text, [(file.name, file.filename, file.content_type, file.read()) for file in data]))
        return {"status": "yes"}

    served = serve(callback)
    served.calls = calls
    return served


@pytest.fixture
def photo(tmp_path):
    """A file to send: rex.jpg."""
    path = tmp_path / "rex.jpg"
    path.write_bytes(JPEG)
    return path


@pytest.fixture
def forked_and_never_stuck():
    """Processes are forked, whatever threads there are; a test that hangs fails."""

    def stuck(number, frame):
        raise TimeoutError("this test is stuck")

    method = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("fork", force=True)
    handler = signal.signal(signal.SIGALRM, stuck)
    signal.alarm(10 * SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)
    multiprocessing.set_start_method(method, force=True)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """The folder in which the test runs: no izzati.toml is there, unless the test writes one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
