"""The built-in server: HTTP/1.1 by h11, a thread for each connection."""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from izzati import Listen, hookimpl
from izzati.builtin.http11 import Connection, FileWrapper, Timeouts
from izzati.builtin.ports import holder

__all__ = ["ThreadServer"]

log = logging.getLogger("izzati.server")


class ThreadServer:
    """Serves a WSGI application; bodies stream both ways.

    :param threads: connections served at once. Beyond it an idle connection gives way, else new ones wait.
    :param head_seconds: how long a caller may take to send a request's line and headers.
    :param idle_seconds: how long a connection may stay open between two requests.
    :param block_seconds: over which a body must come at 1 KiB a second at least; and how long a caller may take to
        take the next 256 KiB of an answer.
    :param grace_seconds: how long requests in flight may take after the server was told to stop.
    :raises ValueError: if one of them is not above 0.
    """

    def __init__(
        self,
        threads: int = 256,
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
    def izzati_serve(self, app: Any, listen: Listen) -> _Server:
        return _Server(app, _bound(listen), self._threads, self._timeouts, self._grace)


_servers: weakref.WeakSet[_Server] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a forked process: its sockets would keep the port, and connections open that its parent has closed."""
    for server in _servers:
        server.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


class _Server:
    def __init__(
        self, app: Any, listeners: list[socket.socket], threads: int, timeouts: Timeouts, grace: float
    ) -> None:
        self._app = app
        self._listeners = listeners
        self._timeouts = timeouts
        self._grace = grace
        self._slots = threading.Semaphore(threads)
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, Connection] = {}
        self._stopping = threading.Event()
        self._waker, self._wakened = socket.socketpair()
        _servers.add(self)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listeners[0].getsockname()[:2]
        return host, port

    def serve(self, ready: Callable[[], object] = lambda: None) -> None:
        with selectors.DefaultSelector() as selector:
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ)
            selector.register(self._wakened, selectors.EVENT_READ)
            ready()
            try:
                while not self._stopping.is_set():
                    for key, _ in selector.select():
                        if key.fileobj is not self._wakened:
                            self._accept(key.fileobj)
            finally:
                self._stopping.set()
                for listener in self._listeners:
                    listener.close()
                self._finish()
                self._waker.close()
                self._wakened.close()

    def stop(self) -> None:
        self._stopping.set()
        try:
            self._waker.send(b"\0")
        except OSError:
            pass  # it has stopped

    def forget(self) -> None:
        """Close this process's copies of all sockets."""
        for sock in (*self._listeners, self._waker, self._wakened):
            sock.close()
        for connection in self._connections.values():
            connection.forget()

    def _accept(self, listener: Any) -> None:
        if not self._free_slot():
            return
        try:
            sock, address = listener.accept()
        except OSError as error:
            self._slots.release()
            if error.errno in (errno.EMFILE, errno.ENFILE):
                log.error("no file descriptor is left for another connection")
                self._hang_up_one()
                self._stopping.wait(0.1)
            return
        try:
            self._start(sock, address)
        except (OSError, RuntimeError) as error:  # the caller has gone already, or no thread can be started
            log.error("a connection could not be served: %s", error)
            sock.close()
            self._slots.release()
            self._hang_up_one()

    def _start(self, sock: socket.socket, address: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, self._app, self._environ(sock, address), self._timeouts, self._stopping.is_set)
        thread = threading.Thread(target=self._run, args=(connection,), name=f"izzati {address[0]}", daemon=True)
        with self._lock:
            self._connections[thread] = connection
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                del self._connections[thread]
            raise

    def _run(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]
            self._slots.release()

    def _free_slot(self) -> bool:
        """Wait until another connection may be served; False if the server stops instead."""
        while not self._slots.acquire(timeout=0.05):
            if self._stopping.is_set():
                return False
            self._hang_up_one()
        return True

    def _hang_up_one(self) -> None:
        with self._lock:
            idle = next(
                (connection for connection in self._connections.values() if connection.idle and not connection.fresh),
                None,
            )
        if idle is not None:
            idle.hang_up()

    def _finish(self) -> None:
        deadline = time.monotonic() + self._grace
        with self._lock:
            under_way = dict(self._connections)
        for connection in under_way.values():
            if connection.idle:
                connection.hang_up()
        for thread in under_way:
            thread.join(max(0.0, deadline - time.monotonic()))
        for thread, connection in under_way.items():
            if thread.is_alive():
                log.error("a request was still under way after %g seconds, and was cut off", self._grace)
                connection.cut()

    def _environ(self, sock: socket.socket, address: tuple[Any, ...]) -> dict[str, Any]:
        host, port = sock.getsockname()[:2]
        return {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SERVER_SOFTWARE": "izzati",
            "REMOTE_ADDR": address[0],
            "REMOTE_PORT": str(address[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
        }


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
                    f"or choose another port: run(port={listen.port + 1})",
                ) from error
            # The port that the system chose for IPv4 is taken for IPv6: let it choose again.
    raise AssertionError("unreachable")


def _bind_all(listen: Listen) -> list[socket.socket]:
    infos = socket.getaddrinfo(listen.host or None, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
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
