"""Temporary files: without a name where Linux can, else with one, by which they are found if they are left behind."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from contextlib import suppress
from typing import IO

try:
    import fcntl
except ImportError:  # on Windows, where nobody can remove a file that is open
    fcntl = None  # type: ignore[assignment]

__all__ = ["DiskFile", "sweep"]

_PREFIX = "izzati-"
_NAME = "upload"


class DiskFile:
    """A temporary file: without a name where Linux can (nothing is left even after a crash), else with one."""

    def __init__(self, descriptor: int, path: str | None) -> None:
        # With a small buffer: what is larger passes it by, and a request may have a file for each upload.
        self.stream = io.BufferedRandom(io.FileIO(descriptor, "w+"))
        self._path = path
        self._linked = False

    @classmethod
    def new(cls, folder: str) -> DiskFile:
        return cls.anonymous(folder) or cls._named(folder)

    @classmethod
    def anonymous(cls, folder: str) -> DiskFile | None:
        flag: int | None = getattr(os, "O_TMPFILE", None)
        if flag is None:
            return None
        try:
            # The mode is what save() will show, less the umask, which the kernel takes off without our asking for it.
            return cls(os.open(folder, flag | os.O_RDWR, 0o666), None)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                return None  # a kernel or file system without such files
            raise

    @classmethod
    def _named(cls, folder: str) -> DiskFile:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        while True:
            # The folder is its owner's alone, so the file can have the permissions that save() will show.
            own = tempfile.mkdtemp(prefix=_PREFIX, dir=folder)
            path = os.path.join(own, _NAME)
            try:
                descriptor = os.open(path, flags, 0o666)
            except OSError:
                os.rmdir(own)
                raise
            if _is_ours(descriptor, path):
                return cls(descriptor, path)
            os.close(descriptor)

    def write(self, data: bytes) -> None:
        self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()

    def open(self) -> IO[bytes]:
        """A reader of what was flushed, at its beginning."""
        return open(self._path or self._proc, "rb")

    def link(self, target: str) -> bool:
        """Give it this new name; False if that cannot be, or it has one already."""
        if self._linked:
            return False  # a second name of one file would change with the first
        try:
            if self._path is None:
                # A source directory makes Python pass AT_SYMLINK_FOLLOW, without which this would link the link.
                os.link(self._proc, target, src_dir_fd=self.stream.fileno(), follow_symlinks=True)
            else:
                os.link(self._path, target)
        except OSError:
            return False  # another file system, or one without links: the copy will work or say why not
        self._linked = True
        return True

    def close(self) -> None:
        """Remove it, but for the name that :meth:`link` gave."""
        self.stream.raw.close()  # what is still buffered is not wanted, and a full disk would not take it
        if self._path is not None:
            shutil.rmtree(os.path.dirname(self._path))

    @property
    def _proc(self) -> str:
        return f"/proc/self/fd/{self.stream.fileno()}"


def sweep(folder: str) -> None:
    """Remove files with names that were left in the folder by processes that were killed; living ones lock theirs."""
    with os.scandir(folder) as entries:
        found = [each.path for each in entries if each.name.startswith(_PREFIX) and each.is_dir(follow_symlinks=False)]
    for own in found:
        with suppress(OSError):  # it is in use, or another user's
            _remove(own)


def _remove(own: str) -> None:
    if fcntl is None:
        shutil.rmtree(own)
        return
    descriptor = os.open(os.path.join(own, _NAME), os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(own)
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int, path: str) -> bool:
    """Lock a new file for as long as this process lives; False if another one has just taken it for left behind."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: nobody can lock it, and so nobody removes it
    return os.path.exists(path)
