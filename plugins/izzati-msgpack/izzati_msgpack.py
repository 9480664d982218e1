"""MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), strict about what has no single meaning."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime
from typing import Any, NoReturn

import msgpack  # type: ignore[import-untyped]  # it has no types
from msgpack import fallback

from izzati import Codec, Problem, Request

__all__ = ["MessagePack"]

_DEEPEST = 1024
"""Levels of nesting beyond which msgpack gives up, whatever ``Limits.depth`` is."""

_FAMILIES = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    bytes: "bin",
    list: "array",
    dict: "map",
    datetime: "timestamp",
}


def _interns_forever() -> bool:
    """True if this interpreter never frees an interned string, as CPython 3.12 did when it was new."""
    return sys.getrefcount(sys.intern(f"{__name__}: a string that nobody has interned")) > 1 << 20


# msgpack's extension interns every key, so on such an interpreter each request could make the process larger for good.
# Its code in pure Python does not, and is slower.
_unpackb: Any = fallback.unpackb if _interns_forever() else msgpack.unpackb


class MessagePack(Codec):
    """Reads and writes ``application/msgpack``, and the two other names under which msgpack is sent.

    Text, whole numbers of 64 bits, floats, truth values, None, bytes, lists, dicts, and datetimes with a time zone.
    """

    reads = writes = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")

    def decode(self, body: bytes, request: Request) -> Any:
        """The value. A timestamp becomes a datetime in UTC, its nanoseconds cut to microseconds.

        What has no single meaning is refused: a key that is not text or is sent twice in one map, text that is not
        UTF-8, an extension other than the timestamp, bytes after the value.

        :raises Problem: 400 with what is wrong.
        """
        try:
            _require_one_value(body)
            return _unpackb(
                body, timestamp=3, strict_map_key=False, object_pairs_hook=_map, ext_hook=_unknown_extension
            )
        except msgpack.StackError:
            if request.limits.depth < _DEEPEST:
                raise request.limits.exceeded("depth", "The nesting of the values", status=400) from None
            raise _refusal(f"nests deeper than msgpack follows, which is {_DEEPEST:,} levels at most.") from None
        except UnicodeDecodeError as error:
            raise _refusal(
                f"has a str that is not UTF-8 at its byte {error.start}. Send text as UTF-8, and bytes as bin."
            ) from error
        except OverflowError as error:
            raise _refusal("has a timestamp outside the years 1 to 9999. Send it as a number or as text.") from error
        except ValueError as error:
            raise _refusal(f"is malformed: {str(error).rstrip('.')}.") from error

    def encode(self, value: Any, media_type: str) -> bytes:
        """The bytes. Tuples become arrays; a datetime keeps its moment, not the name of its time zone.

        :raises TypeError: for a datetime without a time zone, and for every type that msgpack does not know.
        :raises ValueError: for an integer beyond 64 bits, half of a surrogate pair, and a list or dict in itself.
        """
        try:
            packed: bytes = msgpack.packb(value, datetime=True, default=_carry)
        except (ValueError, OverflowError, BufferError, RecursionError) as error:
            raise ValueError(f"a result cannot be written as msgpack: {error}") from error
        return packed


def _require_one_value(body: bytes) -> None:
    """Walk over the body without making a value of it.

    Otherwise msgpack would make room for each array that is announced, up to 10,000 places of 8 bytes at each of 1,024
    levels, for a body of 10 kB. After this every length is known to be true.

    :raises Problem: 400 if it is not exactly one value.
    :raises StackError: if it nests too deep.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(body) or 1)
    unpacker.feed(body)
    try:
        unpacker.skip()
    except msgpack.StackError:
        raise
    except msgpack.FormatError as error:
        raise _refusal(
            "has the byte 0xc1 in place of a value, which means nothing. If it is not msgpack, send its own "
            "Content-Type."
        ) from error
    except (msgpack.OutOfData, ValueError) as error:  # a ValueError: from msgpack's pure Python, for a long length
        raise _refusal(f"ends after {len(body):,} bytes, before its value does. Send all of it.") from error
    end = unpacker.tell()
    if end != len(body):
        raise _refusal(
            f"goes on after its value, which takes {end:,} of its {len(body):,} bytes. Send one value; if it is not "
            "msgpack, send its own Content-Type."
        )


def _map(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    for key, _ in pairs:
        # Before they become keys: some have no hash, and others one that a caller can choose.
        if type(key) is not str:
            raise _refusal(f"has a key of type {_FAMILIES[type(key)]} in a map. Send keys as str.")
    value = dict(pairs)
    if len(value) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        shown = repr(twice if len(twice) <= 60 else f"{twice[:60]}...")
        raise _refusal(f"has the key {shown} more than once in a map. Send each key once.")
    return value


def _unknown_extension(code: int, data: bytes) -> NoReturn:
    raise _refusal(f"has an extension of type {code}. None but the timestamp (type -1) is read; send a map or bin.")


def _refusal(what: str) -> Problem:
    return Problem(400, f"The msgpack that arrived {what}")


def _carry(value: Any) -> Any:
    """What msgpack knows, for a value that it does not know.

    :raises TypeError: if there is nothing that says the same; ValueError for an integer that is too large.
    """
    if isinstance(value, int):
        raise ValueError("an integer is beyond 64 bits; return it as text")  # noqa: TRY004 - its type is right
    if not isinstance(value, datetime):
        raise TypeError(
            f"a result holds a {type(value).__qualname__}, which msgpack cannot carry; return text, numbers, bytes, "
            "lists, dicts and datetimes"
        )
    if value.utcoffset() is None:
        raise TypeError(
            "a result holds a datetime without a time zone, which names no moment; return datetime.now(timezone.utc), "
            "or moment.astimezone()"
        )
    return msgpack.Timestamp.from_datetime(value)  # a subclass, which msgpack takes only here
