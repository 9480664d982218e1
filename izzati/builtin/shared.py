"""One temporary file for many uploads."""

from __future__ import annotations

import io
import os
import threading
from typing import IO, Any

from izzati.builtin.temporary import DiskFile

__all__ = ["Part", "SharedFile"]


class SharedFile:
    """A file that holds its parts one behind the other, and is removed with the last of them."""

    def __init__(self, folder: str) -> None:
        self._disk = DiskFile.new(folder)
        self._end = 0
        self._parts = 0
        self._lock = threading.Lock()

    def part(self) -> Part:
        """A new one, empty yet."""
        self._parts += 1
        return Part(self)

    def append(self, data: bytes) -> tuple[int, int]:
        """Write at the end; returns where that begins and ends."""
        with self._lock:
            if self._disk.stream.tell() != self._end:  # somebody has read meanwhile
                self._disk.stream.seek(self._end)
            self._disk.write(data)
            begin, self._end = self._end, self._end + len(data)
            return begin, self._end

    def flush(self) -> None:
        self._disk.flush()

    def read(self, begin: int, size: int) -> bytes:
        with self._lock:  # threads of a callback may have an upload each
            self._disk.stream.seek(begin)
            return self._disk.stream.read(size)

    def leave(self) -> None:
        """A part is needed no more."""
        self._parts -= 1
        if not self._parts:
            self._disk.close()


class Part:
    """What is written through it. It is in several pieces if other parts were written meanwhile."""

    def __init__(self, file: SharedFile) -> None:
        self._file = file
        self._pieces: list[tuple[int, int]] = []
        #: length in bytes
        self.size = 0

    def write(self, data: bytes) -> None:
        begin, end = self._file.append(data)
        if self._pieces and self._pieces[-1][1] == begin:
            begin, _ = self._pieces.pop()
        self._pieces.append((begin, end))
        self.size += len(data)

    def flush(self) -> None:
        self._file.flush()

    def open(self) -> IO[bytes]:
        """A reader of what was flushed, at its beginning."""
        return io.BufferedReader(_Reader(self))

    def read(self, offset: int, size: int) -> bytes:
        """At most so many bytes from there on; none at the end."""
        for begin, end in self._pieces:
            if offset < end - begin:
                return self._file.read(begin + offset, min(size, end - begin - offset))
            offset -= end - begin
        return b""

    def close(self) -> None:
        self._file.leave()


class _Reader(io.RawIOBase):
    def __init__(self, part: Part) -> None:
        self._part = part
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        offset += {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._part.size}[whence]
        if offset < 0:
            raise ValueError(f"negative seek position {offset}")
        self._offset = offset
        return offset

    def readinto(self, buffer: Any, /) -> int:
        data = self._part.read(self._offset, len(buffer))
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def readall(self) -> bytes:
        # The inherited one reads a few kilobytes at a time.
        pieces = []
        while piece := self._part.read(self._offset, self._part.size):
            self._offset += len(piece)
            pieces.append(piece)
        return b"".join(pieces)
