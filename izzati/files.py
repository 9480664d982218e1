"""``file_return``: a file as a callback's result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BufferedIOBase
from typing import IO

__all__ = ["FileReply", "file_return"]


@dataclass(frozen=True)
class FileReply:
    """A file to be sent; made by :func:`file_return`."""

    source: str | bytes | IO[bytes] | BufferedIOBase
    filename: str | None = None
    content_type: str | None = None
    download: bool = False


def file_return(
    file: str | os.PathLike[str] | bytes | IO[bytes] | BufferedIOBase,
    filename: str | None = None,
    content_type: str | None = None,
    download: bool = False,
) -> FileReply:
    """Return a file from a callback: ``return file_return("reply.png")``.

    :param file: a path, a URL whose scheme an installed plugin opens, an open binary file (sent from where it
        stands, and closed), or the bytes themselves. Never build the path from what a caller sent.
    :param filename: the name for the caller; the file's own unless given.
    :param content_type: the media type; guessed from the name unless given.
    :param download: True if browsers shall save the file rather than show it (RFC 6266).
    :raises TypeError: if ``file`` is none of these, or was opened as text.

    A file that does not exist is found out when the answer is made: the caller gets a 500, the log the reason.
    """
    if isinstance(file, (bytearray, memoryview)):
        file = bytes(file)
    elif isinstance(file, os.PathLike):
        file = os.fspath(file)
    elif not isinstance(file, (str, bytes)) and isinstance(getattr(file, "read", lambda _: None)(0), str):
        raise TypeError("file_return takes a file opened in binary mode: open(…, 'rb')")
    if not isinstance(file, (str, bytes)) and not hasattr(file, "read"):
        raise TypeError(f"file_return takes a path, bytes or an open binary file, not {type(file).__name__}")
    return FileReply(file, filename, content_type, download)
