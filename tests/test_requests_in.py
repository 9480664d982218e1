"""In: one request becomes ``text`` and ``data``."""

from __future__ import annotations

import io
import json
import re
import timeit
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from izzati import Backend, Limits, Problem, Reply, file_return, parse_disposition, parse_fields

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}

over_the_wire = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def multipart(*parts, boundary="limit", ending=b"--limit--\r\n"):
    """A multipart body from (headers, bytes) pairs, written independently of any library."""
    body = b"".join(
        b"--" + boundary.encode() + b"\r\n" + headers.encode() + b"\r\n\r\n" + data + b"\r\n" for headers, data in parts
    )
    return body + ending, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def field(name, value, *more):
    return ("\r\n".join([f'Content-Disposition: form-data; name="{name}"', *more]), value)


def upload(name, filename, value, *more):
    head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return ("\r\n".join([head, *more]), value)


@pytest.mark.parametrize("headers", [{}, JSON, FORM, {"Content-Type": "application/x-nothing"}])
def test_nothing_is_an_empty_dict_and_no_files(recorder, headers):
    assert recorder.request(b"", headers).status == 200
    assert recorder.calls == [({}, [])]


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "application/ld+json"])
def test_json_arrives_with_nested_values_intact(recorder, media_type):
    value = {"name": "Rex", "owner": {"tags": [1, 2.5, None, True, {"deep": "é 日本"}]}}
    assert recorder.request(json.dumps(value), {"Content-Type": media_type}).status == 200
    assert recorder.calls == [(value, [])]


@pytest.mark.parametrize("body", ["[1]", '"a"', "3", "1.5", "null", "true"])
def test_json_that_is_no_object_is_refused_in_a_sentence(recorder, body):
    answer = recorder.request(body, JSON)
    assert answer.status == 400
    assert "send an object" in answer.json["detail"]
    assert recorder.calls == []


def test_urlencoded_keys_sent_several_times_become_lists_in_order(recorder):
    recorder.request("a=1&b=2&a=3&a=&empty=&flag&%C3%A9=%26+x", FORM)
    assert recorder.calls == [({"a": ["1", "3", ""], "b": "2", "empty": "", "flag": "", "é": "& x"}, [])]


def test_multipart_keeps_text_and_files_in_order_whatever_their_keys(recorder):
    body, headers = multipart(
        upload("photo", "b.jpg", b"\xff\xd8second", "Content-Type: image/jpeg"),
        field("name", b"Rex"),
        upload("file", "a.txt", b"first\r\nlines\r\n"),
        field("name", "Räx".encode(), "Content-Type: text/plain; charset=UTF-8"),
        upload("photo", "empty.bin", b""),
    )
    assert recorder.request(body, headers).status == 200
    assert recorder.calls == [
        (
            {"name": ["Rex", "Räx"]},
            [
                ("photo", "b.jpg", "image/jpeg", b"\xff\xd8second"),
                ("file", "a.txt", "application/octet-stream", b"first\r\nlines\r\n"),
                ("photo", "empty.bin", "application/octet-stream", b""),
            ],
        )
    ]


def test_a_json_part_beside_a_file_is_decoded_to_any_value(recorder):
    body, headers = multipart(
        field("meta", b'{"tags": ["a", {"b": null}]}', "Content-Type: application/json"),
        field("none", b"null", "Content-Type: application/json"),
        field("list", b"[1]", "Content-Type: application/problem+json"),
        upload("doc", "x.json", b'{"a": 1}', "Content-Type: application/json"),
    )
    assert recorder.request(body, headers).status == 200
    assert recorder.calls == [
        (
            {"meta": {"tags": ["a", {"b": None}]}, "none": None, "list": [1]},
            [("doc", "x.json", "application/json", b'{"a": 1}')],
        )
    ]


def test_a_part_where_no_file_was_chosen_is_dropped(recorder):
    body, headers = multipart(
        field("a", b"1"), upload("photo", "", b"", "Content-Type: application/octet-stream"), upload("raw", "", b"x")
    )
    recorder.request(body, headers)
    assert recorder.calls == [({"a": "1"}, [("raw", "", "application/octet-stream", b"x")])]


@pytest.mark.parametrize("media_type", ["image/jpeg", "text/csv", "application/octet-stream", "text/plain"])
def test_any_other_media_type_is_one_file(recorder, media_type):
    recorder.request(b"\x00\xff\r\nraw", {"Content-Type": media_type})
    assert recorder.calls == [({}, [("", "", media_type, b"\x00\xff\r\nraw")])]


def test_a_body_without_a_media_type_is_one_file(recorder):
    recorder.raw(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")
    assert recorder.calls == [({}, [("", "", "application/octet-stream", b"abc")])]


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('attachment; filename="dog.jpg"', "dog.jpg"),
        ("attachment; filename=dog.jpg", "dog.jpg"),
        ("inline; filename*=UTF-8''na%C3%AFve%20%E6%97%A5.jpg; filename=\"naive.jpg\"", "naïve 日.jpg"),
        ("attachment; filename*=iso-8859-1''%A3.txt", "£.txt"),
        ("attachment; filename=plain; filename*=klingon''x", "plain"),
        ("attachment; filename=plain; filename*=UTF-8''%ff", "plain"),
        ("attachment", ""),
    ],
)
def test_a_raw_body_has_its_name_from_content_disposition(recorder, disposition, filename):
    recorder.request(b"x", {"Content-Type": "image/jpeg", "Content-Disposition": disposition})
    assert recorder.calls[0][1][0][1] == filename


@pytest.mark.parametrize(
    ("sent", "filename"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        (r"C:\x\y.jpg", "y.jpg"),
        (r"C:\Users\ann\pic.png", "pic.png"),
        ("Ünïcode 日本 (1), #2;+%.png", "Ünïcode 日本 (1), #2;+%.png"),
        ("say %22hi%22.txt", 'say "hi".txt'),
        ("a%0D%0Ab%0ac.txt", "a\r\nb\nc.txt"),
        ("%2522%250D%00%5C.txt", "%2522%250D%00%5C.txt"),
        ("..%0A/%0D..%5C%22/%0Ax.txt", "\nx.txt"),
        (r"say \"hi\".txt", 'say "hi".txt'),
        ('say "hi".txt', 'say "hi".txt'),
        ("100%.txt", "100%.txt"),
        ("a'b.txt", "a'b.txt"),
        ("..", ""),
        ("photos/.", ""),
    ],
)
def test_a_filename_is_the_last_component_of_what_was_sent(recorder, sent, filename):
    body, headers = multipart(upload("f", sent, b"x"))
    recorder.request(body, headers)
    assert recorder.calls[0][1][0][1] == filename


def test_filename_star_wins_over_filename_in_a_part(recorder):
    head = "Content-Disposition: form-data; name=f; filename=\"old.txt\"; filename*=UTF-8''n%C3%A9w.txt"
    body, headers = multipart((head, b"x"))
    recorder.request(body, headers)
    assert recorder.calls[0][1][0][1] == "néw.txt"


def test_query_values_join_the_text_and_the_body_wins(recorder):
    recorder.request('{"a": 1}', JSON, path="/?a=0&b=2&b=3&c=%C3%A9")
    assert recorder.calls == [({"a": 1, "b": ["2", "3"], "c": "é"}, [])]


def test_variables_of_a_path_join_the_text_and_win_over_all(serve):
    served = serve({"/dogs/<name>/<int:age>": lambda text, data: text, "/": lambda text, data: "root"})
    assert served.request('{"name": "x", "b": 1}', JSON, path="/dogs/R%C3%A9x/3?age=9").json == {
        "name": "Réx",
        "age": 3,
        "b": 1,
    }
    assert served.request(path="/dogs/%3Cname%3E/%3Cint:age%3E").status == 404
    assert served.request().json == "root"


def test_a_chunked_body_is_read_to_its_end(recorder):
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
    assert recorder.raw(head + b'5\r\n{"a":\r\n3\r\n 1}\r\n0\r\n\r\n').status == 200
    assert recorder.raw(head.replace(b"application/json", b"image/png") + b"0\r\n\r\n").status == 200
    assert (
        recorder.raw(head.replace(b"application/json", b"multipart/form-data; boundary=x") + b"0\r\n\r\n").status == 200
    )
    assert recorder.calls == [({"a": 1}, []), ({}, []), ({}, [])]


def test_blank_lines_around_the_parts_mean_nothing(recorder):
    body, headers = multipart(field("a", b"1"))
    assert recorder.request(b"\r\n\r\n" + body + b"\r\n" * 400_000, headers).status == 200
    assert recorder.calls == [({"a": "1"}, [])]


def test_a_form_that_ends_without_a_line_break_is_whole(recorder):
    body, headers = multipart(field("a", b"1"), ending=b"--limit--")
    recorder.request(body, headers)
    body, headers = multipart(field("a", b"2"), ending=b"--limit--  ")
    recorder.request(body, headers)
    assert recorder.calls == [({"a": "1"}, []), ({"a": "2"}, [])]


@pytest.mark.parametrize(
    "data",
    [
        b"1\r\n--limit--junk\r\nrest",
        b"1\r\n--limitX\r\nrest",
        b"1\n--limit\nrest",
        b"1\r--limit--\r",
        b"1\r\n--limit-\r\n",
        b"1\r\n--limit--\rX",
        b"\r\n--limi",
    ],
)
def test_what_only_looks_like_a_delimiter_is_data(recorder, data):
    body, headers = multipart(upload("f", "f", data), field("after", b"x"))
    assert recorder.request(body, headers).status == 200
    text, [(_, _, _, got)] = recorder.calls[0]
    assert (text, got) == ({"after": "x"}, data)


@pytest.mark.parametrize("shift", range(-4, 24))
@pytest.mark.parametrize("ending", [b"--limit--\r\n", b"--limit--", b"--limit--  \r\n", b"--limit  \r\n"])
def test_a_delimiter_may_be_cut_by_the_end_of_a_block_anywhere(recorder, shift, ending):
    """The reader takes 256 KiB at a time."""
    empty, _ = multipart(upload("f", "f", b""), ending=b"")
    data = b"x" * (262144 - len(empty) - shift)
    body, headers = multipart(upload("f", "f", data), ending=ending)
    more = ending.startswith(b"--limit ")
    if more:
        body += b'Content-Disposition: form-data; name="g"; filename="g"\r\n\r\nsecond\r\n--limit--\r\n'
    assert recorder.request(body, headers).status == 200
    files = [content for _, _, _, content in recorder.calls[0][1]]
    assert files == ([data, b"second"] if more else [data])


def test_a_callback_gets_its_arguments_after_text_and_data(serve):
    served = serve(lambda text, data, *args, **kwargs: [text, args, kwargs], args=("q", 2), kwargs={"k": 3})
    assert served.request('{"a": 1}', JSON).json == [{"a": 1}, ["q", 2], {"k": 3}]


def test_a_callback_that_declares_request_gets_it(serve):
    def callback(text, data, *, request):
        return {
            "who": request.identity,
            "agent": request.headers["User-Agent"],
            "address": request.address,
            "werkzeug": request.werkzeug.method,
            "path": request.path,
        }

    answer = serve({"/p": callback}).request(headers={"User-Agent": "test"}, path="/p")
    assert answer.json == {"who": None, "agent": "test", "address": "127.0.0.1", "werkzeug": "POST", "path": "/p"}


@over_the_wire
@given(
    st.dictionaries(
        st.text(max_size=20),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
            max_leaves=12,
        ),
        max_size=6,
    )
)
def test_every_json_object_comes_through_and_back(echo, value):
    assert echo.request(json.dumps(value), JSON).json == value
    assert echo.request(json.dumps(value, ensure_ascii=False).encode(), JSON).json == value


@over_the_wire
@given(st.lists(st.tuples(st.text(), st.text()), max_size=8))
def test_every_urlencoded_form_comes_through(echo, pairs):
    expected: dict = {}
    for key, value in pairs:
        expected.setdefault(key, []).append(value)
    answer = echo.request(urlencode(pairs), FORM)
    assert answer.json == {key: values[0] if len(values) == 1 else values for key, values in expected.items()}


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\/') | st.sampled_from('"\r\n%'),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in (".", "..") and not re.search("%22|%0[ad]", name, re.IGNORECASE))


def escaped(name):
    """As browsers do (WHATWG HTML §4.10.21.8)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


@over_the_wire
@given(
    st.lists(
        st.tuples(names, st.none() | names, st.binary(max_size=80) | st.sampled_from([b"\r\n--limi", b"\r", b"\n"]))
    )
)
def test_every_multipart_form_comes_through(recorder, parts):
    recorder.calls.clear()
    written = []
    fields: dict = {}
    files = []
    for name, filename, data in parts:
        if filename is None:
            text = data.decode("latin-1")
            written.append(field(escaped(name), text.encode()))
            fields.setdefault(name, []).append(text)
        else:
            written.append(upload(escaped(name), escaped(filename), data))
            files.append((name, filename, "application/octet-stream", data))
    body, headers = multipart(*written, boundary="limit-9dA", ending=b"--limit-9dA--\r\n")
    answer = recorder.request(body, headers)
    assert answer.status == 200, answer.body
    assert recorder.calls == [({k: v[0] if len(v) == 1 else v for k, v in fields.items()}, files)]


@pytest.fixture
def echo(serve):
    return serve(lambda text, data: text)


@pytest.mark.parametrize("edge", range(-12, 13))
def test_line_breaks_at_every_edge_of_a_block_survive(recorder, edge):
    """The reader takes 256 KiB at a time; the end of a file may fall anywhere around that."""
    body, headers = multipart(upload("f", "x", b""))
    data = b"\r\n" * ((262144 - body.index(b"\r\n\r\n") - 4 + edge) // 2) + b"\r" * (edge % 2)
    body, headers = multipart(upload("f", "x", data), field("after", b"1"))
    recorder.request(body, headers)
    text, [(_, _, _, got)] = recorder.calls[0]
    assert text == {"after": "1"}
    assert got == data


def test_a_path_with_escapes_finds_its_function(serve):
    served = serve({"/é": lambda text, data: "found"})
    assert served.request(path="/" + quote("é")).json == "found"


@pytest.mark.parametrize("name", ["%FF", "%C3", "%C0%AF", "%ED%A0%80"])
def test_a_path_that_is_not_utf_8_is_refused(serve, name):
    served = serve({"/dogs/<name>": lambda text, data: text})
    answer = served.request(path=f"/dogs/{name}")
    assert (answer.status, "not UTF-8" in answer.json["detail"]) == (400, True)
    assert served.request(path="/dogs/%C3%A9").json == {"name": "é"}


def test_a_number_in_a_path_that_cannot_be_held_is_refused(serve):
    served = serve({"/f/<float:x>": lambda text, data: text, "/n/<int:x>": lambda text, data: text})
    answer = served.request(path="/f/" + "9" * 400 + ".0")
    assert (answer.status, answer.json["detail"].startswith("The path has a number")) == (400, True)
    assert served.request(path="/n/" + "9" * 5000).status == 404


def test_a_method_counts_as_it_is_written(serve):
    answer = serve(lambda text, data: text).request(method="post")
    assert (answer.status, "in capitals" in answer.json["detail"]) == (400, True)


@pytest.mark.parametrize(
    "disposition",
    [b'attachment; filename="\xe9.png"', b'attachment; filename="a.png"\r\nContent-Disposition: x; filename=b'],
)
def test_a_raw_body_whose_name_has_no_single_meaning_is_refused(recorder, disposition):
    sent = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1\r\n"
    answer = recorder.raw(sent + b"Content-Disposition: " + disposition + b"\r\n\r\nx")
    assert (answer.status, "The request's Content-Disposition" in answer.json["detail"]) == (400, True)
    assert recorder.calls == []


def test_the_seeds_example_runs_unchanged(serve, capsys):
    def p(text, data):
        print(text, [x.filename for x in data])
        return {"status": "yes"}

    served = serve(p)
    assert served.request("name=Rex", FORM).json == {"status": "yes"}
    assert capsys.readouterr().out == "{'name': 'Rex'} []\n"


def test_a_photo_of_five_megabytes_comes_back_byte_for_byte(serve, tmp_path):
    photo = bytes(range(256)) * 20_000
    path = Path(tmp_path, "photo.jpg")
    path.write_bytes(photo)

    def callback(text, data):
        return Reply(file_return(path))

    answer = serve(callback).request(b"")
    assert answer.body == photo
    assert answer.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("unit", [';a="', ';a="x', '"', r"\"", ';a="\\"', "; ", ';="', '" '])
def test_a_disposition_that_repeats_itself_costs_no_more_than_its_length(unit):
    """A part's headers may be 64 KiB; what is scanned again and again would take minutes."""
    header = "form-data; name=" + unit * (65536 // len(unit))

    def parse():
        with suppress(ValueError):
            parse_disposition(header)

    assert min(timeit.repeat(parse, number=1, repeat=3)) < 1


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ('form-data; name="a"; name="b"', "two different values of name"),
        ('form-data; name="a"; filename="x', "never closed"),
        ("form-data" + "; a=b" * 101, "more than 100 parameters"),
    ],
)
def test_a_disposition_without_one_meaning_is_refused(header, wrong):
    with pytest.raises(ValueError, match=wrong):
        parse_disposition(header)


@pytest.mark.parametrize("kind", ["attachment", "text/plain"])
def test_the_escapes_of_forms_are_left_alone_in_other_headers(kind):
    assert parse_disposition(f'{kind}; filename="a%22%0D%0Ab"')["filename"] == "a%22%0D%0Ab"


def test_a_disposition_may_end_in_a_backslash_and_say_the_same_twice():
    assert parse_disposition('form-data; name=a; name="a"; filename="C:\\x\\"')["name"] == "a"


@pytest.mark.parametrize("unit", ["%41", "%41x", "%", "%4", "é%41", "+", "%25"])
def test_a_form_of_nothing_but_escapes_is_read_as_urllib_does_and_as_fast_as_any_other(unit):
    """urllib itself takes 13 seconds for as much as a form may have, if it only looks like escapes."""
    text = unit * (200_000 // len(unit))
    assert parse_fields(f"a={text}", Limits(), "the form") == parse_qsl(f"a={text}")
    took = min(timeit.repeat(lambda: parse_fields(f"a={text}", Limits(), "the form"), number=1, repeat=3))
    assert took < 1


@given(st.text(st.sampled_from("a=&%+41cé;日F")))
def test_a_form_is_read_as_urllib_reads_it(text):
    try:
        expected = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(Problem, match="UTF-8"):
            parse_fields(text, Limits(), "the form")
    else:
        assert parse_fields(text, Limits(), "the form") == expected


@pytest.mark.parametrize("header", ["Content-Disposition: form-data; name=a; ", "Content-Type: text/plain; "])
@pytest.mark.parametrize("unit", [';a="x"', "; a=b"])
def test_parts_with_headers_full_of_parameters_are_refused_at_once(recorder, header, unit):
    """A form may have a thousand of them; to read each would take half a minute."""
    head = "Content-Disposition: form-data; name=a\r\n" if header.startswith("Content-T") else ""
    body, headers = multipart(*[(f"{head}{header}{unit * 2500}", b"x")] * 2)
    answer = recorder.request(body, headers)
    assert (answer.status, "more than 100 parameters" in answer.json["detail"]) == (400, True)


DISPOSITION = b'Content-Disposition: form-data; name="a"\r\n'
TOKENS = [
    b"\r\n",
    b"\r\n--b",
    b"--b",
    b"--",
    b"-",
    b" ",
    b"\r",
    b"\n",
    b"x",
    b"X: y\r\n",
    DISPOSITION,
    DISPOSITION + b"\r\n",
]


class InPieces(io.RawIOBase):
    """A body that arrives in two pieces."""

    def __init__(self, body, cut):
        self.pieces = [piece for piece in (body[:cut], body[cut:]) if piece]

    def read(self, size=-1):
        return self.pieces.pop(0) if self.pieces else b""


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join))
@example(b"\r\n--b \r\n-X: y\r\n" + DISPOSITION + b"\r\nvalue")
@example(b"\r\n--b--\r\n-")
@example(b"\r\n--b--\r")
@settings(deadline=None)
def test_a_form_means_the_same_wherever_it_is_cut(tokens):
    body = b"--b\r\n" + DISPOSITION.replace(b'"a"', b'"f"; filename="x"') + b"\r\n" + tokens + b"\r\n--b--\r\n"
    caller = Client(Backend(lambda text, data: [text, [str(file.read()) for file in data]], only=()))
    environ = {
        "CONTENT_TYPE": "multipart/form-data; boundary=b",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "localhost",
    }
    meant = set()
    for cut in range(len(body)):
        answer = caller.post("/", environ_overrides={**environ, "wsgi.input": InPieces(body, cut)})
        meant.add(answer.data if answer.status_code == 200 else answer.status_code)
    assert len(meant) == 1


@pytest.mark.parametrize(
    "parameters",
    ["charset=utf-8; charset=iso-8859-1", 'charset="iso-8859-1', "charset*0=iso-; charset*1=8859-1", "_charset_"],
)
def test_a_form_in_two_charsets_is_refused(recorder, parameters):
    body = b"_charset_=utf-8&_charset_=iso-8859-1&" if parameters == "_charset_" else b""
    kind = FORM["Content-Type"] if parameters == "_charset_" else f"{FORM['Content-Type']}; {parameters}"
    assert recorder.request(body + b"a=%C3%A4", {"Content-Type": kind}).status == 400
    assert recorder.calls == []


def test_a_form_says_its_charset_with_blanks_or_without(recorder):
    for parameters in ("charset=iso-8859-1", "charset = iso-8859-1"):
        recorder.request(b"a=%E4", {"Content-Type": f"{FORM['Content-Type']}; {parameters}"})
    assert [text for text, _ in recorder.calls] == [{"a": "ä"}] * 2


@pytest.mark.parametrize(("size", "status"), [(16_384, 200), (16_385, 413)])
def test_a_parts_headers_may_be_as_long_wherever_they_are(size, status):
    """Also where a block of 80 KiB ends within the blank line behind them."""
    headers = 'Content-Disposition: form-data; name="a"\r\n' + "X:\r\n" * 3_000
    headers += "Y:" + "y" * (size - len(headers) - 2)
    caller = Client(Backend(lambda text, data: text, only=()))
    for before in (0, 70_000, 100_000, *range(65_440, 65_480)):
        body, kind = multipart(upload("f", "f", b"x" * before), (headers, b"1"))
        assert caller.post("/", data=body, headers=kind).status_code == status, before


def test_an_ampersand_behind_the_last_field_is_no_further_one(serve):
    served = serve(lambda text, data: text, limits=Limits(parts=2))
    assert served.request("a=1&b=2&", FORM).json == {"a": "1", "b": "2"}
    assert served.request("a=1&b=2&c=3", FORM).status == 413


def test_a_multipart_form_says_its_charset_beside_the_boundary_and_a_part_its_own(recorder):
    body, headers = multipart(field("a", b"\xe4"), field("b", "ä".encode(), "Content-Type: text/plain; charset=utf-8"))
    headers["Content-Type"] += "; charset=iso-8859-1"
    assert recorder.request(body, headers).status == 200
    assert recorder.calls == [({"a": "ä", "b": "ä"}, [])]


@pytest.mark.parametrize(("length", "status"), [("0" * 19 + "2", 200), ("0" * 5000 + "2", 400), ("2" * 5000, 400)])
def test_a_length_of_thousands_of_digits_is_refused_behind_any_server(length, status):
    caller = Client(Backend(lambda text, data: text, only=()))
    environ = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"{}")}
    assert caller.post("/", environ_overrides=environ).status_code == status


def test_sizes_in_refusals_are_written_without_exponents(serve):
    served = serve(lambda text, data: text, limits=Limits(text=1020 << 10))
    assert "1020 KiB" in served.request(b" " * (1021 << 10), JSON).json["detail"]
