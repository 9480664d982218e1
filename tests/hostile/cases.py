"""What a case is, and the few lines that write requests: without a library, so that they can be wrong at will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FORM", "HOST", "JSON", "MARKUP", "MULTIPART", "Case", "Sent", "head", "multipart", "part", "post", "upload"]

HOST = "localhost"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=limit"
MARKUP = "<script>alert(1)</script>"
"""What no answer may hold as it is, unless it says that it is no page."""


@dataclass(frozen=True)
class Sent:
    """What a request says.

    :param text: its fields; another value where others hand over what is no object.
    :param files: key, filename and bytes of each.
    """

    text: Any = field(default_factory=dict)
    files: tuple[tuple[str, str, bytes], ...] = ()


@dataclass(frozen=True)
class Case:
    """Bytes that arrive at once, on a connection of their own.

    :param group: what it is about, a row of the comparison.
    :param sent: what the bytes say; None if they say nothing, or nothing that has one meaning.
    :param refused: statuses with which izzati may refuse; none if it takes what was sent. 200 is among them where both
        would be right.
    :param says: a part of the sentence with which it does.
    :param members: further members of the problem; ``...`` for any value.
    :param lenient: True if a server may refuse although izzati does not.
    :param also: other readings of the same bytes that lose nothing, such as a filename with its folders.
    :param then_close: True if the caller says, after the last byte, that no more will come.
    :param method: that of the request.
    :param answers: how many answers there are, at most; whatever comes beside them answers a smuggled request.
    :param headers: what izzati's answer says besides; None for a header that it must not have.
    """

    group: str
    name: str
    data: bytes = field(repr=False)
    sent: Sent | None = None
    refused: tuple[int, ...] = ()
    says: str = ""
    members: Mapping[str, Any] = field(default_factory=dict)
    lenient: bool = False
    also: tuple[Sent, ...] = ()
    then_close: bool = False
    method: str = "POST"
    answers: int = 1
    headers: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"


def head(*headers: str, method: str = "POST", target: str = "/", host: str | None = HOST) -> bytes:
    """A request's line and headers."""
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *headers, "\r\n"]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def post(body: bytes, content_type: str | None, *headers: str, length: int | None = None, target: str = "/") -> bytes:
    """A POST.

    :param length: what it says of its body's length; the truth unless given.
    """
    kind = [f"Content-Type: {content_type}"] if content_type is not None else []
    length = len(body) if length is None else length
    return head(*kind, f"Content-Length: {length}", *headers, target=target) + body


def multipart(*parts: bytes, boundary: str = "limit", end: bytes | None = None) -> bytes:
    delimiter = f"--{boundary}".encode()
    body = b"".join(b"%b\r\n%b\r\n" % (delimiter, each) for each in parts)
    return body + (b"%b--\r\n" % delimiter if end is None else end)


def part(parameters: str, data: bytes = b"x", *headers: str) -> bytes:
    """A part, with these parameters in its ``Content-Disposition``."""
    lines = [f"Content-Disposition: form-data{parameters}", *headers, "\r\n"]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + data


def upload(filename: str, data: bytes = b"x", name: str = "file") -> bytes:
    """A part that is a file, its name written as browsers write it."""
    return part(f'; name="{name}"; filename="{filename}"', data, "Content-Type: application/octet-stream")
