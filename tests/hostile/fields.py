"""Forms that are urlencoded (WHATWG URL §5.1), and query strings."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.cases import FORM, MARKUP, Case, Sent, head, post

__all__ = ["CASES"]


def case(name: str, body: bytes, sent: Sent | None, *refused: int, kind: str = FORM, **more: object) -> Case:
    return Case("forms", name, post(body, kind), sent, refused, **more)


def bodies() -> Iterator[Case]:
    for body, text in (
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2&a=1", {"a": ["1", "2", "1"]}),
        (b"a=&b", {"a": "", "b": ""}),
        (b"=1", {"": "1"}),
        (b"&&a=1&&", {"a": "1"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a+b=c%20d%2Be", {"a b": "c d+e"}),
        (b"a=%C3%A9%E6%97%A5%F0%9F%90%95", {"a": "é日🐕"}),
        ("a=é".encode(), {"a": "é"}),
        (b"a=100%&b=%zz&c=%4", {"a": "100%", "b": "%zz", "c": "%4"}),
        (b"a=%00&b=%0D%0A", {"a": "\x00", "b": "\r\n"}),
        (b"a[0]=1&a[b][c]=2", {"a[0]": "1", "a[b][c]": "2"}),
        (b"a=%2525", {"a": "%25"}),
        (b"__proto__=1&__class__=2", {"__proto__": "1", "__class__": "2"}),
        (b"a=%3Cscript%3Ealert(1)%3C/script%3E", {"a": MARKUP}),
    ):
        yield case(body.decode("ascii", "backslashreplace"), body, Sent(text))
    for body in (b"a=%ff", b"a=%C3", b"%ff=1", b"a=%ED%A0%80", b"a=%C0%AF", b"a=1&b=\xff", b"\xfe\xff"):
        yield case(repr(body), body, None, 400, says="UTF-8")
    yield case("Latin-1 that says so", b"a=%E9", Sent({"a": "é"}), kind=f"{FORM}; charset=iso-8859-1", lenient=True)
    yield case("UTF-16 that says so", "a=1".encode("utf-16"), Sent({"a": "1"}), 415, kind=f"{FORM}; charset=utf-16")
    latin = f"{FORM}; charset=iso-8859-1"
    yield case(
        "_charset_ and a charset that differ", b"_charset_=utf-8&a=%C3%A9", None, 400, kind=latin, says="_charset_"
    )
    same = Sent({"_charset_": "latin1", "a": "é"})
    yield case("_charset_ and a charset that are the same", b"_charset_=latin1&a=%E9", same, kind=latin, lenient=True)
    many = b"&".join(b"a=%d" % number for number in range(100_000))
    yield case("100,000 fields", many, Sent({"a": [str(n) for n in range(100_000)]}), 413, says="2,000")
    yield case("a million ampersands", b"&" * 1_000_000, Sent(), 413, says="2,000")
    few = b"&".join(b"k%d=" % number for number in range(2000))
    yield case("2,000 fields", few, Sent({f"k{number}": "" for number in range(2000)}), lenient=True)
    yield case("a field of 17 MB", b"a=" + b"x" * 17_000_000, None, 413, says="16 MiB")
    yield case("a field of 1 MB of escapes", b"a=" + b"%41" * 330_000, Sent({"a": "A" * 330_000}), lenient=True)
    yield case("a key of 1 MB", b"x" * 1_000_000 + b"=1", Sent({"x" * 1_000_000: "1"}), lenient=True)


def queries() -> Iterator[Case]:
    """Query strings join the text here, and are elsewhere left to the program."""

    def query(name: str, target: str, sent: Sent | None, *refused: int, **more: object) -> Case:
        also = (Sent(),) if sent else ()
        data = head("Content-Length: 0", target=target)
        return Case("forms", f"the query {name}", data, sent, refused, also=also, **more)

    yield query("a=1&a=2", "/?a=1&a=2", Sent({"a": ["1", "2"]}), lenient=True)
    yield query("a=%C3%A9", "/?a=%C3%A9", Sent({"a": "é"}), lenient=True)
    yield query("a=?b#c", "/?a=?b", Sent({"a": "?b"}), lenient=True)
    yield query("a=%00", "/?a=%00", Sent({"a": "\x00"}), lenient=True)
    yield query("of markup", "/?a=%3Cscript%3Ealert(1)%3C/script%3E", Sent({"a": MARKUP}), lenient=True)
    yield query("a=%ff", "/?a=%ff", Sent(), 400, says="UTF-8")
    yield query("of 2,001 fields", "/?" + "&".join("a" for _ in range(2001)), Sent(), 413, says="2,000")
    joined = post(b"a=body", FORM, target="/?a=query&b=2")
    yield Case("forms", "a query beside a body", joined, Sent({"a": "body", "b": "2"}), also=(Sent({"a": "body"}),))


CASES = (*bodies(), *queries())
