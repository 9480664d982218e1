"""Bearer tokens that the owner hands out (RFC 6750)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

__all__ = ["Tokens"]

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1
_DIGEST = re.compile(r"sha256:([0-9A-Fa-f]{64})")


class Tokens:
    """The tokens that are known, each by its SHA-256 and the name of its owner.

    :param tokens: name to token, or tokens alone, whose owners are called ``token 1``, ``token 2``, …. One written as
        ``sha256:`` and 64 hexadecimal digits stands for the token with that SHA-256.
    :raises ValueError: if one of them could not be sent, or two are the same. It never repeats one.
    """

    def __init__(self, tokens: Mapping[str, str] | Sequence[str]) -> None:
        if isinstance(tokens, str):
            tokens = [tokens]
        if not isinstance(tokens, Mapping):
            tokens = {f"token {number}": token for number, token in enumerate(tokens, 1)}
        self._names: dict[bytes, str] = {}
        for name, token in tokens.items():
            if not isinstance(name, str) or not name.isprintable() or not name.strip():
                raise ValueError(f"auth: tokens: an owner's name is printable text, not {name!r}")
            digest = _digest(name, token)
            if digest in self._names:
                raise ValueError(f"auth: tokens: {self._names[digest]!r} and {name!r} are the same; give each its own")
            self._names[digest] = name

    def owner(self, token: str) -> str | None:
        """The name of the token's owner; None if it is not known."""
        sent = hashlib.sha256(token.encode()).digest()
        found = None
        # All of them, whichever it is: how long this takes tells nothing.
        for digest, name in self._names.items():
            if hmac.compare_digest(digest, sent):
                found = name
        return found


def _digest(name: str, token: object) -> bytes:
    if isinstance(token, str):
        digest = _DIGEST.fullmatch(token)
        if digest:
            return bytes.fromhex(digest[1])
        if _TOKEN.fullmatch(token):
            return hashlib.sha256(token.encode()).digest()
    raise ValueError(
        f"auth: tokens: that of {name!r} is neither a token that can be sent (letters, digits, -._~+/, = only at "
        "its end) nor 'sha256:' and 64 hexadecimal digits; make one by: "
        "python3 -c 'import secrets; print(secrets.token_urlsafe())'"
    )
