"""The garbage collector, which looks for what nobody needs among values that are just being made."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import AbstractContextManager, nullcontext

__all__ = ["collector_paused"]

_LARGE = 256 * 1024
"""Bytes from which on there may be so many values that it shows."""


class _Pause:
    """While any thread has entered it, nothing is collected. What is in no cycle is freed as ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = 0
        self._was_enabled = False

    def __enter__(self) -> None:
        with self._lock:
            if self._entered == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._entered += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._entered -= 1
            if self._entered == 0 and self._was_enabled:
                if gc.get_freeze_count() == 0:  # else the program keeps some frozen
                    gc.freeze()
                    gc.unfreeze()  # what is new counts as old, and is not gone through at once
                gc.enable()

    def end(self) -> None:
        """In a forked process, which has none of the threads that entered."""
        if self._entered and self._was_enabled:
            gc.enable()
        self.__init__()  # type: ignore[misc]


def collector_paused(size: int) -> AbstractContextManager[None]:
    """A context in which values are made of so many bytes.

    If these are many, the garbage collector, which would go through millions of new values again and again, waits
    meanwhile, in all threads. A program that has switched it off finds it off.
    """
    return _pause if size >= _LARGE else _nothing


_pause = _Pause()
_nothing = nullcontext()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pause.end)
