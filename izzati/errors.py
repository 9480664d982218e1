"""What can go wrong, as exceptions::

    Exception
    ├── IzzatiError              the program around izzati needs a change
    │   ├── BackgroundError      background work cannot be started where it was asked for, or is out of reach
    │   ├── CallError            a call by Frontend has no result (izzati.client)
    │   │   ├── NoAnswer         (ConnectionError) its answer did not come, or broke off
    │   │   ├── NotReached       (ConnectionError) the server knows nothing of it
    │   │   └── Refused          the server answered with another status than success
    │   ├── CallbackError        (TypeError) a callback cannot take what it will be given
    │   ├── PluginError          a plugin cannot be used as it is
    │   │   └── OptionError      (ValueError) an option that no plugin has, or a wrong value
    │   └── UnknownScheme        (ValueError) no plugin stores at a location of this scheme
    └── werkzeug HTTPException
        └── Problem              the caller gets this answer (RFC 9457)

The first kind is raised to whoever writes the program. A ``Problem`` is raised to whoever calls it over HTTP, where it
is a ``Refused``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib import import_module
from typing import Any

from werkzeug.exceptions import HTTPException

__all__ = [
    "BackgroundError",
    "CallbackError",
    "IzzatiError",
    "OptionError",
    "PluginError",
    "Problem",
    "UnknownScheme",
    "closest",
    "did_you_mean",
    "forget_frames",
]


class IzzatiError(Exception):
    """The base of every error that izzati raises to the program that uses it."""


class BackgroundError(IzzatiError, RuntimeError):
    """Background work cannot be started where or how it was asked for, or is out of reach."""


class CallbackError(IzzatiError, TypeError):
    """A function cannot be called with the arguments that izzati will give it."""


class PluginError(IzzatiError):
    """A plugin cannot be loaded, or contradicts the hook specifications or another plugin."""


class OptionError(PluginError, ValueError):
    """An option has a name that its plugin does not know, or a value of the wrong type; or it is missing."""


class UnknownScheme(IzzatiError, ValueError):
    """No plugin opens or saves at a location of this scheme (``s3://``, …)."""


class Problem(HTTPException):
    """An answer that refuses, as ``application/problem+json`` (RFC 9457).

    Raise it in a callback or a hook: ``raise Problem(404, "There is no dog of that name.")``.

    :param status: the HTTP status, 400 to 599.
    :param detail: one or two sentences: what arrived, what was expected, what to change.
    :param title: a few words for this kind of problem; the status's own phrase unless given.
    :param type: a URI that names this kind of problem (RFC 9457 §3.1.1).
    :param headers: headers of the answer, such as ``{"Retry-After": "30"}``.
    :param fields: extension members (RFC 9457 §3.2) such as ``line``, ``hint``, ``limit``; JSON values.
    :raises ValueError: if ``status`` is not from 400 to 599.
    """

    code: int

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        title: str | None = None,
        type: str = "about:blank",
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"a Problem has a status from 400 to 599, not {status}; to say more with a result: Reply")
        super().__init__(detail)
        self.code = status
        self.title = title or _phrase(status)
        self.type = type
        self.headers = dict(headers or {})
        self.fields = fields

    @classmethod
    def of(cls, error: HTTPException) -> Problem:
        """The same refusal as a Problem: Werkzeug's status, description and headers (``Allow``, ``Retry-After``, …)."""
        if isinstance(error, Problem):
            return error
        headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
        code = error.code if error.code and 400 <= error.code <= 599 else 500
        return cls(code, error.description or "", headers=headers)

    @property
    def name(self) -> str:
        return self.title

    def get_body(self, environ: object = None, scope: object = None) -> str:
        members = {"type": self.type, "title": self.title, "status": self.code}
        if self.description:
            members["detail"] = self.description
        text = json.dumps({**members, **self.fields})
        # A detail may repeat what the caller sent. Escaped, it is no markup even where the type is ignored.
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    def get_headers(self, environ: object = None, scope: object = None) -> list[tuple[str, str]]:
        return [("Content-Type", "application/problem+json"), *self.headers.items()]

    def __str__(self) -> str:
        return f"{self.code} {self.title}: {self.description}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name; empty if none of those that are known is close to it."""
    close = closest(name, known)
    return f"; did you mean {close!r}?" if close else ""


def closest(name: str, known: Iterable[str]) -> str:
    """The name that is most like another one; empty if none is like it at all."""
    # By name, since where nothing is misspelt nothing needs it.
    matches: list[str] = import_module("difflib").get_close_matches(str(name), list(known), 1)
    return matches[0] if matches else ""


def forget_frames(error: BaseException) -> None:
    """Let go of what an error holds by its traceback, once it has been told: the frames that it went through.

    pluggy's frames hold the error in turn, so that a request and its body would stay until the garbage collector comes
    by. And an error that a program has made once, and raises each time, would get a longer traceback each time.
    """
    left: list[BaseException | None] = [error]
    seen = set()
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.with_traceback(None)
            left += [each.__cause__, each.__context__]
