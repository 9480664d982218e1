"""The garbage collector, which looks for what nobody needs among values that are just being made."""

from __future__ import annotations

import gc
import os
import threading
import time
from contextlib import AbstractContextManager, nullcontext

__all__ = ["collector_paused"]

_LARGE = 256 * 1024
"""Bytes from which on there may be so many values that it shows."""

_SHARE = 20
"""The collector may wait so many times as long as it takes to collect everything, before that is done."""

_SHORTEST = 0.1
"""Seconds that it may wait in all, however little there is to go through."""


class _Pause:
    """While any thread has entered it, nothing is collected. What is in no cycle is freed as ever.

    But pauses that overlap may have no end, and what is new counts as old after each, which Python goes through only
    when enough has become old in another way. So after some time spent in them everything is collected at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = 0
        self._was_enabled = False
        #: seconds in which it waited since everything was collected, how many it may, and until when they are counted
        self._waited, self._patience, self._counted = 0.0, _SHORTEST, 0.0

    # A process may be forked between any two lines: whatever has switched the collector off counts as entered.

    def __enter__(self) -> None:
        self._catch_up()  # now, since there are none of the new values yet
        with self._lock:
            if self._entered == 0:
                self._was_enabled = gc.isenabled()
                self._counted = time.perf_counter()
            self._entered += 1
            gc.disable()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            now = time.perf_counter()
            self._waited += now - self._counted
            self._counted = now
            if self._entered == 1 and self._was_enabled:
                if gc.get_freeze_count() == 0:  # else the program keeps some frozen
                    gc.freeze()
                    gc.unfreeze()  # what is new counts as old, and is not gone through at once
                gc.enable()
            self._entered -= 1

    def _catch_up(self) -> None:
        with self._lock:
            enabled = self._was_enabled if self._entered else gc.isenabled()
            if self._waited < self._patience or not enabled:
                return
            self._waited = 0.0
        begun = time.perf_counter()
        gc.collect()
        self._patience = max(_SHORTEST, _SHARE * (time.perf_counter() - begun))

    def end(self) -> None:
        """In a forked process, which has none of the threads that entered."""
        if self._entered and self._was_enabled:
            gc.enable()
        self.__init__()  # type: ignore[misc]


def collector_paused(size: int) -> AbstractContextManager[None]:
    """A context in which values are made of so many bytes.

    If these are many, the garbage collector, which would go through millions of new values again and again, waits
    meanwhile, in all threads, and collects everything where it has waited often. A program that has switched it off
    finds it off.
    """
    return _pause if size >= _LARGE else _nothing


_pause = _Pause()
_nothing = nullcontext()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pause.end)
