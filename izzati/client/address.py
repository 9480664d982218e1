"""Where calls go, and as whom: URLs as people write them, and credentials as headers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3

__all__ = ["authorization", "complete", "require_sendable"]

_PORT = 5020


def complete(url: str) -> tuple[str, tuple[str, str] | None]:
    """The whole URL of one that may lack its scheme and its port; and the user and password that stood in it.

    :raises ValueError: if it is none.
    """
    whole = url if "://" in url else f"http://{'localhost' if url.startswith(':') else ''}{url}"
    try:
        parts = urlsplit(whole)
        port = parts.port
        urllib3.util.parse_url(whole)
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of HTTP, such as http://localhost:5020")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is None and "://" not in url:
        port = _PORT
    user = (unquote(parts.username or ""), unquote(parts.password or ""))
    place = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, place, parts.path, parts.query, "")), user if any(user) else None


def authorization(token: str | None, auth: tuple[str, str] | None) -> dict[str, str]:
    """The header that says who calls, if anything does.

    :param token: for Bearer (RFC 6750).
    :param auth: user and password, for Basic (RFC 7617).
    """
    if token is not None:
        return {"Authorization": f"Bearer {token}"}
    if auth is None:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(':'.join(auth).encode()).decode()}"}


def require_sendable(headers: Mapping[str, str]) -> None:
    """:raises ValueError: for a header that cannot be sent; its value may be a secret, and is not told."""
    for name, value in headers.items():
        if not f"{name}{value}".isascii() or not f"{name}{value}".isprintable():
            raise ValueError(f"the header {name!r} has a character that cannot be sent; ASCII can, on one line")
