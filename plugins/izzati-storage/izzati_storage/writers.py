"""Writing what can still be taken back: nothing appears before ``commit``, nothing is left after ``discard``."""

from __future__ import annotations

import secrets
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

from fsspec.spec import AbstractBufferedFile

from izzati_storage.nameless import give_name, open_nameless
from izzati_storage.remote import Remote, as_os_errors

__all__ = ["Writer", "remove", "reserve", "writer_to"]

_ATTEMPTS = 3


class Writer(Protocol):
    """The way to one object or file. Every method raises OSError if the store fails."""

    @property
    def held(self) -> int:
        """Bytes that wait in memory for what comes next."""

    @property
    def nameless(self) -> bool:
        """True if an open file without a name has what was written, so that nothing is left even after a crash."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """There are no more bytes; let go of memory and connections, and wait for ``commit``."""

    def commit(self) -> None:
        """What was written appears."""

    def discard(self) -> None:
        """What was written is given up; after ``commit``, what has failed of it."""


def writer_to(remote: Remote, path: str) -> Writer:
    """A writer for this place in a store."""
    if remote.objects:
        return ObjectWriter(remote, path)
    return LocalWriter(remote, path) if remote.local else FileWriter(remote, path)


class ObjectWriter:
    """Small objects go out in one request, at ``commit``; larger ones in parts, as they come.

    It holds a block itself, although fsspec's files do so too: those begin a multipart upload for every byte.
    """

    nameless = False

    def __init__(self, remote: Remote, path: str) -> None:
        self._remote = remote
        self._path = path
        self._blocks: deque[bytes] = deque()
        self._file: Any = None
        self.held = 0

    def write(self, data: bytes) -> None:
        if self._file is None and (self._remote.scheme == "memory" or self.held + len(data) <= self._remote.block):
            self._blocks.append(data)
            self.held += len(data)
        else:
            self._send(data)

    def finish(self) -> None:
        if self._file is None and self._remote.scheme != "memory":
            self._send(b"")
        # Azure's file would appear; there its last block waits in memory.
        if self._file is not None and type(self._file).commit is not AbstractBufferedFile.commit:
            with self._remote.use():
                self._file.close()

    def commit(self) -> None:
        with self._remote.use() as file_system:
            if self._file is None:
                file_system.pipe_file(self._path, b"".join(self._blocks))
                self._forget()
            else:
                self._file.close()
                self._file.commit()
                self._file = None

    def discard(self) -> None:
        self._forget()
        if self._file is not None:
            try:
                with self._remote.use():
                    self._file.discard()
            finally:
                self._file.closed = True  # else it would send the rest when it is collected

    def _send(self, data: bytes) -> None:
        with self._remote.use() as file_system:
            if self._file is None:
                # Not by open(): that keeps each such file for a transaction that never ends.
                self._file = file_system._open(  # noqa: SLF001 - what open() calls
                    self._path,
                    mode="wb",
                    block_size=self._remote.block,
                    autocommit=False,
                )
            blocks = self._forget()
            while blocks:
                self._file.write(blocks.popleft())  # one by one, so that no more than two blocks are in memory
            self._file.write(data)

    def _forget(self) -> deque[bytes]:
        """What is held, which is held no more."""
        blocks, self._blocks, self.held = self._blocks, deque(), 0
        return blocks


class FileWriter:
    """Writes a hidden file beside the place, and renames it."""

    held = 0
    nameless = False

    def __init__(self, remote: Remote, path: str) -> None:
        self._remote = remote
        self._path = path
        self._folder, slash, _ = path.rpartition("/")
        self._part = f"{self._folder}{slash}.{secrets.token_hex(8)}.part"
        self._begun = False
        self._file: Any = None
        self._file_system: Any = None

    def write(self, data: bytes) -> None:
        self._begin()
        try:
            with as_os_errors():
                self._file.write(data)
        except BaseException:
            self._remote.drop(self._file_system)
            raise

    def finish(self) -> None:
        self._begin()
        if self._file is not None:
            file, self._file = self._file, None
            self._remote.close(self._file_system, file)

    def commit(self) -> None:
        self.finish()
        with self._remote.use() as file_system:
            file_system.mv(self._part, self._path)
        self._begun = False

    def discard(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            if self._remote.shared:
                with suppress(Exception):
                    file.close()  # it may be what has failed
            self._remote.drop(self._file_system)
        if self._begun:
            remove(self._remote, self._part)

    def _begin(self) -> None:
        if self._begun:
            return
        self._file_system = self._remote.take()
        try:
            with as_os_errors():
                self._file = self._created()
        except BaseException:
            self._remote.drop(self._file_system)
            raise
        self._begun = True

    def _created(self) -> Any:
        """The hidden file. Its folder is made if need be, even while others make the same one."""
        for _ in range(_ATTEMPTS):
            try:
                return self._opened()
            except FileNotFoundError:
                with suppress(OSError):  # made by another; or the next attempt says what is wrong
                    self._file_system.makedirs(self._folder, exist_ok=True)
        return self._opened()

    def _opened(self) -> Any:
        return self._file_system.open(self._part, "wb")


class LocalWriter(FileWriter):
    """Where Linux can, the file has no name before it is whole."""

    def finish(self) -> None:
        self._begin()
        if self.nameless:
            self._name(self._part)
        super().finish()

    def commit(self) -> None:
        self._begin()
        if not self.nameless:
            super().commit()
            return
        self._name(self._path)
        super().finish()
        self._begun = False

    def _opened(self) -> Any:
        file = open_nameless(self._folder or "/")
        self.nameless = file is not None
        return file or super()._opened()

    def _name(self, path: str) -> None:
        self._file.flush()
        give_name(self._file, path)
        self.nameless = False


def remove(remote: Remote, path: str) -> None:
    """Delete what is there, if anything is.

    :raises OSError: if the store fails.
    """
    with suppress(FileNotFoundError), remote.use() as file_system:
        file_system.rm_file(path)


def reserve(remote: Remote, path: str) -> None:
    """Put an empty file where nothing is, which nobody else can do at the same time.

    :raises FileExistsError: if something is there.
    """
    with remote.use() as file_system:
        # First, for a store that knows no condition would replace what is there.
        if _exists(file_system, path):
            raise FileExistsError(path)
        try:
            if remote.objects:
                file_system.pipe_file(path, b"", mode="create")
            else:
                file_system.open(path, "xb").close()
        except OSError as error:
            # SFTP, which OpenSSH speaks in version 3, has one number for all that fails.
            if _exists(file_system, path):
                raise FileExistsError(path) from error
            raise


def _exists(file_system: Any, path: str) -> bool:
    """True if something is there. (fsspec's own ``exists`` says no when the store fails.)"""
    try:
        file_system.info(path)
    except FileNotFoundError:
        return False
    return True
