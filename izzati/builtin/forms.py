"""Forms: urlencoded (WHATWG URL §5.1) and multipart (RFC 7578), whose files are streamed to their sinks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from encodings.aliases import aliases
from itertools import chain
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, NeedData, Preamble, State

from izzati import (
    Claims,
    Content,
    Problem,
    Request,
    Upload,
    collector_paused,
    fold_fields,
    hookimpl,
    parse_disposition,
    parse_fields,
)
from izzati.builtin.media_types import require_one
from izzati.builtin.multipart import StrictDecoder

__all__ = ["Forms"]

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

# Bytes that are decoded at once. glibc gets each larger piece of memory from the system anew, and gives it back: with
# 256 KiB that takes two thirds of the time of an upload of 1 MiB. With 64 KiB one of 64 MiB takes a tenth longer.
_BLOCK = 80 * 1024
_PART_HEADERS = 16 * 1024
_CHARSETS = {"": "utf-8", "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "latin-1"}
_CHARSET_FIELD = re.compile(rb"(?:^|&)_charset_=([^&]+)")
"""In which a form may say what its characters are encoded in (RFC 7578 §4.6), as browsers do that are asked to."""


class Forms:
    """Reads both kinds of form."""

    @hookimpl
    def izzati_claims(self) -> Claims:
        return Claims(reads=(URLENCODED, MULTIPART))

    @hookimpl
    def izzati_read(self, request: Request) -> Content | None:
        if request.media_type == URLENCODED:
            return _urlencoded(request)
        if request.media_type == MULTIPART:
            return _Multipart(request).read()
        return None


def _urlencoded(request: Request) -> Content:
    data = request.body.whole("The form")
    charset = request.media_type_parameters.get("charset", "")
    if b"_charset_=" in data:
        charset = _one_charset(charset, (found.decode("ascii", "replace") for found in _CHARSET_FIELD.findall(data)))
    text = _text(data, charset, "The form")
    if text.strip()[:1] == "{" and text.rstrip().endswith("}") and _is_json(text):
        raise Problem(
            400,
            "The body is JSON, but its Content-Type says that it is a form.",
            hint="Send the header Content-Type: application/json; with curl: --json instead of -d.",
        )
    return Content(fold_fields(parse_fields(text, request.limits, "the form", _CHARSETS[charset.lower()])))


def _one_charset(declared: str, named: Iterable[str]) -> str:
    """What the ``Content-Type`` or the fields ``_charset_`` say; empty if neither says anything."""
    charsets = dict.fromkeys(each.lower() for each in chain([declared], named) if each)
    # Not by codecs.lookup(): Python would keep every name that a caller makes up.
    plain = {each.replace("-", "_") for each in charsets}
    if len({aliases.get(each, each) for each in plain}) > 1:
        raise Problem(400, "The form names two charsets, in fields _charset_ or in its Content-Type. Send one.")
    return next(iter(charsets), "")


class _Multipart:
    """One multipart body, from its first block to its last part."""

    _part: _Part

    def __init__(self, request: Request) -> None:
        parameters = request.media_type_parameters
        boundary = parameters.get("boundary", "")
        if not boundary:
            raise Problem(
                400,
                "The multipart form has no boundary in its Content-Type. "
                "Do not set that header by hand: the HTTP library does, with the boundary that it uses.",
            )
        if "boundary*" in parameters:
            raise Problem(400, "The Content-Type of the multipart form has a boundary* (RFC 8187). Send boundary.")
        if len(boundary) > 200:
            raise Problem(400, "The multipart form's boundary is longer than 200 characters (RFC 2046: 70).")
        self._request = request
        # The decoder's limit bounds what it buffers: a block, and the headers of a part that it cannot finish yet.
        self._decoder = StrictDecoder(boundary.encode("latin-1", "replace"), _BLOCK + _PART_HEADERS)
        self._parts = 0
        self._held = 0
        self._fields: list[_Part] = []
        self._uploads: list[Upload] = []

    def read(self) -> Content:
        for block in self._request.body.blocks(_BLOCK):
            if self._decoder.state is not State.EPILOGUE:
                self._take(block)
            elif block.strip():
                raise _outside()
        if self._request.body.received:
            self._take(None)
        named = (b"".join(part.data).decode("ascii", "replace") for part in self._fields if part.name == "_charset_")
        default = _one_charset(self._request.media_type_parameters.get("charset", ""), named)
        with collector_paused(self._held):
            values = [self._value(part, default) for part in self._fields]
        # Only now, since Python keeps tuples that were freed, and each would keep the memory between the values that it
        # lies in, thousands of times its size.
        pairs = zip([part.name for part in self._fields], values, strict=True)
        return Content(fold_fields(pairs), self._uploads)

    def _take(self, block: bytes | None) -> None:
        try:
            self._decoder.receive_data(block)
        except RequestEntityTooLarge:
            raise self._too_long() from None
        except ValueError as error:
            raise Problem(400, f"In the multipart form {error}. Send none.") from error
        for event in self._events():
            self._handle(event)
        # Three bytes of the blank line may be there, too.
        if self._decoder.state is State.PART and len(self._decoder.buffer) > _PART_HEADERS + 3:
            raise self._too_long()

    def _too_long(self) -> Problem:
        if self._decoder.state is State.PREAMBLE:
            return _outside()
        return Problem(
            413, f"The headers of a part of the form are more than {_PART_HEADERS // 1024} KiB. Shorten them."
        )

    def _events(self) -> Iterator[Event]:
        while True:
            try:
                event = self._decoder.next_event()
            except ValueError as error:
                raise _malformed(error, self._decoder.complete) from error
            if isinstance(event, NeedData):
                return
            yield event
            if isinstance(event, Epilogue):
                return

    def _handle(self, event: Event) -> None:
        if isinstance(event, (Preamble, Epilogue)) and event.data.strip():
            raise _outside()
        if isinstance(event, (Field, File)):
            self._parts += 1
            if self._parts > self._request.limits.parts:
                raise self._request.limits.exceeded("parts", "The number of fields and files in the form")
            if self._decoder.header_size > _PART_HEADERS:
                raise self._too_long()
            self._hold(self._decoder.header_size)
            self._part = _Part(event.headers)
        elif isinstance(event, Data):
            if self._part.is_file:
                self._file_data(event)
            else:
                self._field_data(event)

    def _file_data(self, event: Data) -> None:
        part = self._part
        if part.upload is None and (event.data or (part.filename and not event.more_data)):
            # Announced by its first byte, or its end: a browser sends an empty, nameless part where no file was chosen.
            part.upload = self._request.receive(part.filename, part.name, part.content_type)
            self._uploads.append(part.upload)
        if part.upload is not None and event.data:
            part.upload.write(event.data)

    def _field_data(self, event: Data) -> None:
        part = self._part
        self._hold(len(event.data))
        part.data.append(event.data)
        if not event.more_data:
            self._fields.append(part)  # what it says may depend on a _charset_ that is yet to come

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._request.limits.text:
            raise self._request.limits.exceeded("text", "The text in the form's fields and their headers")

    def _value(self, part: _Part, charset: str) -> Any:
        data = b"".join(part.data)
        codecs = self._request.codecs
        if part.media_type:
            require_one(part.media_type, self._request, "The Content-Type of a part of the form")
            if codecs.reads(part.media_type) or codecs.carries_data(part.media_type):
                return self._request.decode(data, part.media_type)
        return _text(data, part.charset or charset, f"The field {part.name!r}")


class _Part:
    """One part of a form, as its headers announce it.

    :raises Problem: 400 for a field without a name, and for what is said twice; 415 for a part that is packed in a way
        that nobody unpacks.
    """

    def __init__(self, headers: Headers) -> None:
        # All at once: to ask Werkzeug's Headers for one that is not there costs more than to go through them.
        named: dict[str, list[str]] = {}
        for name, value in headers:
            named.setdefault(name.lower(), []).append(value)
        disposition = _parameters("Content-Disposition", named)
        content_type = _parameters("Content-Type", named)
        self.is_file = "filename" in disposition
        self.filename = disposition.get("filename", "")
        self.name = disposition.get("name", "")
        self.content_type = named.get("content-type", [""])[0]
        self.media_type = content_type[""]
        self.charset = content_type.get("charset", "")
        self.upload: Upload | None = None
        self.data: list[bytes] = []
        if not self.is_file and "name" not in disposition:
            raise Problem(400, 'A part of the form has no name. Each needs Content-Disposition: form-data; name="...".')
        if self.media_type.startswith("multipart/"):
            raise Problem(415, "A part of the form is itself multipart. Send its parts as parts of the form.")
        encodings = named.get("content-transfer-encoding", ["binary"])
        if not {encoding.strip().lower() for encoding in encodings} <= {"binary", "8bit", "7bit"}:
            raise Problem(
                415,
                "A part of the form has a Content-Transfer-Encoding that changes its bytes. Send them as they are "
                "(RFC 7578).",
            )


def _parameters(name: str, headers: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The parameters of one of a part's headers; what comes before them under the empty name."""
    values = headers.get(name.lower())
    if values is None:
        return {"": ""}
    if len(values) > 1:
        raise Problem(400, f"A part of the form has two headers {name}. Send one.")
    try:
        return parse_disposition(values[0])
    except ValueError as error:
        raise Problem(
            400,
            f"The {name} of a part of the form has {error}. In names, write quotes as %22 and line ends as %0D%0A.",
        ) from error


def _text(data: bytes, charset: str, what: str) -> str:
    codec = _CHARSETS.get(charset.lower())
    if codec is None:
        raise Problem(415, f"{what} is in a charset that is not read. Send UTF-8.")
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise Problem(
            400, f"{what} is not UTF-8 at byte {error.start}. Encode text as UTF-8; give a file a filename."
        ) from error


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _malformed(error: ValueError, ended: bool) -> Problem:
    if isinstance(error, UnicodeDecodeError):
        return Problem(400, "The headers of a part of the form are not UTF-8. Encode names as UTF-8.")
    if ended:
        return Problem(
            400,
            "The multipart form ended before its closing boundary. Send it whole, its lines ended by CR LF, with the "
            "boundary that its Content-Type names (in quotes, if it has more than letters, digits and hyphens).",
        )
    if "alone" in str(error):
        return Problem(
            400,
            "A header of a part of the form has a CR or LF alone. Lines end with CR LF; in names they are %0D and %0A.",
        )
    if "that is none" in str(error):
        return Problem(400, "A part of the multipart form has a header that is none: a name, a colon, and a value.")
    if "Content-Disposition" in str(error):
        return Problem(400, "A part of the multipart form has no Content-Disposition header (RFC 7578).")
    return Problem(400, "A part of the multipart form has no blank line between its headers and its data.")


def _outside() -> Problem:
    return Problem(
        400,
        "The multipart form has bytes before its first or after its last boundary. Use the boundary that its "
        "Content-Type names, and CR LF before it.",
    )
