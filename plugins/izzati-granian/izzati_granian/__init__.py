"""Serves with granian, where granian can; elsewhere it leaves that to the built-in server."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import sysconfig
import threading
from typing import Any

from izzati import Listen, hookimpl
from izzati_granian.server import GranianServer

__all__ = ["Granian"]

log = logging.getLogger("izzati.granian")


class Granian:
    """Serves a WSGI application with granian, in one or more processes.

    :param workers: processes that answer. What a callback keeps in memory, each of them has for itself.
    :param blocking_threads: requests that each of them answers at once. A caller who sends its body slowly has one for
        as long as it takes.
    :param backlog: connections that may wait to be accepted; 128 at least. It is divided among the workers as how many
        each keeps open.
    :param grace_seconds: how long requests in flight may take after the server was told to stop.
    :param chunked: True to take bodies whose length is not declared. granian does not tell whether it broke off.
    :raises ValueError: if one of them is out of its range.
    """

    def __init__(
        self,
        workers: int = 1,
        blocking_threads: int = 16,
        backlog: int = 1024,
        grace_seconds: float = 30,
        chunked: bool = False,
    ) -> None:
        for name, value, least in (
            ("workers", workers, 1),
            ("blocking_threads", blocking_threads, 1),
            ("backlog", backlog, 128),
        ):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"granian: {name} is a whole number from {least}, not {value!r}")
        if not isinstance(grace_seconds, (int, float)) or not 0 < grace_seconds < threading.TIMEOUT_MAX:
            raise ValueError(f"granian: grace_seconds is a number of seconds above 0, not {grace_seconds!r}")
        self._options = {"workers": workers, "blocking_threads": blocking_threads, "backlog": backlog}
        self._grace = grace_seconds
        self._chunked = chunked

    @hookimpl
    def izzati_serve(self, app: Any, listen: Listen) -> GranianServer | None:
        obstacle = _obstacle()
        if obstacle is not None:
            log.warning("granian does not serve, since %s; another server does", obstacle)
            return None
        return GranianServer(app, listen, self._options, self._grace, chunked=self._chunked)


def _obstacle() -> str | None:
    """Why granian cannot serve here; None if it can."""
    if sys.platform != "linux":
        return "it can take over a program's own functions only by fork, which is safe on Linux alone"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "its workers are threads on a Python without the GIL, and processes are what was asked for"
    if threading.current_thread() is not threading.main_thread():
        return "this is not the main thread, and only that one can handle signals"
    if multiprocessing.current_process().daemon:
        return "this process is a daemonic one, which may not start others"
    return None
