"""What a call sends: a form, a value, or both files and values, made into bytes while they are sent."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from izzati.body import BLOCK
from izzati.client.sources import File, Source, by_key, to_send
from izzati.client.values import JSON, encode

__all__ = ["Content", "form", "values"]

_UNNAMEABLE = re.compile("%22|%0[AD]", re.IGNORECASE)
"""What does not come back as it was from a name in a form."""


@dataclass(frozen=True)
class Content:
    """A request's body.

    :param content_type: its ``Content-Type``; None if there is no body.
    :param wants: the media type that suits it for a value in the answer.
    :param segments: what it is made of, in order.
    """

    content_type: str | None
    wants: str
    segments: Sequence[bytes | Source] = ()

    @property
    def size(self) -> int | None:
        """Bytes; None if a file's size is known only at its end."""
        sizes = [len(each) if isinstance(each, bytes) else each.size for each in self.segments]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def repeatable(self) -> bool:
        """True if it can be sent a second time."""
        return self.size is not None

    def blocks(self) -> Iterator[bytes | memoryview]:
        """All bytes, a block at a time.

        :raises CallError: if a file has become shorter.
        """
        for segment in self.segments:
            if isinstance(segment, bytes):
                view = memoryview(segment)
                yield from (view[begin : begin + BLOCK] for begin in range(0, len(view), BLOCK))
            else:
                yield from segment.blocks()


def form(js: Mapping[str, Any] | None, file: object) -> Content:
    """What izzati 1.x sends: a form, and one file under the key ``file``, without a type of its own.

    :param js: text, numbers and lists of these, each member of which is sent by itself; None is not sent.
    :param file: an open file, or bytes; None for none.
    :raises TypeError: for nested values.
    """
    pairs = [pair for name, value in _members(js, "js") for pair in _flat(name, value)]
    if file is None:
        encoded = urlencode(pairs).encode()
        return Content("application/x-www-form-urlencoded" if encoded else None, JSON, [encoded])
    if isinstance(file, bytes):
        file = ("file", file)
    if isinstance(file, (str, os.PathLike)):
        raise TypeError(f"f takes a file that is open for reading: f=open({file!r}, 'rb'); or send files=[{file!r}]")
    source = to_send("file", file, typed=False)
    return _multipart([(name, None, value) for name, value in pairs], [("file", source)], JSON)


def values(
    text: Mapping[str, Any] | None, files: Iterable[File] | Mapping[str, File | Sequence[File]], media_type: str
) -> Content:
    """Values, nested as they are: alone as a codec's body, beside files as parts of a form.

    :param media_type: what values are sent as.
    :raises TypeError: if ``text`` is no dict, holds what no codec can carry, or a file is none.
    :raises OSError: if a file cannot be read.
    """
    members = list(_members(text, "text"))
    sources = [(key, to_send(key, file)) for key, file in by_key(files)]
    if not sources:
        if text is None:
            return Content(None, media_type)
        media_type, encoded = encode(dict(members), media_type)
        return Content(media_type, media_type, [encoded])
    parts: list[tuple[str, str | None, bytes]] = []
    wants = media_type
    for name, value in members:
        if _UNNAMEABLE.search(name):
            raise TypeError(f"beside files, values are parts of a form, where none can have the name {name!r}")
        # Text as itself, which every server reads, those of izzati 1.x too.
        kind, encoded = (None, value.encode()) if isinstance(value, str) else encode(value, media_type)
        wants = kind if kind not in (None, media_type) else wants
        parts.append((name, kind, encoded))
    return _multipart(parts, sources, wants)


def _members(text: Mapping[str, Any] | None, argument: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(text, Mapping | None):
        raise TypeError(f"{argument} is a dict, as in {argument}={{'name': 'Rex'}}, not {type(text).__name__}")
    for name, value in (text or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"the keys of {argument} are text, which {name!r} is not")
        yield name, value


def _flat(name: str, value: object) -> Iterator[tuple[str, bytes]]:
    for each in value if isinstance(value, (list, tuple, set, frozenset)) else [value]:
        if isinstance(each, (Mapping, list, tuple, set, frozenset)):
            raise TypeError(f"js is sent as a form, which has no place for what is nested in {name!r}; send text={{…}}")
        if each is not None:
            yield name, each if isinstance(each, bytes) else str(each).encode()


def _multipart(
    fields: Iterable[tuple[str, str | None, bytes]], files: Iterable[tuple[str, Source]], wants: str
) -> Content:
    """A multipart form (RFC 7578).

    By hand, since the HTTP library's own holds all of it in memory.
    """
    boundary = secrets.token_hex(16)
    segments: list[bytes | Source] = []
    held = bytearray()
    for name, kind, value in fields:
        held += _head(boundary, kind, name=name) + value + b"\r\n"
    for key, source in files:
        held += _head(boundary, source.content_type, name=key, filename=source.filename)
        segments += [bytes(held), source]
        held = bytearray(b"\r\n")
    segments.append(bytes(held) + f"--{boundary}--\r\n".encode())
    return Content(f"multipart/form-data; boundary={boundary}", wants, segments)


def _head(boundary: str, kind: str | None, **parameters: str) -> bytes:
    """The headers of a part. Names are escaped as browsers do (WHATWG HTML §4.10.21.8), and backslashes by another."""
    escapes = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A", "\\": r"\\"})
    disposition = "".join(f'; {name}="{value.translate(escapes)}"' for name, value in parameters.items())
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    return f"--{boundary}\r\nContent-Disposition: form-data{disposition}\r\n{typed}\r\n".encode(errors="replace")
