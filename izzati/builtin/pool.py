"""A bounded pool of threads, which grows only where work waits."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Pool"]

log = logging.getLogger("izzati.server")

_FEW = 4
"""Threads to begin with. As long as nothing blocks, few do more than many: they share the interpreter's lock."""

_MOMENT = 0.005
"""Seconds without any work being taken after which those that have some are held to be blocked."""

_IDLE = 10.0
"""Seconds without work after which a thread ends."""

_LENT = 1024
"""Threads that may wait for their callers, beside those that work."""


class Pool:
    """Runs work in threads.

    :param size: how many may work at once; one that waits for its caller (:meth:`waiting`) does not count.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._few = min(_FEW, size)
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._lent = 0
        self._taken = time.monotonic()

    @property
    def backlog(self) -> bool:
        """True if there is work that no thread has taken."""
        return not self._work.empty()

    def submit(self, work: Callable[[], object]) -> None:
        """Have work done; what it raises is logged."""
        self._work.put(work)
        if len(self._threads) < self._few:
            self._grow(1)

    def tend(self) -> None:
        """Add threads if those that there are seem to be blocked. To be called while there is a backlog."""
        # Idle ones are on their way to it: while the interpreter's lock is held for long, nobody takes anything.
        if self.backlog and time.monotonic() - self._taken > _MOMENT:
            self._grow(self._work.qsize() - self._idle)

    def close(self, deadline: float) -> None:
        """Let the threads end.

        :param deadline: until when to wait for them, as time.monotonic() counts.
        """
        threads = tuple(self._threads)
        for _ in threads:
            self._work.put(_end)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a thread does nothing but wait for its caller, another one may work."""
        with self._lock:
            self._lent += 1
        try:
            yield
        finally:
            with self._lock:
                self._lent -= 1

    def _grow(self, count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._run, name="izzati worker", daemon=True)
            with self._lock:
                if len(self._threads) >= self._size + min(self._lent, _LENT):
                    return
                self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError as error:
                log.error("no thread can be started for a request, which waits: %s", error)
                self._threads.discard(thread)
                return

    def _run(self) -> None:
        work = None
        while work is not _end:
            self._count_idle(1)
            try:
                work = self._work.get(timeout=_IDLE)
            except queue.Empty:
                if len(self._threads) > self._few:
                    break
                continue
            finally:
                self._count_idle(-1)
            self._taken = time.monotonic()
            try:
                work()
            except Exception:
                log.exception("a connection failed")
        self._threads.discard(threading.current_thread())

    def _count_idle(self, more: int) -> None:
        with self._lock:
            self._idle += more


def _end() -> None:
    """The last work of a thread."""
