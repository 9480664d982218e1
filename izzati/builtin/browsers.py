"""Browsers: which pages and host names may call, the headers that let them (CORS), and those that keep answers inert.

A page anywhere on the web can make its visitor's browser send a POST to this server, even on a network that the page's
owner cannot reach. Browsers say where the page is from (``Origin``), so such requests are refused unless allowed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.wrappers import Response

from izzati import Listen, Problem, Request, hookimpl

if TYPE_CHECKING:
    from izzati import Backend

__all__ = ["Browsers"]

_LOOPBACK_NAMES = ("localhost",)
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.~!$&'()*+;=%-]+))(?::\d{0,5})?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:(?![/?#@\\])[!-~])*|null")
"""As browsers write it (RFC 6454 §6.2), views in Android apps ``file://``; what is none is not sent back."""

_TOKENS = re.compile(r"[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
"""One name, or several with commas between them (RFC 9110 §5.6.2)."""

_KNOWN = 16
"""How many host names are remembered: callers of one server ask for few, and taking one apart costs more than all else
that admits them. A caller may send long ones."""


class Browsers:
    """Refuses pages of other origins and foreign host names; answers preflights; adds CORS headers and ``nosniff``.

    :param allow_origins: origins whose pages may call, such as ``"https://app.example"``; ``"*"`` for all.
    :param allow_hosts: names that callers may have for this server (``Host``). Any unless given; on a loopback address
        the names of this machine, since a page can give its own name the address 127.0.0.1 (DNS rebinding).
    :raises ValueError: for what is no origin, or no host name.
    """

    def __init__(self, allow_origins: Sequence[str] = (), allow_hosts: Sequence[str] = ()) -> None:
        self._origins = frozenset(_origin(origin) for origin in _as_list(allow_origins))
        self._hosts = frozenset(_host(host) for host in _as_list(allow_hosts))
        self._loopback = False

    @hookimpl
    def izzati_startup(self, backend: Backend, listen: Listen) -> None:
        self._loopback = listen.loopback

    @hookimpl
    def izzati_admit(self, request: Request) -> Response | None:
        self._check_host(request.environ.get("HTTP_HOST"), request.environ.get("SERVER_PROTOCOL"))
        origin = request.environ.get("HTTP_ORIGIN")
        if origin is None:
            return None
        if not self._allowed(origin, request):
            raise Problem(
                403,
                "A page of another origin called, and this server answers only its own pages and programs.",
                hint=f"To let it call: Backend(..., options={{'browsers': {{'allow_origins': [{origin!r}]}}}})",
            )
        if request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ:
            return Response(status=204, headers=_preflight(request))
        return None

    @hookimpl
    def izzati_finalize(self, response: Response, request: Request) -> None:
        response.headers["X-Content-Type-Options"] = "nosniff"
        origin = request.environ.get("HTTP_ORIGIN")
        if origin is None and not self._origins:
            return
        response.headers.add("Vary", "Origin")
        if origin is not None and self._allowed(origin, request):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "*"

    def _allowed(self, origin: str, request: Request) -> bool:
        if not _ORIGIN.fullmatch(origin):
            return False
        return "*" in self._origins or origin in self._origins or _same(origin, request.environ)

    def _check_host(self, host: str | None, protocol: str | None) -> None:
        # No browser leaves Host out; clients of HTTP/1.0 may, and for some servers it is empty then.
        if host is None or (not host and protocol != "HTTP/1.1"):
            return
        name = _host_name(host)
        if not name:
            raise Problem(400, "The Host that was asked for is none (RFC 9112, section 3.2). Use an HTTP library.")
        allowed = self._hosts or (_LOOPBACK_NAMES if self._loopback else ("*",))
        if "*" in allowed:
            return
        if name not in allowed and (self._hosts or not _is_loopback(name)):
            raise Problem(
                403,
                "This server does not answer to the host name that was asked for.",
                hint=f"To let it: Backend(..., options={{'browsers': {{'allow_hosts': [{name!r}]}}}})",
            )


def _as_list(names: Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def _origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454 §6.2)."""
    parts = urlsplit(text.lower())
    if text not in ("*", "null") and (not parts.scheme or not parts.netloc or parts.path or parts.query):
        raise ValueError(f"browsers: allow_origins takes origins such as 'https://app.example', not {text!r}")
    return text.lower()


@lru_cache(maxsize=_KNOWN)
def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _host(text: str) -> str:
    """A host name without a port, in lower case."""
    if text != "*" and (_host_name(text) != text.lower() or "/" in text):
        raise ValueError(f"browsers: allow_hosts takes names without a port such as 'app.example', not {text!r}")
    return text.lower()


def _same(origin: str, environ: dict[str, str]) -> bool:
    """True if a page of this origin came from here. Schemes may differ: a proxy in front may have ended TLS."""
    try:
        parts = urlsplit(origin)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        host = urlsplit(f"//{environ.get('HTTP_HOST', '')}")
        here = parts.hostname is not None and parts.hostname == host.hostname
        return bool(default and here and (parts.port or default) == (host.port or default))
    except ValueError:
        return False


@lru_cache(maxsize=_KNOWN)
def _host_name(host: str) -> str:
    """The name in a Host header, without the port; IPv6 addresses without brackets; empty if it is no host."""
    # Nothing but a host and a port: urlsplit would take "evil@localhost" and "localhost/../evil" for localhost.
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else ""


def _preflight(request: Request) -> dict[str, str]:
    headers = {"Access-Control-Max-Age": "600"}
    for asked, answer in (("METHOD", "Methods"), ("HEADERS", "Headers")):
        wanted = request.environ.get(f"HTTP_ACCESS_CONTROL_REQUEST_{asked}")
        if not wanted:
            continue
        if not _TOKENS.fullmatch(wanted):
            raise Problem(400, "The preflight asks for what is no name of a method or a header. Browsers send names.")
        headers[f"Access-Control-Allow-{answer}"] = wanted
    return headers
