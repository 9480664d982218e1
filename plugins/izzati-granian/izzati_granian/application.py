"""The application as granian calls it, and what it must be spared."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Application"]

_DRAINED_BYTES = 64 << 20
_DRAINED_SECONDS = 5.0
_DRAINED_BLOCK = 16 << 10  # granian waits until a block is full; the clock is looked at in between


class Application:
    """A WSGI application (PEP 3333) between granian and the Backend. Made in the process that answers.

    :param several: True if other processes answer, too.
    :param chunked: True to let bodies through whose length is not declared.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], *, several: bool, chunked: bool) -> None:
        self._app = app
        self._several = several
        self._chunked = chunked
        # granian puts the whole environment beside the request, where HTTP_PROXY reads like a header "Proxy".
        self._stray = {name: value for name, value in os.environ.items() if name.startswith(("HTTP_", "CONTENT_"))}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name, value in self._stray.items():
            if environ.get(name) == value:
                del environ[name]
        environ["REMOTE_ADDR"] = environ["REMOTE_ADDR"].removeprefix("::ffff:")
        environ["wsgi.multiprocess"] = self._several
        length, chunked = environ.get("CONTENT_LENGTH"), "HTTP_TRANSFER_ENCODING" in environ
        if not (chunked and self._chunked):
            del environ["wsgi.input_terminated"]
        body = environ["wsgi.input"] = _Input(environ["wsgi.input"], _number(length, chunked=chunked))
        answer = self._app(environ, start_response)
        # A caller that waits to be asked for its body sends none after a refusal.
        return answer if body.ended or "HTTP_EXPECT" in environ else _Answer(answer, body)


def _number(length: str | None, *, chunked: bool) -> int | None:
    """Bytes that a body has; None if that is not known."""
    if length is None:
        return None if chunked else 0
    # One that is none is refused by the Backend. Python reads no number of thousands of digits.
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 20 else None


class _Input(io.RawIOBase):
    """``wsgi.input``. granian's own loses bytes in ``read()`` after ``read(n)``, and finds no second line.

    :param left: bytes of it; None if it is not known.
    """

    def __init__(self, stream: Any, left: int | None) -> None:
        self._stream = stream
        self._left = left

    @property
    def ended(self) -> bool:
        """True if nothing more can come."""
        return self._left == 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        data: bytes = self._stream.read(size)
        if len(data) < size:
            self._left = 0
        elif self._left is not None:
            self._left = max(0, self._left - size)
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Read on, for so long as a caller that did not look for an answer yet may be sending."""
        deadline, limit = time.monotonic() + _DRAINED_SECONDS, _DRAINED_BYTES
        while not self.ended and limit > 0 and time.monotonic() < deadline:
            limit -= len(self.read(_DRAINED_BLOCK))


class _Answer:
    """An answer to a request whose body was not read to its end. Sent first; then the rest is thrown away, since who is
    still sending when the connection closes sees a reset instead of the answer.
    """

    def __init__(self, blocks: Iterable[bytes], body: _Input) -> None:
        self._blocks = blocks
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        try:
            if hasattr(self._blocks, "close"):
                self._blocks.close()
        finally:
            self._body.drain()
