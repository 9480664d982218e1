"""Uploads on this machine: small ones in memory, larger ones in a temporary file that ``save()`` only has to name."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from importlib import import_module
from urllib.parse import urlsplit

from izzati import Request, Sink, Storage, StoredFile, Upload, UploadedFile, hookimpl, safe_filename
from izzati.builtin.sinks import Room, SpoolSink
from izzati.builtin.temporary import DiskFile, sweep

__all__ = ["Spool"]

# Numbers that are tried for a name that is taken; after them chance finds a free one at once.
_NUMBERS = 10


class Spool(Storage):
    """Opens and saves on the local disk, and keeps uploads that no other storage plugin takes.

    :param folder: where large uploads wait for their request's end; the system's temporary folder unless given. On the
        file system where uploads are saved, saving copies nothing of the first four; those after them share one file.
    :param memory: bytes of one request's uploads that are kept in memory, together.
    """

    schemes = ("", "file")

    def __init__(self, folder: str | os.PathLike[str] | None = None, memory: int = 1 << 20) -> None:
        self._folder = os.fspath(folder) if folder is not None else tempfile.gettempdir()
        self._memory = memory
        if not os.path.isdir(self._folder):
            raise ValueError(f"spool: folder={self._folder!r} is not a folder")

    @hookimpl
    def izzati_startup(self) -> None:
        sweep(self._folder)

    def sink(self, upload: Upload, request: Request) -> Sink:
        if "spool" not in request.state:
            request.state["spool"] = Room(self._folder, self._memory)
        return SpoolSink(request.state["spool"])

    def open(self, location: str) -> StoredFile:
        path = _path(location)
        stream = open(path, "rb")  # noqa: SIM115 - whoever asked closes it
        status = os.fstat(stream.fileno())
        return StoredFile(stream, os.path.basename(path), status.st_size, status.st_mtime)

    def save(self, file: UploadedFile, location: str) -> str:
        if not location:
            raise ValueError("save() needs a path, a folder or a URL, not an empty one")
        target = _path(location)
        is_folder = os.path.isdir(target)
        if not is_folder and location.endswith(("/", os.sep)):
            raise FileNotFoundError(errno.ENOENT, "the folder to save in does not exist", location)
        if not is_folder and _is_special(target):
            raise FileExistsError(
                errno.EEXIST, "a device, pipe or socket is not replaced; choose another name", location
            )
        # It gets its name in one step, so that nobody ever sees half of it. A link there is replaced.
        beside = os.path.join(target if is_folder else os.path.dirname(target), f".{os.urandom(8).hex()}.part")
        try:
            if not (isinstance(file.sink, SpoolSink) and file.sink.link(beside)):
                _copy(file.sink, beside)
            if is_folder:
                return _move_into(target, safe_filename(file.filename), beside)
            os.replace(beside, target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside)
        return target


def _path(location: str) -> str:
    # Not a Path: before 3.12.7 Python 3.12 keeps the parts of every one for ever.
    if location[:7].lower() == "file://":
        # By name: it comes with a client of HTTP, and few locations are URLs.
        path: str = import_module("urllib.request").url2pathname(urlsplit(location).path)
        return path
    return location


def _is_special(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode))


def _move_into(folder: str, name: str, source: str) -> str:
    """Move a file into a folder under a name that nothing there had before, and return its path."""
    path = _reserve(folder, name)
    try:
        os.replace(source, path)
    except BaseException:
        os.unlink(path)
        raise
    return path


def _reserve(folder: str, name: str) -> str:
    """A path in the folder that nothing had before; an empty file holds it until the upload takes its place."""
    stem, suffix = os.path.splitext(name)
    for number in itertools.count(1):
        mark = number if number <= _NUMBERS else os.urandom(8).hex()
        path = os.path.join(folder, name if number == 1 else f"{stem} ({mark}){suffix}")
        try:
            open(path, "xb").close()
        except FileExistsError:
            continue
        return path
    raise AssertionError("numbers do not end")


def _copy(sink: Sink, target: str) -> None:
    """Copy to a file that gets its name when it is whole, where the system can: a server that is killed leaves none."""
    copy = DiskFile.anonymous(os.path.dirname(target) or os.curdir)
    if copy is not None:
        try:
            with sink.open() as source:
                shutil.copyfileobj(source, copy.stream, 1 << 20)
            copy.flush()
            if copy.link(target):
                return
        finally:
            copy.close()
    with sink.open() as source, open(target, "xb") as named:
        shutil.copyfileobj(source, named, 1 << 20)
