"""Names and passwords out of an htpasswd file with bcrypt entries (RFC 7617)."""

from __future__ import annotations

import hmac
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt

from izzati import Problem
from izzati_auth.credentials import Wrong

__all__ = ["Htpasswd"]

log = logging.getLogger("izzati.auth")

# Costs from 4 to 17 are what htpasswd makes. 16 bytes of salt leave four bits of its last character empty.
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-7])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_LONGEST = 72
"""Bytes of a password that bcrypt looks at."""
_REMEMBERED = 60.0
"""Seconds for which a password that was right need not be checked again."""
_PLACES = 8
"""Callers whose passwords are being checked, or who wait for that. Each has a thread of the server meanwhile."""


class Htpasswd:
    """The entries of a file, as they are now: it is read again when it has changed.

    :param path: the file, such as ``htpasswd -B -c`` makes.
    :param clock: seconds since whenever, by which a password that was right is forgotten.
    :raises ValueError: if it cannot be read, has no entry, or has one of another kind than bcrypt.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._path = Path(path).absolute()
        self._key = os.urandom(32)
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_PLACES)
        # bcrypt lets other threads run, so guesses from everywhere could take every processor from everyone else.
        self._turns = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))
        self._remembered: dict[str, tuple[bytes, float]] = {}
        try:
            self._version, self._entries = _version(self._path), _read(self._path)
        except OSError as error:
            raise ValueError(f"auth: htpasswd: {str(path)!r} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"auth: htpasswd: {str(path)!r}, {error}") from None

    def require(self, name: str, password: bytes, before: Callable[[], object] = lambda: None) -> None:
        """Return if this is the name's password.

        :param before: called when it is this caller's turn to be checked; it may refuse.
        :raises Wrong: if it is not. It takes as long for a name that the file does not have.
        :raises Problem: 503 if the file cannot be used any more, or too many callers are waiting to be checked.
        """
        if len(password) > _LONGEST:
            # To cut it off would let in whoever knows its beginning.
            raise Wrong("The password has more than 72 bytes, as many as bcrypt compares. Choose a shorter one.")
        entries = self._current()
        place = self._mac(name.encode())
        # A stranger is checked against the entry of somebody, always the same, so that the time tells nothing, even
        # where entries differ in cost.
        entry = entries.get(name) or list(entries.values())[int.from_bytes(place, "big") % len(entries)]
        # The entry is in it, so that a new password or a removed name makes it worthless at once.
        proof = self._mac(place + self._mac(entry) + password)
        if name in entries and self._remembers(name, proof):
            return
        with self._turn():
            if name in entries and self._remembers(name, proof):
                return  # since another request of the same caller has just been checked
            before()
            right = bcrypt.checkpw(password, entry)
            if not right or name not in entries:
                raise Wrong("This name and password are not known.")
            self._remembered[name] = (proof, self._clock() + _REMEMBERED)

    def _remembers(self, name: str, proof: bytes) -> bool:
        known, until = self._remembered.get(name, (b"", 0.0))
        return hmac.compare_digest(proof, known) and self._clock() < until

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Whoever finds no place is not left waiting: that would keep a thread from callers who need no check.
        if not self._places.acquire(blocking=False):
            raise Problem(503, "Too many passwords are being checked. Try again later.", headers={"Retry-After": "5"})
        try:
            with self._turns:
                yield
        finally:
            self._places.release()

    def _current(self) -> dict[str, bytes]:
        """The entries. Where the file is broken there are none: those of before might let in who was removed."""
        with self._lock:
            version = _version(self._path)
            if version != self._version:
                # Seen before it is read, so that whatever changes meanwhile is another version.
                self._version, self._entries = version, {}
                try:
                    self._entries = _read(self._path)
                except (OSError, ValueError) as error:
                    log.error(
                        "nobody gets in by a password, since the htpasswd file %s is broken: %s", self._path, error
                    )
                    if isinstance(error, OSError):
                        # What keeps it from being read may pass without a change of the file.
                        self._version = ()
            if not self._entries:
                raise Problem(
                    503,
                    "This server cannot check passwords. Its owner finds the reason in its log.",
                    headers={"Retry-After": "60"},
                )
            return self._entries


def _version(path: Path) -> tuple[int, ...]:
    """What changes when the file does; empty if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(path: Path) -> dict[str, bytes]:
    """Each name and its entry.

    :raises OSError: if it cannot be read.
    :raises ValueError: with what is wrong in which line; it never repeats an entry.
    """
    entries: dict[str, bytes] = {}
    for number, line in enumerate(path.read_bytes().decode().split("\n"), 1):
        name, colon, entry = line.strip().partition(":")
        if not line.strip() or line.startswith("#"):
            continue
        if not colon or not name:
            raise ValueError(f"line {number} is not name:entry")
        if not _BCRYPT.fullmatch(entry):
            raise ValueError(f"line {number}: the entry of {name!r} is not bcrypt; make it anew by: htpasswd -B")
        if name in entries:
            raise ValueError(f"line {number}: {name!r} is there twice; remove one of them")
        entries[name] = entry.encode()
    if not entries:
        raise ValueError("it has no entry; make one by: htpasswd -B")
    return entries
