"""Reading from a store: seekable, and a block at a time."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import IO, Any

from izzati import StoredFile
from izzati_storage.remote import Remote, as_os_errors

__all__ = ["open_object", "open_stored"]

_AHEAD = 2 << 20
"""Bytes that are asked for at a time. Each time costs a round trip; a jump wastes what was not yet read."""


class _Ranges(io.RawIOBase):
    """A file of which any range can be fetched.

    :param fetch: ``fetch(start, end)`` gives the bytes from start to before end.
    :param size: of the file, in bytes.
    :param release: called once, at the end.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int, release: Callable[[], object]) -> None:
        self._fetch = fetch
        self._size = size
        self._release = release
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if place < 0:
            raise ValueError(f"there is no place {place} in a file")
        self._place = place
        return place

    def readinto(self, buffer: Any, /) -> int:
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._next(self._size)  # in one request; RawIOBase would send one for each 8 KiB

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._release()

    def _next(self, size: int) -> bytes:
        end = min(self._place + size, self._size)
        if self._place >= end:
            return b""
        data = self._fetch(self._place, end)
        if len(data) != end - self._place:
            raise OSError(f"the store gave {len(data)} of {end - self._place} bytes: the file has changed, or is gone")
        self._place = end
        return data


def open_object(remote: Remote, path: str, size: int) -> IO[bytes]:
    """A reader of a file that nobody replaces. It holds no connection, so that there may be thousands."""

    def fetch(start: int, end: int) -> bytes:
        with remote.use() as file_system:
            if remote.objects:
                return bytes(file_system.cat_file(path, start=start, end=end))
            with file_system.open(path, "rb") as stream:  # sshfs has a cat_file that gives all, whatever is asked
                stream.seek(start)
                return bytes(stream.read(end - start))

    return _buffered(_Ranges(fetch, size, lambda: None))


def open_stored(remote: Remote, path: str) -> StoredFile:
    """A file as it is now; if it is replaced meanwhile, a reader gets the old bytes or an OSError.

    :raises OSError: if it cannot be opened.
    """
    name = path.rpartition("/")[2]
    if remote.scheme == "memory":  # whose files are one and the same for all readers
        with remote.use() as file_system:
            info, content = file_system.info(path), file_system.cat_file(path)
        return StoredFile(io.BytesIO(content), name, len(content), _modified(info))
    file_system = remote.take()
    try:
        with as_os_errors():
            stream = file_system.open(path, "rb", block_size=_AHEAD if remote.objects else None)
            info = getattr(stream, "details", None) or file_system.info(path)
            if info.get("type", "file") != "file":
                raise FileNotFoundError(f"{path} is a folder")
            stream.seek(0, os.SEEK_END)
            size = stream.tell()
    except FileNotFoundError:
        remote.give(file_system)
        raise
    except BaseException:
        remote.drop(file_system)
        raise

    def fetch(start: int, end: int) -> bytes:
        with as_os_errors():
            stream.seek(start)
            return bytes(stream.read(end - start))

    def release() -> None:
        with suppress(OSError):  # all that was wanted has been read
            remote.close(file_system, stream)

    return StoredFile(_buffered(_Ranges(fetch, size, release)), name, size, _modified(info))


def _buffered(raw: io.RawIOBase) -> IO[bytes]:
    return io.BufferedReader(raw, _AHEAD)


def _modified(info: dict[str, Any]) -> float | None:
    """Seconds since 1970; every kind of store calls it something else."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "created"):
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return None
