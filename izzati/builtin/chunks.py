"""The frames of a chunked body (RFC 9112 §7.1), looked at before h11 reads them."""

from __future__ import annotations

import re

from izzati import Problem

__all__ = ["ChunkFrames"]

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\r\n")
_MANY = 1000
_SMALL = 16
"""Bytes that chunks must have on average, once there are many: each takes some 20 microseconds, whatever it holds."""

_LONGEST = 16 * 1024
"""Bytes of a line: extensions of a chunk, or a field of the trailer."""


class ChunkFrames:
    """Refuses what two readers might take for different bodies; what it lets pass is read by h11.

    h11 lets lines end with a LF, and sizes and trailers hold a CR, depending on how the bytes are cut. A proxy in front
    that reads them otherwise would see another end of the body, and a request where there is none.
    """

    def __init__(self) -> None:
        self._line = b""
        #: bytes of the chunk that are still to come, with the line end behind them; 0 before the next size
        self._left = 0
        self._count = self._size = 0
        self._in_trailer = False
        self._over = False

    def check(self, data: bytes) -> None:
        """Look at the next bytes; what follows the body is not looked at.

        :raises Problem: 400 for what is not framed as RFC 9112 has it.
        """
        position = 0
        while position < len(data) and not self._over:
            if self._left > 2:
                skipped = min(self._left - 2, len(data) - position)
                self._left -= skipped
                position += skipped
                continue
            end = data.find(b"\n", position) + 1 or len(data)
            self._line += data[position:end]
            position = end
            if self._line.endswith(b"\n"):
                self._end_line(self._line)
                self._line = b""
            elif b"\r" in self._line[:-1] or len(self._line) > _LONGEST:
                raise _malformed()  # a line that may never end

    def _end_line(self, line: bytes) -> None:
        if self._left:
            if line != b"\r\n":
                raise _malformed()
            self._left = 0
        elif self._in_trailer:
            if not _TRAILER.fullmatch(line):
                raise _malformed()
            self._over = line == b"\r\n"
        else:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise _malformed()
            size = int(match[1], 16)
            self._count += 1
            self._size += size
            if size and self._count > _MANY and self._size < self._count * _SMALL:
                raise Problem(
                    400, f"The body comes in more than {_MANY:,} chunks, of less than {_SMALL} bytes. Send larger ones."
                )
            self._in_trailer = size == 0
            self._left = size and size + 2


def _malformed() -> Problem:
    return Problem(400, "The body's chunks are not framed as RFC 9112 has it. Use an HTTP library.")
