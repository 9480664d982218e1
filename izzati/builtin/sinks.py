"""Where the uploads of one request are kept: in memory, in files of their own, and beyond those all in one file.

A request may bring thousands of files, and a program may have no more than a thousand open.
"""

from __future__ import annotations

import io
from typing import IO

from izzati import Sink
from izzati.builtin.shared import Part, SharedFile
from izzati.builtin.temporary import DiskFile

__all__ = ["Room", "SpoolSink"]

_OWN = 4
"""How many uploads of a request get a file of their own, which :meth:`SpoolSink.link` only has to name."""

_SMALL = 16 * 1024
"""Bytes that are copied as fast as a file is named. An upload that has no more when it is to leave memory gets none."""


class Room:
    """What the uploads of one request may still take.

    :param folder: where files are made.
    :param memory: bytes.
    """

    def __init__(self, folder: str, memory: int) -> None:
        self.memory = memory
        self._folder = folder
        self._own = _OWN
        self._shared: SharedFile | None = None

    def file(self, size: int) -> DiskFile | Part:
        """Where the rest of an upload goes, of which this many bytes are there."""
        if self._own and size > _SMALL:
            file = DiskFile.new(self._folder)
            self._own -= 1
            return file
        if self._shared is None:
            self._shared = SharedFile(self._folder)
        return self._shared.part()


class SpoolSink(Sink):
    """In memory while there is room for it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._memory = io.BytesIO()
        self._file: DiskFile | Part | None = None

    def write(self, data: bytes) -> None:
        if self._file is None:
            if len(data) <= self._room.memory:
                self._room.memory -= len(data)
                self._memory.write(data)
                return
            self._roll(data)
        else:
            self._file.write(data)

    def commit(self) -> None:
        if self._file is not None:
            self._file.flush()

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._memory.close()

    def open(self) -> IO[bytes]:
        # One in memory shares the bytes, and copies them only if somebody writes.
        return io.BytesIO(self._memory.getvalue()) if self._file is None else self._file.open()

    def link(self, target: str) -> bool:
        """Give its file this new name; False if it has none of its own, or on another file system."""
        return isinstance(self._file, DiskFile) and self._file.link(target)

    def _roll(self, data: bytes) -> None:
        held = self._memory.getvalue()
        self._file = self._room.file(len(held) + len(data))
        self._room.memory += len(held)
        self._memory = io.BytesIO()
        self._file.write(held)
        self._file.write(data)
