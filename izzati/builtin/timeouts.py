"""How long a caller may take."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Timeouts"]


class Timeouts(NamedTuple):
    """Seconds that a caller may take.

    :param head: to send a request's line and headers.
    :param idle: between two requests of one connection.
    :param block: over which a body must come, and an answer be taken, at 1 KiB a second at least.
    """

    head: float
    idle: float
    block: float
