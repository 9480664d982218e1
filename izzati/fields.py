"""Key and value pairs, as query strings and forms carry them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

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
    # parse_qsl's own max_num_fields raises a ValueError that only its words tell from a decoding error.
    if text.count("&") >= limits.parts:
        raise limits.exceeded("parts", f"The number of fields in {what}")
    try:
        return parse_qsl(text, keep_blank_values=True, encoding=charset, errors="strict")
    except UnicodeDecodeError as error:
        raise Problem(400, f"In {what}, percent-escapes give bytes that are not UTF-8. Encode it as UTF-8.") from error


def fold_fields(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of the pairs: a key sent once has its value, a key sent several times a list of them, in order."""
    folded: dict[str, list[Any]] = {}
    for key, value in pairs:
        folded.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in folded.items()}
