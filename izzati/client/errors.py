"""What can go wrong with a call, told apart by what a caller may do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from izzati.errors import IzzatiError

__all__ = ["CallError", "NoAnswer", "NotReached", "Refused"]

_SHOWN = 500
"""Characters of plain text that become a detail."""


class CallError(IzzatiError):
    """A call has no result. Raised itself if an answer came that cannot be read, or a file shrank while it was sent."""


class NotReached(CallError, ConnectionError):
    """The server was not reached, so it knows nothing of the call: no such host, nothing listens, no trust (TLS), …"""


class NoAnswer(CallError, ConnectionError):
    """The server was reached, and its answer did not come, or broke off. It may have carried out the call, or not."""


class Refused(CallError):
    """The server answered with another status than success.

    The attributes are the members of a problem (RFC 9457 §3.1). Where the answer was none, they are made of its status.

    :param value: what came with it: of a codec's media type as its value, plain text as text, anything else as bytes.
    :param headers: those of the answer; names in any case.
    """

    def __init__(self, status: int, title: str, value: Any, headers: Mapping[str, str]) -> None:
        members = dict(value) if isinstance(value, Mapping) else {}
        members.pop("status", None)
        #: the HTTP status, such as 404
        self.status = status
        #: a few words for this kind of problem
        self.title = str(members.pop("title", "") or title)
        #: what arrived, what was expected, what to change; empty if the server does not say
        self.detail = str(members.pop("detail", value[:_SHOWN] if isinstance(value, str) else ""))
        #: a URI that names this kind of problem
        self.type = str(members.pop("type", "about:blank"))
        #: further members: ``hint``, ``limit``, ``line``, … (RFC 9457 §3.2)
        self.fields: dict[str, Any] = members
        #: what the server's log calls this call; None if it does not say
        self.request_id = headers.get("X-Request-Id")
        self.headers = headers
        self.value = value
        super().__init__(status, title, value, headers)

    def __str__(self) -> str:
        said = " ".join(filter(None, [self.detail, str(self.fields.get("hint", ""))]))
        named = f" (request {self.request_id})" if self.request_id and self.request_id not in said else ""
        return f"{self.status} {self.title}{': ' if said else ''}{said}{named}"
