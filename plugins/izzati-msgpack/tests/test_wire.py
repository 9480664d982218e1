"""What callers send and get, over real connections."""

import json
import socket
from datetime import datetime, timedelta, timezone

import pytest
import umsgpack

from izzati import Limits, Problem, Reply

TYPES = ["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"]
MOMENT = datetime(2017, 5, 27, 9, 30, 15, 250000, tzinfo=timezone.utc)
REX = {"name": "Rex", "age": 3, "tags": ["good", "dog"], "owner": {"name": "Ann"}}


def echo(text, data):
    return text


@pytest.fixture
def served(serve):
    return serve(echo, only=["msgpack"])


def read(answer):
    return umsgpack.unpackb(answer.body)


@pytest.mark.parametrize("media_type", TYPES)
def test_a_body_in_each_of_its_names_is_read_and_json_comes_out_where_it_is_asked_for(served, media_type):
    answer = served.request(umsgpack.packb(REX), {"Content-Type": media_type, "Accept": "application/json"})
    assert (answer.status, answer.headers["Content-Type"], answer.json) == (200, "application/json", REX)


@pytest.mark.parametrize("media_type", TYPES)
def test_json_is_answered_in_each_of_its_names(served, media_type):
    answer = served.request(json.dumps(REX), {"Content-Type": "application/json", "Accept": media_type})
    assert (answer.status, answer.headers["Content-Type"], read(answer)) == (200, media_type, REX)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/msgpack, application/json;q=0.9", "application/msgpack"),
        ("application/msgpack;q=0.4, application/json;q=0.5", "application/json"),
        ("application/vnd.msgpack;q=0.9, application/msgpack;q=0.8", "application/vnd.msgpack"),
        ("application/msgpack;q=0, */*", "application/json"),
        ("text/html, application/x-msgpack;q=0.1", "application/x-msgpack"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("", "application/json"),
    ],
)
def test_accept_chooses_among_json_and_msgpack(served, accept, expected):
    answer = served.request(json.dumps(REX), {"Content-Type": "application/json", "Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, expected)


@pytest.mark.parametrize("headers", [{"Accept": "*/*"}, {}, {"Accept": "application/*;q=0.3"}])
@pytest.mark.parametrize("media_type", TYPES)
def test_a_caller_that_sent_msgpack_and_takes_anything_gets_msgpack(served, media_type, headers):
    answer = served.request(umsgpack.packb(REX), {"Content-Type": media_type, **headers})
    assert (answer.headers["Content-Type"], read(answer)) == ("application/msgpack", REX)


def test_a_part_of_a_form_travels_beside_a_file(serve):
    served = serve(lambda text, data: {**text, "files": [data[0].filename, data[0].size]}, only=["msgpack"])
    parts = [
        b'Content-Disposition: form-data; name="dog"\r\nContent-Type: application/x-msgpack\r\n\r\n'
        + umsgpack.packb(REX),
        b'Content-Disposition: form-data; name="none"\r\nContent-Type: application/msgpack\r\n\r\n\xc0',
        b'Content-Disposition: form-data; name="photo"; filename="rex.jpg"\r\n\r\n\xff\xd8\xff',
    ]
    body = b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + b"--B--\r\n"
    answer = served.request(body, {"Content-Type": "multipart/form-data; boundary=B"})
    assert (answer.status, answer.json) == (200, {"dog": REX, "none": None, "files": ["rex.jpg", 3]})


def test_a_bad_part_of_a_form_is_refused(served):
    body = (
        b'--B\r\nContent-Disposition: form-data; name="dog"\r\nContent-Type: application/msgpack\r\n\r\n\r\n--B--\r\n'
    )
    answer = served.request(body, {"Content-Type": "multipart/form-data; boundary=B"})
    assert (answer.status, "ends after 0 bytes, before its value does" in answer.json["detail"]) == (400, True)


def test_a_request_without_a_body_has_no_text(served):
    answer = served.request(b"", {"Content-Type": "application/msgpack"})
    assert (answer.status, answer.headers["Content-Type"], read(answer)) == (200, "application/msgpack", {})


def test_a_chunked_body_is_read(served):
    body = umsgpack.packb(REX)
    answer = served.request(iter([body[:5], body[5:]]), {"Content-Type": "application/msgpack"})
    assert (answer.status, read(answer)) == (200, REX)


def test_bytes_and_moments_survive_both_ways(serve):
    got = []

    def callback(text, data):
        got.append(text)
        return {**text, "hour later": text["moment"] + timedelta(hours=1)}

    served = serve(callback, only=["msgpack"])
    sent = {"photo": b"\xff\xd8\0", "moment": MOMENT, "list": [MOMENT, b""]}
    body = umsgpack.packb(sent)
    answer = served.request(body, {"Content-Type": "application/msgpack"})
    assert got == [sent]
    assert got[0]["moment"].tzinfo is timezone.utc
    assert read(answer) == {**sent, "hour later": MOMENT + timedelta(hours=1)}


def test_a_problem_is_json_whatever_the_caller_takes(serve):
    def callback(text, data):
        raise Problem(404, "There is no such dog.")

    answer = serve(callback, only=["msgpack"]).request(b"\x80", {"Content-Type": TYPES[0], "Accept": TYPES[0]})
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json["detail"] == "There is no such dog."


def test_a_reply_keeps_its_status_and_headers(serve):
    served = serve(lambda text, data: Reply(MOMENT, status=201, headers={"X-Dog": "Rex"}), only=["msgpack"])
    answer = served.request(headers={"Accept": "application/msgpack"})
    assert (answer.status, answer.headers["X-Dog"], read(answer)) == (201, "Rex", MOMENT)


def test_without_the_plugin_the_body_is_refused_with_what_is_read(serve):
    served = serve(echo, only=["msgpack"], block=["msgpack"])
    answer = served.request(umsgpack.packb(REX), {"Content-Type": "application/msgpack"})
    assert answer.status == 415
    assert answer.json["detail"].startswith("No installed plugin reads application/msgpack. Send one of ")
    assert "application/json (json)" in answer.json["detail"]
    assert "application/json" in answer.headers["Accept"]


def test_with_the_plugin_a_refusal_names_it_among_what_is_read(served):
    answer = served.request(b"\xa0", {"Content-Type": "application/cbor"})
    assert answer.status == 415
    assert {answer.json["readable"][media_type] for media_type in TYPES} == {"msgpack"}


def test_the_limit_of_text_bounds_a_body(serve):
    served = serve(echo, only=["msgpack"], limits=Limits(text=1_000))
    answer = served.request(umsgpack.packb({"a": "x" * 1_000}), {"Content-Type": "application/msgpack"})
    assert (answer.status, answer.json["limit"]) == (413, "text")


def test_a_body_that_the_connection_cuts_short_reaches_no_callback(serve):
    calls = []
    served = serve(lambda text, data: calls.append(text), only=["msgpack"])
    body = umsgpack.packb(REX)
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPES[0]}\r\nContent-Length: {len(body) + 9}\r\n\r\n"
    with served.connect() as sock:
        sock.sendall(head.encode() + body)
        sock.shutdown(socket.SHUT_WR)
        assert b" 400 " in sock.makefile("rb").readline()
    assert calls == []
