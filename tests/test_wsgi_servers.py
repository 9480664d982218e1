"""A Backend behind the servers that the page about deployment names, started as it says."""

from __future__ import annotations

import hashlib
import http.client
import re
import select
import signal
import socket
import sys
from contextlib import closing, contextmanager

import pytest
from deployment import PAGE, command, running
from helpers import JPEG, SECONDS, within
from werkzeug.test import Client

from izzati.testing import Answer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn and granian's workers need a POSIX system")

APPLICATION = """
import hashlib
import socket

from izzati import Backend, Limits, file_return


def callback(text, data):
    return {"text": text, "files": [[each.name, each.filename, each.content_type, digest(each)] for each in data]}


def digest(file):
    return hashlib.sha256(file.read()).hexdigest()


def save(text, data):
    return data[0].save(text["folder"])


def file(text, data):
    return file_return(__file__)


def wait(text, data):
    with socket.create_connection(("127.0.0.1", int(text["port"])), 60) as test:
        test.recv(1)


callbacks = {"/": callback, "/save": save, "/file": file, "/wait": wait}
backend = Backend(callbacks, limits=Limits(body=16 << 20, text=64 << 10))
"""
SERVERS = ["izzati", "gunicorn", "waitress-serve", "granian"]
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
JSON = {"Content-Type": "application/json"}
KINDS = {"application/problem+json": "JSON", "text/html": "HTML", "text/plain": "plain text", None: "empty"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the application."""

    def make(name):
        path = tmp_path_factory.mktemp(name)
        (path / "app.py").write_text(APPLICATION)
        (path / "spool").mkdir()
        return path

    return make


@pytest.fixture(scope="module", params=SERVERS)
def name(request):
    """The first word of the server's command."""
    return request.param


@pytest.fixture(scope="module")
def server(name, folder):
    """It, for all tests that leave it running."""
    where = folder(name)
    with running(command(name), where, IZZATI_SPOOL_FOLDER=str(where / "spool")) as program:
        yield program


@pytest.fixture
def start(name, folder):
    """``with start() as server``: one more, to be ended; ``start(one_thread=True)`` has one thread in one process."""

    @contextmanager
    def start_another(*, one_thread=False):
        words = command(name)
        if one_thread:
            for option in {"--threads", "--blocking-threads", "--workers"} & set(words):
                words[words.index(option) + 1] = "1"
        with running(words, folder(name), **({"IZZATI_SERVER_THREADS": "1"} if one_thread else {})) as program:
            yield program

    return start_another


def test_json_arrives_and_is_answered(server):
    answer = server.ask(b'{"a": [1, {"b": null}]}', JSON, path="/?name=H%C3%BCtte")
    assert (answer.status, answer.json["text"]) == (200, {"name": "H\u00fctte", "a": [1, {"b": None}]})
    assert answer.headers["Content-Type"] == "application/json"


def test_a_form_with_a_file_arrives(server):
    form = (
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nRex\r\n'
        b'--b\r\nContent-Disposition: form-data; name="photo"; filename="rex.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        + JPEG
        + b"\r\n--b--\r\n"
    )
    answer = server.ask(form, {"Content-Type": "multipart/form-data; boundary=b"})
    files = [["photo", "rex.jpg", "image/jpeg", hashlib.sha256(JPEG).hexdigest()]]
    assert answer.json == {"text": {"name": "Rex"}, "files": files}


def test_a_raw_body_arrives(server):
    headers = {"Content-Type": "image/jpeg", "Content-Disposition": "attachment; filename*=UTF-8''h%C3%BCtte.jpg"}
    answer = server.ask(JPEG, headers)
    assert answer.json["files"] == [["", "h\u00fctte.jpg", "image/jpeg", hashlib.sha256(JPEG).hexdigest()]]


@pytest.mark.parametrize("headers", [{}, JSON])
def test_a_request_without_a_body_arrives_whatever_type_it_says(server, headers):
    with server.connect() as sock:
        fields = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        sock.sendall(f"POST /?a=1 HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
        assert read(sock).json == {"text": {"a": "1"}, "files": []}


def test_a_chunked_body_arrives(server):
    answer = server.ask(iter([b'{"a"', b": 1}"]), JSON, chunked=True)
    assert answer.json["text"] == {"a": 1}
    photo = server.ask(iter([JPEG[:5], JPEG[5:]]), {"Content-Type": "image/jpeg"}, chunked=True)
    assert photo.json["files"][0][-1] == hashlib.sha256(JPEG).hexdigest()


def test_a_large_upload_goes_through_the_spool_and_is_saved(server, tmp_path):
    large = bytes(range(256)) * 32_768
    headers = {"Content-Type": "video/mp4", "Content-Disposition": "attachment; filename=rex.mp4"}
    answer = server.ask(large, headers, path=f"/save?folder={tmp_path}")
    assert answer.json == str(tmp_path / "rex.mp4")
    assert (tmp_path / "rex.mp4").read_bytes() == large


def test_a_file_is_sent_with_its_length_and_type(server):
    answer = server.ask(path="/file")
    assert answer.body.decode() == APPLICATION
    assert answer.headers["Content-Length"] == str(len(APPLICATION))
    assert answer.headers["Content-Type"].startswith("text/x-python")


def test_the_health_check_answers(server):
    assert server.ask(method="GET", path="/healthz").body == b"OK\n"
    assert server.ask(method="HEAD", path="/healthz").body == b""


@pytest.mark.parametrize(
    ("status", "body", "kind", "member"),
    [
        (400, b"{a}", "application/json", ("column", 2)),
        (413, b'"' + b"a" * 100_000 + b'"', "application/json", ("limit", "text")),
        (415, b"a", "application/cbor", ("title", "Unsupported Media Type")),
    ],
)
def test_a_refusal_is_a_problem_in_json(server, status, body, kind, member):
    answer = server.ask(body, {"Content-Type": kind})
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert member in answer.json.items()


def test_every_answer_has_an_id_of_its_own(server):
    answers = [server.ask(), server.ask(path="/nowhere"), server.ask(method="GET", path="/healthz")]
    assert len({answer.headers["X-Request-Id"] for answer in answers} - {None}) == len(answers)


def test_proxy_fix_around_a_backend_gives_the_callback_the_address_that_the_proxy_saw():
    (block,) = [
        block for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if "ProxyFix" in block
    ]
    names = {}
    exec(block, names)
    answer = Client(names["app"]).post("/", headers={"X-Forwarded-For": "192.0.2.1, 192.0.2.7"})
    assert answer.json == {"address": "192.0.2.7"}


@pytest.mark.parametrize("name", SERVERS[1:])
def test_one_with_background_true_is_refused_from_the_first_request_on(name, tmp_path):
    (tmp_path / "app.py").write_text(
        "from izzati import Backend\nbackend = Backend(lambda q, text, data: {}, background=True)\n"
    )
    with running(command(name), tmp_path) as server:
        assert server.ask(method="GET", path="/healthz").status == 500
        assert "p, q = background(function); Backend(callback, args=(q,))" in server.log


# What each does in its own way; the page's table has what these find out.


def cell(row, name):
    """What the page's table says of a server."""
    table = PAGE.partition("## What each does in its own way")[2]
    titles, *rows = [
        [each.strip() for each in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", table, re.MULTILINE)
    ]
    (cells,) = [cells for cells in rows if cells[0] == row]
    return cells[titles.index({"izzati": "built-in", "waitress-serve": "waitress"}.get(name, name))]


def read(sock):
    """One answer."""
    response = http.client.HTTPResponse(sock, method="POST")
    response.begin()
    return Answer(response.status, response.reason, response.headers, response.read())


def told(server, data, *, then_close=False):
    """What comes back for these bytes, in a few words."""
    with server.connect() as sock:
        sock.sendall(data)
        if then_close:
            sock.shutdown(socket.SHUT_WR)
        try:
            answer = read(sock)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            return "no answer"
    if answer.status == 200:
        return "taken"
    return f"{answer.status}, {KINDS[(answer.headers['Content-Type'] or '').partition(';')[0] or None]}"


@pytest.mark.parametrize(
    ("row", "data", "then_close"),
    [
        ("chunks that break off", CHUNKED + b"3\r\nabc\r\n", True),
        ("a chunk of a negative size", CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", False),
        ("`Content-Length` beside chunks", CHUNKED[:-2] + b"Content-Length: 9\r\n\r\n3\r\nabc\r\n0\r\n\r\n", False),
        ("a length that ends early", HEAD + b"Content-Length: 9\r\n\r\nabc", True),
        ("what is not HTTP", b"nonsense\r\n\r\n", False),
        ("70 KB of headers", HEAD + b"X-A: " + b"a" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n", False),
        ("a foreign `Host`", HEAD.replace(b"localhost", b"elsewhere.example") + b"Content-Length: 0\r\n\r\n", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_table_says_how_it_answers(server, name, row, data, then_close):
    assert told(server, data, then_close=then_close) == cell(row, name)


def test_the_table_says_how_it_writes_the_names_of_headers(server, name):
    with server.connect() as sock:
        sock.sendall(b"POST /file HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        received = b""
        while b"\r\n\r\n" not in received:
            received += sock.recv(65536)
    (written,) = re.findall(r"^(etag): ", received.decode("latin-1"), re.MULTILINE | re.IGNORECASE)
    assert f"`{written}`" == cell("sends `ETag` as", name)


def test_the_table_says_whether_a_body_that_is_refused_is_asked_for(server, name):
    with server.connect() as sock:
        head = HEAD.replace(b"image/png", b"application/cbor")
        sock.sendall(head + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        asked_for = sock.recv(65536).startswith(b"HTTP/1.1 100 ")
    assert ("asked for" if asked_for else "not asked for") == cell("`100-continue`, and a refusal", name)


def test_the_table_says_when_a_length_beyond_the_limit_is_refused(server, name):
    too_long = 17 << 20
    with server.connect() as sock:
        sock.sendall(HEAD + f"Content-Length: {too_long}\r\n\r\n".encode())
        if cell("a length beyond `Limits.body`", name) == "refused when it is read":
            sock.sendall(bytes(too_long - 1))
            assert select.select([sock], [], [], 0)[0] == []
            sock.sendall(b"0")
        else:
            assert cell("a length beyond `Limits.body`", name) == "refused at once"
        assert (read(sock).status) == 413


def test_the_table_says_whether_a_caller_that_goes_on_sending_can_read_so(server, name):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)) as caller:
        try:
            caller.request("POST", "/", bytes(48 << 20), {"Content-Type": "image/png"})
            found = f"reads the {caller.getresponse().status}"
        except (ConnectionResetError, BrokenPipeError):
            found = "sees a reset"
    assert found == cell("48 MiB where 16 are taken", name)


def test_the_table_says_whom_a_slow_caller_holds_up(start, name):
    with start(one_thread=True) as server, server.connect() as slow, server.connect() as other:
        slow.sendall(HEAD + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        assert slow.recv(65536).startswith(b"HTTP/1.1 100 ")  # so its body is being read
        slow.sendall(b"abc")
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if cell("a caller that sends slowly", name) == "has a thread":
            assert select.select([other], [], [], 0.3)[0] == []
            slow.sendall(b"defghi")
        else:
            assert cell("a caller that sends slowly", name) == "has none"
        assert read(other).status == 200


def test_the_table_says_how_it_ends(start, name):
    with start() as server, socket.create_server(("127.0.0.1", 0)) as test, server.connect() as caller:
        if name == "granian":
            # One of its workers that is told to end while it starts goes on.
            assert within(SECONDS, lambda: server.log.count("Started worker-") == 2), server.log
        port = test.getsockname()[1]
        caller.sendall(f"POST /wait?port={port} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        test.settimeout(SECONDS)
        callback, _ = test.accept()
        with callback:
            server.process.send_signal(signal.SIGTERM)
            if cell("SIGTERM, with a request in flight", name) == "answered":
                callback.sendall(b"!")
                assert read(caller).status == 200
            else:
                assert cell("SIGTERM, with a request in flight", name) == "cut off"
                assert caller.recv(1) == b""
        assert f"`{server.process.wait(SECONDS)}`" == cell("exit code after SIGTERM", name)


def test_the_table_says_whether_requests_are_logged(server, name):
    answer = server.ask(path="/?a=1")
    logged = re.search(r"POST / 200 ", server.log) is not None
    assert answer.status == 200
    assert ("yes" if logged else "no") == cell("izzati's line for each request", name)
