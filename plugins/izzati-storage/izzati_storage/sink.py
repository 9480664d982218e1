"""An upload on its way into a store."""

from __future__ import annotations

import errno
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from izzati import Call, Problem, Sink
from izzati_storage.reader import open_object
from izzati_storage.remote import Remote
from izzati_storage.writers import remove, writer_to

__all__ = ["Received", "StoreSink"]

log = logging.getLogger("izzati.storage")

_NAMELESS = 4
"""Uploads of one request that may wait in an open file each, beside the one that arrives."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StoreSink(Sink):
    """Writes an upload to its key, where it stays.

    :param remote: the store.
    :param path: the key in it, which nothing else has.
    :param location: the same as a URL.
    """

    def __init__(self, remote: Remote, path: str, location: str, uploads: Received) -> None:
        #: where the upload will be; for callbacks, too
        self.location = location
        self.remote = remote
        self.path = path
        #: True if it stays whatever the callback does
        self.kept = False
        #: bytes that have been written
        self.size = 0
        self._received = uploads
        self._writer = writer_to(remote, path)
        self._there = False

    @property
    def held(self) -> int:
        """Bytes of it that are in memory."""
        return self._writer.held

    @property
    def nameless(self) -> bool:
        """True if an open file without a name has it."""
        return self._writer.nameless

    def write(self, data: bytes) -> None:
        with self._told():
            self._writer.write(data)
        self.size += len(data)

    def finish(self) -> None:
        """All of it has been written."""
        with self._told():
            self._writer.finish()

    def commit(self) -> None:
        self._there = True  # or half, if this fails
        with self._told():
            self._writer.commit()

    def abort(self) -> None:
        there, self._there = self._there, False
        try:
            self._writer.discard()
        finally:
            if there:
                remove(self.remote, self.path)

    def open(self) -> IO[bytes]:
        return open_object(self.remote, self.path, self.size)

    def close(self) -> None:
        answered = self._received.end()
        if not (self.kept or answered):
            self.abort()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A store that fails is no fault of the caller's, and why it fails is none of their business."""
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise Problem(507, "There is no room to store the upload. Send less, or try again later.") from error
            name = self._received.request_id
            log.error("request %s: its upload could not be stored at %s", name, self.location, exc_info=error)
            raise Problem(
                503,
                "The store that keeps uploads did not take this one. Send it again later. The server's log has the "
                f"reason under the request's id, {name}.",
            ) from error


class Received:
    """All that one request has sent to a store.

    The request holds this, and each upload does. When it is over nothing here leads back to them, or all would stay in
    memory until the garbage collector comes by.

    :param request_id: that request's.
    :param room: bytes of its uploads that may wait in memory together, beside the one that arrives.
    :param keep_failed: True if they stay when the callback fails.
    """

    def __init__(self, request_id: str, room: int, keep_failed: bool) -> None:
        self.request_id = request_id
        #: its call, until it is over; None before it is made
        self.call: Call | None = None
        self._answered = keep_failed
        self._room = room
        self._files = _NAMELESS
        self._last: Callable[[], StoreSink | None] = lambda: None

    def end(self) -> bool:
        """The request is over; True if the callback has returned, or if that does not matter.

        A hook around ``izzati_call`` sees less: a plugin may make the call later, in another thread.
        """
        call, self.call = self.call, None
        self._answered = self._answered or (call is not None and call.made)
        return self._answered

    def begin(self, remote: Remote, path: str, location: str) -> StoreSink:
        """The next upload, which says that the one before is whole."""
        last = self._last()
        if last is not None and last.size:  # else there is nothing of it, and nothing may be left of it
            if 0 < last.held <= self._room:
                self._room -= last.held
            elif last.nameless and self._files:
                self._files -= 1
            else:
                last.finish()
        sink = StoreSink(remote, path, location, self)
        self._last = weakref.ref(sink)
        return sink
