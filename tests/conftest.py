"""Fixtures: a Backend that really serves, and callers that really connect."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from dataclasses import dataclass, field

import pytest

from izzati import Backend


@dataclass
class Answer:
    """What came back over the wire."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Served:
    """A Backend behind its server on a free port of the loopback address."""

    backend: Backend
    server: object
    thread: threading.Thread
    port: int = 0
    calls: list = field(default_factory=list)

    def request(self, body=None, headers=None, *, method="POST", path="/"):
        """Send one request with http.client, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.reason, response.headers, response.read())
        finally:
            connection.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def raw(self, data: bytes, *, then_close: bool = False):
        """Send these bytes as they are, and read one answer."""
        with self.connect() as sock:
            sock.sendall(data)
            if then_close:
                sock.shutdown(socket.SHUT_WR)
            return read_answer(sock)

    def stop(self):
        self.server.stop()
        self.thread.join(timeout=20)
        assert not self.thread.is_alive(), "the server did not stop"


def read_answer(sock, method="POST"):
    """Read one answer from a connected socket."""
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    return Answer(response.status, response.reason, response.headers, response.read())


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
