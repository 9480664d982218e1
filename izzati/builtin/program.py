"""The program that this process belongs to: what was executed once, and has forked since.

A server that forks its workers, as gunicorn does, is several processes of one program. Its first process may know
nothing of izzati, so it cannot hand anything down; the system tells which processes belong together.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from importlib import import_module
from pathlib import Path

__all__ = ["first_process", "identity"]

_AT_RANDOM = 25
_RANDOM_BYTES = 16


def identity() -> str:
    """The same in every process of this program, and in no other. Where the system does not tell: random."""
    if sys.platform == "linux":
        # What Linux gives to everything that it executes, and a fork keeps (getauxval(3)). It seeds the guards of the
        # stack, too, so that only a digest may be seen.
        ctypes = import_module("ctypes")  # which no other program needs
        lookup = getattr(ctypes.CDLL(None), "getauxval", None)
        if lookup is not None:
            lookup.restype, lookup.argtypes = ctypes.c_void_p, [ctypes.c_ulong]
            address = lookup(_AT_RANDOM)
            if address:
                return hashlib.sha256(ctypes.string_at(address, _RANDOM_BYTES)).hexdigest()[:16]
    return secrets.token_hex(8)


def first_process(border: int | None) -> int:
    """The process from which all others of this program were forked; this one, where the system does not tell.

    :param border: a process to go no further up than.
    """
    pid, mine = os.getpid(), _image(os.getpid())
    while mine is not None and pid != border:
        above = _parent(pid)
        if above is None or _image(above) != mine:
            break
        pid = above
    return pid


def _image(pid: int) -> bytes | None:
    """What a fork shares with its parent: where the program lies in memory, at addresses of chance (proc_pid_auxv(5)).

    A server that has given up root may not see that, not even of itself: its command line has to do. None on other
    systems than Linux.
    """
    for file in ("auxv", "cmdline"):
        try:
            return Path(f"/proc/{pid}/{file}").read_bytes() or None
        except OSError:
            continue
    return None


def _parent(pid: int) -> int | None:
    try:
        # The second field is the program's name, and may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except (OSError, UnicodeError, ValueError, IndexError):
        return None
