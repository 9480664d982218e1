"""What a call brings back: a value, or a file with its name and type."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError
from werkzeug.http import parse_options_header

from izzati.body import BLOCK, LENGTH_DIGITS
from izzati.client.connections import reason
from izzati.client.errors import NoAnswer
from izzati.client.progress import metered
from izzati.client.saving import save
from izzati.client.values import carries, decode
from izzati.disposition import parse_disposition
from izzati.filenames import last_component

__all__ = ["Answer", "ReceivedFile"]


class ReceivedFile(bytes):
    """A file that came back: its bytes, in every way, with its name and type.

    All of it is in memory. For a large one use :meth:`Frontend.stream`.
    """

    #: the last component of the name that was sent; empty if none was
    filename: str
    #: its media type
    content_type: str

    def __new__(  # noqa: PYI034 - typing has Self from Python 3.11 on
        cls, content: bytes, filename: str = "", content_type: str = "application/octet-stream"
    ) -> ReceivedFile:
        self = super().__new__(cls, content)
        self.filename = filename
        self.content_type = content_type
        return self

    def save(self, location: str | os.PathLike[str]) -> Path:
        """Write it to a file; see :meth:`Answer.save`."""
        return save([self], location, self.filename, self.content_type)


class Answer:
    """An answer whose body is still to come; :meth:`Frontend.stream` gives it, for a ``with`` block.

    One of ``result``, ``read``, ``blocks`` and ``save`` takes the body, once.
    """

    def __init__(self, response: BaseHTTPResponse, url: str, *, progress: bool = False) -> None:
        self._response = response
        self._url = url
        #: True for a bar on stderr while the body arrives
        self.progress = progress
        headers = response.headers
        #: the HTTP status, 200 to 299
        self.status: int = response.status
        #: names in any case
        self.headers: Mapping[str, str] = headers
        #: the media type, without parameters
        self.content_type = parse_options_header(headers.get("Content-Type"))[0].lower() or "application/octet-stream"
        #: the last component of the name that was sent; empty if none was
        self.filename = _filename(headers.get("Content-Disposition", ""))
        #: bytes of the body; None if the server does not say, or has packed it
        self.size: int | None = None
        length = headers.get("Content-Length", "")
        if len(length) > LENGTH_DIGITS:  # urllib3 would take whatever comes for the whole
            response.close()
            raise NoAnswer(f"The answer of {url} broke off: the length that it declares has {len(length):,} digits.")
        if "Content-Encoding" not in headers and length.isdecimal():
            self.size = int(length)

    @property
    def is_value(self) -> bool:
        """True if it is a value, and not a file."""
        return carries(self.content_type)

    def result(self) -> Any:
        """What ``send`` returns: a value, or a :class:`ReceivedFile`.

        :raises NoAnswer: if it breaks off.
        :raises CallError: if it is not what its type says.
        """
        body = self.read()
        return (
            decode(body, self.content_type) if self.is_value else ReceivedFile(body, self.filename, self.content_type)
        )

    def read(self) -> bytes:
        """The whole body, whatever it is.

        :raises NoAnswer: if it breaks off.
        """
        return b"".join(self.blocks())

    def blocks(self) -> Iterator[bytes]:
        """The body, a block at a time, as it comes.

        :raises NoAnswer: if it breaks off.
        """
        for block in metered(self._received(), self.size, self.progress, "receiving"):
            yield bytes(block)

    def save(self, location: str | os.PathLike[str]) -> Path:
        """Write the body to a file, a block at a time. It has its name once all of it is there.

        :param location: a path, where a file is replaced; or a folder, for the name that was sent, made safe, and with
            a number if another file there has it.
        :returns: the file's path.
        :raises NoAnswer: if it breaks off; an OSError if it cannot be written. Nothing of it is left then.
        """
        return save(self.blocks(), location, self.filename, self.content_type)

    def close(self) -> None:
        """Give the connection back. One on which something is still to come is closed."""
        if not self._response.closed:
            self._response.close()
        self._response.release_conn()

    def __enter__(self) -> Answer:  # noqa: PYI034 - typing has Self from Python 3.11 on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _received(self) -> Iterator[bytes]:
        try:
            yield from self._response.stream(BLOCK, decode_content=True)
        except (HTTPError, ValueError) as error:  # urllib3 raises the latter for the size of a chunk
            raise NoAnswer(f"The answer of {self._url} broke off: {reason(error)}.") from error


def _filename(disposition: str) -> str:
    """The last component of the name that was sent; empty if none was, or what was sent names two."""
    try:
        parameters = parse_disposition(disposition.encode("latin-1", "replace").decode(errors="replace"))
    except ValueError:
        return ""  # the call has been made, and its answer must not be lost for a name
    return last_component(parameters.get("filename", ""))
