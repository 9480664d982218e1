"""What is asked for: methods, targets, ranges and preferences."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.cases import JSON, Case, Sent, head, post

__all__ = ["CASES"]

BODY = b'{"a": 1}'
ONE = Sent({"a": 1})
AS_FILE = (Sent(files=(("", "", BODY),)),)
"""For who tells kinds of bodies apart by paths."""


def case(name: str, data: bytes, sent: Sent | None, *refused: int, **more: object) -> Case:
    return Case("targets", name, data, sent, refused, **more)


def targets() -> Iterator[Case]:
    for target in ("http://localhost/", "HTTP://LOCALHOST/", "/?", "//", "/./", "/%2f", "/a/.."):
        sent = ONE if target in ("http://localhost/", "HTTP://LOCALHOST/", "/?", "//", "/%2f") else None
        status = () if sent else (400, 404)
        data = post(BODY, JSON, target=target)
        yield case(f"the target {target!r}", data, sent, *status, lenient=True, also=AS_FILE)
    for target in (
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/....//etc/passwd",
        "/C:/windows/win.ini",
        "/.git/config",
        "/.env",
        "/%00",
        "/%ff%fe",
        "/%0d%0aX-Injected:%201",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/<script>alert(1)</script>",
        "/" + "a" * 8000,
        "/" + "a/" * 4000,
        "/%",
        "/%zz",
        "/\\evil.example",
        "//evil.example/",
        "/;a=b",
        "/?b=1#c",
        "/\x7f",
        "/é",
        "evil.example:443",
        "ftp://localhost/",
        "javascript:alert(1)",
        "http://[",
        "index.html",
        "?a=1",
        "",
        "/a b",
        "/a\tb",
        "/a\x00b",
    ):
        yield case(f"the target {target[:40]!r}", post(BODY, JSON, target=target), None, 400, 403, 404, 414)
    for target in ("http://", "http://localhost:port/", "http://evil.example/", "http://user@localhost/"):
        yield case(f"the target {target}", post(BODY, JSON, target=target), ONE, 200, 400, 403, 404, also=AS_FILE)


def methods() -> Iterator[Case]:
    for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW", "X" * 100, "P" * 60_000):
        data = head(f"Content-Type: {JSON}", "Content-Length: 8", method=method) + BODY
        yield case(f"the method {method[:20]}", data, None, 405, 400, 501, 431, method=method)
    for method in ("post", "Post"):
        yield case(f"the method {method}", post(BODY, JSON).replace(b"POST", method.encode(), 1), None, 405, 400, 501)
    connect = head("Content-Length: 0", method="CONNECT", target="localhost:80")
    yield case("CONNECT", connect, None, 400, 405, 501)
    yield case("HEAD", head(method="HEAD"), None, 405, method="HEAD")
    yield case("HEAD with a body", head("Content-Length: 8", method="HEAD") + BODY, None, 405, 400, method="HEAD")
    yield case(
        "OPTIONS", head(method="OPTIONS"), Sent(), method="OPTIONS", headers={"Allow": "OPTIONS, POST"}, lenient=True
    )
    yield case("OPTIONS *", head(method="OPTIONS", target="*"), Sent(), method="OPTIONS", lenient=True)
    yield case("POST *", post(BODY, JSON, target="*"), ONE, 200, 400, 404)
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Original-URL", "X-Rewrite-URL"):
        yield case(f"{name}", post(BODY, JSON, f"{name}: DELETE"), ONE)


def preferences() -> Iterator[Case]:
    ranges = ",".join(f"{n}-{n}" for n in range(1000))
    for name, line in (
        ("1,000 ranges", f"Range: bytes={ranges}"),
        ("10,000 overlapping ranges", "Range: bytes=" + ",".join(["0-"] * 10_000)),
        ("a range from behind the end", "Range: bytes=100000-"),
        ("a range that is none", "Range: bytes=-,x-y"),
        ("an Accept of 1,000 types", "Accept: " + ",".join(f"a/b{n};q=0.{n}" for n in range(1000))),
        ("an Accept that is none", 'Accept: ;;;,,q=;"\\'),
        ("an Accept of blanks", "Accept: http://" + "\t" * 60_000 + "x=y"),
        ("an Accept of nothing", "Accept: text/html"),
        ("an Accept of markup", "Accept: <script>alert(1)</script>"),
        ("a date that is none", "If-Modified-Since: yesterday"),
        ("a date beyond all calendars", "If-Modified-Since: Fri, 31 Dec 99999999999 23:59:59 GMT"),
        ("an If-Match of anything", "If-Match: *"),
        ("cookies that are none", "Cookie: a=b; =; ;;; \xff"),
        ("credentials that are none", "Authorization: Basic !!!"),
        ("X-Forwarded-For", "X-Forwarded-For: 127.0.0.1"),
        ("X-Forwarded-Host", "X-Forwarded-Host: evil.example"),
        ("a foreign request id", "X-Request-Id: <script>"),
    ):
        yield case(name, post(BODY, JSON, line), ONE, lenient=True)


CASES = (*targets(), *methods(), *preferences())
