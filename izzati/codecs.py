"""The base class of plugins that turn bytes into values and values into bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from izzati.claims import Claims
from izzati.collector import collector_paused
from izzati.errors import Problem
from izzati.markers import hookimpl
from izzati.message import NULL
from izzati.negotiation import covers
from izzati.request import Request

__all__ = ["Codec"]


class Codec:
    """A plugin that reads and writes media types. Set ``reads`` and ``writes``; override ``decode`` and ``encode``."""

    reads: tuple[str, ...] = ()
    """Media types that ``decode`` takes; ``*+json`` stands for every type with that suffix (RFC 6839)."""

    writes: tuple[str, ...] = ()
    """Media types that ``encode`` gives, the preferred one first."""

    replaces: tuple[str, ...] = ()
    """Names of plugins from which it takes the media types that both claim."""

    def decode(self, body: bytes, request: Request) -> Any:
        """The value that the bytes stand for; None is a value, too.

        :raises ValueError: if they stand for none: the caller gets a 400 with the error's words.
        :raises Problem: to say more.
        """
        raise NotImplementedError(f"{type(self).__name__} reads {self.reads} but has no decode()")

    def encode(self, value: Any, media_type: str) -> bytes:
        """The bytes for a value, in one of the types that it writes.

        :raises TypeError: if the value holds something that this media type cannot carry; ValueError likewise.
        """
        raise NotImplementedError(f"{type(self).__name__} writes {self.writes} but has no encode()")

    def deepest(self, body: bytes) -> int:
        """How deep the values in these bytes may nest, as far as can be told at a glance; at most a level each byte.

        Only what may nest too deep is gone through, value by value. A codec need not override this.
        """
        return len(body)

    @hookimpl
    def izzati_claims(self) -> Claims:
        return Claims(reads=self.reads, writes=self.writes, replaces=self.replaces)

    @hookimpl
    def izzati_decode(self, body: bytes, media_type: str, request: Request) -> Any:
        if media_type not in self.reads and not covers(self.reads, media_type):
            return None
        with collector_paused(len(body)):
            return self._decoded(body, media_type, request)

    @hookimpl
    def izzati_encode(self, value: Any, media_type: str) -> bytes | None:
        return self.encode(value, media_type) if media_type in self.writes else None

    def _decoded(self, body: bytes, media_type: str, request: Request) -> Any:
        try:
            value = self.decode(body, request)
        except RecursionError:
            raise _too_deep(request) from None
        except ValueError as error:
            why = f": {error}" if str(error) else ""
            raise Problem(400, f"The {media_type} that arrived cannot be decoded{why}.") from error
        depth = request.limits.depth
        if self.deepest(body) > depth and not _at_most(depth, value):
            raise _too_deep(request)
        return NULL if value is None else value


def _too_deep(request: Request) -> Problem:
    return request.limits.exceeded("depth", "The nesting of the values", status=400)


def _at_most(depth: int, value: Any) -> bool:
    """True if dicts and lists nest no deeper than that; level by level, since recursion is what depth would break."""
    level = [value]
    for _ in range(depth):
        level = [member for container in level for member in _members(container)]
        if not level:
            return True
    return not any(isinstance(member, (dict, list)) for member in level)


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
