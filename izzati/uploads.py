"""Uploads: from the first byte that arrives to the file that the callback holds.

An :class:`Upload` is announced by its headers; a storage plugin opens a :class:`Sink` for it; the reader of the body
writes into it; when the whole body has been read every sink commits, and the callback gets :class:`UploadedFile`\\ s.
"""

from __future__ import annotations

import errno
import io
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import IO, Any, NoReturn

from izzati.errors import Problem

__all__ = ["Sink", "Upload", "UploadedFile", "Uploads", "raise_as_problem"]

log = logging.getLogger("izzati")

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}


class Sink(ABC):
    """Where one upload's bytes go. A storage plugin gives one for each upload (``izzati_store``).

    The calls come in this order: ``write`` any number of times, then either ``abort``, or ``commit`` and, once the
    answer has been sent, ``close``. An ``abort`` may follow a ``commit`` when another upload of the request fails.
    """

    @abstractmethod
    def write(self, data: bytes) -> object:
        """Take the next bytes. An ``OSError`` for want of space becomes a 507 for the caller, of descriptors a 503."""

    @abstractmethod
    def commit(self) -> None:
        """The whole body has been read: what was written stands."""

    @abstractmethod
    def abort(self) -> None:
        """The request failed: leave nothing behind."""

    @abstractmethod
    def open(self) -> IO[bytes]:
        """A new, seekable reader of what was committed, at its beginning."""

    def close(self) -> None:  # noqa: B027 - most sinks hold nothing
        """The request is over: release what is held for it. Does nothing unless overridden."""


class Upload:
    """A file on its way in.

    :param filename: the last component of the name sent; may be empty.
    :param name: the key of the form's field; empty for a raw body.
    :param content_type: the media type sent, with its parameters.
    """

    __slots__ = ("content_type", "filename", "name", "sink", "size")

    sink: Sink

    def __init__(self, filename: str, name: str, content_type: str) -> None:
        self.filename = filename
        self.name = name
        self.content_type = content_type
        #: bytes written so far
        self.size = 0

    def write(self, data: bytes) -> None:
        """Hand bytes on to the sink.

        :raises Problem: 507 if there is no room for them, 503 if no file can be opened.
        """
        try:
            self.sink.write(data)
        except OSError as error:
            raise_as_problem(error)
        self.size += len(data)


class UploadedFile(io.BufferedIOBase):
    """A file that came with the request. It reads like any binary file, and can be saved.

    It lives as long as its request: read or save it before the callback's answer has been sent.
    """

    def __init__(self, upload: Upload, save: Callable[[UploadedFile, str], str]) -> None:
        #: the last component of the name that was sent, otherwise unchanged: do not build paths from it, ``save`` does
        self.filename = upload.filename
        #: the key of the form's field; empty for a raw body
        self.name = upload.name
        #: the media type that was sent, ``application/octet-stream`` if none was
        self.content_type = upload.content_type
        #: length in bytes
        self.size = upload.size
        #: where the bytes are, for storage plugins
        self.sink = upload.sink
        self._save = save
        self._reader: IO[bytes] | None = None
        self._over = False

    def save(self, location: str | os.PathLike[str]) -> str:
        """Keep the file at a location: a path, a folder, or a URL whose scheme an installed plugin stores.

        On the same file system nothing is copied of a request's first four large files. A file that exists is replaced,
        atomically; in a folder the file gets its own name, made safe, and a number if that name is taken;
        after ten, 16 random hexadecimal digits.

        :returns: the location of the file.
        :raises UnknownScheme: if no plugin stores at that scheme.
        :raises OSError: if the folder does not exist, is not writable or is full.
        """
        self._require_request()
        return self._save(self, os.fspath(location))

    def reader(self) -> IO[bytes]:
        """Another reader of the same file, at its beginning; to be closed by whoever asks.

        :raises Problem: 503 if no file can be opened.
        """
        try:
            return self.sink.open()
        except OSError as error:
            raise_as_problem(error)

    def read(self, size: int | None = -1, /) -> bytes:
        return self._open().read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._open().readline(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._open().seek(offset, whence)

    def tell(self) -> int:
        return self._open().tell()

    def fileno(self) -> int:
        return self._open().fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        super().close()

    def end(self) -> None:
        """The request is over; whatever reads on is told so."""
        self._over = True
        self.close()

    def __repr__(self) -> str:
        return f"<UploadedFile {self.filename!r} ({self.name!r}, {self.content_type}, {self.size} bytes)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an uploaded file cannot go to another process: save() it and send the path, or send read()")

    def _open(self) -> IO[bytes]:
        self._require_request()
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if self._reader is None:
            self._reader = self.reader()
        return self._reader

    def _require_request(self) -> None:
        if self._over:
            raise ValueError(
                f"the upload {self.filename!r} ended with its request: read it in the callback, "
                "or save() it there and open the saved file later"
            )


class Uploads:
    """All uploads of one request, which stand or fall together."""

    __slots__ = ("_files", "_uploads")

    def __init__(self) -> None:
        self._uploads: list[Upload] = []
        self._files: list[UploadedFile] = []

    def add(self, upload: Upload) -> None:
        self._uploads.append(upload)

    def commit(self, chosen: Iterable[Upload], save: Callable[[UploadedFile, str], str]) -> list[UploadedFile]:
        """Commit every upload; the files are those that were chosen, in that order.

        :raises Problem: 507 if there is no room, 503 if no file can be opened.
        """
        try:
            for upload in self._uploads:
                upload.sink.commit()
        except OSError as error:
            raise_as_problem(error)
        self._files = [UploadedFile(upload, save) for upload in chosen]
        return self._files

    def abort(self) -> None:
        self._each(lambda sink: sink.abort())

    def close(self) -> None:
        for file in self._files:
            file.end()
        self._files = []
        self._each(lambda sink: sink.close())

    def _each(self, act: Callable[[Sink], Any]) -> None:
        while self._uploads:
            upload = self._uploads.pop()
            try:
                act(upload.sink)
            except Exception:
                # The others must be released all the same.
                log.exception("the sink of the upload %r could not be released", upload.filename)

    def __bool__(self) -> bool:
        return bool(self._uploads or self._files)


def raise_as_problem(error: OSError) -> NoReturn:
    """Raise a 507 for an error that says so, a 503 for want of descriptors, and any other as it is."""
    if error.errno in _NO_ROOM:
        log.error("there is no room for an upload: %s", error)
        raise Problem(507, "There is no room to store the upload. Send less, or try again later.") from error
    if error.errno in _NO_DESCRIPTOR:
        log.error("no more files can be opened: %s", error)
        raise Problem(503, "The server has as many files open as it may. Try again later.") from error
    raise error
