"""The public keys of an issuer, from the address where it publishes them (RFC 7517 §5)."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit

from jwt import PyJWK

from izzati import Problem
from izzati_auth.credentials import Wrong

__all__ = ["KeySet"]

log = logging.getLogger("izzati.auth")

_LARGEST = 1 << 20
"""Bytes of a set of keys; those of large issuers have some thousand."""
_WAITERS = 8
"""Callers that wait for a set that is being fetched. Whoever else needs it is asked to come back."""
_AFTER_FAILURE = 5.0
"""Seconds before what has failed is tried again, at most."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Key(NamedTuple):
    kid: str | None
    algorithm: str
    key: PyJWK


class KeySet:
    """A set of keys that is fetched when it is first needed, when it has aged, and for the sake of a key it lacks.

    It is fetched by a thread of its own. Callers whose key is there do not wait for it.

    :param url: https, or http on this machine. Redirects are not followed.
    :param algorithms: those for which keys are wanted (RFC 7518 §3.1).
    :param seconds: how long a fetch may take, and a caller waits for it.
    :param interval: seconds from one fetch to the next, at least.
    :param fresh: seconds after which a set is fetched again, while it is still used.
    :param usable: seconds after which it is used no more.
    :param clock: seconds since whenever, by which it ages.
    :raises ValueError: if it is no such address.
    """

    def __init__(
        self,
        url: str,
        algorithms: Sequence[str],
        *,
        seconds: float = 5.0,
        interval: float = 30.0,
        fresh: float = 300.0,
        usable: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _require_address(url)
        self._url, self._algorithms = url, tuple(algorithms)
        self._seconds, self._interval, self._fresh, self._usable = seconds, interval, fresh, usable
        self._clock = clock
        self._changed = threading.Condition()
        self._keys: list[_Key] = []
        self._fetched = -math.inf
        self._ended = -math.inf
        self._failed = False
        self._fetching = False
        self._waiting = 0

    def find(self, kid: str | None, algorithm: str) -> PyJWK:
        """The key of this name for this algorithm; without a name, the only one for it.

        :raises Wrong: if there is none.
        :raises Problem: 503 if that cannot be told now.
        """
        with self._changed:
            found = self._pick(kid, algorithm)
            if found and self._clock() - self._fetched < self._fresh:
                return found
            self._fetch_if_due()
            if found:
                return found
            if self._fetching and self._waiting < _WAITERS:
                self._waiting += 1
                try:
                    self._changed.wait_for(lambda: not self._fetching, self._seconds)
                finally:
                    self._waiting -= 1
                found = self._pick(kid, algorithm)
                if found:
                    return found
            if self._fetching or self._failed:
                again = 1 if self._fetching else math.ceil(max(1, self._pause() - (self._clock() - self._ended)))
                raise Problem(
                    503,
                    "This server cannot get the keys by which it would check tokens. Try again later.",
                    headers={"Retry-After": str(again)},
                )
        raise Wrong("This token is signed with a key that its issuer does not publish.")

    def _pick(self, kid: str | None, algorithm: str) -> PyJWK | None:
        if self._clock() - self._fetched >= self._usable:
            return None
        found = [each.key for each in self._keys if each.algorithm == algorithm and kid in (None, each.kid)]
        return found[0] if len(found) == 1 else None

    def _pause(self) -> float:
        return min(self._interval, _AFTER_FAILURE) if self._failed else self._interval

    def _fetch_if_due(self) -> None:
        if not self._fetching and self._clock() - self._ended >= self._pause():
            # A daemon, since a program that ends need not wait for another host.
            threading.Thread(target=self._fetch, name="izzati-auth-jwks", daemon=True).start()
            self._fetching = True

    def _fetch(self) -> None:
        keys: list[_Key] | None = None
        try:
            keys = _read(_load(self._url, self._seconds), self._algorithms)
        except Exception as error:
            log.error("the keys at %s cannot be had: %s: %s", self._url, type(error).__name__, error)
        with self._changed:
            self._ended = self._clock()
            self._failed = keys is None
            if keys is not None:
                self._keys, self._fetched = keys, self._ended
            self._fetching = False
            self._changed.notify_all()


def _require_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        right = safe and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise ValueError(
            "auth: jwt_jwks takes an address that begins with https:// and has no password in it, such as "
            "'https://issuer.example/jwks.json'; http:// is for this machine alone"
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The answer is what the address says, or there is none: another host is nobody that the owner has named."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _load(url: str, seconds: float) -> bytes:
    """What the address answers.

    :raises OSError: if it does not, or not in time.
    :raises ValueError: if it is too large.
    """
    end = time.monotonic() + seconds
    request = urllib.request.Request(url, headers={"Accept": "application/jwk-set+json, application/json"})  # noqa: S310 - checked
    body = b""
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=seconds) as answer:
            while chunk := answer.read1(1 << 16):
                body += chunk
                if len(body) > _LARGEST:
                    raise ValueError("what it sends is larger than 1 MiB")
                # The time limit of a socket is for each piece, so that pieces could arrive for ever.
                if time.monotonic() > end:
                    raise TimeoutError(f"it took longer than {seconds:g} s")
    except HTTPError as error:
        error.close()
        raise
    return body


def _read(body: bytes, algorithms: Sequence[str]) -> list[_Key]:
    """The keys that may check a signature by one of the algorithms.

    :raises ValueError: if there is none.
    """
    published = json.loads(body)
    entries = published.get("keys") if isinstance(published, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no JWK Set, an object with a list of keys")  # noqa: TRY004 - a value from afar
    keys = [key for entry in entries for algorithm in algorithms if (key := _key(entry, algorithm))]
    if not keys:
        raise ValueError(f"it has no key for {' or '.join(algorithms)}")
    return keys


def _key(entry: Any, algorithm: str) -> _Key | None:
    """The key if it is for this algorithm; None if it is for another, or for encryption."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = PyJWK(entry, algorithm)
    except Exception:
        # An RSA key is none for ES256; and a key of a kind that is not known yet is no reason to use none.
        return None
    kid = entry.get("kid")
    return _Key(kid if isinstance(kid, str) else None, algorithm, key)
