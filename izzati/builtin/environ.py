"""A request as WSGI's environment (PEP 3333)."""

from __future__ import annotations

import re
import socket
import sys
from functools import lru_cache
from typing import IO, Any
from urllib.parse import unquote_to_bytes, urlsplit

import h11

from izzati import Problem
from izzati.builtin.streams import FileWrapper

__all__ = ["check_following", "check_lines", "connection_environ", "length_of_body", "request_environ"]


def connection_environ(sock: socket.socket, address: tuple[Any, ...]) -> dict[str, Any]:
    """What is the same for every request of a connection."""
    host, port = sock.getsockname()[:2]
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_SOFTWARE": "izzati",
        "REMOTE_ADDR": address[0],
        "REMOTE_PORT": str(address[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }


def request_environ(connection: dict[str, Any], request: h11.Request, body: IO[bytes]) -> dict[str, Any]:
    """What is a request's own, added to what is its connection's.

    :raises Problem: 400 for what has no single meaning, 505 for another HTTP than 1.x.
    """
    version = request.http_version.decode("ascii")
    if not version.startswith("1."):
        raise Problem(505, f"The request is HTTP/{version}, and this server speaks HTTP/1.1. Send that.")
    method = request.method.decode("ascii")
    path, query, host = _split_target(request.target.decode("ascii"), method)
    environ = {
        **connection,
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": f"HTTP/{version}",
        "wsgi.input": body,
    }
    for name, raw_value in request.headers.raw_items():  # at once: to go through the others costs a call each
        if b"_" in name:
            continue  # would be taken for the header of the same name with a hyphen
        key = _known_key(name) if len(name) <= _LONG else _key(name)
        value = raw_value.decode("latin-1")
        if not value.isprintable() and _CONTROL.search(value):
            raise Problem(400, "A header has a control character in its value. Encode it, such as by percent signs.")
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.setdefault(key, value) != value:
                raise Problem(400, "The request has two different headers Content-Type. Send one.")
            continue
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    if host is not None:
        environ["HTTP_HOST"] = host
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    if chunked and version == "1.0":
        raise Problem(400, "HTTP/1.0 has no Transfer-Encoding. Send HTTP/1.1, or a Content-Length.")
    if chunked and "CONTENT_LENGTH" in environ:
        # A proxy in front may believe the other one, and see a second request where there is none (RFC 9112 §6.1).
        raise Problem(400, "The request has both Content-Length and Transfer-Encoding. Send one of them.")
    environ["wsgi.input_terminated"] = chunked  # only then has the body an end that is not declared
    return environ


def check_lines(head: bytes) -> None:
    """Refuse a request's line and headers whose lines a proxy in front may have told apart otherwise than h11 does.

    :raises Problem: 400 for lines of which some end with a LF alone, and for folded ones (RFC 9112 §2.2, §5.2).
    """
    if b"\n " in head or b"\n\t" in head:
        raise Problem(400, "A header goes on in the next line. Write each in one.")
    if head.count(b"\n") != head.count(b"\r\n") and b"\r\n" in head:
        raise Problem(400, "Some lines of the headers end with CR LF, and others with a LF alone. End all with CR LF.")


def length_of_body(request: h11.Request) -> int | None:
    """The length that the headers declare, 0 if they declare none; None for a body in chunks."""
    length = 0
    for name, value in request.headers.raw_items():
        if len(name) == 14 and name.lower() == b"content-length":
            length = int(value)
        elif len(name) == 17 and name.lower() == b"transfer-encoding":
            return None
    return length


def check_following(request: h11.Request, following: bytes) -> None:
    """Refuse a request without a body behind which something comes at once that is no other request.

    Programs that write HTTP by hand forget the length, and the callback would be called as if they had sent nothing.

    :raises Problem: 411 (RFC 9110 §15.5.12), unless the request says that it has none.
    """
    if not _REQUEST_LINE.match(following) and not any(name == b"content-length" for name, _ in request.headers):
        raise Problem(411, "A body came, and no header says how long it is. Send Content-Length, in bytes.")


_REQUEST_LINE = re.compile(rb"[\r\n]*(?:[A-Z-]+(?:\s|$)|$)")
"""How another request begins, as far as it has come; methods that are in use are upper case."""

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
"""What no value has (RFC 9110 §5.5), and what h11 lets pass."""


def _key(name: bytes) -> str:
    """A header's name as the environment has it."""
    key = name.decode("ascii").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


_known_key = lru_cache(maxsize=256)(_key)
_LONG = 64
"""Bytes of a header's name from which on it is not remembered: a caller may send many, each as long as a whole head."""


def _split_target(target: str, method: str) -> tuple[str, str, str | None]:
    """Path and query of a request's target (RFC 9112 §3.2), and the host that it names, which counts more than Host.

    A target is a path, a whole URL, or for OPTIONS ``*``.
    """
    if target == "*" and method == "OPTIONS":
        return "/", "", None
    if "#" in target:
        raise Problem(
            400, "The request's target has a fragment, which is the caller's own. Leave out what begins with #."
        )
    before, _, query = target.partition("?")
    if before.startswith("/"):
        return before, query, None
    try:
        parts = urlsplit(before)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Problem(400, "The request's target is neither a path nor a URL of a host.")
    return parts.path or "/", query, parts.netloc
