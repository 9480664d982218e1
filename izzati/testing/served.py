"""A Backend behind its real server, and a caller that really connects."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from izzati.backend import Backend
from izzati.serving import Server

__all__ = ["Answer", "Served", "read_answer", "serving"]

SECONDS = 20
"""An upper bound for whatever should take no time at all."""


@dataclass
class Answer:
    """What came back over the wire."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded as JSON."""
        return json.loads(self.body)


@dataclass
class Served:
    """A Backend that accepts connections at a free port of a loopback address."""

    backend: Backend
    server: Server
    thread: threading.Thread

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return self.server.address[1]

    @property
    def url(self) -> str:
        """Where it is served: ``http://127.0.0.1:43210``."""
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, body: Any = None, headers: Mapping[str, str] | None = None, *, method: str = "POST", path: str = "/"
    ) -> Answer:
        """Send one request with ``http.client``, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.reason, response.headers, response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A connected socket, for what no HTTP library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def raw(self, data: bytes, *, then_close: bool = False) -> Answer:
        """Send these bytes as they are, and read one answer.

        :param then_close: True to say, after the last byte, that no more will come.
        """
        with self.connect() as sock:
            sock.sendall(data)
            if then_close:
                sock.shutdown(socket.SHUT_WR)
            return read_answer(sock)

    def stop(self) -> None:
        """Stop serving; returns when the last connection is done. May be called twice."""
        self.server.stop()
        self.thread.join(timeout=SECONDS)
        assert not self.thread.is_alive(), "the server did not stop"


def read_answer(sock: socket.socket, method: str = "POST") -> Answer:
    """Read one answer from a connected socket.

    :param method: that of the request, since an answer to HEAD has no body.
    """
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    return Answer(response.status, response.reason, response.headers, response.read())


@contextmanager
def serving(backend: Backend, host: str = "127.0.0.1") -> Iterator[Served]:
    """Serve a Backend for the length of a ``with`` block."""
    server = backend.listen(host, 0)
    accepting = threading.Event()
    thread = threading.Thread(target=server.serve, args=(accepting.set,), daemon=True)
    thread.start()
    assert accepting.wait(SECONDS), "the server did not begin to serve"
    served = Served(backend, server, thread)
    try:
        yield served
    finally:
        served.stop()
