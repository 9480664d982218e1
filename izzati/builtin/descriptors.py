"""How many descriptors connections may have."""

from __future__ import annotations

import math
import os
import sys

if sys.platform != "win32":
    import resource

__all__ = ["kept_for_files", "next_descriptor"]

_MOST = 128


def kept_for_files() -> float:
    """The first of the descriptors that connections leave to what requests open: the last quarter of them, or 128."""
    if sys.platform == "win32":
        return math.inf
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return math.inf
    return limit - min(_MOST, (limit - next_descriptor()) // 4)


def next_descriptor() -> float:
    """What is opened next gets this one, the lowest that is free; infinite if none is."""
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return math.inf
    os.close(descriptor)
    return descriptor
