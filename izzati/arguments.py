"""Arguments of the wrong kind, told where they are given rather than where they are used."""

from __future__ import annotations

from typing import Any

__all__ = ["expect"]


def expect(kind: Any, given: Any, takes: str) -> None:
    """Refuse what is of another kind. Text is never a list: nobody means its characters.

    :param takes: the beginning of the sentence: what takes what, and how it is written.
    :raises TypeError: with the type of what was given, but not the value, which may be a secret.
    """
    if not isinstance(given, kind) or isinstance(given, (str, bytes)):
        raise TypeError(f"{takes}, not {type(given).__name__}")
