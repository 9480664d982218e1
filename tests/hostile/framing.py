"""HTTP/1.1 messages (RFC 9112): where a body ends, and what two readers might see differently."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.cases import JSON, Case, Sent, head, post

__all__ = ["CASES"]

SMUGGLED = post(b'{"smuggled": 1}', JSON)
FILE = "image/png"
ABC = Sent(files=(("", "", b"abc"),))


def case(name: str, data: bytes, sent: Sent | None, *refused: int, **more: object) -> Case:
    if sent is None:
        more["headers"] = {"Connection": "close"}  # since nobody knows where another request would begin
    return Case("framing", name, data, sent, refused, **more)


def lengths() -> Iterator[Case]:
    for size in ("-1", "+3", "3.0", "0x3", "3 3", "three", "\u0663", "1e3", "--3", "3;a=b", '"3"'):
        yield case(
            f"a Content-Length of {size!r}",
            head(f"Content-Type: {FILE}", f"Content-Length: {size}") + b"abc",
            None,
            400,
        )
    yield case(
        "a Content-Length of 003", head(f"Content-Type: {FILE}", "Content-Length: 003") + b"abc", ABC, lenient=True
    )
    yield case(
        "a Content-Length of '3, 3'", head(f"Content-Type: {FILE}", "Content-Length: 3, 3") + b"abc", ABC, lenient=True
    )
    for size in ("1000000000000", str(2**63), str(2**64 + 3), "9" * 100, "9" * 5000):
        data = head(f"Content-Type: {FILE}", f"Content-Length: {size}", "Connection: close") + b"abc"
        yield case(f"a Content-Length of {size[:20]} ({len(size)} digits)", data, None, 413, 400, 431)
    for first, second in ((3, 4), (3, 3), (0, 3)):
        data = head(f"Content-Type: {FILE}", f"Content-Length: {first}", f"Content-Length: {second}") + b"abcd"[:first]
        sent = ABC if first == second else None
        yield case(f"the lengths {first} and {second}", data, sent, *(() if sent else (400,)), lenient=True)
    for size in (0, 1, 2):
        data = post(b"abc"[:size], FILE, length=3)
        yield case(f"{size} of 3 bytes, and the end", data, None, 400, then_close=True)
    yield case(
        "70,000 of 80,000 bytes, and the end", post(b"x" * 70_000, FILE, length=80_000), None, 400, then_close=True
    )
    longer = post(b"abc", FILE) + SMUGGLED.replace(b"smuggled", b"second__")
    yield case("a request behind a request", longer, ABC, answers=2, also=(Sent({"second__": 1}),), lenient=True)
    yield case("bytes behind a request", post(b"abc", FILE) + b"\x00\x01\x02\r\n\r\n", ABC, 400, answers=2)
    yield case("no length, and no body", head(f"Content-Type: {JSON}"), Sent(), lenient=True)
    for body in (b'{"a": 1}', b"\r\n[1]", b"A=1&b=2", b"--b\r\n", b"\x89PNG\r\n", b"hello world"):
        data = head(f"Content-Type: {FILE}") + body
        yield case(f"no length, and {body!r}", data, None, 411, says="Content-Length")
    last = head(f"Content-Type: {FILE}", "Connection: close") + b"abc"
    yield case("no length in a last request, and a body", last, None, 411)
    old = head(f"Content-Type: {FILE}").replace(b"HTTP/1.1", b"HTTP/1.0") + b"abc"
    yield case("no length in HTTP/1.0, and a body", old, None, 411)
    for name, between in (("a request", b""), ("a line end and a request", b"\r\n")):
        yield case(
            f"no length, and {name} for a body",
            head(f"Content-Type: {FILE}") + between + SMUGGLED,
            Sent(),
            answers=2,
            also=(Sent({"smuggled": 1}),),
            lenient=True,
        )
    yield case("bytes behind a length of 0", post(b"", JSON) + b"\x00\x01\x02\r\n\r\n", Sent(), 400, answers=2)


def chunks() -> Iterator[Case]:
    def chunked(body: bytes, *headers: str) -> bytes:
        return head(f"Content-Type: {FILE}", "Transfer-Encoding: chunked", *headers) + body

    end = b"0\r\n\r\n"
    for name, body in (
        ("one chunk", b"3\r\nabc\r\n" + end),
        ("three chunks", b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n" + end),
        ("an extension", b"3;a=b\r\nabc\r\n" + end),
        ("an extension in quotes", b'3;a="b;c"\r\nabc\r\n' + end),
        ("leading zeros", b"0003\r\nabc\r\n" + end),
        ("trailers", b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        ("a trailer that is a length", b"3\r\nabc\r\n0\r\nContent-Length: 100\r\n\r\n"),
    ):
        yield case(f"{name}", chunked(body), ABC, lenient=True)
    for name, body in (
        ("a prefix", b"0x3\r\nabc\r\n" + end),
        ("a sign", b"+3\r\nabc\r\n" + end),
        ("a negative size", b"-3\r\nabc\r\n" + end),
        ("an underscore", b"1_0\r\n0123456789abcdef\r\n" + end),
        ("no size", b"\r\nabc\r\n" + end),
        ("a blank for a size", b" \r\nabc\r\n" + end),
        ("a blank before its size", b" 3\r\nabc\r\n" + end),
        ("letters beyond f", b"g\r\nabc\r\n" + end),
        ("a size that is too small", b"2\r\nabc\r\n" + end),
        ("a size that is too large", b"4\r\nabc\r\n" + end),
        ("a bare LF in an extension", b"3;a\nb\r\nabc\r\n" + end),
        ("a bare CR in an extension", b"3;a\rb\r\nabc\r\n" + end),
        ("a NUL in an extension", b"3;\x00\r\nabc\r\n" + end),
        ("a bare LF behind the last", b"3\r\nabc\r\n0\r\n\n"),
        ("a bare LF behind a trailer", b"3\r\nabc\r\n0\r\nX: y\n\n"),
        ("no line end behind its data", b"3\r\nabc0\r\n\r\n"),
        ("a size of 100,000 digits", b"0" * 100_000 + b"3\r\nabc\r\n" + end),
        ("a NUL in its size", b"3\x00\r\nabc\r\n" + end),
        ("a trailer that is no header", b"3\r\nabc\r\n0\r\nno header\r\n\r\n"),
    ):
        yield case(f"a chunk with {name}", chunked(body), None, 400, 413, 431)
    # A body may be without an end for a server that looks for one, so it may also say that it came too slowly.
    for name, body in (
        ("LF for line ends", b"3\nabc\n0\n\n"),
        ("a bare CR", b"3\rabc\r0\r\r"),
        ("a size of 17 digits", b"1" * 17 + b"\r\nabc\r\n" + end),
        ("a size that wraps around", b"10000000000000003\r\nabc\r\n" + end),
    ):
        yield case(f"a chunk with {name}", chunked(body), None, 400, 408, 413)
    for name, body in (
        ("an extension of 100,000 bytes", b"3;a=" + b"x" * 100_000 + b"\r\nabc\r\n" + end),
        ("trailers of 100,000 bytes", b"3\r\nabc\r\n0\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    ):
        yield case(f"a chunk with {name}", chunked(body), ABC, 200, 400, 431)
    for count, size in ((1000, 1), (1001, 16), (1001, 15)):
        many = Sent(files=(("", "", b"x" * count * size),))
        status = (400,) if size == 15 else ()
        body = (b"%x\r\n" % size + b"x" * size + b"\r\n") * count + end
        says = "1,000 chunks" if status else ""
        yield case(f"{count} chunks of {size} bytes", chunked(body), many, *status, says=says, lenient=True)
    whole = b"3\r\nabc\r\n" + end
    for size in range(len(whole)):
        yield case(f"chunks cut after byte {size}", chunked(whole[:size]), None, 400, then_close=True)
    for coding, status in (
        ("gzip", 501),
        ("gzip, chunked", 501),
        ("chunked, gzip", 501),
        ("chunked, chunked", 501),
        ("chunked, identity", 501),
        ("identity", 501),
        ("xchunked", 501),
        ("chunked;a=b", 501),
        ('"chunked"', 501),
        ("\x0bchunked", 400),
        ("", 501),
    ):
        data = head(f"Content-Type: {FILE}", f"Transfer-Encoding: {coding}") + whole
        yield case(f"the coding {coding!r}", data, None, status, 400)
    yield case("CHUNKED", head(f"Content-Type: {FILE}", "Transfer-Encoding: CHUNKED") + whole, ABC, lenient=True)
    twice = head(f"Content-Type: {FILE}", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + whole
    yield case("the coding twice", twice, None, 501, 400)
    old = head(f"Content-Type: {FILE}", "Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0") + whole
    yield case("chunks in HTTP/1.0", old, ABC, 200, 400, 501)


def smuggling() -> Iterator[Case]:
    """A request within a body, for a reader that takes another header at its word."""
    inner = b"0\r\n\r\n" + SMUGGLED
    for name, lines in (
        ("CL.TE", (f"Content-Length: {len(inner)}", "Transfer-Encoding: chunked")),
        ("TE.CL", ("Transfer-Encoding: chunked", f"Content-Length: {len(inner)}")),
        ("a length of 0 beside chunks", ("Content-Length: 0", "Transfer-Encoding: chunked")),
        ("a space before the colon", (f"Content-Length: {len(inner)}", "Transfer-Encoding : chunked")),
        ("a tab before the colon", (f"Content-Length: {len(inner)}", "Transfer-Encoding\t: chunked")),
        ("a header that goes on", (f"Content-Length: {len(inner)}", "Transfer-Encoding:\r\n chunked")),
        ("a NUL in its name", (f"Content-Length: {len(inner)}", "Transfer-\x00Encoding: chunked")),
        ("a bare LF between headers", (f"Content-Length: {len(inner)}", "X: y\nTransfer-Encoding: chunked")),
        ("a bare CR between headers", (f"Content-Length: {len(inner)}", "X: y\rTransfer-Encoding: chunked")),
        ("a coding that is none", (f"Content-Length: {len(inner)}", "Transfer-Encoding: xchunked")),
        ("two codings", (f"Content-Length: {len(inner)}", "Transfer-Encoding: identity", "Transfer-Encoding: chunked")),
    ):
        yield case(f"smuggling by {name}", head(f"Content-Type: {FILE}", *lines) + inner, None, 400, 501)
    for name, line in (
        ("an underscore", "Transfer_Encoding: chunked"),
        ("another name", "X-Transfer-Encoding: chunked"),
        ("an underscore in a length", "Content_Length: 0"),
    ):
        data = post(inner, FILE, line)
        yield case(f"a whole body beside {name}", data, Sent(files=(("", "", inner),)), lenient=True)
    bad = post(b"{", JSON) + post(b'{"after": 1}', JSON)
    yield case("a good request behind a bad body", bad, Sent({"after": 1}), 200, 400, answers=2)


def heads() -> Iterator[Case]:
    ok = f"Content-Type: {JSON}\r\nContent-Length: 8\r\n\r\n".encode() + b'{"a": 1}'
    for name, start in (
        ("no HTTP at all", b"hello\r\n\r\n"),
        ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
        ("HTTP/0.9", b"GET /\r\n\r\n"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("HTTP/3.0", b"POST / HTTP/3.0\r\nHost: localhost\r\n" + ok),
        ("HTTP/1.15", b"POST / HTTP/1.15\r\nHost: localhost\r\n" + ok),
        ("http/1.1", b"POST / http/1.1\r\nHost: localhost\r\n" + ok),
        ("no version", b"POST /\r\nHost: localhost\r\n" + ok),
        ("two blanks", b"POST  / HTTP/1.1\r\nHost: localhost\r\n" + ok),
        ("a tab", b"POST\t/ HTTP/1.1\r\nHost: localhost\r\n" + ok),
        ("a method that is no token", b"PO(ST / HTTP/1.1\r\nHost: localhost\r\n" + ok),
        ("a NUL in the method", b"PO\x00ST / HTTP/1.1\r\nHost: localhost\r\n" + ok),
        ("no host", b"POST / HTTP/1.1\r\n" + ok),
        ("two hosts", b"POST / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + ok),
        ("the host twice", b"POST / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n" + ok),
        ("a header without a colon", b"POST / HTTP/1.1\r\nHost: localhost\r\nnothing\r\n" + ok),
        ("a header without a name", b"POST / HTTP/1.1\r\nHost: localhost\r\n: x\r\n" + ok),
        ("a name with a space", b"POST / HTTP/1.1\r\nHost: localhost\r\nX A: 1\r\n" + ok),
        ("a name that is not ASCII", b"POST / HTTP/1.1\r\nHost: localhost\r\nX\xe9: 1\r\n" + ok),
        ("a control character in a value", b"POST / HTTP/1.1\r\nHost: localhost\r\nX: a\x01b\r\n" + ok),
        ("a DEL in a value", b"POST / HTTP/1.1\r\nHost: localhost\r\nX: a\x7fb\r\n" + ok),
        ("a NUL in a value", b"POST / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n" + ok),
        ("a blank before the first header", b"POST / HTTP/1.1\r\n Host: localhost\r\n" + ok),
        ("two media types", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n" + ok),
        ("a megabyte without a line end", b"x" * 1_000_000),
    ):
        yield case(name, start, None, 400, 405, 413, 414, 431, 505)
    for name, start in (
        ("1 MB of headers", b"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000 + b"\r\n" + ok),
        ("a header of 70,000 bytes", b"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n" + ok),
        ("a method of 70,000 bytes", b"P" * 70_000 + b" / HTTP/1.1\r\nHost: localhost\r\n" + ok),
        ("50,000 headers", b"POST / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000 + ok),
        ("a target of 1 MB", b"POST /?" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n" + ok),
    ):
        yield case(name, start, Sent({"a": 1}), 431, also=(Sent({"a": 1, "x" * 1_000_000: ""}),), says="64 KiB")
    yield case("HEAD of nobody", b"HEAD / HTTP/1.1\r\n\r\n", None, 400, method="HEAD")
    before = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
    for name, line in (
        ("a header that goes on in the next line", b"X: a\r\n b\r\n"),
        ("a length in the next line", b"X: a\r\nX-Length:\r\n\t8\r\n"),
        ("a LF alone among its line ends", b"X: y\nX: z\r\n"),
    ):
        yield case(name, before + line + ok, Sent({"a": 1}), 400, says="line")
    lines = (before + ok).replace(b"\r\n", b"\n")
    yield case("LF for all line ends", lines, Sent({"a": 1}), lenient=True)
    for name, data in (
        ("a value that is Latin-1", before + b"X: \xe9\r\n" + ok),
        ("an empty value", before + b"X:\r\n" + ok),
        ("1,000 headers", before + b"".join(b"X-%d: y\r\n" % number for number in range(1000)) + ok),
        ("a header HTTP_PROXY", before + b"Proxy: http://evil.example\r\n" + ok),
        ("an unknown Connection", before + b"Connection: nonsense, Upgrade\r\nUpgrade: websocket\r\n" + ok),
        ("line ends before it", b"\r\n\r\n" + before + ok),
        ("a later HTTP/1", before.replace(b"1.1", b"1.2", 1) + ok),
    ):
        yield case(name, data, Sent({"a": 1}), lenient=True)
    first = b'{"a": 1}'
    for value in ("100-continue", "100-Continue"):
        yield case(f"Expect: {value}, and the body at once", post(first, JSON, f"Expect: {value}"), Sent({"a": 1}))
    yield case("Expect: nonsense", post(first, JSON, "Expect: nonsense"), Sent({"a": 1}), lenient=True)
    refused = post(b"", FILE, "Expect: 100-continue", length=10**12)
    yield case("Expect: 100-continue for a terabyte", refused, None, 413)


CASES = (*lengths(), *chunks(), *smuggling(), *heads())
