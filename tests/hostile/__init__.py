"""A bank of hostile requests: bytes that strangers may send, each with what must come of them.

The rule for any bytes at all: the callback gets exactly what was sent, or the caller gets a 4xx that explains. Never an
empty success, a 5xx, a wait of more than 5 seconds, a connection that ends where a status could be sent, a traceback, a
path of this machine, or markup that comes back as such.
"""

from __future__ import annotations

from hostile import browsers, fields, filenames, framing, multipart, targets, values
from hostile.cases import Case

__all__ = ["BANK"]

BANK: tuple[Case, ...] = (
    *multipart.CASES,
    *filenames.CASES,
    *values.CASES,
    *fields.CASES,
    *framing.CASES,
    *targets.CASES,
    *browsers.CASES,
)
