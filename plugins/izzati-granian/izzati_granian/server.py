"""granian from its start to its end."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import wait
from socket import socket, socketpair
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from izzati import Listen
from izzati_granian.application import Application
from izzati_granian.ports import reserve

__all__ = ["GranianServer"]

log = logging.getLogger("izzati.granian")

# The signal with which a thread wakes the main one: nobody means anything by it.
_NUDGE = signal.SIGURG

# Seconds in which a signal is taken notice of at the latest.
_MOMENT = 0.25

# Leaves logging as the program has set it up: granian would close every handler there is, and add its own on stdout.
_LOGGING = {"incremental": True, "handlers": {}, "loggers": {}}


class GranianServer:
    """A server as izzati knows it (:class:`izzati.Server`), which must be told to serve in the main thread.

    :param options: granian's own.
    :param grace: seconds that requests in flight may take once it was told to stop.
    :raises OSError: if it cannot listen there.
    """

    def __init__(self, app: Any, listen: Listen, options: Mapping[str, int], grace: float, *, chunked: bool) -> None:
        self._app = app
        self._grace = grace
        self._chunked = chunked
        self._reserved = reserve(listen)
        self._process = os.getpid()
        #: when it was told to, as time.monotonic() counts
        self._stopped: float | None = None
        self._closed = threading.Event()
        self._failure: BaseException | None = None
        self._granian = MPServer(
            "izzati",
            *self.address,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            websockets=False,
            log_dictconfig=_LOGGING,
            log_level=LogLevels.error,  # below that it says how many threads it would choose, at each start
            respawn_failed_workers=True,
            workers_kill_timeout=grace,  # type: ignore[arg-type] # whole seconds are a habit of its command line
            workers=options["workers"],
            blocking_threads=options["blocking_threads"],
            backlog=options["backlog"],
        )
        self._granian.main_loop_interrupt = _Interrupt()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._reserved.getsockname()[:2]
        return host, port

    def serve(self, ready: Callable[[], object] = lambda: None) -> None:
        with self._reserved:
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError(
                    "granian serves in the main thread only: call serve() there, or leave it to the built-in server by "
                    'Backend(…, block=["granian"])'
                )
            if self._stopped is not None:
                return
            with _forking() as start_method:
                self._serve(ready, start_method)
        if self._failure is not None:
            raise self._failure

    def _serve(self, ready: Callable[[], object], start_method: str | None) -> None:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        address = self._reserved.getsockname()

        def take_signals_back() -> None:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            announcing.start()

        announcing = threading.Thread(target=self._announce, args=(ready, address), name="izzati granian", daemon=True)
        self._granian.on_startup(take_signals_back)
        try:
            self._granian.serve(target_loader=lambda: self._load(start_method), wrap_loader=False)
            if self._stopped is not None and time.monotonic() - self._stopped >= self._grace:
                log.error("a request was still under way after %g seconds, and was cut off", self._grace)
        except SystemExit as error:
            if self._stopped is None:
                raise RuntimeError("the processes of granian end as soon as they have started: see the log") from error
        finally:
            self._closed.set()
            for worker in self._granian.wrks:  # none, unless this is not the end that was planned
                worker.kill()  # type: ignore[no-untyped-call] # granian's annotations have gaps
                worker.join()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        if os.getpid() != self._process:
            os._exit(0)  # a worker got the signal while it still had this program's handlers
        self._stopped = self._stopped or time.monotonic()
        self._granian.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _announce(self, ready: Callable[[], object], address: Any) -> None:
        """Call ``ready`` once a worker listens. granian does not tell, so this tries to connect."""
        while not self._closed.wait(0.01):
            if len(self._granian.wrks) < self._granian.workers:
                continue  # a process that is forked while this thread writes would never get the lock of stderr
            with socket(self._reserved.family) as probe:
                probe.settimeout(1)
                try:
                    probe.connect(address)
                except OSError:
                    continue
            try:
                ready()
            except BaseException as error:
                self._failure = error
                self.stop()
            return

    def _load(self, start_method: str | None) -> Application:
        """In a worker, before it serves: the application."""
        # Ctrl-C is the program's to handle: a worker that gets both its SIGINT and the program's SIGTERM may never end.
        os.setpgid(0, 0)
        multiprocessing.set_start_method(start_method, force=True)
        parent = multiprocessing.parent_process()
        assert parent is not None
        bell, ringer = socketpair()
        ringer.setblocking(False)
        signal.signal(_NUDGE, lambda number, frame: None)
        signal.set_wakeup_fd(ringer.fileno(), warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # a child's signals are not this worker's
        threading.Thread(target=_attend, args=(parent, bell, ringer), name="izzati granian", daemon=True).start()
        return Application(self._app, several=self._granian.workers > 1, chunked=self._chunked)


class _Interrupt(threading.Event):
    """What granian's main thread waits for. Python's handlers run in that thread alone, and the system may give a
    signal to another, which does not wake it: so it wakes by itself.
    """

    def wait(self, timeout: float | None = None) -> bool:
        while timeout is None and not super().wait(_MOMENT):
            pass
        return super().wait(timeout)


def _attend(parent: Any, bell: socket, ringer: socket) -> None:
    """In a worker: end with its parent, and see to it that the main thread takes notice of signals.

    Who kills the program means all of it: this worker, which would go on and keep the port, and what it started. And a
    signal that comes while the main thread is about to wait does not wake it, so another one does.

    :param bell: where Python writes the number of each signal, by way of ``ringer``.
    """
    main = threading.main_thread().ident
    assert main is not None
    while parent.sentinel not in wait([parent.sentinel, bell]):
        if {signal.SIGINT, signal.SIGTERM}.intersection(bell.recv(4096)):
            time.sleep(_MOMENT)
            signal.pthread_kill(main, _NUDGE)
    os.killpg(0, signal.SIGKILL)


@contextmanager
def _forking() -> Iterator[str | None]:
    """While granian may start workers: they are forked, since a closure cannot be pickled."""
    chosen = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("fork", force=True)
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of it; the threads are this module's and granian's, which only wait.
            warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)
            yield chosen
    finally:
        multiprocessing.set_start_method(chosen, force=True)
