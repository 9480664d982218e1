"""So many requests in so long: for a caller, and for an address that guesses (RFC 6585 §4)."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from izzati import Problem

__all__ = ["Limit", "line_of", "open_counters"]

log = logging.getLogger("izzati.auth")


class Limit:
    """How many requests each of many may make, in a window of time that begins with the first of them.

    :param option: the option that it was given by.
    :param rate: such as ``60/minute`` or ``60/minute;1000/day``; empty for no limit.
    :param counters: where it counts.
    :raises ValueError: if it is no such rate.
    """

    def __init__(self, option: str, rate: str, counters: Storage) -> None:
        self._option = option
        try:
            self._items = parse_many(rate) if rate.strip() else []
            right = all(item.amount for item in self._items)
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"auth: {option} takes a rate such as '60/minute' or '60/minute;1000/day', not {rate!r}")
        self._window = FixedWindowRateLimiter(counters)

    def check(self, *who: str) -> None:
        """Return if there is one left.

        :raises Problem: 429 if there is none; 503 if that cannot be told.
        """
        self._ask(self._window.test, who)

    def spend(self, *who: str) -> None:
        """Count one.

        :raises Problem: 429 if there was none left; 503 if it cannot be counted.
        """
        self._ask(self._window.hit, who)

    def _ask(self, left: Callable[..., bool], who: tuple[str, ...]) -> None:
        try:
            for item in self._items:
                if not left(item, self._option, *who):
                    raise self._used_up(item, who)
        except StorageError as error:
            # Where requests cannot be counted nobody gets in: guesses could not be counted, either.
            log.error("requests cannot be counted: %s", error)
            raise Problem(
                503, "This server cannot count requests now. Try again later.", headers={"Retry-After": "5"}
            ) from None

    def _used_up(self, item: RateLimitItem, who: tuple[str, ...]) -> Problem:
        end = self._window.get_window_stats(item, self._option, *who).reset_time
        again = max(1, math.ceil(end - time.time()))
        what = "wrong credentials from this address" if self._option == "failures" else "requests"
        return Problem(
            429,
            f"Too many {what}: {item} is the limit. Try again in {again} s.",
            headers={"Retry-After": str(again)},
            limit=str(item),
        )


def open_counters(uri: str) -> Storage:
    """Where requests are counted.

    :param uri: ``memory://`` for this process alone; ``redis://host:6379/0`` and others for several together.
    :raises ValueError: if there is no such place, or its client is not installed. It never repeats the URI, which may
        have a password in it.
    """
    try:
        counters = storage_from_string(uri, wrap_exceptions=True)
    except Exception:
        counters = None
    if isinstance(counters, MemoryStorage):
        # It begins with a look for what has expired, in a thread that takes 10 ms. Python 3.12 warns where a process
        # with a thread is forked, which is what Backend(background=True) does next.
        counters.timer.join()
    if isinstance(counters, Storage):
        return counters
    raise ValueError(
        "auth: counters takes 'memory://', or a URI such as 'redis://127.0.0.1:6379/0' whose client is installed "
        "(pip install redis); what was given cannot be used"
    )


@lru_cache(maxsize=1024)  # the same callers come again, and to parse one costs more than all else of a request's limits
def line_of(address: str | None) -> str:
    """What of an address is one line to the Internet: of IPv6 the first 64 bits, since a home has all of the others."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:  # how a server for both sees IPv4
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
