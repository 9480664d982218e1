"""What a page makes its visitor's browser send: other origins, preflights, names that lead here (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.cases import FORM, HOST, JSON, MULTIPART, Case, Sent, head, multipart, part, post

__all__ = ["ALLOWED", "CASES"]

ALLOWED = "https://app.example"
"""The only other origin whose pages may call, as every server of the bank is told."""

_CLOSED = {"Access-Control-Allow-Origin": None}
_OPEN = {"Access-Control-Allow-Origin": ALLOWED, "Vary": "Origin"}


def case(name: str, data: bytes, sent: Sent | None, *refused: int, **more: object) -> Case:
    return Case("browsers", name, data, sent, refused, **more)


def origins() -> Iterator[Case]:
    bodies = {
        JSON: (b'{"a": 1}', Sent({"a": 1})),
        "text/plain": (b'{"a": 1}', None),
        FORM: (b"a=1", None),
        MULTIPART: (multipart(part('; name="a"')), None),
    }
    for kind, (body, _) in bodies.items():
        for origin in ("https://evil.example", "null"):
            name = f"a page of {origin} that sends {kind.partition(';')[0]}"
            yield case(name, post(body, kind, f"Origin: {origin}"), None, 403, says="allow_origins", headers=_CLOSED)
    for origin in (
        "https://app.example.evil.example",
        "https://evil.example/https://app.example",
        "http://app.example",
        "https://app.example:8443",
        "https://sub.app.example",
        f"http://{HOST}.evil.example",
        f"http://evil.example?{HOST}",
        f"http://{HOST}@evil.example",
        f"http://{HOST}:1",
        f"ftp://{HOST}",
        "file://",
        "<script>alert(1)</script>",
        "https://evil.example\x7f",
        "*",
        "x" * 10_000,
        "",
    ):
        data = post(b'{"a": 1}', JSON, f"Origin: {origin}")
        yield case(f"a page of {origin[:40]!r}", data, None, 403, 400, headers={} if "\x7f" in origin else _CLOSED)
    for origin in ("http://127.0.0.1:1", "http://evil.example", "chrome-extension://x", "http://[", "", "x"):
        data = post(b'{"a": 1}', JSON, f"Origin: {origin}")
        yield case(f"a page of {origin!r}", data, None, 403, says="allow_origins", headers=_CLOSED)
    one = Sent({"a": 1})
    both = post(b'{"a": 1}', JSON, f"Origin: {ALLOWED}", "Origin: https://evil.example")
    yield case("a page of two origins", both, None, 403, 400, headers=_CLOSED)
    yield case("a page of this server", post(b'{"a": 1}', JSON, f"Origin: http://{HOST}"), one)
    yield case("a page that may call", post(b'{"a": 1}', JSON, f"Origin: {ALLOWED}"), one, headers=_OPEN)
    for name, data, *status in (
        ("bad JSON", post(b'{"a": ', JSON, f"Origin: {ALLOWED}"), 400),
        ("what nobody reads", post(b"x", "application/cbor", f"Origin: {ALLOWED}"), 415),
        ("to another path", post(b"{}", JSON, f"Origin: {ALLOWED}", target="/no"), 404),
        ("too much", post(b"", JSON, f"Origin: {ALLOWED}", "Connection: close", length=17_000_000), 413),
        ("a packed body", post(b"x", JSON, f"Origin: {ALLOWED}", "Content-Encoding: gzip"), 415),
    ):
        yield case(f"a page that may call, and sends {name}", data, None, *status, headers=_OPEN)
    get = head(f"Origin: {ALLOWED}", method="GET")
    yield case("a page that may call, and sends GET", get, None, 405, headers=_OPEN, method="GET")


def preflights() -> Iterator[Case]:
    def preflight(origin: str, *more: str) -> bytes:
        return head(f"Origin: {origin}", "Access-Control-Request-Method: POST", *more, method="OPTIONS")

    allowed = {**_OPEN, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "content-type"}
    asking = "Access-Control-Request-Headers: content-type"
    yield case("a preflight", preflight(ALLOWED, asking), Sent(), method="OPTIONS", headers=allowed)
    for origin in ("https://evil.example", "null"):
        yield case(f"a preflight of {origin}", preflight(origin, asking), None, 403, method="OPTIONS", headers=_CLOSED)


def hosts() -> Iterator[Case]:
    """The server listens at a loopback address, and knows that nobody calls it by another name."""
    for host in ("evil.example", "evil.example:5020", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1"):
        data = post(b'{"a": 1}', JSON, f"Origin: http://{host}")
        data = data.replace(b"Host: localhost", f"Host: {host}".encode(), 1)
        yield case(f"a page of the host {host}, by that name", data, None, 403, says="allow_hosts")
    for host in (
        "evil.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "0.0.0.0",
        "[::]",
        "2130706433",
        "localhost:evil",
        "localhost:99999999",
        "[",
        "[::1",
        "x@evil",
        "<script>alert(1)</script>",
        "localhost/../evil",
        "localhost evil.example",
        "localhost, evil.example",
        "é.example",
        "x" * 10_000,
        "",
    ):
        data = post(b'{"a": 1}', JSON).replace(b"Host: localhost", f"Host: {host}".encode(), 1)
        yield case(f"the host {host[:40]!r}", data, None, 403, 400, 414, 431)
    for host in ("localhost", "LOCALHOST:5020", "127.0.0.1", "127.0.0.1:1", "127.8.8.8:80", "[::1]:5020"):
        data = post(b'{"a": 1}', JSON).replace(b"Host: localhost", f"Host: {host}".encode(), 1)
        yield case(f"the host {host!r}, which is this machine", data, Sent({"a": 1}))


CASES = (*origins(), *preflights(), *hosts())
