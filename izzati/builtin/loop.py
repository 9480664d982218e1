"""One thread for each process that waits for what ends and for what is due, and steps aside while the process forks.

A fork copies no thread, so a process should have no other when it forks; Python 3.12 and later warn if it has.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

__all__ = ["Loop", "loop"]

log = logging.getLogger("izzati.background")


class Loop:
    """Calls back when a descriptor is readable or a time has come; has a thread only while it waits for any."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, as after a fork, where what the parent waits for is the parent's."""
        self._lock = threading.RLock()
        self._wakened, self._waker = multiprocessing.Pipe(duplex=False)
        self._woken = False
        self._watched: dict[Any, Callable[[], object]] = {}
        self._times: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._pauses = 0

    def watch(self, descriptor: Any, callback: Callable[[], object]) -> None:
        """Call back whenever the descriptor (on Windows: the handle) is ready, until it is unwatched."""
        with self._lock:
            self._watched[descriptor] = callback
            self._changed()

    def unwatch(self, descriptor: Any) -> None:
        """Forget a descriptor; nothing happens if it is not watched."""
        with self._lock:
            if self._watched.pop(descriptor, None) is not None:
                self._changed()

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back once, after so many seconds."""
        with self._lock:
            heapq.heappush(self._times, (time.monotonic() + seconds, next(self._order), callback))
            self._changed()

    @property
    def threads(self) -> int:
        """How many threads it has now: 1 or 0."""
        return int(self._thread is not None)

    def pause(self) -> None:
        """End the thread, until :meth:`resume`."""
        with self._lock:
            self._pauses += 1
            thread = self._thread
            self._changed()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def resume(self) -> None:
        """Go on after a pause."""
        with self._lock:
            self._pauses = max(0, self._pauses - 1)
            self._changed()

    def _changed(self) -> None:
        if self._thread is not None:
            if not self._woken:
                self._woken = True
                self._waker.send_bytes(b"")
        elif not self._pauses and (self._watched or self._times):
            self._thread = threading.Thread(target=self._run, name="izzati background", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._pauses or not (self._watched or self._times):
                    self._thread = None
                    return
                seconds = max(0.0, self._times[0][0] - time.monotonic()) if self._times else None
                watched = [self._wakened, *self._watched]
            ready = wait(watched, seconds)
            for callback in self._due(ready):
                try:
                    callback()
                except Exception:
                    log.exception("the background thread failed")

    def _due(self, ready: list[Any]) -> list[Callable[[], object]]:
        with self._lock:
            if self._wakened in ready:
                self._wakened.recv_bytes()
                self._woken = False
            due = [self._watched[descriptor] for descriptor in ready if descriptor in self._watched]
            while self._times and self._times[0][0] <= time.monotonic():
                due.append(heapq.heappop(self._times)[2])
        return due


loop = Loop()
"""This process's own."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=loop.pause, after_in_parent=loop.resume, after_in_child=loop.reset)
