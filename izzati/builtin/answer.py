"""An answer on its way out, as HTTP/1.1 has it (RFC 9112): its head, and how its body is told from what follows."""

from __future__ import annotations

import re
import time
from functools import lru_cache

from werkzeug.http import http_date

__all__ = ["Answer"]

_HEAD = re.compile(
    r"[2-9][0-9]{2} [\t\x20-\x7e\x80-\xff]*\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*\r\n)*"
)
"""A final status, and fields (RFC 9110 §5.5, §5.6.2): whatever an application puts there, it stays one answer."""

_BODYLESS = ("204", "304")


class Answer:
    """One answer: :attr:`head`, then what :meth:`frame` makes of the body, then :meth:`end`.

    h11 could do this, too, but that costs as much as reading the request, or as all that a Backend does.

    :param status: such as ``"200 OK"``.
    :param headers: the application's; Content-Length, if it is among them, is kept to.
    :param length: of the body in bytes, for answers without a Content-Length; None if it is not known.
    :param for_head: True if HEAD was asked for, so that nobody waits for the body.
    :param chunks: True if the caller knows chunked bodies; else a body of unknown length ends with the connection.
    :param close: True if the connection shall end with this answer.
    :raises ValueError: for a status, a name or a value that HTTP does not allow.
    """

    __slots__ = ("_chunked", "_left", "bodyless", "closes", "head")

    _left: int | None

    def __init__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        length: int | None,
        *,
        for_head: bool = False,
        chunks: bool = True,
        close: bool = False,
    ) -> None:
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        names = {name.lower(): value for name, value in headers}
        self.bodyless = for_head or status[:3] in _BODYLESS
        self.closes = close or names.get("connection", "").lower() == "close"
        self._left, self._chunked = length, False
        if "content-length" in names:
            self._left = self._declared(headers)
        elif self.bodyless:
            pass
        elif length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        elif chunks:
            self._chunked = True
            lines.append("Transfer-Encoding: chunked\r\n")
        else:
            self.closes = True
        if "date" not in names:
            lines.append(_date(int(time.time())))
        if self.closes and "connection" not in names:
            lines.append("Connection: close\r\n")
        text = f"{status}\r\n{''.join(lines)}"
        # Counted as well, since a value that goes on in another line looks like two fields.
        if "transfer-encoding" in names or not _HEAD.fullmatch(text) or text.count("\n") != len(lines) + 1:
            raise ValueError(f"the application gave a status or headers that it must not give: {text!r}")
        #: what goes before the body
        self.head = f"HTTP/1.1 {text}\r\n".encode("latin-1")

    def frame(self, data: bytes) -> bytes:
        """The next bytes of the body, as they are sent.

        :raises ValueError: if they are more than were declared.
        """
        if not data or self.bodyless:
            return b""
        if self._left is not None:
            self.count(len(data))
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    def count(self, size: int) -> None:
        """So many bytes of a body of known length go another way.

        :raises ValueError: if they are more than were declared.
        """
        assert self._left is not None
        self._left -= size
        if self._left < 0:
            raise ValueError("the application sent more than the Content-Length that it declared")

    def end(self) -> bytes:
        """What follows the last byte of the body.

        :raises ValueError: if fewer were sent than were declared.
        """
        if self._left and not self.bodyless:
            raise ValueError(f"the application sent {self._left:,} bytes less than the Content-Length that it declared")
        return b"0\r\n\r\n" if self._chunked else b""

    @staticmethod
    def _declared(headers: list[tuple[str, str]]) -> int:
        length, *others = [value for name, value in headers if name.lower() == "content-length"]
        if others or not length.isdecimal():
            raise ValueError(f"the application declared a Content-Length of {' and of '.join([length, *others])}")
        return int(length)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return f"Date: {http_date(second)}\r\n"
