"""Plain values that hooks, callbacks and the core pass along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import IO, Any

from izzati.uploads import Upload

__all__ = ["NULL", "Content", "Identity", "Reply", "StoredFile"]


@dataclass(frozen=True)
class Identity:
    """Who is calling, as an identifying plugin found out.

    :param name: the caller's name, as the plugin's credentials know it.
    :param attributes: what else the credential says (roles, claims of a token, …).
    """

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Content:
    """What a body held: ``text`` for the callback's first argument, ``uploads`` for its second."""

    text: dict[str, Any] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)


@dataclass(frozen=True)
class Reply:
    """A callback's result with more to say than its value.

    :param value: anything that a callback may return.
    :param status: the HTTP status, 200 to 599.
    :param headers: headers of the answer; they replace izzati's of the same name.
    :raises ValueError: if ``status`` is not from 200 to 599.
    """

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"a Reply has a status from 200 to 599, not {self.status}")


@dataclass(frozen=True)
class StoredFile:
    """A file that a storage plugin has opened, to be sent.

    :param stream: its bytes, from the beginning; closed by whoever asked.
    :param name: its name, without folders.
    :param size: its length in bytes; None if it is not known.
    :param modified: when it was last changed, in seconds since 1970; None if it is not known.
    """

    stream: IO[bytes] | BufferedIOBase
    name: str
    size: int | None = None
    modified: float | None = None


class _Null:
    def __repr__(self) -> str:
        return "izzati.NULL"


NULL: Any = _Null()
"""What ``izzati_decode`` returns for a value that is None, since None itself declines."""
