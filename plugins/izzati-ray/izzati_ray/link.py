"""The way from a process to the cluster: by a gateway, or straight on where the process itself is one of Ray's."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from izzati import BackgroundError
from izzati_ray.work import Key, Work

__all__ = ["Link", "adopt", "link"]

# Ray's own settings, where the program's environment has none: who has no token does not connect without one, and what
# functions print comes out even if it is all alike.
_ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_DEDUP_LOGS": "0"}
# Seconds that a gateway may take to end with its program.
_GRACE = 5.0


class Link(Protocol):
    """What reaches the cluster: :class:`izzati_ray.cluster.Cluster`, or a gateway to one in another process."""

    address: str

    def create(self, work: Work) -> Future[tuple[Work, bool]]:
        """See Cluster."""

    def ask(self, key: Key, question: str, *args: Any) -> Future[Any]:
        """See Cluster."""


class Gateway:
    """A process that is connected to Ray, and ends with this one.

    :raises BackgroundError: if it cannot connect.
    """

    def __init__(self, address: str, options: Mapping[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            script = Path(__file__).with_name("gateway.py")
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a file of this package
                [sys.executable, "-I", script, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the program's to handle
                env={**_ENVIRONMENT, **os.environ},
            )
        self._socket = ours
        self._connection = Connection(os.dup(ours.fileno()))
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self.alive = True
        try:
            self._connection.send((sys.path, sys.argv, address, options))
            _, connected, told = self._connection.recv()
        except (EOFError, OSError):
            connected, told = False, "Ray ended the process that tried; see above"
        if not connected:
            self.close()
            raise BackgroundError(f"the Ray cluster at {address!r} cannot be reached: {told}{_advice(told)}")
        self.address: str = told
        threading.Thread(target=self._receive, name="izzati ray", daemon=True).start()

    def create(self, work: Work) -> Future[tuple[Work, bool]]:
        return self._call("create", work)

    def ask(self, key: Key, question: str, *args: Any) -> Future[Any]:
        return self._call("ask", key, question, *args)

    def close(self) -> None:
        """End it, and with it what it has started without a name."""
        self.alive = False
        with self._socket, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread that reads where it is
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def leave(self) -> None:
        """In a fork of this process: it belongs to another one."""
        self.alive = False
        self._socket.close()
        self._connection.close()
        self._process.returncode = 0  # which is not asked for where it is no child

    def _call(self, method: str, *args: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        number = next(self._numbers)
        self._waiting[number] = answer
        try:
            with self._sending:
                self._connection.send((number, method, args))
        except OSError:
            self._lose()
        return answer

    def _receive(self) -> None:
        while True:
            try:
                number, good, value = self._connection.recv()
            except (EOFError, OSError):
                self._lose()
                self.close()  # so that nothing of it is left, whichever end it was
                return
            answer = self._waiting.pop(number)
            if good:
                answer.set_result(value)
            else:
                answer.set_exception(value)

    def _lose(self) -> None:
        self.alive = False
        while self._waiting:
            _, answer = self._waiting.popitem()
            answer.set_exception(
                BackgroundError("the connection to the Ray cluster was lost; what was asked for may have been done")
            )


def _advice(told: str) -> str:
    if "no authentication token" in told:
        return (
            ". Make one with `ray get-auth-token --generate`, let every node have it, and start them with "
            "RAY_AUTH_MODE=token; or say RAY_AUTH_MODE=disabled where nobody else reaches the cluster"
        )
    return (
        ". Its head must run there, this machine must be a node of it, even if one that runs nothing "
        "(`ray start --address=… --num-cpus=0`), and have the same token as its head"
    )


_adopted: tuple[int, Link] | None = None
_gateways: dict[str, Gateway] = {}
_starting = threading.Lock()


def adopt(connected: Link) -> None:
    """In a process of Ray's own: it needs no gateway."""
    global _adopted  # noqa: PLW0603 - a fact about this process
    _adopted = os.getpid(), connected


def link(address: str, options: Mapping[str, Any] | None = None) -> Link:
    """The link of this process; a gateway is started when it is first needed.

    :param options: for ``ray.init``.
    :raises BackgroundError: if the cluster cannot be reached.
    """
    if _adopted is not None and _adopted[0] == os.getpid():
        return _adopted[1]
    wanted = f"{address} {options}" if options else address  # whoever has options needs one with these
    gateway = _gateways.get(wanted)
    if gateway is not None and gateway.alive:
        return gateway
    with _starting:
        gateway = _gateways.get(wanted)
        if gateway is None or not gateway.alive:
            gateway = Gateway(address, options or {})
            _gateways[wanted] = _gateways[gateway.address] = gateway
        return gateway


def _close() -> None:
    for gateway in set(_gateways.values()):
        gateway.close()


def _leave() -> None:
    global _starting  # noqa: PLW0603 - the parent's may be locked
    _starting = threading.Lock()
    for gateway in set(_gateways.values()):
        gateway.leave()
    _gateways.clear()


atexit.register(_close)
os.register_at_fork(after_in_child=_leave)
