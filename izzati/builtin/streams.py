"""What a request's body comes out of, and an answer's file goes into."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import IO, Any

from izzati import BLOCK

__all__ = ["BodyStream", "FileWrapper"]


class BodyStream(io.RawIOBase):
    """A request's body as ``wsgi.input``; what a read needs is received when it is read.

    :param next_data: gives the next bytes; none at the end.
    """

    def __init__(self, next_data: Callable[[], bytes | bytearray]) -> None:
        self._next_data = next_data
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(self._next_data())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class FileWrapper:
    """``wsgi.file_wrapper`` (PEP 3333): a file that leaves by sendfile where the system can."""

    def __init__(self, file: IO[bytes], block_size: int = BLOCK) -> None:
        self.file = file
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while block := self.file.read(self.block_size):
            yield block

    def close(self) -> None:
        self.file.close()
