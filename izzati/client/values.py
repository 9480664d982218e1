"""Values as bytes and back, by the same codecs as a Backend's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from izzati.client.errors import CallError
from izzati.config import Settings
from izzati.discovery import Entry, Selection, installed
from izzati.errors import Problem
from izzati.limits import Limits
from izzati.message import NULL
from izzati.negotiation import Codecs
from izzati.plugins import Plugins
from izzati.request import Request

__all__ = ["JSON", "carries", "decode", "encode", "require_codec"]

JSON = "application/json"

_FILES = ("image/", "audio/", "video/", "font/", "application/octet-stream")
"""Media types that are no codec's. To know it of any other one, all plugins are imported, which takes its time."""

_LIMITS = Limits(depth=1 << 30)
"""An answer is as deep as the caller has asked for; what a codec itself cannot follow remains an error."""


def encode(value: Any, media_type: str = JSON) -> tuple[str, bytes]:
    """A value's media type and its bytes.

    :param media_type: what to send it as; JSON gives way to the first other codec that can carry what JSON cannot.
    :raises TypeError: if no codec can carry it, with the reason of the first.
    """
    reason: Exception | None = None
    for plugins in _plugins():
        others = [other for other in plugins.writers if other != JSON] if media_type == JSON else []
        for each in (media_type, *others):
            try:
                encoded = plugins.hooks.izzati_encode(value, each)
            except (TypeError, ValueError, RecursionError) as error:
                reason = reason or error
            else:
                if encoded is not None:
                    return each, encoded
    raise TypeError(f"text cannot be sent as {media_type}: {reason}") from reason


def decode(body: bytes, media_type: str) -> Any:
    """The value that these bytes stand for.

    :raises CallError: if they stand for none.
    """
    plugins = next(each for each in _plugins() if media_type in each.writers)
    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": media_type}
    request = Request(environ, plugins.hooks, Codecs(plugins.readers, plugins.writers), _LIMITS)
    try:
        value = plugins.hooks.izzati_decode(body, media_type, request)
    except Problem as problem:
        why = "Its values nest too deep." if "limit" in problem.fields else problem.description
        raise CallError(f"The answer is {media_type} that cannot be read. {why}") from problem
    return None if value is NULL else value


def carries(media_type: str) -> bool:
    """True if an answer of this media type is a value, and not a file: a Backend would send one so."""
    if media_type.startswith(_FILES):
        return False
    return any(media_type in plugins.writers for plugins in _plugins())


def require_codec(media_type: str) -> None:
    """Make sure that values can be sent in this media type.

    :raises ValueError: if no codec writes it; it lists what is written.
    """
    if not carries(media_type):
        *_, plugins = _plugins()
        raise ValueError(f"no installed plugin writes {media_type!r}; those that are written: {[*plugins.writers]}")


def _plugins() -> Iterator[Plugins]:
    """The built-in codecs; and, for who goes on, all that are installed."""
    yield _built_in()
    yield _all(installed())


@lru_cache(maxsize=1)
def _built_in() -> Plugins:
    return Plugins((), Settings({}), Selection(only=()), strict=False, implementing="izzati_encode")


@lru_cache(maxsize=1)
def _all(entries: tuple[Entry, ...]) -> Plugins:
    """Broken ones are left out, with a warning: a call may have been made by now, whose answer must not be lost.

    :param entries: those that are installed; others are other codecs.
    """
    return Plugins((), Settings({}), Selection(), strict=False, implementing="izzati_encode")
