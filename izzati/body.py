"""A request's body: read once, counted against the limits, and known to be whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import IO, Any

from werkzeug.exceptions import HTTPException

from izzati.errors import Problem
from izzati.limits import Limits, human

__all__ = ["BLOCK", "LENGTH_DIGITS", "Body"]

log = logging.getLogger("izzati")

BLOCK = 256 * 1024
"""Bytes per read of a large body, and per write of a large answer: large blocks mean few turns of Python's loop."""


LENGTH_DIGITS = 20
"""As h11 has it. Python itself refuses to read numbers of thousands of digits, zeros included."""


class Body:
    """The bytes that came with a request. Nothing is read before somebody asks.

    :param environ: the WSGI environment (PEP 3333).
    :raises Problem: 400 if ``Content-Length`` is no number, 415 for a ``Content-Encoding`` but identity,
        411 for a chunked body where the WSGI server does not read one.

    Every method that reads raises 413 beyond ``Limits.body``, and 400 if the body ends before its declared length.
    """

    __slots__ = ("_limits", "_stream", "length", "received")

    def __init__(self, environ: Mapping[str, Any], limits: Limits) -> None:
        encoding = environ.get("HTTP_CONTENT_ENCODING")
        if encoding is not None and encoding.strip().lower() not in ("identity", ""):
            raise Problem(
                415,
                "The body has a Content-Encoding, and none but identity is read. Send it uncompressed.",
                headers={"Accept-Encoding": "identity"},
            )
        self._limits = limits
        self._stream: IO[bytes] = environ["wsgi.input"]
        #: bytes read so far
        self.received = 0
        #: the declared length in bytes; None if it will be known only at the end (chunked)
        self.length: int | None = _declared_length(environ)

    @property
    def empty(self) -> bool:
        """True if it is known, without reading, that there are no bytes."""
        return self.length == 0

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The body in order, in blocks of at most ``size`` bytes."""
        self._check(self.length or 0)
        while self.length is None or self.received < self.length:
            block = self._read(size if self.length is None else min(size, self.length - self.received))
            if not block:
                break
            self.received += len(block)
            self._check(self.received)
            yield block
        if self.length is not None and self.received < self.length:
            raise Problem(
                400,
                f"The body ended after {self.received:,} of the {self.length:,} bytes that Content-Length declared. "
                "Send it whole.",
            )

    def whole(self, what: str = "The body") -> bytes:
        """The body in one piece, for what must be held in memory to be decoded.

        :param what: what the body is, for the sentence of a refusal.
        :raises Problem: 413 beyond ``Limits.text``, too.
        """
        if self.length is not None:
            if self.length > self._limits.text:
                raise self._limits.exceeded("text", f"{what}, {human(self.length)},")
            if self.length > self._limits.body:
                self._check(self.length)
            block = self._read(self.length - self.received)
            self.received += len(block)
            # At once, as nearly always; some servers give it in pieces.
            return block if self.received == self.length else block + b"".join(self.blocks())
        blocks = []
        for block in self.blocks():
            blocks.append(block)
            if self.received > self._limits.text:
                raise self._limits.exceeded("text", what)
        return b"".join(blocks)

    def _check(self, size: int) -> None:
        if size > self._limits.body:
            raise self._limits.exceeded("body", f"The body, {human(size)} or more,")

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            # What WSGI servers raise when the caller is gone; nobody reads this answer, but uploads are aborted.
            raise Problem(400, "The connection ended before the body did.") from error
        except HTTPException:
            raise
        except Exception as error:
            if type(error).__module__ == "builtins":
                raise  # a defect, such as a middleware's
            # What else a WSGI server raises here is of its own kind: gunicorn, for a chunk without a size.
            log.warning("a body could not be read", exc_info=error)
            raise Problem(
                400, "The body is not framed as RFC 9112 has it, and its end cannot be told. Use an HTTP library."
            ) from error


def _declared_length(environ: Mapping[str, Any]) -> int | None:
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared:
        if not (declared.isascii() and declared.isdigit() and len(declared) <= LENGTH_DIGITS):
            raise Problem(400, "Content-Length is not a number of bytes. Leave it to the HTTP library.")
        return int(declared)
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    # Servers may say of every request that the end of its input is the end of its body. In HTTP/1 one that is neither
    # declared nor chunked has none (RFC 9112 §6.3); from HTTP/2 on it may.
    http_1 = environ.get("SERVER_PROTOCOL", "HTTP/1").startswith("HTTP/1")
    if environ.get("wsgi.input_terminated") and (chunked or not http_1):
        return None
    if chunked:
        raise Problem(411, "This WSGI server does not read chunked bodies. Send the body with a Content-Length.")
    return 0
