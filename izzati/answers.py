"""What each hook must be answered with."""

from __future__ import annotations

from collections.abc import Callable
from reprlib import repr as shortened
from typing import Any

from werkzeug.wrappers import Response

from izzati.errors import PluginError
from izzati.message import Content, Identity, StoredFile
from izzati.routes import Route
from izzati.uploads import Sink

__all__ = ["WrongAnswer", "expected", "wrong"]


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


def expected(hook: str) -> tuple[Any, str]:
    """What fits as this hook's answer, for isinstance(), and in words."""
    return _ANSWERS.get(hook, (object, ""))


def wrong(answer: Any, where: str, words: str) -> WrongAnswer:
    """What is raised for an answer that does not fit.

    :param where: the hook and the plugin that gave it.
    :param words: what would fit.
    """
    return WrongAnswer(f"{where} gave {shortened(answer)}; it must give {words}, or None to decline")
