"""Multipart forms (RFC 7578, RFC 2046 §5.1): whole, cut, damaged, and what browsers really send."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.cases import MULTIPART, Case, Sent, head, multipart, part, post, upload

__all__ = ["CASES"]

JPEG = b"\xff\xd8\r\n--\x00"

# What Chromium 156, Firefox 153 and WebKitGTK sent for one and the same form: its hidden field _charset_, a line break
# in a textarea, three files, of which one is empty, and an input where none was chosen.
BROWSER_BODY = (
    b'--%(b)b\r\nContent-Disposition: form-data; name="name"\r\n\r\n'
    b'Zo\xc3\xab & "co" \xe6\x97\xa5\xe6\x9c\xac %%22\r\n'
    b'--%(b)b\r\nContent-Disposition: form-data; name="note"\r\n\r\ntwo\r\nlines\r\n'
    b'--%(b)b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\nUTF-8\r\n'
    b'--%(b)b\r\nContent-Disposition: form-data; name="tag"\r\n\r\na\r\n'
    b'--%(b)b\r\nContent-Disposition: form-data; name="tag"\r\n\r\nb\r\n'
    b'--%(b)b\r\nContent-Disposition: form-data; name="photo"; '
    b'filename="\xc3\x9cn\xc3\xaf %%22q%%22 \xe6\x97\xa5\xe6\x9c\xac (1), #2;+%%.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--\x00\r\n"
    b'--%(b)b\r\nContent-Disposition: form-data; name="photo"; filename="empty.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n"
    b'--%(b)b\r\nContent-Disposition: form-data; name="photo"; filename="semi;colon\'s.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nx\r\n"
    b'--%(b)b\r\nContent-Disposition: form-data; name="none"; filename=""\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n"
    b"--%(b)b--\r\n"
)
BROWSER_TEXT = {"name": 'Zoë & "co" 日本 %22', "note": "two\r\nlines", "_charset_": "UTF-8", "tag": ["a", "b"]}
_PHOTO = ("photo", 'Ünï "q" 日本 (1), #2;+%.jpg', JPEG)
_FILES = (("photo", "empty.bin", b""), ("photo", "semi;colon's.txt", b"x"))
BROWSER = Sent(BROWSER_TEXT, (_PHOTO, *_FILES))
# Others hand over the part of the input where nothing was chosen, or leave the escapes of browsers as they are.
_RAW = ("photo", "Ünï %22q%22 日本 (1), #2;+%.jpg", JPEG)
BROWSER_ALSO = tuple(
    Sent(BROWSER_TEXT, (photo, *_FILES, *none)) for photo in (_PHOTO, _RAW) for none in ((), (("none", "", b""),))
)

SMALL = multipart(part('; name="a"', b"1"), upload("f.txt", b"two\r\nlines"), part('; name="a"', b""))
SMALL_SENT = Sent({"a": ["1", ""]}, (("file", "f.txt", b"two\r\nlines"),))


def case(name: str, data: bytes, sent: Sent | None = None, *refused: int, **more: object) -> Case:
    return Case("multipart", name, data, sent, refused, **more)


def form(name: str, body: bytes, sent: Sent | None, *refused: int, kind: str = MULTIPART, **more: object) -> Case:
    return case(name, post(body, kind), sent, *refused, **more)


_NAVIGATION = (
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Origin: http://localhost:5020",
    "Referer: http://localhost:5020/",
)
BROWSERS = {
    "Chromium": (
        "----WebKitFormBoundarygXmzmkIRBnUYtjCA",
        "Connection: keep-alive",
        "Cache-Control: max-age=0",
        'sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"',
        "sec-ch-ua-mobile: ?0",
        'sec-ch-ua-platform: "Linux"',
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,*/*;q=0.8",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: en-US,en;q=0.9",
    ),
    "Firefox": (
        "----geckoformboundary1e59d9c927179899d774bb49c3a085b5",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language: en-US,en;q=0.9",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Connection: keep-alive",
        "Priority: u=0, i",
    ),
    "WebKit": (
        "----WebKitFormBoundaryUa6QWQ2U83fhper3",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/60.5",
        "Accept-Encoding: gzip, deflate",
        "Accept-Language: C",
        "Connection: Keep-Alive",
    ),
    "an older Firefox": ("---------------------------9051914041544843365972754266",),
    "Internet Explorer": ("---------------------------7e21c39a50b3e",),
}


def of_browsers() -> Iterator[Case]:
    for browser, (boundary, *headers) in BROWSERS.items():
        body = BROWSER_BODY % {b"b": boundary.encode()}
        data = post(body, f"multipart/form-data; boundary={boundary}", *headers, *_NAVIGATION)
        data = data.replace(b"Host: localhost", b"Host: localhost:5020", 1)
        yield case(f"a form of {browser}", data, BROWSER, also=BROWSER_ALSO)
    path = r"C:\Users\ann\Pictures\rex.jpg"
    yield form(
        "a full path of Internet Explorer",
        multipart(upload(path, JPEG)),
        Sent(files=(("file", "rex.jpg", JPEG),)),
        also=(Sent(files=(("file", path, JPEG),)),),
    )


def cut() -> Iterator[Case]:
    """A form that ends too early, in the eyes of a server that was told a shorter length, and of one that was not."""
    whole = len(SMALL) - 2  # the last line's end means nothing
    for size in range(1, len(SMALL)):
        sent = SMALL_SENT if size >= whole else None
        status = () if sent else (400,)
        data = post(SMALL[:size], MULTIPART)
        yield Case("multipart, cut", f"after byte {size}", data, sent, status, lenient=True)
    for size in range(0, len(SMALL), 9):
        data = post(SMALL[:size], MULTIPART, length=len(SMALL))
        yield Case("multipart, cut", f"with the connection, after byte {size}", data, None, (400,), then_close=True)


def boundaries() -> Iterator[Case]:
    for name, boundary, written in (
        ("of every character that RFC 2046 has", "'()+_,-./:=? x", '"\'()+_,-./:=? x"'),
        ("of 70 characters", "b" * 70, "b" * 70),
        ("of one character", "b", "b"),
        ("of hyphens", "-" * 20, "-" * 20),
        ("that is a pattern", "(a+)+$|.*", '"(a+)+$|.*"'),
        ("in quotes", "limit", '"limit"'),
    ):
        body = multipart(part('; name="a"', b"1"), upload("x", b"data"), boundary=boundary)
        sent = Sent({"a": "1"}, (("file", "x", b"data"),))
        yield form(f"a boundary {name}", body, sent, kind=f"multipart/form-data; boundary={written}")
    whole = multipart(part('; name="a"', b"1"))
    sent = Sent({"a": "1"})
    yield form("MULTIPART/FORM-DATA; BOUNDARY=", whole, sent, kind="MULTIPART/FORM-DATA; BOUNDARY=limit")
    by_hand = "Do not set that header by hand"
    for name, parameters, says in (
        ("another boundary", "; boundary=other", "before its"),
        ("a boundary in other case", "; boundary=LIMIT", "before its"),
        ("the beginning of its boundary", "; boundary=lim", "before its"),
        ("no boundary", "", by_hand),
        ("an empty boundary", "; boundary=", by_hand),
        ("an empty boundary in quotes", '; boundary=""', by_hand),
        ("a boundary of 201 characters", f"; boundary={'b' * 201}", "200 characters"),
        ("a boundary of 60,000 characters", f"; boundary={'b' * 60_000}", "200 characters"),
        ("two boundaries", "; boundary=other; boundary=limit", "two different values of boundary"),
        ("a boundary of RFC 8187", "; boundary=limit; boundary*=UTF-8''limit", "boundary*"),
        ("a boundary in pieces", "; boundary*0=li; boundary*1=mit", "in pieces"),
        ("a boundary with markup", '; boundary="<script>alert(1)</script>"', "before its"),
    ):
        yield form(f"a form with {name}", whole, None, 400, kind=f"multipart/form-data{parameters}", says=says)
    for name, body in (
        ("one hyphen before its boundary", whole.replace(b"--limit", b"-limit")),
        ("three hyphens before its boundary", whole.replace(b"--limit", b"---limit")),
        ("lines that end with LF", whole.replace(b"\r\n", b"\n")),
        ("lines that end with CR", whole.replace(b"\r\n", b"\r")),
        ("no parts but a field", b"a=1"),
        ("nothing but a line end", b"\r\n"),
        ("JSON for a body", b'{"a": 1}'),
    ):
        yield form(f"a form with {name}", body, None, 400)
    yield form("a form without parts", b"--limit--\r\n", Sent(), lenient=True)


def long_lines() -> Iterator[Case]:
    """What must be looked at once, or a caller with megabytes has a core for minutes."""
    hyphens = b"x\r\n--limit" + b"-" * 200_000
    yield form("a file with a line of hyphens", multipart(upload("x", hyphens)), Sent(files=(("file", "x", hyphens),)))
    yield form("nothing but a line of hyphens", b"--limit" + b"-" * 40_000_000, None, 400, says="before its first")
    kind = "multipart/form-data; boundary=limit"
    blanks = f'{kind}{" " * 56_000}"'
    yield form("a quote behind many blanks", multipart(part('; name="a"')), None, 400, kind=blanks)
    blanks = f'; name=a{" " * 15_000}"'
    yield form("a part with a quote behind many blanks", multipart(*[part(blanks)] * 20), None, 400)


def types() -> Iterator[Case]:
    for name, parameters in (("no semicolon behind its type", ' name="a"; filename="x"'), ("no type", 'name="a"')):
        body = multipart(part(parameters)).replace(b"form-dataname", b"name")
        yield form(f"a part with {name}", body, None, 400, says="type")
    latin = multipart(part('; name="a"', b"\xe9"))
    yield form(
        "a charset beside the boundary",
        latin,
        Sent({"a": "\xe9"}),
        kind=f"{MULTIPART}; charset=iso-8859-1",
        lenient=True,
    )


def parts() -> Iterator[Case]:
    one = Sent({"a": "x"})
    yield form("parameters without quotes", multipart(part("; name=a")), one)
    yield form("names of headers in other case", multipart(part('; NAME="a"').replace(b"Cont", b"CONT")), one)
    yield form("a header that goes on in the next line", multipart(part(';\r\n name="a"')), one, lenient=True)
    yield form("headers that nobody knows", multipart(part('; name="a"', b"x", "X-A: 1", "Content-Length: 9")), one)
    yield form("a name that is empty", multipart(part('; name=""')), Sent({"": "x"}), lenient=True)
    yield form(
        "names in every script",
        multipart(part('; name="日本 é"'), part('; name="a[b][]"')),
        Sent({"日本 é": "x", "a[b][]": "x"}),
    )
    photo = Sent(files=(("a", "my photo.jpg", b"x"),))
    yield form("a filename with a blank", multipart(part("; name=a; filename=my photo.jpg")), photo, lenient=True)
    file = Sent(files=(("", "x", b"data"),))
    yield form("a file without a name", multipart(part('; filename="x"', b"data")), file, lenient=True)
    yield form("a field without a name", multipart(part("")), None, 400, says="has no name")
    for name, first, second in (
        ("names", '; name="a"; name="b"', ()),
        ("filenames", '; name="file"; filename="a.txt"; filename="b.txt"', ()),
        ("dispositions", '; name="a"', ('Content-Disposition: form-data; name="b"',)),
        ("media types", '; name="a"; filename="x"', ("Content-Type: text/plain", "Content-Type: text/html")),
    ):
        yield form(f"a part with two {name}", multipart(part(first, b"x", *second)), None, 400, says="two")
    nested = part('; name="a"', b"--c--", "Content-Type: multipart/mixed; boundary=c")
    yield form("a part that is nested", multipart(nested), Sent({"a": "--c--"}), 415, says="itself multipart")
    msgpack = part('; name="a"', b"\x80", "Content-Type: application/msgpack")
    yield form(
        "a part that no codec reads",
        multipart(msgpack),
        None,
        415,
        says="reads application/msgpack",
        members={"readable": ...},
    )
    field = part('; name="a"')
    for name, body, says in (
        ("no disposition", b"--limit\r\nX: y\r\n\r\nv\r\n--limit--", "no Content-Disposition"),
        ("no headers", b"--limit\r\n\r\nlost data\r\n" + multipart(field), "part"),
        ("no blank line", b"--limit\r\n" + field[:-3] + multipart(field), "no blank line"),
    ):
        yield form(f"a part with {name}", body, None, 400, says=says)
    yield form("junk before it", b"junk\r\n" + multipart(field), one, 400, says="before its first")
    yield form("a damaged first boundary", b"--limitX\r\n\r\n" + multipart(field), one, 400, says="before its first")
    yield form("much junk and no boundary", b"junk" * 200_000, None, 400, says="before its first")
    yield form("junk behind it", multipart(field) + b"junk", one, 400, says="after its last")
    yield form("much junk behind it", multipart(field) + b"j" * 600_000, one, 400, says="after its last")
    for coding in ("base64", "QUOTED-PRINTABLE", "x-uuencode"):
        body = multipart(part('; name="a"', b"eA==", f"Content-Transfer-Encoding: {coding}"))
        yield form(f"a part in {coding}", body, Sent({"a": "eA=="}), 415, says="Content-Transfer-Encoding")
    yield form("a preamble and an epilogue", b"hello\r\n" + multipart(part('; name="a"')) + b"bye", one, 400)
    yield form("a second form behind the first", SMALL + SMALL, None, 400, says="after its last boundary")
    many = multipart(*(part(f'; name="{number}"', b"") for number in range(2000)))
    yield form("2,000 parts", many, Sent({str(number): "" for number in range(2000)}), lenient=True)
    many = multipart(*[part('; name="a"')] * 100_000)
    yield form("100,000 parts", many, Sent({"a": ["x"] * 100_000}), 413, says="2,000")
    many = multipart(*[upload("x")] * 100_000)
    yield form("100,000 files", many, Sent(files=(("file", "x", b"x"),) * 100_000), 413, says="2,000")
    longish = multipart(part('; name="a"', b"x", "X: " + "y" * 20_000))
    yield form("a part with a header of 20 KB", longish, one, 413, says="16 KiB")
    longer = multipart(part('; name="a"', b"x", "X: " + "y" * 1_000_000))
    yield form("a part with a header of 1 MB", longer, one, 413, says="headers of a part")
    yield form("a header that never ends", longer[:400_000], None, 413, says="headers of a part")
    yield form("a name of 1 MB", multipart(part(f'; name="{"y" * 1_000_000}"')), Sent({"y" * 1_000_000: "x"}), 413)
    yield form("a part with 100,000 headers", multipart(part('; name="a"', b"x", *["X: y"] * 100_000)), one, 413)
    yield form("a field of 17 MB", multipart(part('; name="a"', b"x" * 17_000_000)), None, 413, says="16 MiB")
    for name, unit in (
        ("what begins a delimiter", b"\r\n--limi"),
        ("delimiters with a hyphen too few", b"\r\n--limit-"),
        ("carriage returns", b"\r"),
        ("line ends", b"\r\n"),
        ("hyphens", b"-"),
        ("lines of two hyphens", b"\r\n--"),
    ):
        data = unit * (4_000_000 // len(unit))
        sent = Sent(files=(("file", "x", data),))
        yield form(f"a file of {name}", multipart(upload("x", data)), sent)
    for place in (100_000, 261_000):  # 256 KiB are read at once
        data = b"x" * place
        body = multipart(upload("x", data), part('; name="a"')).replace(
            b"x\r\n--limit\r\n", b"x\r\n--limit" + b" " * 5000 + b"\r\n"
        )
        sent = Sent({"a": "x"}, (("file", "x", data),))
        yield form(f"5,000 blanks behind a boundary after {place:,} bytes", body, sent, 400)


def names() -> Iterator[Case]:
    """Of fields, with the escapes of browsers, which others leave as they are, and with none of them."""
    escaped = multipart(part('; name="a%22b%0D%0Ac%0a"'), part('; name="%2522%250D"'))
    sent = Sent({'a"b\r\nc\n': "x", "%2522%250D": "x"})
    raw = Sent({"a%22b%0D%0Ac%0a": "x", "%2522%250D": "x"})
    yield form("names with escapes of browsers", escaped, sent, also=(raw,))


def headers() -> Iterator[Case]:
    """Headers of parts that are damaged, or say two things."""
    for name, line in (
        ("CR CR behind its headers", b'; name="a"\r\r'),
        ("LF LF behind its headers", b'; name="a"\n\n'),
        ("CR CR amid its headers", b'; name="a"\r\rContent-Type: text/plain\r\n\r\n'),
    ):
        body = b"--limit\r\nContent-Disposition: form-data" + line + b"x\r\n--limit--\r\n"
        yield form(f"a part with {name}", body, None, 400, says="alone")
    for line in ("Content-Type;text/plain", 'Content"Type: text/plain', ":ontent-Type: text/plain", "Content-Type"):
        yield form(
            f"a part with the header {line}", multipart(part('; name="a"', b"x", line)), None, 400, says="is none"
        )
    twice = ("Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: base64")
    yield form("a part in two encodings", multipart(part('; name="a"', b"x", *twice)), None, 415)
    yield form("a name that ends in a backslash", multipart(part('; name="a\\"')), Sent({"a\\": "x"}), lenient=True)
    old = multipart(part("; name*=utf-8''%C3%A4; filename=x"))
    yield form("a name as RFC 8187 has it", old, Sent(files=(("ä", "x", b"x"),)), lenient=True)
    yield form("nothing but the last boundary, without a line end", b"--limit--", Sent(), lenient=True)
    for name, parameters, says in (
        (
            "a name that ends in a backslash before a filename",
            '; name="a\\"; filename="x.txt"',
            "may end the value of name",
        ),
        ("a quote behind a backslash that is never closed", '; name="abc\\', "never closed"),
        ("an open quote before another parameter", '; name="photo; filename="x\\', "never closed"),
        (
            "a quote that may end before another parameter",
            '; name="a" junk; filename="b.txt"',
            "may end the value of name",
        ),
        ("a filename in pieces", '; name=a; filename*0="a"; filename*1=".txt"', "in pieces"),
        ("something that is no parameter", "; name=a; filename", "no parameter"),
    ):
        yield form(name, multipart(part(parameters)), None, 400, says=says)


def charsets() -> Iterator[Case]:
    for charset, data, status in (
        ("utf-8", "é".encode(), 0),
        ('"UTF-8"', "é".encode(), 0),
        ("us-ascii", b"e", 0),
        ("iso-8859-1", b"\xe9", 0),
        ("utf-16", "é".encode("utf-16"), 415),
        ("utf-7", b"+AOk-", 415),
        ("nonsense", b"e", 415),
        ("rot13", b"r", 415),
        ("utf-8", b"\xff", 400),
        ("utf-8", b"\xed\xa0\x80", 400),
        ("utf-8", b"\xc0\xaf", 400),
    ):
        kind = f"Content-Type: text/plain; charset={charset}"
        sent = None if status == 400 else Sent({"a": "e" if data == b"e" else "r" if data == b"r" else "é"})
        body = multipart(part('; name="a"', data, kind))
        says = "Send UTF-8" if status == 415 else "The field 'a' is not UTF-8" if status else ""
        yield form(f"{data!r} as {charset}", body, sent, *([status] if status else []), lenient=True, says=says)
    default = part('; name="_charset_"', b"iso-8859-1")
    sent = Sent({"_charset_": "iso-8859-1", "a": "\xc3\xa9"})
    for name, body in (
        ("first", (default, part('; name="a"', b"\xc3\xa9"))),
        ("last", (part('; name="a"', b"\xc3\xa9"), default)),
    ):
        yield form(f"_charset_ that comes {name}", multipart(*body), sent, lenient=True)
    body = multipart(part('; name="_charset_"', b"utf-16"), part('; name="a"', b"x"))
    yield form("_charset_ that nobody reads", body, None, 415, says="Send UTF-8")
    both = multipart(default, part('; name="_charset_"', b"utf-8"), part('; name="a"', b"x"))
    yield form("two _charset_ that differ", both, None, 400, says="_charset_")
    latin = f"{MULTIPART}; charset=iso-8859-1"
    other = multipart(part('; name="_charset_"', b"utf-8"), part('; name="a"', b"\xc3\xa9"))
    yield form("_charset_ and a charset that differ", other, None, 400, kind=latin, says="_charset_")
    same = multipart(part('; name="_charset_"', b"latin1"), part('; name="a"', b"\xe9"))
    sent = Sent({"_charset_": "latin1", "a": "é"})
    yield form("_charset_ and a charset that are the same", same, sent, kind=latin, lenient=True)
    picture = multipart(part('; name="a"', b"\xff\xd8"))
    yield form("a field that is a picture", picture, None, 400, says="give a file a filename")
    yield form("a name in Latin-1", multipart(part('; name="\udce9"')), None, 400, says="UTF-8")
    for name, kind, sent in (
        ("JSON", "application/json", Sent({"a": {"b": [1]}})),
        ("a field that is no text", "application/octet-stream", Sent({"a": '{"b": [1]}'})),
    ):
        body = multipart(part('; name="a"', b'{"b": [1]}', f"Content-Type: {kind}"))
        yield form(f"a part that is {name}", body, sent, also=(Sent({"a": '{"b": [1]}'}),))
    for kind in ("application/json, text/plain", "application/json x", '"application/json"', "text/plain, a/b+json"):
        body = multipart(part('; name="a"', b'{"b": [1]}', f"Content-Type: {kind}"))
        either = (Sent({"a": {"b": [1]}}), Sent({"a": '{"b": [1]}'}))
        yield form(f"a part as {kind}", body, None, 400, also=either, says="media type alone")
    for name, data in (("broken JSON", b'{"b": '), ("JSON with a key twice", b'{"b": 1, "b": 2}')):
        yield form(
            f"a part that is {name}",
            multipart(part('; name="a"', data, "Content-Type: application/json")),
            Sent({"a": data.decode()}),
            400,
        )


def edges() -> Iterator[Case]:
    """A line end and a delimiter at every edge of the blocks of 64 KiB in which servers read."""
    empty = multipart(upload("x", b""))
    before = empty.index(b"\r\n\r\n") + 4
    request = len(head("Content-Type: " + MULTIPART, "Content-Length: 65536"))
    for block in (65_536, 65_536 - request):
        for shift in range(-10, 4):
            data = b"x" * (block - before + shift - 2) + b"\r\n"
            body = multipart(upload("x", data), part('; name="a"', b"1"))
            sent = Sent({"a": "1"}, (("file", "x", data),))
            yield form(f"a delimiter {shift:+} bytes from {block:,}", body, sent)


CASES = (
    *of_browsers(),
    *cut(),
    *boundaries(),
    *types(),
    *long_lines(),
    *parts(),
    *names(),
    *headers(),
    *charsets(),
    *edges(),
)
