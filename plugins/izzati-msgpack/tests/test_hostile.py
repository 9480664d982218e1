"""Bodies that stand for no value: a 400 that says why, in no more memory than they take themselves."""

import gc
import json
import pickle
import tracemalloc
from datetime import datetime, timezone

import pytest
from izzati_msgpack import MessagePack
from werkzeug.test import Client

from izzati import Backend, Limits

MOMENT = datetime(2017, 5, 27, 9, 30, 15, 250000, tzinfo=timezone.utc)
EVERYTHING = {
    "text": "für",
    "long text": "x" * 300,
    "bytes": b"\0\xff",
    "list": [1, -1, 1 << 63, None, True, 1.5],
    "map": {"moment": MOMENT},
}


def client(limits=None):
    """Calls a Backend with the plugin, in this thread and without a socket."""
    return Client(Backend(lambda text, data: {}, only=[], plugins=[MessagePack()], limits=limits))


SHARED = client()


def post(body, limits=None):
    caller = SHARED if limits is None else client(limits)
    return caller.post("/", data=body, content_type="application/msgpack")


def detail(body, limits=None):
    answer = post(body, limits)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json"), answer.text
    return json.loads(answer.data)["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\x81\xa1a", "ends after 3 bytes, before its value does"),
        (b"\xc1", "has the byte 0xc1"),
        (b"\x81\xa1a\xc0\x81", "goes on after its value, which takes 4 of its 5 bytes"),
        (b"\x80\x80", "goes on after its value, which takes 1 of its 2 bytes"),
        (b'{"name": "Rex"}', "if it is not msgpack, send its own Content-Type"),
        (pickle.dumps({"name": "Rex"}), "goes on after its value"),
        (b"\x81\xa1a\xa3ab\xff", "has a str that is not UTF-8 at its byte 2"),
        (b"\x81\xa1a\xa3\xed\xa0\x80", "has a str that is not UTF-8 at its byte 0"),
        (b"\x81\xa1\xff\xc0", "has a str that is not UTF-8 at its byte 0"),
        (b"\x81\xa1a\xd4\x05\0", "has an extension of type 5"),
        (b"\x81\xa1a\xd4\x80\0", "has an extension of type -128"),
        (b"\x81\xa1a\xc7\x0c\xff\0\0\0\0\0\0\0\x3a\xff\xf4\x41\x80", "a timestamp outside the years 1 to 9999"),
        (b"\x81\xa1a\xc7\x0c\xff\0\0\0\0\x7f" + b"\xff" * 7, "a timestamp outside the years 1 to 9999"),
        (b"\x81\xa1a\xc7\x0c\xff\0\0\0\0\x80" + b"\0" * 7, "a timestamp outside the years 1 to 9999"),
        (b"\x81\xa1a\xd7\xff" + b"\xff" * 8, "is malformed: nanoseconds must be"),
        (b"\x81\xa1a\xc7\x03\xff\0\0\0", "is malformed: "),
        (b"\x81\xa1a\xc9\xff\xff\xff\xff", "msgpack that arrived "),
    ],
)
def test_what_is_no_value_is_refused_with_what_is_wrong(body, says):
    told = detail(body)
    assert says in told
    assert told.startswith("The msgpack that arrived ")
    assert told.endswith(".")
    assert not told.endswith("..")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (b"\xc0", "nil"),
        (b"\xc3", "bool"),
        (b"\x01", "int"),
        (b"\xcb\x7f\xf8" + b"\0" * 6, "float"),
        (b"\xc4\x01a", "bin"),
        (b"\x91\x01", "array"),
        (b"\x80", "map"),
        (b"\xd6\xff\0\0\0\0", "timestamp"),
    ],
)
def test_a_key_that_is_not_text_is_refused_with_what_it_is(key, kind):
    assert f"has a key of type {kind} in a map. Send keys as str." in detail(b"\x81" + key + b"\xc0")
    assert f"has a key of type {kind} in a map" in detail(b"\x82\xa1a\xc0\xa1b\x81" + key + b"\xc0")


def test_a_key_that_is_sent_twice_is_refused_as_in_json():
    assert "has the key 'name' more than once in a map" in detail(b"\x82\xa4name\xc0\xa4name\xc0")
    assert "has the key 'a' more than once in a map" in detail(b"\x81\xa1x\x91\x82\xa1a\x01\xa1a\x02")


def test_a_long_key_is_shown_by_its_beginning():
    key = b"\xda\x27\x10" + b"k" * 10_000
    assert f"has the key '{'k' * 60}...' more than once" in detail(b"\x82" + key + b"\xc0" + key + b"\xc0")


def test_a_body_that_breaks_off_anywhere_is_refused():
    body = MessagePack().encode(EVERYTHING, "application/msgpack")
    assert post(body).status_code == 200
    for length in range(1, len(body)):
        assert f"ends after {length} bytes, before its value does" in detail(body[:length])


def test_a_body_with_any_byte_changed_is_an_object_or_refused():
    body = MessagePack().encode(EVERYTHING, "application/msgpack")
    statuses = set()
    for place in range(len(body)):
        for bits in (0x01, 0x80, 0xFF, body[place] ^ 0xC1, body[place] ^ 0xDD):
            statuses.add(post(body[:place] + bytes([body[place] ^ bits]) + body[place + 1 :]).status_code)
    assert statuses == {200, 400}


@pytest.mark.parametrize(("body", "kind"), [(b"\x90", "a list"), (b"\xa3Rex", "a string"), (b"\x07", "a number")])
def test_a_value_that_is_no_map_is_refused_by_what_it_is(body, kind):
    assert f"The application/msgpack that arrived is {kind}; send an object" in detail(body)


@pytest.mark.parametrize("body", [b"\xc4\x01a", b"\xd6\xff\0\0\0\0"])
def test_bytes_or_a_moment_alone_are_refused(body):
    assert "send an object" in detail(body)


def nested(levels, opening=b"\x91"):
    """A map, and what is in it, of so many levels together."""
    return b"\x81\xa1a" + opening * (levels - 1) + b"\xc0"


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a"])
def test_nesting_beyond_the_limit_is_refused_by_the_limit(opening):
    assert post(nested(100, opening)).status_code == 200
    for levels in (101, 900, 1_024, 1_025, 1_026, 100_000):
        answer = post(nested(levels, opening))
        assert (answer.status_code, json.loads(answer.data)["limit"]) == (400, "depth")


def test_nesting_beyond_what_msgpack_follows_is_refused_whatever_the_limit():
    limits = Limits(depth=1_000_000)
    assert post(nested(800), limits).status_code == 200
    assert "nests deeper than msgpack follows, which is 1,024 levels at most" in detail(nested(1_025), limits)
    assert "nests deeper than msgpack follows, which is 1,024 levels at most" in detail(nested(1_000_000), limits)


def test_a_key_that_nests_beyond_any_stack_is_refused():
    assert post(b"\x81" * 100_000).status_code == 400
    assert post(b"\x81" + b"\x91" * 900 + b"\xc0\xc0").status_code == 400


def announced(mark, length):
    return mark + length.to_bytes(4, "big")


@pytest.mark.parametrize(
    "body",
    [
        *(
            announced(mark, length)
            for mark in (b"\xc6", b"\xdb", b"\xdd", b"\xdf")
            for length in (1 << 31, (1 << 32) - 1)
        ),
        *(announced(b"\xc9", length) + b"\x05" for length in (1 << 31, (1 << 32) - 2, (1 << 32) - 1)),
        announced(b"\xc9", (1 << 32) - 1) + b"\xff",
        announced(b"\xdd", 10_000) * 1_000 + b"\xc0" * 5_000,
        (announced(b"\xdf", 5_000) + b"\xa0") * 900 + b"\xc0" * 5_000,
        b"\x81\xa1a" + announced(b"\xdd", 10_000) * 3_000,
    ],
    ids=lambda body: f"{body[:6].hex()} of {len(body)}",
)
def test_a_length_that_is_not_true_makes_no_room(body):
    post(b"\x80")
    tracemalloc.start()
    try:
        answer = post(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 400
    assert peak < 1 << 20


def test_keys_are_forgotten_with_their_request():
    """msgpack interns keys, and some versions of Python never free what is interned."""

    def send(round_):
        keys = (f"{round_:04} {number:04} {'k' * 90}" for number in range(1_000))
        body = b"\xde\x03\xe8" + b"".join(b"\xd9\x64" + key.encode() + b"\xc0" for key in keys)
        assert post(body).status_code == 200

    tracemalloc.start()
    try:
        # The table in which Python notes what is interned has grown to its size by then.
        for round_ in range(60):
            send(round_)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for round_ in range(60, 120):
            send(round_)
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 3 << 20  # of more than 6 MB
