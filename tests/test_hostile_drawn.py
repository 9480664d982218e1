"""Forms that another program writes, and bodies and requests that are damaged at random (hypothesis)."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hostile.cases import FORM, JSON, Case, head, multipart, part, post, upload
from hostile.wire import call
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from urllib3 import encode_multipart_formdata
from urllib3.fields import RequestField
from werkzeug.test import Client

from izzati import Backend

drawn = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# Quotes and line ends are what urllib3 writes as browsers do; a backslash or slash is where a folder ends.
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\/%'), min_size=1, max_size=20)
parts = st.lists(
    st.tuples(names, st.text(max_size=60), st.none())
    | st.tuples(names, st.binary(max_size=400) | st.sampled_from([b"\r\n--", b"\r", b"\r\n", b"--"]), names),
    max_size=8,
)


@drawn
@given(parts, st.from_regex(r"[0-9A-Za-z'()+_,./:=?-]{1,70}", fullmatch=True))
def test_every_form_that_urllib3_writes_comes_through(recorder, written, boundary):
    recorder.calls.clear()
    fields, files, sent = {}, [], []
    for name, data, filename in written:
        assume(name != "_charset_")
        field = RequestField(name, data, filename=filename)
        field.make_multipart(content_type="image/png" if filename else None)
        sent.append(field)
        if filename:
            files.append((name, filename, "image/png", data))
        else:
            fields.setdefault(name, []).append(data)
    body, _ = encode_multipart_formdata(sent, boundary)
    assume(body.count(f"\r\n--{boundary}".encode()) == len(sent))  # or it would be in the data, which no form may have
    answer = recorder.request(body, {"Content-Type": f'multipart/form-data; boundary="{boundary}"'})
    assert answer.status == 200, answer.body
    assert recorder.calls == [({key: each[0] if len(each) == 1 else each for key, each in fields.items()}, files)]


VALID = {
    JSON: b'{"a": [1, 2.5e3, null, true, {"b": "\\u00e9 \xc3\xa9"}], "c": ""}',
    FORM: urlencode({"a": "1 &", "é": "日本"}).encode() + b"&a=%C3%A9&b",
    "multipart/form-data; boundary=limit": multipart(
        part('; name="a"', b"1"),
        part('; name="meta"', b'{"b": 1}', "Content-Type: application/json"),
        upload("photo.png", b"\r\n--limi\x00\xff"),
        part("; name=c; filename=\"x\"; filename*=UTF-8''%C3%A9.txt", "é".encode()),
    ),
}
pieces = st.binary(max_size=8) | st.sampled_from(
    [
        b"\r\n",
        b"--limit",
        b"--limit--",
        b"\r\n\r\n",
        b'"',
        b"\\",
        b";",
        b"%",
        b"{",
        b"[",
        b"\x00",
        b"\xff",
        b"=",
        b"&",
        b":",
    ]
)


@st.composite
def damaged(draw, valid):
    """A body to which something has been done a few times: a piece cut out, put in, doubled, or written over."""
    data = valid
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        end = min(end, start + draw(st.sampled_from([0, 1, 2, 8, 1000])))
        data = data[:start] + draw(pieces | st.just(data[start:end] * 2)) + data[end:]
    return data


@pytest.fixture(scope="module")
def client():
    seen = []

    def callback(text, data):
        seen.append((text, [(file.name, file.filename, file.content_type, file.read()) for file in data]))
        return text

    client = Client(Backend(callback, only=()))
    client.seen = seen
    return client


@pytest.mark.parametrize("kind", VALID)
@given(data=st.data())
@drawn
def test_a_damaged_body_is_a_dict_and_a_list_or_a_refusal_that_explains(client, kind, data):
    client.seen.clear()
    body = data.draw(damaged(VALID[kind]))
    answer = client.post("/", data=body, content_type=kind)
    if answer.status_code == 200:
        ((text, files),) = client.seen
        assert type(text) is dict
        assert all(isinstance(key, str) for key in text)
        json.dumps(text, ensure_ascii=False).encode()  # no half of a surrogate pair
        for name, filename, content_type, content in files:
            assert all(type(each) is str for each in (name, filename, content_type))
            assert "/" not in filename
            assert content in body
    else:
        assert 400 <= answer.status_code < 500, answer.data
        assert answer.json["detail"].endswith(".")
        assert client.seen == []


@pytest.mark.parametrize("kind", VALID)
@given(data=st.data())
@settings(drawn, max_examples=25)
def test_a_damaged_request_is_answered_and_so_is_the_next(recorder, kind, data):
    """Bytes that may be anything, over a connection: then the caller says that no more will come."""
    whole = data.draw(st.sampled_from([post(VALID[kind], kind), chunked(VALID[kind], kind)]))
    sent = data.draw(damaged(whole))
    outcome = call(recorder.port, Case("drawn", "", sent, then_close=True))
    if sent.strip(b"\r\n") and outcome.answers:
        assert all(answer.status < 500 or answer.status in (501, 505) for answer in outcome.answers)
        assert all(b"Traceback" not in answer.body for answer in outcome.answers)
    assert outcome.end != "silent"
    assert recorder.request().status == 200


def chunked(body, kind):
    chunks = [body[start : start + 7] for start in range(0, len(body), 7)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    return head(f"Content-Type: {kind}", "Transfer-Encoding: chunked") + framed + b"0\r\n\r\n"
