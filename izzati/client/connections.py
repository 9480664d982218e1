"""Connections to one server: kept, bounded in time, and told apart from answers when they fail."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from ssl import SSLContext, SSLError
from typing import Any
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, IncompleteRead
from urllib3.util import wait_for_read

from izzati.client.errors import NoAnswer, NotReached

__all__ = ["CONNECT_SECONDS", "Connections", "reason"]

CONNECT_SECONDS = 10.0
"""How long connecting may take, the greetings of TLS included."""

_KEPT = 10
"""Connections that are kept for the next call."""

# A callback may take hours, so silence says nothing. Whether the machine is still there, TCP finds out.
_KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), seconds)
        for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
        if hasattr(socket, name)
    ),
]


class Connections:
    """Makes calls at one URL. Any thread may, several at once; a forked process has connections of its own.

    :param url: with its scheme.
    :param timeout: seconds for which the server may be silent; None for as long as it likes.
    :param ssl_context: whom to trust; whom the system trusts unless given.
    """

    def __init__(self, url: str, timeout: float | None, ssl_context: SSLContext | None) -> None:
        self._url = url
        self._seconds = timeout
        self._timeout = urllib3.Timeout(connect=timeout, read=timeout)
        self._ssl_context = ssl_context
        self._pid = os.getpid()
        self._manager = self._made()

    def post(
        self, blocks: Iterable[bytes | memoryview], size: int | None, fields: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and wait for the head of its answer.

        :param size: bytes of the body; None for one in chunks.
        :param fields: the headers, but for those that say how long it is.
        :raises NotReached: if nothing has arrived there.
        :raises NoAnswer: if some of it may have.
        """
        body = _Body(blocks)
        headers = urllib3.HTTPHeaderDict(fields)
        headers.discard("Content-Length" if size is None else "Transfer-Encoding")
        headers["Transfer-Encoding" if size is None else "Content-Length"] = "chunked" if size is None else str(size)
        try:
            return self._manager_here().urlopen(
                "POST",
                self._url,
                body=iter(body),
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except _SourceFailed as failed:
            raise failed.error from None
        except HTTPError as error:
            if body.begun:
                raise NoAnswer(
                    f"{self._url} gave no answer: {reason(error)}. Whether it has carried out the call is not known."
                ) from error
            proxy = self._manager.proxy
            by = f" through the proxy {proxy.host}:{proxy.port}" if proxy else ""
            raise NotReached(f"{self._url} cannot be reached{by}: {reason(error)}.") from error

    def close(self) -> None:
        """Close those that are kept. The next call makes new ones."""
        self._manager.clear()

    def _manager_here(self) -> urllib3.PoolManager:
        if self._pid != os.getpid():  # two processes on one connection would get each other's answers
            self._pid, self._manager = os.getpid(), self._made()
        return self._manager

    def _made(self) -> urllib3.PoolManager:
        options: dict[str, Any] = {"maxsize": _KEPT, "ssl_context": self._ssl_context}
        options["socket_options"] = [*HTTPConnection.default_socket_options, *_KEEP_ALIVE]
        scheme, _, host = urllib3.util.parse_url(self._url)[:3]
        proxy = None if proxy_bypass(host or "") else getproxies().get(scheme or "")
        manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager

    def __reduce__(self) -> tuple[Any, ...]:
        return Connections, (self._url, self._seconds, self._ssl_context)


class _SourceFailed(Exception):
    """What is to be sent cannot be had. Not an OSError, which urllib3 would take for one of the connection."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Body:
    """The blocks of a body; ``begun`` once the head of the request has been sent."""

    def __init__(self, blocks: Iterable[bytes | memoryview]) -> None:
        self._blocks = blocks
        self.begun = False

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.begun = True
        try:
            yield from self._blocks
        except Exception as error:
            raise _SourceFailed(error) from error


class _Connection(HTTPConnection):
    """Takes at most so long to connect, and stops sending to a server that has refused already."""

    _cut = False

    def connect(self) -> None:
        silence = self.timeout
        self.timeout = min(silence or CONNECT_SECONDS, CONNECT_SECONDS)
        try:
            super().connect()
        finally:
            self.timeout = silence
        self.sock.settimeout(silence)

    def send(self, data: Any) -> None:
        if self.sock is not None and self._refused():
            self._cut = True
            raise BrokenPipeError  # which urllib3 takes as it is meant: there may be an answer
        super().send(data)

    def _refused(self) -> bool:
        """True if an answer that tells of an error is there. Others may well begin before all has been sent."""
        sock = self.sock
        if type(sock) is not socket.socket or not wait_for_read(sock, timeout=0):
            return False  # of TLS there may be something to read that is no answer
        head = sock.recv(10, socket.MSG_PEEK)
        return head.startswith(b"HTTP/1.") and head[9:10] in (b"4", b"5")

    @property
    def is_connected(self) -> bool:
        return super().is_connected and not self._cut  # what follows would be read as the rest of that request

    def close(self) -> None:
        self._cut = False
        super().close()


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def reason(error: BaseException) -> str:
    """What the system says, below all that libraries say around it."""
    seen = [error]
    for each in seen:
        inner = [*(arg for arg in each.args if isinstance(arg, BaseException)), each.__cause__, each.__context__]
        seen += [found for found in inner if found is not None and found not in seen]
    for each in seen:
        if isinstance(each, IncompleteRead) and each.expected:
            return f"of its body {each.partial:,} bytes came, and {each.expected:,} are missing"
        if isinstance(each, SSLError) and each.reason == "WRONG_VERSION_NUMBER":
            return "what answers there does not speak TLS; its URL may begin with http://"
    said = [str(each.strerror) for each in seen if isinstance(each, OSError) and each.strerror]
    if said:
        return said[-1]
    if any(isinstance(each, TimeoutError) for each in seen):
        return "it was silent for too long"
    return str(seen[-1]) or type(seen[-1]).__name__
