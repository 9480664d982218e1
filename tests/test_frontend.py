"""Frontend calls a Backend: what it sends arrives, what the callback returns comes back, and failures are told."""

from __future__ import annotations

import http.server
import io
import json
import os
import pickle
import re
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from helpers import JPEG, SECONDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from izzati_msgpack import MessagePack

from izzati import (
    CallError,
    Codec,
    Frontend,
    IzzatiError,
    NoAnswer,
    NotReached,
    Problem,
    ReceivedFile,
    Refused,
    Reply,
    file_return,
    hookimpl,
)

OCTETS = "application/octet-stream"
FILE = ("file", "rex.jpg", OCTETS, JPEG)
JSON_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
KEYS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\r\n\\%'), max_size=12)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Scripted:
    """A server that answers each request with the next of these bytes, as they are, and closes after it for None."""

    def __init__(self, *answers):
        self.requests = []
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while self._answers:
            sock, _ = self._listener.accept()
            with sock, sock.makefile("rb") as stream:
                sock.settimeout(SECONDS)
                while self._answers and (head := list(iter(stream.readline, b"\r\n"))) and head != [b""]:
                    length = next((int(line[16:]) for line in head if line.startswith(b"Content-Length: ")), 0)
                    self.requests.append((b"".join(head), stream.read(length)))
                    answer = self._answers.pop(0)
                    if answer is None:
                        break
                    sock.sendall(answer)
                    if b"Connection: close" in answer:
                        break

    def close(self):
        self._answers.clear()
        with self._listener:
            socket.create_connection(self._listener.getsockname()).close()
            self._thread.join(SECONDS)


@pytest.fixture
def scripted():
    servers = []

    def start(*answers):
        servers.append(Scripted(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(status=b"200 OK", body=b"{}", *headers):
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


@pytest.fixture
def echo(serve):
    """A Frontend of a callback that returns its text, and of each file what it is."""

    def callback(text, data):
        return {"text": text, "files": [[file.name, file.filename, file.content_type, file.size] for file in data]}

    with Frontend(serve(callback).url) as frontend:
        yield frontend


def python(code, *arguments):
    """Run code in a Python of its own; what it printed."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Importing


def test_who_imports_izzati_imports_no_http_library():
    code = "import sys, izzati; assert izzati.Backend; print({'urllib3', 'izzati.client'} & {*sys.modules})"
    assert python(code) == "set()"


def test_without_its_library_frontend_says_how_to_install_it():
    code = """
import sys
sys.modules["urllib3"] = None
from izzati import *
try:
    from izzati import Frontend
except ImportError as error:
    print(error)
"""
    assert python(code) == (
        "Frontend needs the library urllib3, which comes with an extra of izzati; in a clone of it: "
        "pip install '.[client]'"
    )


# As 1.x sends


@pytest.mark.parametrize(
    ("js", "text"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param(
            {"name": "Zoë & co", "n": 3, "empty": "", "yes": True, "none": None},
            {"name": "Zoë & co", "n": "3", "empty": "", "yes": "True"},
            id="values",
        ),
        pytest.param({"tags": ["b", "a"], "one": ["x"]}, {"tags": ["b", "a"], "one": "x"}, id="list"),
    ],
)
@pytest.mark.parametrize("with_file", [False, True])
def test_flat_values_go_as_a_form_and_a_file_beside_them(recorder, photo, js, text, with_file):
    with Frontend(recorder.url) as frontend, photo.open("rb") as file:
        assert frontend.send(js=js, f=file if with_file else None) == {"status": "yes"}
    assert recorder.calls == [(text, [FILE] if with_file else [])]


def test_a_form_is_byte_for_byte_what_izzati_1_sends(scripted, photo):
    server = scripted(answer(), answer())
    with Frontend(server.url) as frontend, photo.open("rb") as file:
        frontend.send({"name": "Zoë & co", "tags": ["b", "a"]})
        frontend.send({"name": "Rex"}, file)
    (head, form), (multipart_head, multipart) = server.requests
    assert b"Content-Type: application/x-www-form-urlencoded\r\n" in head
    assert form == b"name=Zo%C3%AB+%26+co&tags=b&tags=a"
    boundary = multipart_head.partition(b"multipart/form-data; boundary=")[2].partition(b"\r\n")[0]
    assert multipart == (
        b'--%b\r\nContent-Disposition: form-data; name="name"\r\n\r\nRex\r\n'
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="rex.jpg"\r\n\r\n%b\r\n'
        b"--%b--\r\n" % (boundary, boundary, JPEG, boundary)
    )


def test_what_a_form_cannot_carry_is_refused_before_it_is_sent(echo):
    with pytest.raises(TypeError, match=r"no place for what is nested in 'dog'; send text="):
        echo.send({"dog": {"name": "Rex"}})
    with pytest.raises(TypeError, match="give one pair of them"):
        echo.send({"name": "Rex"}, text={"name": "Rex"})
    with pytest.raises(TypeError, match=r"f=open\('rex.jpg', 'rb'\)"):
        echo.send(f="rex.jpg")


# Values and files


@QUICK
@given(text=st.dictionaries(KEYS, JSON_VALUES, max_size=5))
def test_values_arrive_as_they_are_alone_and_beside_files(echo, text):
    assert echo.send(text=text) == {"text": text, "files": []}
    text = {name: value for name, value in text.items() if not re.search("%22|%0[ad]", name, re.IGNORECASE)}
    beside = echo.send(text=text, files=[("a.bin", b"x")])
    assert beside == {"text": text, "files": [["file", "a.bin", OCTETS, 1]]}


@pytest.mark.parametrize("name", ["%22", "two%0Alines", "%0d"])
def test_a_name_that_a_form_cannot_have_is_refused_beside_files_and_arrives_alone(echo, name):
    assert echo.send(text={name: 1})["text"] == {name: 1}
    with pytest.raises(TypeError, match="beside files, values are parts of a form, where none can have the name"):
        echo.send(text={name: 1}, files=[("a.bin", b"x")])


def test_files_are_paths_open_files_and_bytes(recorder, photo):
    with Frontend(recorder.url) as frontend, photo.open("rb") as opened, photo.open("rb") as begun:
        begun.seek(4)
        frontend.send(
            files=[
                photo,
                str(photo),
                opened,
                begun,
                ("notes.txt", b"Sit!"),
                ("map", io.BytesIO(b"\0"), "image/png"),
                io.BytesIO(b"nameless"),
            ]
        )
    assert recorder.calls == [
        (
            {},
            [
                ("file", "rex.jpg", "image/jpeg", JPEG),
                ("file", "rex.jpg", "image/jpeg", JPEG),
                ("file", "rex.jpg", "image/jpeg", JPEG),
                ("file", "rex.jpg", "image/jpeg", JPEG[4:]),
                ("file", "notes.txt", "text/plain", b"Sit!"),
                ("file", "map", "image/png", b"\0"),
                ("file", "file", OCTETS, b"nameless"),
            ],
        )
    ]


def test_a_dict_of_files_gives_them_their_keys(echo, photo):
    files = {"photo": photo, "more": [("a.txt", b"1"), ("b.txt", b"22")]}
    assert echo.send(files=files)["files"] == [
        ["photo", "rex.jpg", "image/jpeg", len(JPEG)],
        ["more", "a.txt", "text/plain", 1],
        ["more", "b.txt", "text/plain", 2],
    ]


@pytest.mark.parametrize("name", ['Süße "Ente".jpg', "犬.png", "a;b=c.txt", "two\r\nlines", '"\n\r"%'])
def test_names_arrive_as_they_are(echo, name):
    assert echo.send(files={name: (name, b"x")})["files"][0][:2] == [name, name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ["Rex"]}, "text is a dict, as in text={'name': 'Rex'}, not list"),
        ({"text": {1: "Rex"}}, "the keys of text are text, which 1 is not"),
        ({"text": {"when": datetime(2026, 1, 1, tzinfo=timezone.utc)}}, "text cannot be sent as application/json: "),
        ({"text": {"n": float("nan")}}, "text cannot be sent as application/json: "),
        ({"files": "rex.jpg"}, r"files takes a list, as in files=\['rex.jpg'\]"),
        ({"files": [io.StringIO("Rex")]}, r"a file to send is a path, a file opened by open\(…, 'rb'\), or"),
        ({"files": [b"Rex"]}, r"a file to send is a path, .* not bytes"),
    ],
)
def test_what_cannot_be_sent_is_a_type_error_that_says_what_can(echo, arguments, message):
    with pytest.raises(TypeError, match=message):
        echo.send(**arguments)


def test_a_file_that_is_not_there_is_an_error_of_the_system(echo):
    with pytest.raises(FileNotFoundError):
        echo.send(files=["no/such/photo.jpg"])


def test_a_stream_without_an_end_in_sight_is_sent_in_chunks(recorder):
    read, write = os.pipe()
    with open(read, "rb") as source, open(write, "wb") as sink, Frontend(recorder.url) as frontend:
        sink.write(JPEG)
        sink.close()
        frontend.send(files=[("rex.jpg", source)])
    assert recorder.calls == [({}, [("file", "rex.jpg", "image/jpeg", JPEG)])]


@on_posix
def test_a_named_pipe_is_opened_once_and_read_to_its_end(recorder, tmp_path):
    os.mkfifo(tmp_path / "rex.jpg")
    writer = threading.Thread(target=lambda: (tmp_path / "rex.jpg").write_bytes(JPEG))
    writer.start()
    with Frontend(recorder.url) as frontend:
        frontend.send(files=[tmp_path / "rex.jpg"])
    writer.join(SECONDS)
    assert recorder.calls == [({}, [("file", "rex.jpg", "image/jpeg", JPEG)])]


def test_a_file_that_becomes_shorter_meanwhile_is_no_call(recorder, tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(bytes(3 << 20))

    def cut(sent, total):
        os.truncate(path, 1 << 20)

    with Frontend(recorder.url) as frontend:
        with pytest.raises(CallError, match=r"log.txt became .* bytes shorter"):
            frontend.send(files=[path], progress=cut)
        frontend.send(text={"name": "Rex"})
    assert recorder.calls == [({"name": "Rex"}, [])]


# Answers


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [], "Rex", 3, 1.5, True, None])
def test_a_value_comes_back_as_it_is(serve, value):
    with Frontend(serve(lambda text, data: value).url) as frontend:
        got = frontend.send()
        assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize("content", [JPEG, JPEG * 50_000, b""], ids=["small", "large", "empty"])
def test_a_file_comes_back_as_bytes_that_know_their_name(serve, tmp_path, content):
    reply = tmp_path / "réply.jpg"
    reply.write_bytes(content)
    with Frontend(serve(lambda text, data: file_return(reply)).url) as frontend:
        out = frontend.send({"name": "Rex"})
    with open(tmp_path / "old.jpg", "wb") as file:
        file.write(out)
    assert (tmp_path / "old.jpg").read_bytes() == out == content
    assert isinstance(out, bytes)
    assert (out.filename, out.content_type) == ("réply.jpg", "image/jpeg")
    again = pickle.loads(pickle.dumps(out))
    assert (again, again.filename, again.content_type) == (content, "réply.jpg", "image/jpeg")


def test_bytes_come_back_as_a_file_without_a_name(serve, tmp_path):
    with Frontend(serve(lambda text, data: b"\0\1").url) as frontend:
        out = frontend.send()
    assert (out, out.filename, out.content_type) == (b"\0\1", "", OCTETS)
    assert out.save(tmp_path).name == "answer.bin"


def test_a_file_is_saved_in_a_folder_under_a_name_that_nothing_there_had(tmp_path):
    file = ReceivedFile(JPEG, "../../rex?.jpg", "image/jpeg")
    assert [file.save(tmp_path) for _ in range(2)] == [tmp_path / "rex_.jpg", tmp_path / "rex_ (2).jpg"]
    assert file.save(tmp_path / "other.jpg") == tmp_path / "other.jpg"
    ReceivedFile(b"new").save(tmp_path / "other.jpg")
    with pytest.raises(FileNotFoundError) as raised:
        file.save(tmp_path / "no" / "other.jpg")
    assert raised.value.filename == str(tmp_path / "no" / "other.jpg")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "rex_.jpg": JPEG,
        "rex_ (2).jpg": JPEG,
        "other.jpg": b"new",
    }


@on_posix
def test_what_is_no_file_is_written_to_and_a_link_stays_one(tmp_path):
    file = ReceivedFile(JPEG, "rex.jpg", "image/jpeg")
    os.mkfifo(tmp_path / "fifo")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    file.save(tmp_path / "fifo")
    reader.join(SECONDS)
    assert got == [JPEG]
    (tmp_path / "there.jpg").write_bytes(b"old")
    (tmp_path / "link.jpg").symlink_to("there.jpg")
    assert file.save(tmp_path / "link.jpg") == tmp_path / "link.jpg"
    assert (tmp_path / "link.jpg").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"fifo", "there.jpg", "link.jpg"}
    assert (tmp_path / "there.jpg").read_bytes() == JPEG


def test_an_answer_that_breaks_off_is_an_error_and_leaves_no_file(scripted, tmp_path):
    cut = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc"
    server = scripted(cut, cut, answer())
    with Frontend(server.url) as frontend:
        with pytest.raises(NoAnswer, match=r"broke off: of its body 3 bytes came, and 7 are missing\.$"):
            frontend.send()
        with frontend.stream() as broken, pytest.raises(NoAnswer):
            broken.save(tmp_path)
        assert [*tmp_path.iterdir()] == []


def test_an_answer_of_a_length_that_nobody_can_read_is_an_error(scripted):
    long = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %b\r\nConnection: close\r\n\r\nabc" % (
        b"1" * 5000
    )
    chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n-5\r\nabc\r\n"
    server = scripted(long, chunk)
    with Frontend(server.url) as frontend:
        for _ in range(2):
            with pytest.raises(NoAnswer, match=r"The answer of http://.* broke off: "):
                frontend.send()


def test_an_answer_that_is_not_what_it_says_is_an_error(scripted):
    server = scripted(answer(b"200 OK", b"{", b"Content-Type: application/json"))
    told = r"The answer is application/json that cannot be read\. .* line 1, column 2"
    with Frontend(server.url) as frontend, pytest.raises(CallError, match=told):
        frontend.send()


def test_an_answer_whose_name_cannot_be_read_is_a_file_without_one(scripted):
    two = b'Content-Disposition: attachment; filename="a.png"; filename="b.png"'
    with Frontend(scripted(answer(b"200 OK", JPEG, b"Content-Type: image/jpeg", two)).url) as frontend:
        out = frontend.send()
    assert (out, out.filename, out.content_type) == (JPEG, "", "image/jpeg")


def test_an_answer_that_a_proxy_has_packed_is_unpacked(scripted):
    packed = bytes.fromhex("1f8b08000000000000034b4c4a0600c241243503000000")
    with Frontend(scripted(answer(b"200 OK", packed, b"Content-Encoding: gzip")).url) as frontend:
        assert frontend.send() == b"abc"


def test_an_answer_that_is_only_begun_does_not_spoil_the_next_one(serve):
    replies = iter([file_return(bytes(8 << 20)), {"status": "yes"}])
    with Frontend(serve(lambda text, data: next(replies)).url) as frontend:
        with frontend.stream() as begun:
            assert (begun.status, begun.size, len(next(begun.blocks())) > 0) == (200, 8 << 20, True)
        assert frontend.send() == {"status": "yes"}


# Errors


def refuse(text, data):
    raise Problem(409, "The dog is out.", title="Not now", type="https://dogs.example/out", hint="Wait.", seconds=3)


def test_a_refusal_is_an_exception_with_the_fields_of_the_problem(serve):
    with Frontend(serve(refuse).url) as frontend, pytest.raises(Refused) as caught:
        frontend.send(text={"name": "Rex"})
    error = caught.value
    assert (error.status, error.title, error.detail) == (409, "Not now", "The dog is out.")
    assert (error.type, error.fields) == ("https://dogs.example/out", {"hint": "Wait.", "seconds": 3})
    assert error.request_id == error.headers["x-request-id"]
    assert str(error) == f"409 Not now: The dog is out. Wait. (request {error.request_id})"
    assert isinstance(error, IzzatiError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_failure_of_the_callback_is_told_with_the_id_in_the_servers_log(serve):
    with Frontend(serve(lambda text, data: 1 / 0).url) as frontend, pytest.raises(Refused) as caught:
        frontend.send()
    assert caught.value.status == 500
    assert str(caught.value).count(caught.value.request_id) == 1


@pytest.mark.parametrize(
    ("reply", "told", "value"),
    [
        (Reply({"error": "no dog"}, 404), "404 Not Found", {"error": "no dog"}),
        (Reply("no dog", 404), "404 Not Found: no dog", "no dog"),
    ],
)
def test_a_reply_with_the_status_of_an_error_is_an_exception_with_its_value(serve, reply, told, value):
    with Frontend(serve(lambda text, data: reply).url) as frontend, pytest.raises(Refused) as caught:
        frontend.send()
    assert str(caught.value).startswith(told)
    assert caught.value.value == value


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (answer(b"502 Bad Gateway", b"<html>", b"Content-Type: text/html"), "502 Bad Gateway"),
        (answer(b"503 ", b"Down.", b"Content-Type: text/plain"), "503 Service Unavailable: Down."),
        (answer(b"400 Bad Request", b"{", b"Content-Type: application/problem+json"), "400 Bad Request"),
        (answer(b"299 Well", b"", b"Content-Type: text/plain"), None),
        (
            answer(b"308 Permanent Redirect", b"", b"Location: https://dogs.example/"),
            "308 Permanent Redirect: It has moved to https://dogs.example/, so call that. No call is made twice.",
        ),
    ],
)
def test_answers_of_other_servers_are_told_by_what_they_have(scripted, raw, told):
    with Frontend(scripted(raw).url, retries=0) as frontend:
        if told is None:
            assert frontend.send() == b""
        else:
            with pytest.raises(Refused) as caught:
                frontend.send()
            assert str(caught.value) == told


class Closed:
    """Refuses everyone before the body has come."""

    @hookimpl
    def izzati_admit(self, request):
        if request.path == "/closed":
            raise Problem(403, "Closed.")


def test_an_upload_that_is_refused_at_once_is_not_sent_to_its_end(serve, tmp_path):
    film = tmp_path / "film.mp4"
    with film.open("wb") as file:
        file.truncate(1 << 30)
    sent = []
    served = serve({"/": lambda text, data: text, "/closed": refuse}, plugins=[Closed()])
    with Frontend(f"{served.url}/closed") as frontend:
        for _ in range(2):
            with pytest.raises(Refused, match="403 Forbidden: Closed"):
                frontend.send(files=[film], progress=lambda done, total: sent.append(done))
    assert max(sent) < 1 << 29


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_is_not_there_is_not_reached():
    told = r"http://127.0.0.1:\d+ cannot be reached: Connection refused\."
    with Frontend(f"127.0.0.1:{free_port()}", retries=0) as frontend, pytest.raises(NotReached, match=told):
        frontend.send(text={"name": "Rex"})
    assert issubclass(NotReached, OSError)  # as what 1.x raised was


def test_a_server_that_does_not_speak_tls_is_told_apart_from_one_that_is_not_there(serve):
    told = r"cannot be reached: what answers there does not speak TLS; its URL may begin with http://\."
    url = serve(port).url.replace("http", "https")
    with Frontend(url, retries=0) as frontend, pytest.raises(NotReached, match=told):
        frontend.send()


def test_connecting_is_tried_again(scripted):
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listening = threading.Timer(0.1, listener.listen)  # which says when the server starts
        listening.start()
        got = []
        with Frontend(f"127.0.0.1:{listener.getsockname()[1]}", retries=9) as frontend:
            caller = threading.Thread(target=lambda: got.append(frontend.send(text={"name": "Rex"})))
            caller.start()
            listening.join()
            listener.settimeout(SECONDS)
            with closing(listener.accept()[0]) as sock:
                sock.recv(65536)
                sock.sendall(JSON_ANSWER)
                caller.join(SECONDS)
        assert got == [{}]


@pytest.mark.parametrize("failed", [None, answer(b"503 Down", b"", b"Retry-After: 0"), answer(b"502 Bad Gateway")])
def test_a_call_is_repeated_only_if_it_is_said_to_be_safe(scripted, photo, failed):
    once, twice = scripted(failed), scripted(failed, JSON_ANSWER)
    with Frontend(once.url) as frontend, pytest.raises((NoAnswer, Refused)):
        frontend.send(files=[photo])
    assert len(once.requests) == 1
    with Frontend(twice.url) as frontend, photo.open("rb") as opened:
        assert frontend.send(files=[opened], safe=True) == {}
    first, second = [body for _, body in twice.requests]
    assert first == second


def test_a_refusal_for_good_is_not_repeated_though_it_would_be_safe(scripted):
    server = scripted(answer(b"404 Not Found"))
    with Frontend(server.url) as frontend, pytest.raises(Refused):
        frontend.send(safe=True)
    assert len(server.requests) == 1


def test_what_can_be_read_only_once_is_not_repeated(scripted):
    read, write = os.pipe()
    os.close(write)
    server = scripted(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n")
    with open(read, "rb") as source, Frontend(server.url) as frontend, pytest.raises(Refused):
        frontend.send(files=[("empty.txt", source)], safe=True)
    assert len(server.requests) == 1


def test_a_server_that_is_silent_for_too_long_gives_no_answer(serve):
    over = threading.Event()
    served = serve(lambda text, data: over.wait(SECONDS))
    with Frontend(served.url, timeout=0.2) as frontend:
        with pytest.raises(NoAnswer, match="gave no answer: it was silent for too long"):
            frontend.send()
        over.set()


def test_errors_say_nothing_of_a_password(serve):
    def secret(text, data):
        raise Problem(403, "No.")

    url = serve(secret).url.replace("http://", "http://ann:hunter2@")
    with Frontend(url) as frontend, pytest.raises(Refused) as caught:
        frontend.send()
    assert "hunter2" not in f"{caught.value} {frontend!r}"
    with pytest.raises(ValueError, match="the header 'Authorization' has a character that cannot be sent") as refused:
        Frontend("localhost", token="hunter2\n")
    assert "hunter2" not in str(refused.value)


# Where it calls, and as whom


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("localhost", "http://localhost:5020"),
        ("localhost:8000/dogs?a=b", "http://localhost:8000/dogs?a=b"),
        (":5020/dogs", "http://localhost:5020/dogs"),
        ("[::1]", "http://[::1]:5020"),
        ("http://localhost", "http://localhost"),
        ("https://ann:pw@dogs.example/x#part", "https://dogs.example/x"),
    ],
)
def test_a_url_is_completed_to_what_run_serves(url, whole):
    assert Frontend(url).url == whole


@pytest.mark.parametrize(
    "url", ["", "ftp://localhost", "http://", "localhost:port", "http://[::1", "file:///etc/hosts"]
)
def test_what_is_no_url_is_an_error_that_quotes_it(url):
    with pytest.raises(ValueError, match="is no URL"):
        Frontend(url)


@pytest.mark.parametrize(
    ("url", "options", "sent"),
    [
        ("", {"token": "s3cret"}, {"Authorization": "Bearer s3cret"}),
        ("", {"auth": ("ann", "ö:p")}, {"Authorization": "Basic YW5uOsO2OnA="}),
        ("ann:a%20b@", {}, {"Authorization": "Basic YW5uOmEgYg=="}),
        ("", {"headers": {"accept": "text/csv", "X-Dog": "Rex"}}, {"Accept": "text/csv", "X-Dog": "Rex"}),
        ("", {}, {"Accept": "application/json, */*;q=0.9", "User-Agent": "izzati", "Authorization": None}),
    ],
)
def test_headers_say_who_calls_and_what_it_wants(serve, url, options, sent):
    served = serve(lambda text, data, *, request: {name: request.headers.get(name) for name in sent})
    with Frontend(served.url.replace("http://", f"http://{url}"), **options) as frontend:
        assert frontend.send() == sent


def test_calls_go_through_the_proxy_of_the_environment(scripted, monkeypatch):
    proxy = scripted(JSON_ANSWER)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "localhost")
    with Frontend("http://dogs.invalid/rex") as frontend:
        assert frontend.send(text={"name": "Rex"}) == {}
    assert proxy.requests[0][0].startswith(b"POST http://dogs.invalid/rex HTTP/1.1\r\n")


def test_a_proxy_that_is_not_there_is_named_without_its_password(monkeypatch):
    number = free_port()
    monkeypatch.setenv("http_proxy", f"http://ann:secret@127.0.0.1:{number}")
    told = rf"^http://dogs.invalid/rex cannot be reached through the proxy 127.0.0.1:{number}: Connection refused\.$"
    with Frontend("http://dogs.invalid/rex", retries=0) as frontend, pytest.raises(NotReached, match=told):
        frontend.send()


# Connections


def port(text, data, *, request):
    return int(request.environ["REMOTE_PORT"])


def test_a_connection_is_used_again(serve):
    with Frontend(serve(port).url) as frontend:
        assert len({frontend.send(text={"n": n}) for n in range(5)}) == 1
        frontend.close()
        assert frontend.send() > 0


def test_many_threads_share_a_frontend_and_each_gets_its_own_answers(echo):
    wrong = []

    def call(number):
        for n in range(20):
            text = {"number": number, "n": n}
            if echo.send(text=text, files=[("a", bytes(number))])["text"] != text:
                wrong.append(text)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert wrong == []


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")
def test_a_forked_process_has_connections_of_its_own(serve):
    code = r"""
import os, sys
from izzati import Frontend
frontend = Frontend(sys.argv[1])
before = frontend.send()
child = os.fork()
os.write(1, f"{frontend.send()} {before}\n".encode())  # in one piece
if child:
    os.waitpid(child, 0)
"""
    ports = [line.split() for line in python(code, serve(port).url).splitlines()]
    assert sorted(now == before for now, before in ports) == [False, True]


def test_a_frontend_goes_to_another_process_like_any_argument(echo):
    with pickle.loads(pickle.dumps(echo)) as again:
        assert again.send(text={"name": "Rex"})["text"] == {"name": "Rex"}


@contextmanager
def over_tls(folder):
    """A server over TLS that answers the length of what it gets; its port, and the file of its certificate."""
    cryptography = pytest.importorskip("cryptography")
    assert cryptography
    from cryptography import x509  # noqa: PLC0415 - which only this test needs
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - likewise

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none)
    path = folder / "both.pem"
    path.write_bytes(private + certificate.public_bytes(pem))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.dumps(len(self.rfile.read(int(self.headers["Content-Length"])))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    class Server(http.server.HTTPServer):
        def handle_error(self, *args):
            pass  # one who does not trust it hangs up

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], path
        finally:
            server.shutdown()
            thread.join(SECONDS)


def test_https_is_spoken_to_who_is_trusted_and_to_nobody_else(tmp_path):
    with over_tls(tmp_path) as (number, certificate):
        url = f"https://localhost:{number}"
        with Frontend(url, ssl_context=ssl.create_default_context(cafile=certificate)) as frontend:
            assert frontend.send(files=[("a.bin", bytes(3 << 20))]) > 3 << 20
        with Frontend(url, retries=0) as frontend, pytest.raises(NotReached, match="certificate verify failed"):
            frontend.send()


# Codecs


def test_with_a_codec_that_can_values_travel_that_json_cannot_carry(serve, install):
    install(MessagePack, "packed")
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    with Frontend(serve(lambda text, data: text).url) as frontend:
        text = {"photo": JPEG, "at": moment, "n": 1}
        assert frontend.send(text=text) == text
        assert frontend.send(text=text, files=[("a", b"x")]) == text
        assert frontend.send(text={"n": 1}) == {"n": 1}


def test_a_media_type_is_asked_for_by_name(serve, install):
    install(MessagePack, "packed")
    served = serve(lambda text, data, *, request: {"types": [request.media_type, request.headers["Accept"]]})
    with Frontend(served.url, media_type="application/msgpack") as frontend, frontend.stream(text={"n": 1}) as got:
        assert (got.content_type, got.is_value) == ("application/msgpack", True)
        assert got.result() == {"types": ["application/msgpack", "application/msgpack, */*;q=0.9"]}


def test_a_media_type_that_nothing_writes_is_refused(install):
    with pytest.raises(ValueError, match=r"no installed plugin writes 'application/cbor'; .*\['application/json'\]"):
        Frontend("localhost", media_type="application/cbor")


class Upper(Codec):
    """A codec that somebody else wrote."""

    reads = writes = ("application/x-upper",)

    def encode(self, value, media_type):
        return json.dumps(value).upper().encode()

    def decode(self, body, request):
        return json.loads(body.decode().lower())


def test_any_installed_codec_reads_its_answers(serve, install):
    install(Upper, "upper")
    with Frontend(serve(lambda text, data: text).url, media_type="application/x-upper") as frontend:
        assert frontend.send(text={"a": "b"}) == {"a": "b"}


class Broken(Codec):
    """A codec with a slip of the pen."""

    @hookimpl
    def izzati_decode(self, bdy):
        return None


def test_a_broken_plugin_here_does_not_lose_an_answer(serve, install, caplog):
    served = serve(lambda text, data: file_return(b"a,b", "a.csv"))
    install(Broken, "broken")
    with Frontend(served.url) as frontend:
        assert frontend.send() == b"a,b"
    assert "left out: plugin 'broken'" in caplog.text


# Progress


def test_progress_is_told_from_nothing_to_all(echo, photo):
    told = []
    echo.send(files=[("a.bin", bytes(3 << 20)), photo], progress=lambda *each: told.append(each))
    done, totals = zip(*told, strict=True)
    assert (done[0], done[-1]) == (0, totals[0])
    assert len(set(totals)) == 1
    assert list(done) == sorted(done)
    assert len(done) > 10


class Slow(io.BytesIO):
    """A file that takes its time: at its second block the bar's first half second is over."""

    def read(self, size=-1):
        threading.Event().wait(0.3)
        return super().read(size)


def test_a_bar_says_how_a_slow_upload_went_and_a_quick_one_has_none(echo, capsys):
    echo.send(files=[("slow.bin", Slow(bytes(512 << 10)))], progress=True)
    assert capsys.readouterr().err.startswith("sending [########################] 100%  512 KiB of 512 KiB, ")
    echo.send(files=[("quick.bin", b"x")], progress=True)
    assert "sending" not in capsys.readouterr().err


# Other servers

GRANIAN = """
from izzati import Backend, Problem

def callback(text, data):
    if "refuse" in text:
        raise Problem(409, "Not now.", hint="Wait.")
    return data[0] if "back" in text else {"text": text, "sizes": [file.size for file in data]}

Backend(callback, only=["granian"], require=["granian"]).run("127.0.0.1", 0)
"""


@pytest.fixture
def granian(tmp_path):
    """The URL of a program that the plugin izzati-granian serves."""
    (tmp_path / "app.py").write_text(GRANIAN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IZZATI_")}
    command = [sys.executable, "app.py"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        greeting = "".join(iter(process.stderr.readline, "Ctrl-C stops it.\n"))
        reader = threading.Thread(target=process.stderr.read)  # what it logs must not fill the pipe
        reader.start()
        yield re.search(r"http://127\.0\.0\.1:\d+", greeting)[0]
        process.terminate()
        reader.join(SECONDS)


@pytest.mark.skipif(sys.platform != "linux", reason="izzati-granian serves on Linux only")
def test_a_backend_behind_granian_is_called_like_any_other(granian, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(JPEG * 100_000)
    with Frontend(granian) as frontend:
        assert frontend.send({"n": 3}) == {"text": {"n": "3"}, "sizes": []}
        assert frontend.send(text={"n": [3]}, files=[film, film]) == {
            "text": {"n": [3]},
            "sizes": [len(JPEG) * 100_000] * 2,
        }
        out = frontend.send(text={"back": 1}, files=[film])
        assert (out == film.read_bytes(), out.filename, out.content_type) == (True, "film.mp4", "video/mp4")
        with pytest.raises(Refused, match=r"409 Conflict: Not now\. Wait\."):
            frontend.send(text={"refuse": 1})


# Memory

LARGE = 256 << 20
STREAM = """
import resource, sys
from izzati import Frontend

frontend = Frontend(sys.argv[1])
frontend.send(files=[("small.bin", bytes(1 << 20))])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert frontend.send(text={"n": 1}, files=[sys.argv[2]]) == int(sys.argv[4])
with frontend.stream(text={"path": sys.argv[2]}) as answer:
    answer.save(sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted otherwise")
def test_large_files_go_up_and_come_down_at_constant_memory(serve, tmp_path):
    film, copy = tmp_path / "film.mp4", tmp_path / "copy.mp4"
    with film.open("wb") as file:
        file.truncate(LARGE)

    def callback(text, data):
        return file_return(Path(text["path"])) if "path" in text else data[0].size

    grown = int(python(STREAM, serve(callback).url, film, copy, str(LARGE)))
    assert copy.stat().st_size == LARGE
    assert grown < 16 << 10  # KiB
