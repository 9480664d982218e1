"""JSON (RFC 8259), strict about what has no single meaning."""

from __future__ import annotations

import json
import math
from codecs import BOM_UTF8
from collections import Counter
from typing import Any, NoReturn

from izzati import Codec, Problem, Request

__all__ = ["JSON"]


class JSON(Codec):
    """Reads ``application/json`` and every ``*+json``; writes ``application/json``."""

    reads = ("application/json", "*+json")
    writes = ("application/json",)

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)
        self._encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode

    def decode(self, body: bytes, request: Request) -> Any:
        """The value. What has no single meaning is refused: NaN and Infinity, a number beyond all floats, a key sent
        twice in one object, half of a surrogate pair.

        :raises Problem: 400 with line and column, both from 1.
        """
        try:
            value = self._value(body.removeprefix(BOM_UTF8).decode())
            if b"\\u" in body:
                json.dumps(value, ensure_ascii=False).encode()  # the only way in for half of a surrogate pair
        except json.JSONDecodeError as error:
            raise Problem(
                400,
                f"The JSON that arrived is not valid at line {error.lineno}, column {error.colno}: {error.msg}.",
                line=error.lineno,
                column=error.colno,
            ) from error
        except UnicodeDecodeError as error:
            raise Problem(
                400, f"The JSON that arrived is not UTF-8 at byte {error.start} (RFC 8259). Encode it as UTF-8."
            ) from error
        except UnicodeEncodeError as error:
            raise Problem(400, "The JSON that arrived has half of a surrogate pair, which is no character.") from error
        except ValueError:
            # Python refuses an integer in words for programmers. Asking _integer for each would take longer.
            json.loads(body, parse_int=_integer)
            raise
        return value

    def _value(self, text: str) -> Any:
        # decode() looks for white space around, which takes as long as all the rest does for a small object.
        if text.startswith("{"):
            value, end = self._decoder.raw_decode(text)
            if end == len(text) or not text[end:].strip(" \t\n\r"):
                return value
        return self._decoder.decode(text)

    def deepest(self, body: bytes) -> int:
        return body.count(b"[") + body.count(b"{")

    def encode(self, value: Any, media_type: str) -> bytes:
        return self._encode(value).encode("ascii")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        shown = repr(twice if len(twice) <= 60 else f"{twice[:60]}...")
        raise ValueError(f"an object has the key {shown} more than once")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is too large for a float; send it as a string")
    return value


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"an integer has {len(digits):,} digits; send it as a string") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; send null or a string")
