"""Names of files: what leads out of a folder does not arrive, and what is in order arrives as it was sent."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.cases import MARKUP, MULTIPART, Case, Sent, multipart, part, post, upload

__all__ = ["CASES"]

AS_THEY_ARE = (
    "rex.jpg",
    "Ünïcode 日本 🐕 (1), #2;+%&=@!$^~`{}[].png",
    "it's.txt",
    "two  spaces.txt",
    " leading and trailing ",
    ".hidden",
    "...",
    "no-suffix",
    "a.tar.gz",
    "100%",
    "%41.txt",
    "%2e%2e%2fetc%2fpasswd",
    "%2522%250D%250A%5C%00.txt",
    "C\uff1afullwidth.txt",
    "e\u0301 decomposed.txt",
    "שלום.txt",
    "photo\u202egpj.exe",
    "a" * 255,
    "a" * 4096,
    "CON",
    "nul.txt",
    "COM1.jpg",
    "-rf",
    "~",
    "$(id)",
    "`id`.txt",
    "a|b>c<d.txt",
    "x' OR 1=1--",
    MARKUP.replace("/", ""),
    "a:b.txt",
    "a::$DATA",
    "*?.txt",
    "a\x01\x7fb.txt",
    "a\tb.txt",
)
PATHS = {
    "../../etc/passwd": "passwd",
    "/etc/passwd": "passwd",
    "....//....//etc/passwd": "passwd",
    "a/b/../c.txt": "c.txt",
    r"..\..\windows\win.ini": "win.ini",
    r"C:\Users\ann\pic.png": "pic.png",
    r"\\server\share\x.txt": "x.txt",
    "C:/Users/ann/pic.png": "pic.png",
    "file:///etc/passwd": "passwd",
    "http://x.example/y.txt": "y.txt",
    "../" * 1000 + "x": "x",
    r"a/b\c/d.txt": "d.txt",
    "..": "",
    ".": "",
    "folder/..": "",
}


def case(name: str, body: bytes, sent: Sent | None, *refused: int, kind: str = MULTIPART, **more: object) -> Case:
    return Case("filenames", name, post(body, kind), sent, refused, **more)


def file(filename: str, data: bytes = b"x") -> Sent:
    return Sent(files=(("file", filename, data),))


def short(name: str) -> str:
    return ascii(name if len(name) <= 40 else f"{name[:40]}... ({len(name)})")


def names() -> Iterator[Case]:
    for name in AS_THEY_ARE:
        odd = any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
        yield case(f"{short(name)} as it is", multipart(upload(name)), file(name), lenient=odd)
    for sent, name in PATHS.items():
        yield case(f"the path {short(sent)}", multipart(upload(sent)), file(name), also=(file(sent),))
    yield case("a name that is empty", multipart(upload("")), file(""), lenient=True)
    yield case("a NUL", multipart(upload("a\x00b.txt")), file("a\x00b.txt"), lenient=True)
    for letter, name in (("\r", "CR"), ("\n", "LF")):
        body = multipart(upload(f"a{letter}b.txt"))
        yield case(f"a {name}", body, file(f"a{letter}b.txt"), 400)
    for escaped, name in (
        ("%22a%22%0D%0Ab%0Ac%0Dd.txt", '"a"\r\nb\nc\rd.txt'),
        ("%22%0d%0ab.txt", '"\r\nb.txt'),
        ("%%0D0A%2%0A2%2%222.txt", '%\r0A%2\n2%2"2.txt'),
    ):
        # Others leave all escapes as they are.
        body = multipart(upload(escaped))
        yield case(f"{escaped}, as browsers escape", body, file(name), also=(file(escaped),))
    for what, raw in (
        ("bytes that are not UTF-8", "a\udcffb.txt"),
        ("half of a surrogate pair", "a\udced\udca0\udc80.txt"),
    ):
        yield case(what, multipart(upload(raw)), None, 400)
    yield case("a line that adds a header", multipart(upload("x\r\nX-Injected: 1\r\n\r\n")), None, 400)


def extended() -> Iterator[Case]:
    """``filename*`` (RFC 8187), with and without ``filename``."""
    plain = '; filename="plain.txt"'
    for name, parameters, sent, *also in (
        ("alone", "; filename*=UTF-8''n%C3%A9.txt", "né.txt"),
        ("before filename", f"; filename*=UTF-8''n%C3%A9.txt{plain}", "né.txt", "plain.txt"),
        ("behind filename", f"{plain}; filename*=UTF-8''n%C3%A9.txt", "né.txt", "plain.txt"),
        ("with a language", f"{plain}; filename*=UTF-8'en'n%C3%A9.txt", "né.txt", "plain.txt"),
        ("in ISO 8859-1", f"{plain}; filename*=iso-8859-1''n%E9.txt", "né.txt", "plain.txt"),
        ("in an unknown charset", f"{plain}; filename*=klingon''n.txt", "plain.txt", "n.txt"),
        ("that is not UTF-8", f"{plain}; filename*=UTF-8''%ff.txt", "plain.txt"),
        (
            "that is a path",
            f"{plain}; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd",
            "passwd",
            "plain.txt",
            "../../etc/passwd",
        ),
        ("that is empty", f"{plain}; filename*=UTF-8''", "plain.txt"),
        ("that is a folder", f"{plain}; filename*=UTF-8''%2e%2e", "", "..", "plain.txt"),
        ("with a NUL", f"{plain}; filename*=UTF-8''a%00b", "a\x00b", "plain.txt"),
        ("with CR and LF", f"{plain}; filename*=UTF-8''a%0D%0Ab", "a\r\nb", "plain.txt"),
    ):
        body = multipart(part(f'; name="file"{parameters}'))
        yield case(f"filename* {name}", body, file(sent), also=tuple(file(each) for each in also), lenient=True)


def raw() -> Iterator[Case]:
    """The name of a body that is a file itself, in ``Content-Disposition``."""
    for name in ("rex.jpg", "../../etc/passwd", r"C:\x\y.jpg", "日本.jpg"):
        sent = Sent(files=(("", PATHS.get(name, name).rpartition("\\")[2], b"x"),))
        also = (Sent(files=(("", "", b"x"),)), Sent(files=(("", name, b"x"),)))
        data = post(b"x", "image/jpeg", f'Content-Disposition: attachment; filename="{name}"')
        yield Case("filenames", f"a body named {short(name)}", data, sent, lenient=True, also=also)
    data = post(b"x", "image/jpeg", 'Content-Disposition: attachment; filename="a%22%0D%0Ab"')
    sent = Sent(files=(("", "a%22%0D%0Ab", b"x"),))  # only forms have these escapes
    yield Case("filenames", "a body named a%22%0D%0Ab", data, sent, lenient=True, also=(Sent(files=(("", "", b"x"),)),))
    data = post(b"x", "image/jpeg", 'Content-Disposition: attachment; filename="a"; filename="b"')
    yield Case("filenames", "a body with two names", data, None, (400,), "two")


CASES = (*names(), *extended(), *raw())
