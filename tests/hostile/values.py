"""JSON (RFC 8259, I-JSON where that is vague), and bodies whose media type does not fit."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator

from hostile.cases import FORM, JSON, MARKUP, Case, Sent, post

__all__ = ["CASES"]


def case(name: str, body: bytes, sent: Sent | None, *refused: int, kind: str = JSON, **more: object) -> Case:
    return Case("JSON", name, post(body, kind), sent, refused, **more)


def whole() -> Iterator[Case]:
    for name, text in (
        ("an empty object", "{}"),
        ("every kind of value", '{"a": [null, true, false, 0, -1, 1.5, 1e3, "x", {}, []]}'),
        ("blanks of all kinds", '\t\n\r {"a" :\t1 }\n'),
        ("characters of every plane", '{"é": "日本 🐕 \\ud83d\\udc15 \\u0000"}'),
        ("keys that are odd", '{"": 1, " ": 2, "__proto__": 3, "constructor": 4, "__class__": 5}'),
        ("an integer of 4,000 digits", '{"a": ' + "9" * 4000 + "}"),
        ("a float that is tiny", '{"a": 1e-400}'),
        ("100 levels", '{"a":' + "[" * 99 + "]" * 99 + "}"),
        ("markup", json.dumps({"a": MARKUP})),
    ):
        yield case(name, text.encode(), Sent(json.loads(text)))
    keys = {f"k{number}": number for number in range(100_000)}
    yield case("100,000 keys", json.dumps(keys).encode(), Sent(keys))
    yield case("a byte order mark", b'\xef\xbb\xbf{"a": 1}', Sent({"a": 1}), lenient=True)
    yield case("a string of 5 MB", b'{"a": "' + b"x" * 5_000_000 + b'"}', Sent({"a": "x" * 5_000_000}), lenient=True)


def refused() -> Iterator[Case]:
    deep = {
        "101 levels": b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
        "400 levels": b'{"a":' + b"[" * 400 + b"]" * 400 + b"}",
        "100,000 lists": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "100,000 lists that never end": b"[" * 100_000,
        "a million lists that never end": b"[" * 1_000_000,
    }
    for name, body in deep.items():
        ends = body.endswith(b"}") and len(body) < 1000
        sent = Sent(json.loads(body)) if ends else None
        yield case(name, body, sent, 400, says="nesting", members={"limit": "depth", "maximum": 100})
    for name, text, says in (
        ("an integer of 5,000 digits", '{"a": ' + "9" * 5000 + "}", "5,000 digits"),
        ("a negative one", '{"a": -' + "9" * 5000 + "}", "digits"),
        ("an integer of a million digits", '{"a": ' + "9" * 1_000_000 + "}", "1,000,000 digits"),
        ("NaN", '{"a": NaN}', "NaN is not JSON"),
        ("Infinity", '{"a": Infinity}', "Infinity is not JSON"),
        ("-Infinity", '{"a": [-Infinity]}', "-Infinity is not JSON"),
        ("1e999", '{"a": 1e999}', "too large for a float"),
        ("-1e999", '{"a": -1e999}', "too large for a float"),
        ("half of a surrogate pair", '{"a": "\\ud800"}', "surrogate"),
        ("the other half", '{"a": "\\udc00"}', "surrogate"),
        ("a pair the wrong way round", '{"a": "\\udc00\\ud800"}', "surrogate"),
        ("half of one in a key", '{"\\ud800": 1}', "surrogate"),
        ("a key twice", '{"a": 1, "b": {"a": 1, "a": 2}}', "'a' more than once"),
        ("a key twice, once escaped", '{"a": 1, "\\u0061": 2}', "'a' more than once"),
        ("a key twice far inside", '{"a": [[{"b": 1, "b": 1}]]}', "'b' more than once"),
    ):
        # Half of a surrogate pair is no character; who hands it over as it is has lost nothing.
        sent = Sent(json.loads(text)) if says == "surrogate" else None
        yield case(name, text.encode(), sent, 400, says=says)
    for name, text, line, column in (
        ("that breaks off", '{"a": 1,\n "b": ', 2, 7),
        ("and data behind it", "{} {}", 1, 4),
    ):
        where = {"line": line, "column": column}
        yield case(f"JSON {name}", text.encode(), None, 400, says=f"line {line}, column {column}", members=where)
    for name, text in (
        ("a second object", '{"a": 1}{"a": 2}'),
        ("a NUL behind it", '{"a": 1}\x00'),
        ("lines of JSON", '{"a": 1}\n{"a": 2}\n'),
        ("a comment", '{"a": 1} // one'),
        ("a trailing comma", '{"a": 1,}'),
        ("single quotes", "{'a': 1}"),
        ("a key without quotes", "{a: 1}"),
        ("a leading zero", '{"a": 01}'),
        ("a hexadecimal number", '{"a": 0x10}'),
        ("a plus sign", '{"a": +1}'),
        ("a bare point", '{"a": .5}'),
        ("a line break in a string", '{"a": "x\ny"}'),
        ("a NUL in a string", '{"a": "x\x00y"}'),
        ("an unknown escape", '{"a": "\\x41"}'),
        ("digits of another script", '{"a": \u0661}'),
        ("a blank of another kind", '{"a":\u00a01}'),
        ("a guard against scripts", ')]}\',\n{"a": 1}'),
        ("markup for JSON", MARKUP),
        ("blanks only", " \r\n\t "),
        ("a byte order mark only", "\ufeff"),
        ("two byte order marks", '\ufeff\ufeff{"a": 1}'),
    ):
        yield case(name, text.encode(), None, 400)
    yield case("a list", b'[{"a": 1}]', Sent([{"a": 1}]), 400, says="send an object")
    whole_text = '{"a": [1, {"b": "é"}]}'.encode()
    for size in range(1, len(whole_text)):
        yield case(f"cut after byte {size}", whole_text[:size], None, 400)
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-7", "utf-8-sig"):
        body = '{"é": "日本"}'.encode(codec, "replace") if codec != "latin-1" else '{"é": "é"}'.encode(codec)
        lenient = {"utf-16", "utf-16-le", "utf-16-be", "utf-32"}
        if codec not in ("utf-8-sig", "utf-7"):
            sent = Sent({"é": "日本"}) if codec in lenient else None
            yield case(f"{codec}", body, sent, 400, says="UTF-8")
    yield case("a byte that is not UTF-8", b'{"a": "\xff"}', None, 400, says="byte 7")
    yield case("an overlong slash", b'{"a": "\xc0\xaf"}', None, 400, says="UTF-8")
    yield case("a surrogate in UTF-8", b'{"a": "\xed\xa0\x80"}', None, 400, says="UTF-8")


def media_types() -> Iterator[Case]:
    body = b'{"a": 1}'
    sent = Sent({"a": 1})
    as_file = Sent(files=(("", "", body),))
    for kind in (
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
        "application/json;",
    ):
        yield case(f"as {kind!r}", body, sent, kind=kind, lenient=True)
    yield case("as a form", body, sent, 400, kind=FORM, says="it is a form", members={"hint": ...})
    for kind in ("text/plain", "text/plain;charset=UTF-8", "application/octet-stream", "text/html"):
        yield case(f"as {kind!r}", body, as_file, kind=kind, lenient=True)
    for kind in (
        "text/json",
        "application/yaml",
        "application/msgpack",
        "application/senml+cbor",
        "application/protobuf",
    ):
        says = f"No installed plugin reads {kind}."
        yield case(f"as {kind!r}", body, as_file, 415, kind=kind, also=(sent,), says=says, members={"readable": ...})
    for kind in ("multipart/mixed; boundary=b", "multipart/related", "multipart/"):
        yield case(f"as {kind!r}", body, as_file, 415, kind=kind)
    for kind in (
        f"{JSON}, text/plain",
        f"{JSON}, {JSON}",
        f"{JSON} charset=utf-8",
        f'"{JSON}"',
        "text/plain, a/b+json",
    ):
        yield case(f"as {kind!r}", body, as_file, 400, kind=kind, also=(sent,), says="media type alone")
    for kind in ("", ";", "/", "application", "x" * 5000, MARKUP):
        yield case(f"as {kind[:30]!r}", body, as_file, kind=kind, lenient=True, also=(sent,))
    yield case("in UTF-16 that its type names", '{"a": 1}'.encode("utf-16"), sent, 400, kind=f"{JSON}; charset=utf-16")
    for coding, packed in (
        ("gzip", gzip.compress(body)),
        ("deflate", zlib.compress(body)),
        ("br", b"\x0b\x03\x80{}\x03"),
        ("x-gzip", gzip.compress(body)),
        ("gzip, gzip", gzip.compress(gzip.compress(body))),
        ("identity, gzip", gzip.compress(body)),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("nonsense", body),
    ):
        data = post(packed, JSON, f"Content-Encoding: {coding}")
        yield Case("JSON", f"packed by {coding}", data, sent if "gzip" in coding else None, (415,), "Content-Encoding")
    bomb = gzip.compress(b" " * 50_000_000)
    yield Case("JSON", "50 MB packed into 50 KB", post(bomb, JSON, "Content-Encoding: gzip"), None, (415,))
    yield Case("JSON", "identity", post(body, JSON, "Content-Encoding: identity"), sent, lenient=True)


CASES = (*whole(), *refused(), *media_types())
