"""``Frontend``: a function behind HTTP, called as if it were here."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from ssl import SSLContext
from types import TracebackType
from typing import Any

import urllib3

from izzati.client.address import authorization, complete, require_sendable
from izzati.client.answer import Answer
from izzati.client.connections import Connections
from izzati.client.content import Content, form, values
from izzati.client.errors import CallError, NoAnswer, NotReached, Refused
from izzati.client.progress import Progress, metered
from izzati.client.sources import File
from izzati.client.values import JSON, carries, decode, require_codec

__all__ = ["Frontend"]

_PASSING = frozenset({429, 502, 503, 504})
"""Statuses that may be others a moment later."""
_PAUSE = 0.2
"""Seconds before the second attempt; before each further one they double."""
_LONGEST_PAUSE = 60.0
_ERROR = 1 << 20
"""Bytes that are read of an answer that tells of an error."""


class Frontend:
    """Calls a function that a Backend serves::

        frontend = Frontend("http://localhost:5020")
        frontend.send(text={"name": "Rex", "age": 3}, files=["rex.jpg"])

    Any number of threads may use one at once. Connections are kept for the next call; a process that is forked makes
    its own, and one that is started gets a Frontend like any argument. Proxies are those of the environment
    (``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``). Redirects are not followed: they would repeat the call.

    :param url: where the function is, with its path. Without a scheme it is ``http``, and then without a port 5020.
        A user and a password in it are sent as HTTP Basic.
    :param token: sent as ``Authorization: Bearer …`` (RFC 6750).
    :param auth: user and password, sent as HTTP Basic (RFC 7617).
    :param headers: sent with every call.
    :param media_type: what values are sent as, and asked for: a type that an installed codec writes.
    :param timeout: seconds for which the server may be silent, while it takes the call or makes the answer; None for
        as long as the function takes. Connecting takes 10 at most. A machine that has gone is noticed in any case.
    :param retries: how often connecting is tried again; and a whole call, if it is said to be safe.
    :param ssl_context: whom to trust, and with which certificate of one's own; whom the system trusts unless given.
    :raises ValueError: if the URL is none, no codec writes the media type, or a header cannot be sent.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str = JSON,
        timeout: float | None = None,
        retries: int = 2,
        ssl_context: SSLContext | None = None,
    ) -> None:
        #: where calls go
        self.url, within = complete(url)
        require_codec(media_type)
        self._media_type = media_type
        self._headers = {"User-Agent": "izzati", **authorization(token, auth or within), **(headers or {})}
        require_sendable(self._headers)
        self._retries = retries
        self._connections = Connections(self.url, timeout, ssl_context)

    def send(
        self,
        js: Mapping[str, Any] | None = None,
        f: Any = None,
        *,
        text: Mapping[str, Any] | None = None,
        files: Iterable[File] | Mapping[str, File | Sequence[File]] = (),
        safe: bool = False,
        progress: bool | Progress = False,
    ) -> Any:
        """Call the function.

        ``js`` and ``f`` are those of izzati 1.x, and are sent as it sends them: flat values as a form, one open file.
        ``text`` and ``files`` keep what is nested, and any number of files.

        :param js: text, numbers, and lists of them.
        :param f: a file that is open for reading in binary mode, sent from where it stands.
        :param text: what the callback gets as ``text``.
        :param files: paths, open files, ``(name, bytes)`` or ``(name, bytes, media type)``; or a dict of key to one of
            these, or to a list of them.
        :param safe: True if the call may be repeated, since a second one does no harm. It is, where the answer does not
            come, and where it is a 429, 502, 503 or 504. Otherwise a call is never made twice.
        :param progress: True for a bar on stderr; or a function of the bytes that are sent, and how many there will be
            (None if nobody knows).
        :returns: a value, if that is what came back; else a :class:`ReceivedFile`.
        :raises Refused: if the server answers with another status than success.
        :raises NotReached: if nothing arrived at the server.
        :raises NoAnswer: if it may have, and no answer came.
        :raises CallError: if the answer cannot be read, or a file became shorter while it was sent.
        :raises TypeError: for arguments that cannot be sent.
        :raises OSError: if a file cannot be read.
        """
        with self.stream(js, f, text=text, files=files, safe=safe, progress=progress) as answer:
            return answer.result()

    def stream(
        self,
        js: Mapping[str, Any] | None = None,
        f: Any = None,
        *,
        text: Mapping[str, Any] | None = None,
        files: Iterable[File] | Mapping[str, File | Sequence[File]] = (),
        safe: bool = False,
        progress: bool | Progress = False,
    ) -> Answer:
        """Call the function as ``send`` does, and return as soon as the answer begins: for what does not fit in memory.

        ``with frontend.stream(text={"name": "Rex"}) as answer: answer.save("film.mp4")``
        """
        old = js is not None or f is not None
        if old and (text is not None or files != ()):
            raise TypeError("js and f are sent as izzati 1.x does, and text and files otherwise: give one pair of them")
        content = form(js, f) if old else values(text, files, self._media_type)
        again = safe and content.repeatable
        for attempt in range(self._retries):
            pause = _PAUSE * 2**attempt * random.uniform(0.5, 1)  # noqa: S311 - it guards nothing
            try:
                return self._call(content, progress)
            except NotReached:
                pass  # so nothing of it was sent, and nothing read of its files
            except NoAnswer:
                if not again:
                    raise
            except Refused as refused:
                if not again or refused.status not in _PASSING:
                    raise
                pause = max(pause, _seconds(refused.headers.get("Retry-After", "")))
            time.sleep(pause)
        return self._call(content, progress)

    def close(self) -> None:
        """Close the connections that are kept. A later call makes new ones."""
        self._connections.close()

    def __enter__(self) -> Frontend:  # noqa: PYI034 - typing has Self from Python 3.11 on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Frontend({self.url!r})"

    def _call(self, content: Content, progress: bool | Progress) -> Answer:
        accept = f"{content.wants}, */*;q=0.9"
        headers = urllib3.HTTPHeaderDict({"Accept": accept})
        headers.update(self._headers)  # whose names may be written otherwise
        if content.content_type is not None:
            headers["Content-Type"] = content.content_type
        blocks = metered(content.blocks(), content.size, progress, "sending")
        response = self._connections.post(blocks, content.size, headers)
        answer = Answer(response, self.url, progress=progress is True)
        if 200 <= response.status <= 299:
            return answer
        with answer:
            raise _refused(answer, response)


def _refused(answer: Answer, response: urllib3.BaseHTTPResponse) -> Refused:
    """The answer as an exception. What is wrong with its body is left: its status says more."""
    location = response.headers.get("Location")
    if response.status < 400 and location:
        told: Any = {"detail": f"It has moved to {location}, so call that. No call is made twice."}
        return Refused(response.status, _phrase(response), told, answer.headers)
    body = bytearray()
    try:
        for block in answer.blocks():
            body += block
            if len(body) > _ERROR:
                break
        media_type = JSON if answer.content_type == "application/problem+json" else answer.content_type
        value: Any = decode(bytes(body), media_type) if carries(media_type) else bytes(body)
    except CallError:
        value = bytes(body)
    if answer.content_type == "text/plain" and isinstance(value, bytes):
        value = value.decode(errors="replace")
    return Refused(response.status, _phrase(response), value, answer.headers)


def _phrase(response: urllib3.BaseHTTPResponse) -> str:
    try:
        return HTTPStatus(response.status).phrase
    except ValueError:
        return response.reason or "Error"


def _seconds(retry_after: str) -> float:
    """What a server asks for (RFC 9110 §10.2.3), where it counts seconds; within reason."""
    return min(float(retry_after), _LONGEST_PAUSE) if retry_after.isdecimal() else 0.0
