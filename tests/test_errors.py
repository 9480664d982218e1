"""Errors: every refusal has its status and its sentence, and the next request is answered."""

from __future__ import annotations

import errno
import json
import os

import pytest
from werkzeug.exceptions import Conflict, TooManyRequests, abort
from werkzeug.test import Client, create_environ, run_wsgi_app
from werkzeug.wrappers import Response

from izzati import Backend, Limits, Problem

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="a"'


def test_a_compressed_body_is_refused_aloud(recorder):
    answer = recorder.request(b"\x1f\x8b", {"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert answer.status == 415
    assert "Content-Encoding" in answer.json["detail"]
    assert answer.headers["Accept-Encoding"] == "identity"
    assert recorder.request(b"{}", {"Content-Type": "application/json", "Content-Encoding": "identity"}).status == 200


def test_a_chunked_body_where_the_server_does_not_read_one_is_a_411():
    client = Client(Backend(lambda text, data: {}))
    assert client.post("/", environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked"}).status_code == 411


def test_a_key_twice_among_many_is_found_at_once(recorder):
    """What looks at every key for every key would take minutes for this."""
    keys = b",".join(b'"k%06d":0' % number for number in range(100_000))
    answer = recorder.request(b"{" + keys + b',"k099999":1}', {"Content-Type": "application/json"})
    assert "'k099999' more than once" in answer.json["detail"]
    long = b"x" * 100_000
    answer = recorder.request(b'{"%b": 1, "%b": 2}' % (long, long), {"Content-Type": "application/json"})
    assert len(answer.body) < 500


def test_a_body_shorter_than_declared_is_a_400_behind_other_servers_too():
    client = Client(Backend(lambda text, data: {}))
    answer = client.post("/", data=b"abc", content_type="image/png", environ_overrides={"CONTENT_LENGTH": "10"})
    assert answer.status_code == 400
    assert "after 3 of the 10 bytes" in answer.json["detail"]


def test_a_wrong_path_lists_those_that_exist(serve):
    served = serve({"/caption": lambda text, data: {}, "/resize": lambda text, data: {}})
    answer = served.request(path="/nope<script>")
    assert answer.status == 404
    assert "/caption, /resize" in answer.json["detail"]
    assert b"<" not in answer.body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "BREW"])
def test_a_wrong_method_names_the_right_ones(serve, method):
    answer = serve(lambda text, data: {}).request(method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "OPTIONS, POST"


def test_options_says_what_is_allowed(serve):
    answer = serve(lambda text, data: {}).request(method="OPTIONS")
    assert (answer.status, answer.headers["Allow"]) == (204, "OPTIONS, POST")


def test_a_query_that_is_not_utf8_is_a_400(recorder):
    assert recorder.request(path="/?a=%ff").status == 400
    assert recorder.raw(b"POST /?a=1&a=%e2%28 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").status == 400


class TestLimits:
    @pytest.fixture
    def served(self, serve):
        return serve(lambda text, data: {}, limits=Limits(body=5000, text=1000, parts=3, depth=2))

    @pytest.mark.parametrize(
        ("content_type", "body", "limit", "status"),
        [
            ("image/png", b"x" * 5001, "body", 413),
            ("application/json", b'{"a": "' + b"x" * 1000 + b'"}', "text", 413),
            (FORM, b"a=" + b"x" * 1000, "text", 413),
            (FORM, b"a=1&b=2&c=3&d=4", "parts", 413),
            (MULTIPART, PART + b"\r\n\r\n" + b"x" * 1001 + b"\r\n--b--", "text", 413),
            (MULTIPART, (PART + b"\r\n\r\nx\r\n") * 4 + b"--b--", "parts", 413),
            ("application/json", b'{"a": {"b": {}}}', "depth", 400),
        ],
    )
    @pytest.mark.parametrize("chunked", [False, True])
    def test_beyond_a_limit_the_answer_names_it_and_how_to_move_it(
        self, served, content_type, body, limit, status, chunked
    ):
        headers = {"Content-Type": content_type}
        answer = served.request(iter([body]) if chunked else body, headers)
        assert answer.status == status
        assert answer.json["limit"] == limit
        assert f"Limits({limit}=...)" in answer.json["detail"]
        assert served.request().status == 200

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("image/png", b"x" * 5000),
            (FORM, b"a=" + b"x" * 998),
            (FORM, b"a=1&b=2&c=3"),
            (MULTIPART, (PART + b"\r\n\r\nx\r\n") * 3 + b"--b--"),
            ("application/json", b'{"a": {"b": 1}}'),
        ],
    )
    def test_up_to_a_limit_all_is_well(self, served, content_type, body):
        assert served.request(body, {"Content-Type": content_type}).status == 200

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, "1", None, True])
    def test_a_limit_is_a_positive_whole_number(self, wrong):
        with pytest.raises(ValueError, match=r"Limits\(body=…\) takes a whole number"):
            Limits(body=wrong)


class TestWhatACallbackRaises:
    def test_a_defect_is_a_500_with_a_request_id_and_a_traceback_only_in_the_log(self, serve, caplog):
        def callback(text, data):
            raise KeyError("a secret")

        served = serve(callback)
        answer = served.request()
        assert answer.status == 500
        assert answer.headers["X-Request-Id"] in answer.json["detail"]
        assert "secret" not in answer.body.decode()
        assert "KeyError: 'a secret'" in caplog.text
        assert answer.headers["X-Request-Id"] in caplog.text
        assert served.request().status == 500

    def test_an_error_that_is_made_once_and_raised_each_time_is_told_each_time_alike(self, serve, caplog):
        try:
            raise KeyError("no model")
        except KeyError as error:
            missing = RuntimeError("it cannot be loaded")
            missing.__cause__ = error

        def callback(text, data):
            raise missing

        served = serve(callback)
        for _ in range(3):
            assert served.request().status == 500
        first, second, third = (record.exc_text for record in caplog.records)
        assert second == third
        assert third.count("raise missing") == first.count("raise missing") == 1

    def test_exit_is_a_defect_like_another(self, serve, caplog):
        def callback(text, data):
            raise SystemExit(3)

        assert serve(callback).request().status == 500
        assert "SystemExit" in caplog.text

    def test_a_problem_with_markup_cannot_be_taken_for_a_page(self, serve):
        def callback(text, data):
            raise Problem(400, f"You sent {text['a']} & more.")

        answer = serve(callback).request(path="/?a=%3Cscript%3E")
        assert answer.json["detail"] == "You sent <script> & more."
        assert b"<" not in answer.body
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_werkzeugs_exceptions_are_told_as_problems(self, serve, caplog):
        def callback(text, data):
            raise {"conflict": Conflict("Taken."), "rate": TooManyRequests("Slowly.", retry_after=30)}[text["a"]]

        served = serve(callback)
        answer = served.request(path="/?a=conflict")
        assert (answer.status, answer.json["detail"], answer.json["title"]) == (409, "Taken.", "Conflict")
        answer = served.request(path="/?a=rate")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
        assert caplog.text == ""

    def test_a_response_that_is_raised_is_the_answer(self, serve):
        answer = serve(lambda text, data: abort(Response("no", 402))).request()
        assert (answer.status, answer.body) == (402, b"no")

    @pytest.mark.parametrize("status", [200, 302, 600])
    def test_a_problem_has_an_errors_status(self, status):
        with pytest.raises(ValueError, match="400 to 599"):
            Problem(status, "x")

    def test_a_problem_may_have_a_status_without_a_phrase(self, serve):
        def callback(text, data):
            raise Problem(499)

        answer = serve(callback).request()
        assert answer.json == {"type": "about:blank", "title": "Error", "status": 499}
        assert str(Problem(404, "x")) == "404 Not Found: x"


def test_every_answer_has_an_id_of_its_own(serve):
    served = serve({"/": lambda text, data: {}})
    answers = [served.request(), served.request(), served.request(path="/no"), served.request(method="GET")]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 4


def test_a_server_that_passes_on_a_bad_length_gets_a_400_out():
    """Other WSGI servers may hand on what the built-in one refuses."""
    client = Client(Backend(lambda text, data: {}))
    assert client.post("/", environ_overrides={"CONTENT_LENGTH": "-1"}).status_code == 400
    assert client.post("/", environ_overrides={"CONTENT_LENGTH": "٣"}).status_code == 400


def test_a_connection_that_breaks_under_another_server_is_no_defect(caplog):
    class Broken:
        def read(self, size):
            raise ConnectionResetError

    client = Client(Backend(lambda text, data: {}))
    answer = client.post(
        "/", content_type="image/png", environ_overrides={"CONTENT_LENGTH": "3", "wsgi.input": Broken()}
    )
    assert answer.status_code == 400
    assert caplog.text == ""


def test_a_defect_of_what_stands_before_the_backend_is_not_told_as_the_callers(caplog):
    class Wrapped:
        def read(self, size):
            raise AttributeError("a middleware's")

    client = Client(Backend(lambda text, data: {}))
    answer = client.post(
        "/", content_type="image/png", environ_overrides={"CONTENT_LENGTH": "3", "wsgi.input": Wrapped()}
    )
    assert answer.status_code == 500
    assert "a middleware's" in caplog.text


def test_a_server_that_does_not_name_the_protocol_is_taken_for_http_1():
    environ = create_environ("/", method="POST")
    del environ["SERVER_PROTOCOL"]
    _, status, _ = run_wsgi_app(Backend(lambda text, data: {}), {**environ, "wsgi.input_terminated": True})
    assert status == "200 OK"


def test_the_title_is_the_statuss_own_phrase():
    assert json.loads(Problem(404).get_body())["title"] == "Not Found"


@pytest.mark.parametrize(("number", "status"), [(errno.EMFILE, 503), (errno.ENFILE, 503), (errno.ENOENT, 500)])
def test_a_callback_that_finds_no_descriptor_is_a_503_and_its_traceback_in_the_log(serve, caplog, number, status):
    def callback(text, data):
        raise OSError(number, os.strerror(number))

    answer = serve(callback).request()
    assert answer.status == status
    assert "in callback" in caplog.text
