"""Which media types come in and go out: the codecs' claims, and the choice among them (RFC 9110 §12)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from izzati.errors import Problem

__all__ = ["Codecs", "covers"]

_DATA = re.compile(
    r"application/(?:json|cbor|cbor-seq|bson|toml|avro|(?:x-)?(?:msgpack|protobuf|yaml|ubjson|thrift))"
    r"|application/vnd\.(?:msgpack|google\.protobuf|apache\.thrift\.binary)"
    r"|text/(?:json|(?:x-|vnd\.)?yaml)|avro/binary"
)
_BETWEEN_TWO = re.compile(r"[\s,]")
_LONG = 512
_LONGEST = 4096
"""Characters of an ``Accept`` that is read. Werkzeug takes the square of its length, and nobody's has as many."""
_DATA_SUFFIXES = frozenset({"json", "msgpack", "cbor", "cbor-seq", "protobuf", "yaml"})


def covers(patterns: Mapping[str, str] | tuple[str, ...], media_type: str) -> bool:
    """True if a media type is among the patterns, itself or by its suffix (``*+json``), which several together lack."""
    if media_type in patterns:
        return True
    return "+" in media_type and _suffix_pattern(media_type) in patterns and not _BETWEEN_TWO.search(media_type)


class Codecs:
    """The media types that a Backend's plugins read and write.

    :param readers: media type or ``*+suffix`` pattern to the name of the plugin that reads it.
    :param writers: media type to the name of the plugin that writes it, the preferred type first.
    """

    def __init__(self, readers: Mapping[str, str], writers: Mapping[str, str]) -> None:
        self.readers = readers
        self.writers = writers
        self._known = lru_cache(maxsize=256)(self._choose)

    def reads(self, media_type: str) -> bool:
        """True if a plugin reads this media type."""
        return media_type in self.readers or covers(self.readers, media_type)

    def carries_data(self, media_type: str) -> bool:
        """True if this media type stands for values rather than for a file, whether or not a plugin reads it."""
        return bool(_DATA.fullmatch(media_type)) or media_type.rpartition("+")[2] in _DATA_SUFFIXES

    def unreadable(self, media_type: str) -> Problem:
        """The 415 for a media type that nothing reads; it lists what is read, and by which plugin."""
        known = ", ".join(f"{pattern} ({plugin})" for pattern, plugin in self.readers.items())
        return Problem(
            415,
            f"No installed plugin reads {media_type}. Send one of {known}; or send a file under its own media type.",
            headers={"Accept": ", ".join(pattern for pattern in self.readers if "*" not in pattern)},
            readable=dict(self.readers),
        )

    def choose(self, accept: str, body_type: str) -> str:
        """The media type of an answer: the best for ``Accept``, else the body's codec's, else JSON.

        :param accept: the header, or the empty string.
        :param body_type: the media type of the request's body.
        """
        # Not every one is remembered: a caller may send many, each as long as a whole head.
        choose = self._known if len(accept) + len(body_type) <= _LONG else self._choose
        return choose(accept, body_type)

    def _choose(self, accept: str, body_type: str) -> str:
        writers = list(self.writers)
        if not writers:
            raise RuntimeError("no plugin writes any media type: json is blocked, and no other codec is used")
        reader = self.readers.get(body_type) or self.readers.get(_suffix_pattern(body_type))
        writers.sort(key=lambda media_type: (self.writers[media_type] != reader, media_type != "application/json"))
        accepted = parse_accept_header(accept if len(accept) <= _LONGEST else "", MIMEAccept)
        # max keeps the first of equals; nothing accepted is no refusal, since the work has been done.
        return max(writers, key=accepted.quality)


def _suffix_pattern(media_type: str) -> str:
    return f"*+{media_type.rpartition('+')[2]}"
