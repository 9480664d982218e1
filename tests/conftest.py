"""Fixtures: a Backend that really serves."""

from __future__ import annotations

import threading

import pytest
from helpers import Served

from izzati import Backend


@pytest.fixture
def serve():
    """Serve a callback, or a dict of them; keyword arguments are the Backend's. Stopped when the test ends."""
    started = []

    def start(callback, *args, host="127.0.0.1", **kwargs):
        backend = Backend(callback, *args, **kwargs)
        server = backend.listen(host, 0)
        accepting = threading.Event()
        thread = threading.Thread(target=server.serve, args=(accepting.set,), daemon=True)
        thread.start()
        assert accepting.wait(10), "the server did not begin to serve"
        served = Served(backend, server, thread, server.address[1])
        started.append(served)
        return served

    yield start
    for served in started:
        served.stop()


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
