"""What the server says to callers whose requests never reach the application."""

from __future__ import annotations

from izzati import Problem
from izzati.builtin.pace import SLOWEST

__all__ = ["HEAD", "crowded", "ended_early", "ending", "head_too_late", "head_too_long", "too_slow"]

HEAD = 64 * 1024
"""Bytes that a request's line and headers may have together."""


def head_too_long() -> Problem:
    return Problem(431, f"The request's line and headers are more than {HEAD // 1024} KiB. Send fewer or shorter ones.")


def head_too_late(seconds: float) -> Problem:
    return Problem(408, f"The request's headers did not arrive within {seconds:g} seconds.")


def too_slow(seconds: float) -> Problem:
    return Problem(408, f"The body came more slowly than {SLOWEST >> 10} KiB a second, over {seconds:g} seconds.")


def ended_early() -> Problem:
    return Problem(400, "The connection ended before the body did. Send as much as the headers declare.")


def ending() -> Problem:
    return Problem(503, "The server ends before this request has arrived. Send it again.")


def crowded() -> Problem:
    told = "The server has as many connections as it may. Send the request again later."
    return Problem(503, told, headers={"Retry-After": "1"})
