"""Werkzeug's multipart decoder, strict about delimiters (RFC 2046 §5.1.1), so that data is never taken for one.

Werkzeug's own also takes a bare CR or LF for the end of a line, in a filename too, text after the closing hyphens, and
one that a block's end cuts between those hyphens for the beginning of another part's data.
"""

from __future__ import annotations

import re

from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import MultipartDecoder

__all__ = ["StrictDecoder"]

_LONGEST_DELIMITER = 4096
_MOST_BLANKS = 100
"""Behind a boundary: more are refused, since of a delimiter of any length it could not be told when it is over."""

_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:|[ \t]")
"""A name and a colon (RFC 9110 §5.1), or what goes on from the line before."""

_REST = re.compile(rb"-?|(?:--)?[ \t]*")
"""What may stand behind a boundary, as far as it has come, before the line ends."""

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class StrictDecoder(MultipartDecoder):
    """Decodes ``multipart/form-data``; what it is given may be cut anywhere.

    :param boundary: as the ``Content-Type`` names it.
    :param buffered: bytes that may be held while a part's headers, or the first delimiter, are incomplete.
    """

    def __init__(self, boundary: bytes, buffered: int) -> None:
        super().__init__(boundary, buffered)
        self._delimiter = b"--" + boundary
        delimiter = re.escape(self._delimiter)
        first, further = rb"(?:\A|\r\n)" + delimiter, rb"\r\n" + delimiter
        ended, cut = rb"(--[ \t]*\r\n|[ \t]*\r\n)", rb"(--[ \t]*(?:\r\n|\r?\Z)|[ \t]*\r\n)"
        self.preamble_re, self.boundary_re = re.compile(first + ended), re.compile(further + ended)
        #: the same where the body has ended, since its last line needs no end
        self._at_end = re.compile(first + cut), re.compile(further + cut)
        self._padded_re = re.compile(further + rb"(?:--)?[ \t]{%d}" % _MOST_BLANKS)
        self._held = b""
        self._at_line_start = True
        #: bytes of the last part's headers, without the blank line behind them
        self.header_size = 0

    def receive_data(self, data: bytes | None) -> None:
        """Take the next bytes, None at the end. What may be the beginning of a delimiter waits for the rest of it."""
        if data is None:
            self.preamble_re, self.boundary_re = self._at_end
            super().receive_data(self._held)
            super().receive_data(None)
        else:
            data = self._held + data
            if self._delimiter in data:
                self._refuse_padded(data)
            data, self._held = self._cut(data)
            if data:
                self._at_line_start = data.endswith(b"\r\n")
            super().receive_data(data)

    def _refuse_padded(self, data: bytes) -> None:
        if self._padded_re.search(b"\r\n" + data if self._at_line_start else data):
            raise ValueError("a boundary has too many blanks behind it")

    def _cut(self, data: bytes) -> tuple[bytes, bytes]:
        """What can be decoded now, and the end of it that may be part of a delimiter."""
        lines = data.removesuffix(b"\r")  # which may be half of a line's end
        start = max(0, lines.rfind(b"\r\n", -_LONGEST_DELIMITER))
        line = lines[start:].removeprefix(b"\r\n")
        if self._delimiter.startswith(line) or self._is_delimiter(line):
            # The line end before it goes with it, unless it is that of a delimiter, which would be none without.
            before = lines[:start][-_LONGEST_DELIMITER:].rpartition(b"\r\n")[2]
            cut = start + 2 if self._is_delimiter(before) else start
            return data[:cut], data[cut:]
        return lines, data[len(lines) :]

    def _is_delimiter(self, line: bytes) -> bool:
        return line.startswith(self._delimiter) and _REST.fullmatch(line, len(self._delimiter)) is not None

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        self.header_size = len(data)
        # What follows them in the buffer is what Werkzeug took for the blank line.
        if _BARE.search(data) or not self.buffer.startswith(b"\r\n\r\n", len(data)):
            raise ValueError("a part's header has a CR or LF alone")
        if any(line.startswith(b"--") for line in data.splitlines()):
            raise ValueError("a part has no blank line after its headers")
        if any(line and not _HEADER.match(line) for line in data.splitlines()):
            raise ValueError("a part has a header that is none")
        return super()._parse_headers(data)
