"""A caller that really connects, and what it gets back."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from dataclasses import dataclass, field

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
