"""What each hook must be answered with, and whom to blame: for a wrong answer as for an exception."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from reprlib import repr as shortened
from traceback import walk_tb
from typing import Any

from werkzeug.wrappers import Response

from izzati.errors import PluginError
from izzati.message import Content, Identity, StoredFile
from izzati.request import Call
from izzati.routes import Route
from izzati.uploads import Sink

__all__ = ["WrongAnswer", "culprit", "watched"]


class WrongAnswer(PluginError):
    """A hook was answered with something that it must not give; the message names both."""


class _Kind:
    """For isinstance(), where a type alone does not say enough."""

    def __init__(self, fits: Callable[[Any], bool]) -> None:
        self._fits = fits

    def __instancecheck__(self, answer: Any) -> bool:
        return self._fits(answer)


_PAIR = _Kind(lambda answer: isinstance(answer, tuple) and len(answer) == 2)
_ROUTES = _Kind(lambda answer: isinstance(answer, list) and all(isinstance(each, Route) for each in answer))
# By what it has and not by its class, since a plugin may put something around another one's server.
_SERVER = _Kind(lambda answer: all(hasattr(answer, name) for name in ("address", "serve", "stop")))
_ANSWERS: dict[str, tuple[Any, str]] = {
    "izzati_routes": (_ROUTES, "a list of izzati.Route"),
    "izzati_background": (_PAIR, "a pair (process, queue)"),
    "izzati_serve": (_SERVER, "an izzati.Server, which has address, serve and stop"),
    "izzati_admit": (Response, "a Werkzeug Response"),
    "izzati_identify": (Identity, "an izzati.Identity"),
    "izzati_read": (Content, "an izzati.Content"),
    "izzati_store": (Sink, "an izzati.Sink"),
    "izzati_render": (Response, "a Werkzeug Response"),
    "izzati_encode": (bytes, "bytes"),
    "izzati_error": (Response, "a Werkzeug Response"),
    "izzati_open": (StoredFile, "an izzati.StoredFile"),
    "izzati_save": (str, "text, the location of the file"),
}
"""Hook to what fits, in words as well; every other hook takes any answer, or makes nothing of it."""


def watched(hook: str, implementation: Any) -> Callable[..., Any]:
    """An implementation's function, whose wrong answer is its own error, and what it raises is known as its.

    Here, since who handles an answer does not know whose it is, and would be blamed for what it cannot do with it.

    :param implementation: pluggy's, before it is asked.
    """
    where = f"{hook} of the plugin {implementation.plugin_name!r}"
    kind, words = _ANSWERS.get(hook, (object, ""))
    if not implementation.wrapper:
        function = _listed(implementation.function) if hook == "izzati_routes" else implementation.function
        return _plain(function, where, kind, words)
    # Around the routes of all there is a list of lists.
    kind = list if hook == "izzati_routes" else kind
    return _around(implementation.function, where, kind, words)


def culprit(error: BaseException) -> str | None:
    """Where an exception came from, by its innermost frame: a plugin's hook, or the callback; None if neither."""
    found = None
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is Call.__call__.__code__:
            found = "the callback"
        elif frame.f_globals is globals():
            found = frame.f_locals.get("where", found)
    return found


def _plain(function: Callable[..., Any], where: str, kind: Any, words: str) -> Callable[..., Any]:
    def asked(*args: Any) -> Any:
        answer = function(*args)
        if answer is None or isinstance(answer, kind):
            return answer
        raise _wrong(answer, where, words)

    return asked


def _around(function: Callable[..., Any], where: str, kind: Any, words: str) -> Callable[..., Any]:
    def asked(*args: Any) -> Generator[Any, Any, Any]:
        answer = yield from function(*args)
        if answer is None or isinstance(answer, kind):
            return answer
        raise _wrong(answer, where, words)

    return asked


def _listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with its answer gone through: a generator tells only then what is wrong with it."""

    def listed(*args: Any) -> Any:
        answer = function(*args)
        return list(answer) if isinstance(answer, Iterable) and not isinstance(answer, str) else answer

    return listed


def _wrong(answer: Any, where: str, words: str) -> WrongAnswer:
    return WrongAnswer(f"{where} gave {shortened(answer)}; it must give {words}, or None to decline")
