"""Key and value pairs, as query strings and forms carry them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import hexdigits
from typing import Any

from izzati.errors import Problem
from izzati.limits import Limits

__all__ = ["fold_fields", "parse_fields"]


def parse_fields(text: str, limits: Limits, what: str, charset: str = "utf-8") -> list[tuple[str, str]]:
    """The pairs of an ``application/x-www-form-urlencoded`` text (WHATWG URL §5.1), in order.

    Clients that escape nothing are read, too: a ``%`` that begins no escape stands for itself.

    :param what: what the text is, for the sentence of a refusal.
    :param charset: that of the bytes that percent-escapes stand for.
    :raises Problem: 413 beyond ``Limits.parts``; 400 if escapes do not give UTF-8.
    """
    if text.removesuffix("&").count("&") >= limits.parts:
        raise limits.exceeded("parts", f"The number of fields in {what}")
    pairs = [pair.partition("=") for pair in text.replace("+", " ").split("&") if pair]
    try:
        return [
            # Most have no escape. To find that out here costs less than to ask.
            (_unescaped(name, charset) if "%" in name else name, _unescaped(value, charset) if "%" in value else value)
            for name, _, value in pairs
        ]
    except UnicodeDecodeError as error:
        raise Problem(400, f"In {what}, percent-escapes give bytes that are not UTF-8. Encode it as UTF-8.") from error


def _unescaped(text: str, charset: str) -> str:
    # urllib takes 13 seconds for 16 MiB that only look like escapes; as many real ones take 500 MiB in one piece.
    pieces = _PIECES.findall(text.encode(charset))
    return b"".join([_ESCAPE.sub(lambda escape: _BYTES[escape[0]], piece) for piece in pieces]).decode(charset)


_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_PIECES = re.compile(rb".{1,65536}[^%]*", re.DOTALL)  # each ends where no escape goes on
_BYTES = {f"%{high}{low}".encode(): bytes.fromhex(high + low) for high in hexdigits for low in hexdigits}


def fold_fields(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of the pairs: a key sent once has its value, a key sent several times a list of them, in order."""
    pairs = list(pairs)
    once = dict(pairs)
    if len(once) == len(pairs):
        return once
    folded: dict[str, list[Any]] = {}
    for key, value in pairs:
        folded.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in folded.items()}
