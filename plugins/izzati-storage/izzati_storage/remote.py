"""One store as fsspec opens it: loaded when it is first used, and shared by threads only where it can be."""

from __future__ import annotations

import errno
import importlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from izzati import UnknownScheme

__all__ = ["Remote", "Remotes", "is_known", "scheme_of"]

OBJECTS = frozenset(
    {"abfs", "abfss", "adl", "az", "gcs", "gs", "memory", "oci", "ocilake", "oss", "s3", "s3a", "tos", "tosfs"}
)
"""Schemes of stores where an object appears whole, under the key that was chosen first. In others a file is written
beside its place, and renamed."""

_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
}
_IDLE = 8
"""Connections that are kept for the next use."""


def scheme_of(location: str) -> str:
    """The scheme of a URL, in lower case; empty if there is none."""
    return location.partition("://")[0].lower() if "://" in location else ""


def is_known(scheme: str) -> bool:
    """True if fsspec, or a package that it names, has file systems of this scheme."""
    return scheme in _PACKAGES or scheme in fsspec.available_protocols()


class Remotes:
    """The stores that have been used, each with its connections.

    :param options: for each scheme, what its file system is made with beside what the URL says.
    :param block: bytes of an upload that are sent at a time.
    """

    def __init__(self, options: Mapping[str, Mapping[str, Any]], block: int) -> None:
        self._options = options
        self._block = block
        self._remotes: dict[tuple[str, str], Remote] = {}

    def find(self, location: str) -> tuple[Remote, str]:
        """The store of a location, and the path in it.

        :raises UnknownScheme: if the library for its scheme is not installed.
        """
        # Not by fsspec's url_to_fs: it takes "::" for a chain of file systems, and would open any other on the way.
        scheme = scheme_of(location)
        location = scheme + location[len(scheme) :]
        kind = _file_system(scheme)
        arguments = {**self._options.get(scheme, {}), **kind._get_kwargs_from_urls(location)}  # noqa: SLF001 - made for this
        # Two threads may make one each, and one of them is used: nothing is connected yet.
        remote = self._remotes.setdefault(
            (scheme, repr(sorted(arguments.items(), key=str))), Remote(scheme, kind, arguments, self._block)
        )
        return remote, str(kind._strip_protocol(location))  # noqa: SLF001 - as above


class Remote:
    """A store, and its file systems: one for all threads where fsspec allows that, else one for each use at a time.

    :param scheme: of its URLs.
    :param kind: fsspec's class.
    :param arguments: what that is made with.
    :param block: bytes of an upload that are sent at a time.
    """

    def __init__(self, scheme: str, kind: Any, arguments: Mapping[str, Any], block: int) -> None:
        self.scheme = scheme
        self.block = block
        #: True if an object appears whole under its key; False if files can be renamed
        self.objects = scheme in OBJECTS
        self._make = _maker(kind, arguments, self.objects)
        #: True if it is a folder on this machine, and its files are opened as any other; classes made of it may do more
        self.local = kind is LocalFileSystem
        #: True if all threads use one file system
        self.shared = bool(kind.async_impl) or scheme == "memory" or issubclass(kind, LocalFileSystem)
        # By process: neither a loop's thread nor a connection can be used after a fork. No lock, for a fork would copy
        # one that is held; what is done to dict and deque here is atomic.
        self._idle: dict[int, deque[Any]] = {}

    def names_nothing(self, path: str) -> bool:
        """True if the path is all of a store, or one of its buckets."""
        parts = [part for part in path.split("/") if part]
        return len(parts) < (2 if self.objects and self.scheme != "memory" else 1)

    def take(self) -> Any:
        """A file system that no other thread uses, until ``give`` or ``drop``; or one that all may use.

        :raises OSError: if it cannot be reached.
        """
        idle = self._idle.setdefault(os.getpid(), deque())
        with as_os_errors():
            if self.shared:
                if not idle:
                    idle.append(self._make())
                return idle[0]
            while idle:
                file_system = idle.pop()
                try:
                    file_system.info("/")
                except Exception:
                    self.drop(file_system)  # its server has hung up since
                else:
                    return file_system
            return self._make()

    def give(self, file_system: Any) -> None:
        """It works, and is needed no more."""
        idle = self._idle.setdefault(os.getpid(), deque())
        if self.shared:
            return
        if len(idle) < _IDLE:
            idle.append(file_system)
        else:
            self.drop(file_system)

    def drop(self, file_system: Any) -> None:
        """It may not work any more."""
        client = getattr(file_system, "client", None)
        if not self.shared and client is not None:
            client.close()  # the threads of an SSH connection keep it alive for ever

    def close(self, file_system: Any, file: Any) -> None:
        """Close a file, and give its file system back.

        :raises OSError: if what was written did not arrive.
        """
        try:
            with as_os_errors():
                file.close()
        except BaseException:
            self.drop(file_system)
            raise
        self.give(file_system)

    @contextmanager
    def use(self) -> Iterator[Any]:
        """A file system for the length of a ``with`` block.

        :raises OSError: whatever its library raises.
        """
        file_system = self.take()
        try:
            with as_os_errors():
                yield file_system
        except (FileNotFoundError, FileExistsError, PermissionError):
            self.give(file_system)
            raise
        except BaseException:
            self.drop(file_system)
            raise
        self.give(file_system)


@contextmanager
def as_os_errors() -> Iterator[None]:
    """What libraries of stores raise, as the OSError that plugins promise."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"the store failed: {type(error).__name__}: {error}") from error


def _file_system(scheme: str) -> Any:
    try:
        return fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        package = _PACKAGES.get(scheme)
        cure = f"needs the package {package}: pip install {package}" if package else f"cannot be opened: {error}"
        raise UnknownScheme(f"{scheme}:// {cure}") from error


def _maker(kind: Any, arguments: Mapping[str, Any], objects: bool) -> Callable[[], Any]:
    if kind.__module__ == "fsspec.implementations.sftp":
        connect = importlib.import_module("izzati_storage.ssh").connect
        return lambda: connect(arguments)
    # A listing that is kept would hide what others have written since. Instances are not fsspec's own, which programs
    # share without knowing it.
    fresh = {"use_listings_cache": False} if objects else {}
    return lambda: kind(**{**fresh, **arguments}, skip_instance_cache=True)
