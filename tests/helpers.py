"""Functions that several test modules use."""

from __future__ import annotations

import time
from pathlib import Path

# After this anything that waits has failed.
SECONDS = 20

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\r\n--\r\n--RNFetchBlob-\r\n\r\n\x00\xff\xd9"
"""Not a picture, but what a picture may hold: line ends, dashes, and the beginning of a boundary."""


def within(seconds, condition):
    """True as soon as the condition holds; False if it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)  # between two looks, not instead of one
    return False


def status(pid):
    """The state of a process, and its parent; (None, None) if there is none."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:2]
    except OSError:
        return None, None
    return state, int(parent)


def gone(pid):
    """True if there is no such process, or only what is left of it until its parent looks."""
    return status(pid)[0] in (None, "Z", "X")


def nothing(q):
    """Background work that has ended as soon as it has begun."""
