"""Out: one result becomes one response."""

from __future__ import annotations

import io
import json
import pathlib

import pytest
from werkzeug.wrappers import Response

from izzati import Codec, Problem, Reply, file_return

JSON = {"Content-Type": "application/json"}


class Shout(Codec):
    """A codec for tests: text in capitals."""

    reads = ("text/shout",)
    writes = ("text/shout", "text/x-shout")

    def decode(self, body, request):
        return {"shouted": body.decode()}

    def encode(self, value, media_type):
        return repr(value).upper().encode()


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [1, "é"], "text", 3, 1.5, True, None, {}, [], ""])
def test_values_are_answered_as_json(serve, value):
    answer = serve(lambda text, data: value).request()
    assert answer.status == 200
    assert json.loads(answer.body) == value
    assert answer.headers.get_all("Content-Type") == ["application/json"]
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.body.isascii()


def test_header_names_are_sent_in_title_case(serve):
    served = serve(lambda text, data: {})
    with served.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        raw = b"".join(iter(lambda: sock.recv(65536), b""))
    assert b"\r\nContent-Type: application/json\r\n" in raw
    assert b"\r\nContent-Length: 2\r\n" in raw


def test_bytes_are_an_octet_stream(serve):
    answer = serve(lambda text, data: b"\x00\xff").request()
    assert (answer.body, answer.headers["Content-Type"]) == (b"\x00\xff", "application/octet-stream")


def test_a_reply_has_its_status_and_headers(serve):
    answer = serve(lambda text, data: Reply({"id": 3}, status=201, headers={"Location": "/dogs/3"})).request()
    assert (answer.status, answer.json, answer.headers["Location"]) == (201, {"id": 3}, "/dogs/3")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [100, 199, 600])
def test_a_reply_has_a_final_status(status):
    with pytest.raises(ValueError, match="from 200 to 599"):
        Reply({}, status)


def test_a_reply_without_content_has_none(serve):
    answer = serve(lambda text, data: Reply(status=204)).request()
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (204, b"", None)


def test_a_reply_may_name_the_media_type_of_its_bytes(serve):
    answer = serve(lambda text, data: Reply(b"<svg/>", headers={"Content-Type": "image/svg+xml"})).request()
    assert (answer.body, answer.headers.get_all("Content-Type")) == (b"<svg/>", ["image/svg+xml"])


def test_a_werkzeug_response_is_itself(serve):
    answer = serve(lambda text, data: Response("hi", status=418, headers={"X-Mine": "1"})).request()
    assert (answer.status, answer.body, answer.headers["X-Mine"]) == (418, b"hi", "1")


def test_a_streamed_response_can_read_uploads_while_it_is_sent(serve):
    def callback(text, data):
        return Response((line for line in data[0]), content_type="text/plain")

    answer = serve(callback).request(b"a\nb\n", {"Content-Type": "text/csv"})
    assert answer.body == b"a\nb\n"
    assert answer.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize(
    ("accept", "body_type", "expected"),
    [
        ("", "application/json", "application/json"),
        ("*/*", "application/json", "application/json"),
        ("", "text/shout", "text/shout"),
        ("*/*", "text/shout", "text/shout"),
        ("application/json", "text/shout", "application/json"),
        ("text/shout", "application/json", "text/shout"),
        ("text/shout;q=0.4, application/json;q=0.5", "text/shout", "application/json"),
        ("text/*, application/json;q=0.9", "application/json", "text/shout"),
        ("text/x-shout", "application/json", "text/x-shout"),
        ("image/png", "application/json", "application/json"),
        ("image/png", "text/shout", "text/shout"),
        ("*/*", "image/png", "application/json"),
        ("nonsense;;q=x", "application/json", "application/json"),
        ("application/json;q=0, */*", "application/json", "text/shout"),
        ("text/shout" + "," * 4_000, "application/json", "text/shout"),
        ("text/shout" + "," * 5_000, "application/json", "application/json"),  # nobody's is so long
    ],
)
def test_the_best_codec_for_accept_answers_else_the_bodys_else_json(serve, accept, body_type, expected):
    served = serve(lambda text, data: {"a": 1}, plugins=[Shout()])
    answer = served.request("{}", {"Content-Type": body_type, "Accept": accept})
    assert answer.status == 200
    assert answer.headers["Content-Type"].partition(";")[0] == expected


def test_a_result_that_json_cannot_carry_is_a_500_that_the_log_explains(serve, caplog):
    answer = serve(lambda text, data: {"when": object()}).request()
    assert answer.status == 500
    assert "object" not in answer.json["detail"]
    assert "not JSON serializable" in caplog.text
    assert answer.headers["X-Request-Id"] in caplog.text


def test_nan_is_no_json(serve, caplog):
    assert serve(lambda text, data: float("nan")).request().status == 500
    assert "JSON compliant" in caplog.text


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "reply.png"
        path.write_bytes(b"\x89PNG" + bytes(300_000))
        return path

    @pytest.mark.parametrize("kind", [str, pathlib.Path, lambda path: f"file://{path}"])
    def test_a_path_is_sent_with_its_type_length_date_and_name(self, serve, path, kind):
        answer = serve(lambda text, data: file_return(kind(path))).request()
        assert answer.body == path.read_bytes()
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Content-Length"] == "300004"
        assert answer.headers["Content-Disposition"] == "inline; filename=reply.png"
        assert answer.headers["Last-Modified"].endswith("GMT")
        assert answer.headers["ETag"].endswith('-300004"')

    def test_it_is_sent_whole_whatever_part_or_condition_the_caller_names(self, serve, tmp_path):
        (tmp_path / "a.bin").write_bytes(b"whole")
        served = serve(lambda text, data: tmp_path / "a.bin")
        etag = served.request().headers["ETag"]
        answer = served.request(b"", {"Range": "bytes=0-1", "If-None-Match": etag})
        assert (answer.status, answer.body) == (200, b"whole")
        assert answer.headers["Accept-Ranges"] is None

    def test_a_returned_path_is_a_file(self, serve, path):
        assert serve(lambda text, data: path).request().body == path.read_bytes()

    def test_the_etag_changes_with_the_file(self, serve, path):
        served = serve(lambda text, data: path)
        before = served.request().headers["ETag"]
        assert served.request().headers["ETag"] == before
        path.write_bytes(b"other")
        assert served.request().headers["ETag"] != before

    def test_an_open_file_is_sent_from_where_it_stands_and_closed(self, serve, path):
        opened = []

        def callback(text, data):
            file = path.open("rb")
            file.seek(1)
            opened.append(file)
            return file_return(file)

        served = serve(callback)
        answer = served.request()
        assert answer.body == path.read_bytes()[1:]
        assert answer.headers["Content-Disposition"] == "inline; filename=reply.png"
        served.stop()  # the last byte may arrive before the file is closed
        assert opened[0].closed

    def test_bytes_and_streams_in_memory_are_sent_under_a_given_name(self, serve):
        served = serve(lambda text, data: file_return(b"a,b", "t.csv") if text else file_return(io.BytesIO(b"x")))
        answer = served.request(path="/?a=1")
        assert (answer.body, answer.headers["Content-Type"]) == (b"a,b", "text/csv")
        answer = served.request()
        assert (answer.body, answer.headers["Content-Type"]) == (b"x", "application/octet-stream")
        assert answer.headers["Content-Disposition"] is None

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a b.txt", 'attachment; filename="a b.txt"'),
            ('q"uote.txt', r'attachment; filename="q\"uote.txt"'),
            ("line\r\nX-Evil: 1.txt", 'attachment; filename="line__X-Evil: 1.txt"'),
            ("né.txt", "attachment; filename=n_.txt; filename*=UTF-8''n%C3%A9.txt"),
            ("\ud800.txt", 'attachment; filename="?.txt"'),
            ("", "attachment"),
        ],
    )
    def test_a_download_has_a_name_that_cannot_break_the_header(self, serve, name, expected):
        answer = serve(lambda text, data: file_return(b"x", name, download=True)).request()
        assert answer.headers["Content-Disposition"] == expected
        assert answer.headers["X-Evil"] is None

    @pytest.mark.parametrize(
        ("name", "content_type"),
        [("a.tar.gz", "application/gzip"), ("a:b.html", "text/html"), ("noidea", "application/octet-stream")],
    )
    def test_the_type_comes_from_the_name_and_packed_files_stay_packed(self, serve, name, content_type):
        answer = serve(lambda text, data: file_return(b"x", name)).request()
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["Content-Encoding"] is None

    def test_a_given_type_wins(self, serve):
        answer = serve(lambda text, data: file_return(b"x", "a.png", "image/webp")).request()
        assert answer.headers["Content-Type"] == "image/webp"

    @pytest.mark.parametrize("size", [10, 3_000_000])
    def test_an_upload_can_be_returned_from_its_beginning(self, serve, size):
        def callback(text, data):
            data[0].read(5)
            return data[0] if text else file_return(data[0], download=True)

        served = serve(callback)
        photo = bytes(range(10)) * (size // 10)
        answer = served.request(photo, {"Content-Type": "image/jpeg"}, path="/?a=1")
        assert (answer.body, answer.headers["Content-Type"]) == (photo, "image/jpeg")
        answer = served.request(photo, {"Content-Type": "image/jpeg"})
        assert answer.body == photo
        assert answer.headers["Content-Disposition"] == "attachment"

    def test_a_page_that_was_uploaded_runs_no_script_when_it_is_returned(self, serve, path):
        served = serve(lambda text, data: data[0] if data else path)
        answer = served.request(b"<script>alert(1)</script>", {"Content-Type": "text/html"})
        assert answer.headers["Content-Security-Policy"] == "sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert served.request().headers["Content-Security-Policy"] is None

    def test_a_missing_file_is_a_500_that_only_the_log_explains(self, serve, caplog, tmp_path):
        missing = tmp_path / "missing.png"
        answer = serve(lambda text, data: file_return(missing)).request()
        assert answer.status == 500
        assert str(missing) not in answer.body.decode()
        assert str(missing) in caplog.text

    def test_a_location_that_no_plugin_opens_says_so_in_the_log(self, serve, caplog):
        assert serve(lambda text, data: file_return("s3://bucket/key")).request().status == 500
        assert "no installed plugin opens 's3://bucket/key'" in caplog.text

    @pytest.mark.parametrize("wrong", [3, None, io.StringIO("text"), ["a"]])
    def test_what_is_no_file_is_refused_where_it_is_returned(self, wrong):
        with pytest.raises(TypeError, match="file_return takes"):
            file_return(wrong)


def test_a_problem_is_told_with_all_its_fields(serve):
    def callback(text, data):
        raise Problem(404, "No such dog.", title="No dog", type="urn:dog", headers={"X-A": "1"}, hint="Rex exists.")

    answer = serve(callback).request()
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-A"] == "1"
    assert answer.json == {
        "type": "urn:dog",
        "title": "No dog",
        "status": 404,
        "detail": "No such dog.",
        "hint": "Rex exists.",
    }
