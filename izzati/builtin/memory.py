"""Memory that the C library gives to threads."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

__all__ = ["share_memory"]

_M_ARENA_MAX = -8
"""As glibc's malloc.h has it."""


@cache
def share_memory() -> None:
    """Let threads that begin from now on use the memory of those that there are (mallopt(3)).

    Else glibc gives some to each alone, and keeps there what was freed: after large bodies, hundreds of megabytes. It
    does so for threads that ask at once, which under the interpreter's lock few do. Nothing is done for a program that
    has set ``MALLOC_ARENA_MAX``, or with another C library.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)
