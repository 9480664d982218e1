"""The base class of plugins that keep uploads and files."""

from __future__ import annotations

import re

from izzati.claims import Claims
from izzati.markers import hookimpl
from izzati.message import StoredFile
from izzati.request import Request
from izzati.uploads import Sink, Upload, UploadedFile

__all__ = ["Storage", "scheme_of"]

# Two letters at least: C:\\ is a drive of Windows.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


class Storage:
    """A plugin that keeps files. Set ``schemes`` and override what it can do; what is not overridden declines."""

    schemes: tuple[str, ...] = ()
    """Location schemes that are its own, such as ``("s3",)``; the empty one is a local path."""

    def sink(self, upload: Upload, request: Request) -> Sink | None:
        """Where an upload's bytes go; None leaves it to the next storage plugin."""
        return None

    def open(self, location: str) -> StoredFile:
        """Open the file at a location of one of the schemes.

        :raises OSError: if it cannot be opened; a FileNotFoundError if there is no such file.
        """
        raise NotImplementedError(f"{type(self).__name__} does not open files")

    def save(self, file: UploadedFile, location: str) -> str:
        """Keep an upload at a location of one of the schemes.

        :returns: the location of the file.
        :raises OSError: if it cannot be saved.
        """
        raise NotImplementedError(f"{type(self).__name__} does not save files")

    @hookimpl
    def izzati_claims(self) -> Claims:
        return Claims(schemes=self.schemes)

    @hookimpl
    def izzati_store(self, upload: Upload, request: Request) -> Sink | None:
        return self.sink(upload, request)

    @hookimpl
    def izzati_open(self, location: str) -> StoredFile | None:
        return self.open(location) if scheme_of(location) in self.schemes else None

    @hookimpl
    def izzati_save(self, file: UploadedFile, location: str) -> str | None:
        return self.save(file, location) if scheme_of(location) in self.schemes else None


def scheme_of(location: str) -> str:
    """The scheme of a location, in lower case; empty for a path."""
    match = _SCHEME.match(location)
    return match[1].lower() if match else ""
