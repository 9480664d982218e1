"""What a connection and the server that it belongs to know of each other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import Enum, IntEnum
from typing import Protocol

__all__ = ["Claim", "Progress", "Waiter"]


class Progress(Enum):
    """How far the next request has arrived."""

    WAITING = "more must arrive"
    READY = "it can be answered"
    GONE = "the caller sends nothing more"


class Claim(IntEnum):
    """By what a connection may claim its place, where another one waits for a place; the more, the higher."""

    NONE = 0
    """Its last answer is over."""
    NEW = 1
    """It has sent nothing yet."""
    HEAD = 2
    """It has sent a part of a request's head."""
    REQUEST = 3
    """It has sent a request."""


class Waiter(Protocol):
    """What a connection needs of the server that it belongs to."""

    @property
    def stopping(self) -> bool:
        """True once no further requests are taken."""

    @property
    def lingers(self) -> bool:
        """True if a thread may wait for a connection's next request."""

    def waiting(self) -> AbstractContextManager[None]:
        """While a thread does nothing but wait for its caller."""
