"""Files to send: what a caller gives for one, and how it is read."""

from __future__ import annotations

import io
import mimetypes
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from izzati.body import BLOCK
from izzati.client.errors import CallError

__all__ = ["File", "Source", "by_key", "to_send"]

File = str | os.PathLike[str] | IO[bytes] | tuple[str, bytes | IO[bytes]] | tuple[str, bytes | IO[bytes], str]
"""A path; a file that is open for reading; or a name with bytes or an open file, and perhaps their media type."""


@dataclass(frozen=True)
class Source:
    """A file to send.

    :param size: None if it is known only at its end.
    :param content_type: None to send none.
    :param open: opens it, or goes back to where it began.
    """

    filename: str
    size: int | None
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    content_type: str | None = None

    def blocks(self) -> Iterator[bytes]:
        """All bytes, a block at a time.

        :raises CallError: if it has become shorter.
        """
        # No more than was announced, though it may grow meanwhile: the rest would be taken for another request.
        left = self.size
        with self.open() as stream:
            while left is None or left > 0:
                block = stream.read(BLOCK if left is None else min(BLOCK, left))
                if not block:
                    break
                left = None if left is None else left - len(block)
                yield block
        if left:
            raise CallError(
                f"{self.filename} became {left:,} bytes shorter while it was sent, so the call was given up."
            )


def by_key(files: Iterable[File] | Mapping[str, File | Sequence[File]]) -> Iterator[tuple[str, object]]:
    """Each file with its key.

    :raises TypeError: for one file in the place of a list.
    """
    if isinstance(files, (str, bytes, os.PathLike)) or hasattr(files, "read"):
        raise TypeError(f"files takes a list, as in files=[{files!r}]")
    if not isinstance(files, Mapping):
        yield from (("file", file) for file in files)
        return
    for key, its in files.items():
        yield from ((key, file) for file in (its if isinstance(its, list) else [its]))


def to_send(key: str, file: Any, *, typed: bool = True) -> Source:
    """What a caller gives for a file.

    :param key: its key, and its name if it has none.
    :param typed: False for a file without a media type.
    :raises TypeError: if it is no file.
    :raises OSError: if it cannot be opened.
    """
    name, kind = None, None
    if isinstance(file, tuple) and len(file) in (2, 3) and isinstance(file[0], str):
        name, file, kind = (*file, None)[:3]
    elif isinstance(file, (str, os.PathLike)):
        path = Path(file)
        size = None
        if not path.is_fifo() and not path.is_char_device():  # which lose what they hold to whoever opens them first
            with path.open("rb") as stream:  # now, since it fails for the caller, and not for the call
                size = os.fstat(stream.fileno()).st_size
        return Source(path.name, size, lambda: path.open("rb"), _type_of(path.name))
    if isinstance(file, (bytes, bytearray, memoryview)) and name is not None:
        file = io.BytesIO(file)
    size, opened = _measured(file)
    given = getattr(file, "name", None)
    name = name or (os.path.basename(given) if isinstance(given, str) else "") or key
    return Source(name, size, opened, (kind or _type_of(name)) if typed else None)


def _measured(file: Any) -> tuple[int | None, Callable[[], AbstractContextManager[IO[bytes]]]]:
    """The size of an open file from where it stands, and what goes back there."""
    file = getattr(file, "buffer", file) if isinstance(file, io.TextIOBase) else file
    if isinstance(file, io.TextIOBase) or not hasattr(file, "read"):
        raise TypeError(
            f"a file to send is a path, a file opened by open(…, 'rb'), or (name, bytes), not {type(file).__name__}"
        )
    if not file.seekable():
        return None, lambda: nullcontext(file)
    begin = file.tell()
    size = file.seek(0, os.SEEK_END) - begin
    file.seek(begin)

    def again() -> AbstractContextManager[IO[bytes]]:
        file.seek(begin)
        return nullcontext(file)

    return size, again


def _type_of(filename: str) -> str:
    kind, encoding = mimetypes.guess_type(f"/{filename}")  # a slash, since it takes a name with a colon for a URL
    return kind if kind and not encoding else "application/octet-stream"
