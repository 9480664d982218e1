"""What is left of a request once it has been answered: nothing, without the garbage collector, which comes by late."""

from __future__ import annotations

import gc
import json
import logging
import threading
import tracemalloc
from collections import Counter

import h11
import pytest
from helpers import SECONDS, within

from izzati import Limits, Problem, Request, file_return, hookimpl

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="rex.png"\r\n\r\n' + bytes(range(256)) * 8192


@pytest.fixture
def left():
    """``left()`` counts what there is of requests and connections; no garbage is collected meanwhile."""

    def count():
        kinds = Counter(map(type, gc.get_objects()))
        return {kind: kinds[kind] - before[kind] for kind in (h11.Connection, Request)}

    logging.disable()  # pytest keeps every record, and with it the frames of what was raised
    gc.collect()
    gc.disable()
    before = Counter(map(type, gc.get_objects()))
    yield count
    gc.enable()
    logging.disable(logging.NOTSET)


def nothing_of(left):
    # The thread that has answered last may be on its way out still; so may that of an earlier test have been, at first.
    assert within(SECONDS, lambda: all(count <= 0 for count in left().values())), left()


class Frail:
    """A plugin whose hooks fail when they are told to."""

    @hookimpl
    def izzati_admit(self, request):
        fail(request, "admit")

    @hookimpl
    def izzati_error(self, request):
        fail(request, "error")

    @hookimpl
    def izzati_finalize(self, request):
        fail(request, "finalize")


def fail(request, where):
    if where in request.query.get("fail", ""):
        raise RuntimeError(where)


def answer(text, data, *, request):
    fail(request, "callback")
    if "refuse" in text:
        try:
            raise KeyError("refuse")
        except KeyError as error:
            raise Problem(409, "Not now.") from error
    return file_return(__file__) if "file" in text else data[0] if data else text


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (200, {"body": b'{"a":1}', "headers": JSON}),
        (200, {"path": "/?file=1"}),
        (200, {"body": PART + b"\r\n--b--\r\n", "headers": FORM}),
        (400, {"body": PART, "headers": FORM}),
        (400, {"body": b'{"a":', "headers": JSON}),
        (400, {"body": b"[" * 100_000, "headers": JSON}),
        (404, {"path": "/no/such/path"}),
        (409, {"path": "/?refuse=1"}),
        (413, {"body": json.dumps({"a": "b" * 200_000}), "headers": JSON}),
        (415, {"body": b"x", "headers": {"Content-Type": "application/cbor"}}),
        (500, {"path": "/?fail=callback"}),
        (500, {"path": "/?fail=admit"}),
        (500, {"path": "/?fail=callback+error"}),
        (500, {"path": "/?fail=finalize"}),
    ],
)
def test_nothing_is_left_of_a_request_that_was_answered(serve, left, status, request_):
    served = serve(answer, plugins=[Frail()], limits=Limits(text=100_000))
    assert [served.request(**request_).status for _ in range(3)] == [status] * 3
    served.stop()
    nothing_of(left)


@pytest.mark.parametrize("problem", [False, True])
@pytest.mark.parametrize(("seconds", "expected"), [(0.01, [503]), (SECONDS, [409, 500])])
def test_nothing_is_left_of_a_call_that_fails_in_its_time_or_after_it(serve, left, problem, seconds, expected):
    over = threading.Event()

    def late(text, data):
        over.wait(SECONDS)
        raise Problem(409, "Not now.") if problem else RuntimeError("late")

    served = serve(late, limits=Limits(seconds=seconds))
    if seconds == SECONDS:
        over.set()
    assert served.request(PART + b"\r\n--b--\r\n", FORM).status in expected
    over.set()
    served.stop()
    nothing_of(left)


@pytest.mark.parametrize(
    ("status", "head", "body"),
    [
        (400, b"\0", b""),
        (400, b"GET / HTTP/1.1\r\nContent-Length: x", b""),
        (400, b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: 100000", b"{"),
        (400, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", b"xx\r\n"),
        (400, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", b"11170\r\n%s\r\nxx\r\n" % bytes(70_000)),
        (431, b"GET / HTTP/1.1\r\na: %s" % (b"b" * 70_000), b""),
    ],
)
def test_nothing_is_left_of_a_connection_that_breaks_the_protocol(serve, left, status, head, body):
    served = serve(answer)
    sent = head + b"\r\nHost: localhost\r\n\r\n" + body
    assert [served.raw(sent, then_close=True).status for _ in range(3)] == [status] * 3
    served.stop()
    nothing_of(left)


@pytest.mark.parametrize("header", [b"X-%02d%s: 1", b"Accept: application/json;a%02d%s"], ids=["name", "preference"])
def test_nothing_is_left_of_long_headers_that_callers_make_up(serve, header):
    served = serve(answer)
    sent = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n%s\r\n\r\n" % header
    assert served.raw(sent % (0, b"")).status == 200
    tracemalloc.start()
    try:
        assert {served.raw(sent % (number, b"a" * 60_000)).status for number in range(20)} == {200}
        served.stop()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
