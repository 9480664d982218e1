"""The built-in server: where it listens, and its options."""

from __future__ import annotations

import errno
import os
import socket
import sys
import weakref
from typing import Any

from izzati import Listen, hookimpl
from izzati.builtin.ports import holder
from izzati.builtin.reactor import Reactor
from izzati.builtin.timeouts import Timeouts

__all__ = ["ThreadServer"]


class ThreadServer:
    """Serves a WSGI application; bodies stream both ways.

    :param threads: requests answered at once, not counting those that wait for their callers. More wait their turn.
    :param head_seconds: how long a caller may take to send a request's line and headers.
    :param idle_seconds: how long a connection may stay open between two requests.
    :param block_seconds: over which a body must come, and an answer be taken, at 1 KiB a second at least. Where the
        system does not tell how much was taken, it is what the system could pass on that counts.
    :param grace_seconds: how long requests in flight may take after the server was told to stop.
    :raises ValueError: if one of them is not above 0.
    """

    def __init__(
        self,
        threads: int = 64,
        head_seconds: float = 10,
        idle_seconds: float = 60,
        block_seconds: float = 10,
        grace_seconds: float = 30,
    ) -> None:
        for name, value in list(locals().items())[1:]:
            if not isinstance(value, (int, float)) or value <= 0:
                raise ValueError(f"server: {name} is a number above 0, not {value!r}")
        self._threads = threads
        self._timeouts = Timeouts(head_seconds, idle_seconds, block_seconds)
        self._grace = grace_seconds

    @hookimpl
    def izzati_serve(self, app: Any, listen: Listen) -> Reactor:
        reactor = Reactor(app, _bound(listen), self._threads, self._timeouts, self._grace)
        _reactors.add(reactor)
        return reactor


_reactors: weakref.WeakSet[Reactor] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a forked process: its sockets would keep the port, and connections open that its parent has closed."""
    for reactor in _reactors:
        reactor.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _bound(listen: Listen) -> list[socket.socket]:
    """Listening sockets for every address of the host, all on one port."""
    for attempt in range(10):
        try:
            return _bind_all(listen)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if listen.port != 0 or attempt == 9:
                raise OSError(
                    errno.EADDRINUSE,
                    f"port {listen.port} is in use by {holder(listen.port) or 'another program'}; stop that one, "
                    f"or choose another port, such as {listen.port + 1}",
                ) from error
            # The port that the system chose for IPv4 is taken for IPv6: let it choose again.
    raise AssertionError("unreachable")


def _bind_all(listen: Listen) -> list[socket.socket]:
    try:
        infos = socket.getaddrinfo(listen.host or None, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(error.errno, f"{listen.host!r} is no address of this machine: {error.strerror}") from error
    port = listen.port
    sockets: list[socket.socket] = []
    unavailable: OSError | None = None
    try:
        for family, _, _, _, address in sorted(infos):  # IPv4 first
            try:
                sockets.append(_bind(family, (address[0], port, *address[2:])))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                unavailable = error  # a machine without IPv6 may still know addresses of it
            else:
                port = sockets[-1].getsockname()[1]
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, f"{listen.host!r} is no address of this machine") from unavailable
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two programs have the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(1024)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
