"""The built-in server: connections, early refusals, signals."""

from __future__ import annotations

import bz2
import ctypes
import gzip
import http.client
import lzma
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from helpers import status, within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from izzati import Backend, Listen, PluginError, Problem, Reply, file_return, hookimpl
from izzati.builtin import drain
from izzati.builtin.server import ThreadServer
from izzati.discovery import DEFAULTS
from izzati.testing import read_answer

EMPTY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


def head(*headers, length=0, path="/"):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *headers]
    return "\r\n".join([*lines, "\r\n"]).encode()


class Refusing:
    """A plugin for tests that lets nobody in."""

    @hookimpl
    def izzati_identify(self, request):
        raise Problem(403, "Not you.")


class TestConnections:
    def test_one_connection_carries_many_requests(self, recorder):
        with recorder.connect() as sock:
            for number in range(3):
                sock.sendall(head(path=f"/?n={number}"))
                assert read_answer(sock).status == 200
        assert [text["n"] for text, _ in recorder.calls] == ["0", "1", "2"]

    def test_pipelined_requests_are_answered_in_order(self, serve):
        served = serve(lambda text, data: text)
        with served.connect() as sock:
            sock.sendall(head(path="/?n=0") + head(path="/?n=1") + head("Connection: close", path="/?n=2"))
            raw = b"".join(iter(lambda: sock.recv(65536), b""))
        assert re.findall(rb'\{"n":"(\d)"\}', raw) == [b"0", b"1", b"2"]

    @pytest.mark.parametrize("cut", range(4))
    def test_line_ends_before_a_request_mean_nothing(self, recorder, cut):
        """Small devices send one behind a body."""
        with recorder.connect() as sock:
            for number in range(3):
                request = head(path=f"/?n={number}")
                sock.sendall(request + b"\r\n\r\n"[:cut])
                assert read_answer(sock).status == 200
                sock.sendall(b"\r\n\r\n"[cut:])
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
        assert [text["n"] for text, _ in recorder.calls] == ["0", "1", "2"]

    def test_the_beginning_of_a_request_behind_another_has_a_heads_time(self, serve):
        served = serve(lambda text, data: text, options={"server": {"head_seconds": 0.05}})
        with served.connect() as sock:
            sock.sendall(head() + b"\r\nPOST / HTT")
            raw = b"".join(iter(lambda: sock.recv(65536), b""))
        assert re.findall(rb"HTTP/1.1 (\d+)", raw) == [b"200", b"408"]

    def test_http_1_0_is_answered_and_closed(self, recorder):
        with recorder.connect() as sock:
            sock.sendall(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
            raw = b"".join(iter(lambda: sock.recv(65536), b""))
        assert b" 200 " in raw
        assert b"Transfer-Encoding" not in raw

    def test_a_client_that_asks_for_an_upgrade_gets_an_ordinary_answer(self, recorder):
        with recorder.connect() as sock:
            for _ in range(2):
                sock.sendall(head("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"))
                assert read_answer(sock).status == 200

    def test_head_has_no_body_and_the_connection_goes_on(self, serve):
        served = serve(lambda text, data: {})
        with served.connect() as sock:
            sock.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_answer(sock, "HEAD").status == 405
            sock.sendall(EMPTY)
            assert read_answer(sock).status == 200

    def test_idle_connections_give_way_to_new_ones(self, serve):
        served = serve(lambda text, data: {}, options={"server": {"threads": 3}})
        idle = [served.connect() for _ in range(3)]
        for sock in idle:
            sock.sendall(EMPTY)
            assert read_answer(sock).status == 200
        assert [served.request().status for _ in range(5)] == [200] * 5
        for sock in idle:
            sock.close()

    def test_an_idle_connection_is_closed_after_its_time(self, serve):
        served = serve(lambda text, data: {}, options={"server": {"idle_seconds": 0.05, "head_seconds": 0.05}})
        with served.connect() as sock:
            assert sock.recv(1) == b""

    @pytest.mark.parametrize(
        ("target", "path"), [("/a?b=1", "/a"), ("http://localhost/a?b=1", "/a"), ("http://localhost?b=1", "/")]
    )
    def test_targets_may_be_paths_or_urls(self, serve, target, path):
        served = serve({"/a": lambda t, d: ["/a", t], "/": lambda t, d: ["/", t]})
        answer = served.raw(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        assert answer.json == [path, {"b": "1"}]

    def test_options_for_the_whole_server_are_answered(self, serve):
        served = serve(lambda text, data: {})
        assert served.raw(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 204

    def test_headers_sent_twice_are_joined_and_underscores_are_not_hyphens(self, serve):
        served = serve(lambda text, data, *, request: dict(request.headers))
        found = served.raw(head("X-A: 1", "X-A: 2", "X_A: 3", "Content_Type: evil")).json
        assert found["X-A"] == "1,2"
        assert "evil" not in found.values()


class TestContinue:
    def test_the_body_is_asked_for_when_it_is_first_read(self, recorder):
        with recorder.connect() as sock:
            sock.sendall(head("Expect: 100-continue", "Content-Type: image/png", length=3))
            assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
            sock.sendall(b"abc")
            assert read_answer(sock).status == 200
        assert recorder.calls[0][1][0][3] == b"abc"

    @pytest.mark.parametrize(
        ("path", "plugins", "length", "status"),
        [("/wrong", [], 3, 404), ("/", [Refusing()], 3, 403), ("/", [], 2 << 30, 413)],
    )
    def test_a_refused_body_is_never_asked_for(self, serve, path, plugins, length, status):
        served = serve(lambda text, data: {}, plugins=plugins)
        with served.connect() as sock:
            sock.sendall(head("Expect: 100-continue", "Content-Type: image/png", length=length, path=path))
            answer = read_answer(sock)
            assert (answer.status, answer.headers["Connection"]) == (status, "close")


class TestEarlyRefusal:
    @pytest.mark.parametrize(("path", "plugins"), [("/wrong", []), ("/", [Refusing()])])
    def test_a_caller_that_sends_on_reads_the_answer_and_no_reset(self, serve, path, plugins):
        read = []

        class Watch:
            @hookimpl
            def izzati_finalize(self, response, request):
                read.append(request.body.received)

        served = serve(lambda text, data: {}, plugins=[*plugins, Watch()])
        answer = served.request(b"x" * (20 << 20), {"Content-Type": "image/png"}, path=path)
        assert answer.status in (403, 404)
        assert answer.headers["Connection"] == "close"
        assert read == [0]

    def test_a_small_body_that_nobody_read_does_not_end_the_connection(self, serve):
        served = serve({"/a": lambda text, data: {}})
        with served.connect() as sock:
            sock.sendall(head(length=3, path="/wrong") + b"abc")
            assert read_answer(sock).status == 404
            sock.sendall(head(path="/a"))
            assert read_answer(sock).status == 200


PROTOCOL_ERRORS = {
    "no HTTP": b"nonsense\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "no host": b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two hosts": b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
    "a length that is no number": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "conflicting lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length beside chunks": head("Transfer-Encoding: chunked", length=3) + b"0\r\n\r\n",
    "an unknown transfer coding": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a target that is no path": b"POST example:80 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "a URL without a host": b"POST http:// HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "a URL with a bad port": b"POST http://localhost:x/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "a URL with a user": b"POST http://ann@localhost/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "an asterisk": b"POST * HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a broken address": b"POST http://[ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two media types": head("Content-Type: text/plain", "Content-Type: application/json", length=0),
    "a space before the colon": b"POST / HTTP/1.1\r\nHost : localhost\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("case", PROTOCOL_ERRORS)
def test_what_is_no_http_is_refused_and_the_connection_closed(recorder, case):
    with recorder.connect() as sock:
        sock.sendall(PROTOCOL_ERRORS[case])
        sock.shutdown(socket.SHUT_WR)
        answer = read_answer(sock)
        assert 400 <= answer.status < 600
        assert answer.status != 500
        assert answer.headers.get_all("Connection") == ["close"]
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["detail"].endswith(".")
        assert "bytearray" not in answer.json["detail"]
        assert len(answer.headers["X-Request-Id"]) == 16
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert sock.recv(1) == b""
    assert recorder.calls == []
    assert recorder.request().status == 200


BAD_CHUNKS = (
    *(b"0x3\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"\r\nabc"),
    *(b"3\nabc\n0\n\n", b"3\rabc\r0"),  # the ends of their lines are none, and no other would come
    *(b"3;a\rb\r\nabc\r\n0\r\n\r\n", b"3;\0\r\nabc\r\n0\r\n\r\n", b"0\r\n\n", b"0\r\nX: y\n\n", b"0\r\nX: \0\r\n\r\n"),
    *(b"1\r\na\r\n" * 1001,),
    *(b"1%b3\r\nabc" % (b"0" * 15), b"3;" + b"x" * 20_000, b"3\r\nabc\rd", b"0\r\nX: " + b"y" * 20_000),
)


def test_who_sends_many_requests_at_once_takes_turns_with_others(serve):
    called, begun, sent = [], threading.Event(), threading.Event()

    def callback(text, data):
        called.append(text["who"])
        if text["who"] == "greedy":
            begun.set()
            sent.wait(20)
            time.sleep(0.001)  # the work

    served = serve(callback, options={"server": {"threads": 1}})
    with served.connect() as first, served.connect() as second, served.connect() as third:
        for greedy in (first, second):
            greedy.sendall(head(path="/?who=greedy") * 999)  # more than is received at once
            greedy.sendall(head("Connection: close", path="/?who=greedy"))
            greedy.shutdown(socket.SHUT_WR)  # which must not be seen before the requests are answered
        assert begun.wait(20)
        third.sendall(head(path="/?who=other"))
        sent.set()
        assert read_answer(third).status == 200
        assert called.count("greedy") < 2000
        for greedy in (first, second):
            assert b"".join(iter(lambda sock=greedy: sock.recv(65536), b"")).count(b"HTTP/1.1 200 ") == 1000


CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: image/png\r\n\r\n"


@pytest.mark.parametrize("chunk", BAD_CHUNKS)
def test_a_bad_chunk_is_a_400_in_however_many_pieces_it_comes(recorder, chunk):
    answer = recorder.raw(CHUNKED + chunk)
    assert (answer.status, answer.headers["Connection"]) == (400, "close")
    with recorder.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(CHUNKED)
        for byte in chunk:
            sock.sendall(bytes([byte]))
        sock.shutdown(socket.SHUT_WR)
        assert read_answer(sock).status == 400
    assert recorder.calls == []


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=300), max_size=5),
    extension=st.sampled_from([b"", b";a", b";a=b", b';a="b;c"', b";\xc3\xa9"]),
    trailer=st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: 1\r\nB: 2\r\n"]),
    cut=st.integers(0, 2000),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_chunks_arrive_as_they_were_however_they_are_cut_and_so_does_what_follows(
    recorder, chunks, extension, trailer, cut
):
    recorder.calls.clear()
    body = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    follows = head("Connection: close", "Content-Type: image/png", length=2) + b"\n\r"
    sent = CHUNKED + body + b"00\r\n" + trailer + b"\r\n" + follows
    with recorder.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(sent[:cut])
        sock.sendall(sent[cut:])
        assert b"".join(iter(lambda: sock.recv(65536), b"")).count(b"HTTP/1.1 200 ") == 2
    whole = b"".join(chunks)
    assert recorder.calls == [
        ({}, [("", "", "image/png", whole)] if whole else []),
        ({}, [("", "", "image/png", b"\n\r")]),
    ]


def test_the_host_of_a_whole_url_counts_and_not_the_header(serve):
    served = serve(lambda text, data: "yes", options={"browsers": {"allow_hosts": ["izzati.example"]}})
    target = b"POST http://%s/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n"
    assert served.raw(target % (b"izzati.example:80", b"elsewhere")).json == "yes"
    assert served.raw(target % (b"elsewhere", b"izzati.example")).status == 403


@pytest.mark.parametrize("ending", [b"", b"\r\nContent-Length: 0\r\n\r\n"])
def test_headers_beyond_the_limit_are_a_431(recorder, ending):
    answer = recorder.raw(b"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + ending)
    assert answer.status == 431
    assert "64 KiB" in answer.json["detail"]


class TestSlowCallers:
    @pytest.fixture
    def impatient(self, serve):
        return serve(lambda text, data: {}, options={"server": {"head_seconds": 0.05, "block_seconds": 0.05}})

    def test_headers_that_do_not_come_are_a_408(self, impatient):
        with impatient.connect() as sock:
            sock.sendall(b"POST / HTT")
            answer = read_answer(sock)
        assert answer.status == 408
        assert "0.05 seconds" in answer.json["detail"]

    def test_a_body_that_does_not_come_is_a_408(self, impatient):
        with impatient.connect() as sock:
            sock.sendall(head("Content-Type: image/png", length=10) + b"abc")
            answer = read_answer(sock)
        assert answer.status == 408
        assert "0.05 seconds" in answer.json["detail"]


def slow_reader(served):
    """A connection of a caller who has little room for what arrives."""
    sock = socket.socket()
    sock.settimeout(20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect(("127.0.0.1", served.port))
    return sock


class TestTrickle:
    def test_a_body_that_comes_slowly_and_steadily_may_take_as_long_as_it_needs(self, serve):
        """As from a phone: hundreds of times faster than is asked for, and much longer than ``block_seconds``."""
        served = serve(lambda text, data: data[0].size, options={"server": {"block_seconds": 0.2}})
        with served.connect() as sock:
            sock.sendall(head("Content-Type: image/png", length=400_000))
            for _ in range(100):
                sock.sendall(b"x" * 4_000)
                time.sleep(0.01)  # how fast it is sent
            assert read_answer(sock).json == 400_000

    @pytest.mark.parametrize("kind", ["bytes", "file"])
    def test_an_answer_that_is_taken_slowly_and_steadily_arrives_whole(self, serve, tmp_path, kind):
        whole = os.urandom(6_000_000)  # more than the system holds for it
        path = tmp_path / "photo.jpg"
        path.write_bytes(whole)
        served = serve(
            lambda text, data: whole if kind == "bytes" else path, options={"server": {"block_seconds": 0.4}}
        )
        with slow_reader(served) as sock:
            sock.sendall(EMPTY)
            received = bytearray()
            begun = time.monotonic()
            while time.monotonic() < begun + 2:
                received += sock.recv(4_000)
                time.sleep(0.02)  # how fast it is taken
            while not received.endswith(whole):
                received += sock.recv(1_000_000) or pytest.fail("the answer is not whole")

    @pytest.mark.parametrize("kind", ["bytes", "file"])
    def test_an_answer_that_nobody_takes_ends_with_its_connection(self, serve, tmp_path, kind, caplog):
        caplog.set_level("DEBUG", "izzati.server")
        path = tmp_path / "photo.jpg"
        path.write_bytes(bytes(20_000_000))
        answer = bytes(20_000_000) if kind == "bytes" else path
        served = serve(lambda text, data: answer, options={"server": {"block_seconds": 0.2}})
        with slow_reader(served) as sock:
            sock.sendall(EMPTY)
            assert sock.recv(1)
            assert within(20, lambda: "connection lost" in caplog.text)
            received = 1
            with suppress(ConnectionError):
                while part := sock.recv(1_000_000):
                    received += len(part)
            assert received < 20_000_000

    def test_a_body_that_trickles_is_a_408(self, serve):
        """Each byte comes in time, and the whole of them never would."""
        served = serve(lambda text, data: {}, options={"server": {"block_seconds": 0.2}})
        with served.connect() as sock:
            sock.sendall(head("Content-Type: image/png", length=100_000))
            deadline = time.monotonic() + 20
            while not select.select([sock], [], [], 0.01)[0]:
                sock.send(b"x")
                assert time.monotonic() < deadline
            assert read_answer(sock).status == 408


class TestAnswers:
    def test_a_file_goes_out_whole_and_the_connection_goes_on(self, serve, tmp_path):
        content = bytes(range(256)) * 40_000
        (tmp_path / "large").write_bytes(content)
        served = serve(lambda text, data: file_return(tmp_path / "large"))
        with served.connect() as sock:
            for _ in range(2):
                sock.sendall(EMPTY)
                assert read_answer(sock).body == content

    def test_an_empty_file_is_an_empty_answer(self, serve, tmp_path):
        (tmp_path / "empty").touch()
        answer = serve(lambda text, data: tmp_path / "empty").request()
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")

    def test_a_large_reply_from_memory_arrives_whole(self, serve):
        served = serve(lambda text, data: b"x" * (8 << 20))
        with served.connect() as sock:
            sock.sendall(EMPTY)
            assert len(read_answer(sock).body) == 8 << 20

    def test_an_answer_that_fails_midway_is_cut_off_not_ended(self, serve, caplog):
        def lines():
            yield b"first\n"
            raise OverflowError

        served = serve(lambda text, data: Response(lines()))
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            served.request()
        assert "OverflowError" in caplog.text
        assert served.backend

    def test_an_answer_that_fails_before_it_begins_is_a_500(self, serve, caplog):
        def lines():
            raise FileNotFoundError("upstream")
            yield b""

        assert serve(lambda text, data: Response(lines())).request().status == 500
        assert "upstream" in caplog.text

    @pytest.mark.parametrize("module", [bz2, gzip, lzma])
    def test_a_file_that_unpacks_itself_is_sent_unpacked(self, serve, tmp_path, module):
        content = b"line\n" * 100_000
        with module.open(tmp_path / "packed", "wb") as packed:
            packed.write(content)
        served = serve(lambda text, data: file_return(module.open(tmp_path / "packed"), "a.txt"))
        assert served.request().body == content

    @pytest.mark.parametrize("odd", ["€".encode(), b"\x01", b"\x7f"])
    def test_a_media_type_that_is_no_header_is_not_sent_back(self, serve, odd):
        start = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: image/'
        form = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = serve(lambda text, data: data[0]).request(start + odd + b"\r\n\r\nx\r\n--b--", form)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/octet-stream")

    def test_a_header_that_cannot_be_sent_is_a_500(self, serve, caplog):
        assert serve(lambda text, data: Reply({}, headers={"X-Ümlaut": "1"})).request().status == 500
        assert serve(lambda text, data: Reply({}, headers={"X": "€"})).request().status == 500

    def test_a_file_that_shrinks_while_it_is_sent_is_cut_off(self, serve, tmp_path):
        path = tmp_path / "shrinks"
        path.write_bytes(bytes(1000))

        class Shrink:
            @hookimpl
            def izzati_finalize(self, response, request):
                os.truncate(path, 10)

        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            serve(lambda text, data: path, plugins=[Shrink()]).request()


WRONG_HEADS = {
    "not final": ("100 Continue", []),
    "two lines in a status": ("200 OK\r\nX-Injected: 1", []),
    "two lines in a value": ("200 OK", [("X", "1\r\nX-Injected: 1")]),
    "a bare line feed in a value": ("200 OK", [("X", "1\nX-Injected: 1")]),
    "a colon in a name": ("200 OK", [("X-Injected: 1\r\nX", "1")]),
    "a blank in a name": ("200 OK", [("X Y", "1")]),
    "no name": ("200 OK", [("", "1")]),
    "a transfer coding": ("200 OK", [("Transfer-Encoding", "chunked")]),
    "two lengths": ("200 OK", [("Content-Length", "1"), ("content-length", "2")]),
    "a length that is no number": ("200 OK", [("Content-Length", "-1")]),
    "a length in other digits": ("200 OK", [("Content-Length", "\xb2")]),
}


class TestOtherApplications:
    """``izzati_serve`` serves any WSGI application (PEP 3333)."""

    @pytest.fixture
    def serve_app(self):
        servers = []

        def start(app):
            server = ThreadServer().izzati_serve(app, Listen("127.0.0.1", 0))
            thread = threading.Thread(target=server.serve)
            thread.start()
            servers.append((server, thread))
            return http.client.HTTPConnection("127.0.0.1", server.address[1], timeout=20)

        yield start
        for server, thread in servers:
            server.stop()
            thread.join(20)

    def test_the_write_callable_works(self, serve_app):
        def app(environ, start_response):
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            write(b"written ")
            return [b"and ", b"returned"]

        caller = serve_app(app)
        caller.request("GET", "/")
        assert caller.getresponse().read() == b"written and returned"
        caller.close()

    @pytest.mark.parametrize("fault", ["raises", "forgets", "restarts", "bad status"])
    def test_an_application_that_fails_is_a_500(self, serve_app, fault, caplog):
        def app(environ, start_response):
            if fault == "raises":
                raise OverflowError
            if fault == "restarts":
                start_response("200 OK", [])(b"x")
                start_response("200 OK", [])
            if fault == "bad status":
                start_response("9 x", [])
            return [b"x"]

        caller = serve_app(app)
        caller.request("GET", "/")
        if fault == "restarts":
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                caller.getresponse().read()
        else:
            assert caller.getresponse().status == 500
        assert "the application failed" in caplog.text
        caller.close()

    @pytest.mark.parametrize("case", WRONG_HEADS)
    def test_a_head_that_an_application_must_not_give_is_a_500(self, serve_app, case, caplog):
        def app(environ, start_response):
            start_response(*WRONG_HEADS[case])
            return [b"x"]

        caller = serve_app(app)
        caller.request("GET", "/")
        answer = caller.getresponse()
        assert (answer.status, answer.headers["X-Injected"]) == (500, None)
        assert "the application failed" in caplog.text
        caller.close()

    def test_of_a_body_that_answers_head_nothing_is_sent(self, serve_app):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "3")] if environ["PATH_INFO"] == "/declared" else [])
            return [b"ab", b"c"]

        caller = serve_app(app)
        for path, length in (("/declared", "3"), ("/", None)):
            caller.request("HEAD", path)
            answer = caller.getresponse()
            assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, length, b"")
        caller.request("GET", "/")
        assert caller.getresponse().read() == b"abc"
        caller.close()

    @pytest.mark.parametrize("blocks", [[b"abcd"], [b"ab", b"cd"], [b"ab"], [b"a", b"b"]])
    def test_a_body_of_another_length_than_was_declared_is_cut_off(self, serve_app, blocks, caplog):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "3")])
            return blocks

        caller = serve_app(app)
        caller.request("GET", "/")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            caller.getresponse().read()
        assert "the Content-Length that it declared" in caplog.text
        caller.close()

    def test_a_body_of_unknown_length_ends_with_the_connection_where_the_caller_knows_no_chunks(self, serve_app):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield from (b"ab", b"", b"cd")

        caller = serve_app(app)
        caller.connect()
        caller.sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = b"".join(iter(lambda: caller.sock.recv(65536), b"")).partition(b"\r\n\r\n")
        assert (body, b"chunked" in head, b"Connection: close" in head) == (b"abcd", False, True)
        caller.close()

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_whatever_an_application_raises_ends_its_answer_and_nothing_else(self, serve_app, error):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"x"
            if environ["PATH_INFO"] == "/wrong":
                raise error

        caller = serve_app(app)
        caller.request("GET", "/wrong")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            caller.getresponse().read()
        caller.close()
        caller.request("GET", "/")
        assert caller.getresponse().read() == b"x"
        caller.close()

    def test_an_error_response_may_replace_one_that_has_not_begun(self, serve_app):
        def app(environ, start_response):
            start_response("200 OK", [])
            try:
                raise OverflowError
            except OverflowError:
                start_response("503 Busy", [], sys.exc_info())
            return [b"x"]

        caller = serve_app(app)
        caller.request("GET", "/")
        assert caller.getresponse().status == 503
        caller.close()

    def test_a_body_can_be_read_by_lines_and_again_at_its_end(self, serve_app):
        def app(environ, start_response):
            start_response("200 OK", [])
            body = environ["wsgi.input"]
            return [repr([body.readline(), list(body), body.read(), body.read(10)]).encode()]

        caller = serve_app(app)
        caller.request("POST", "/", b"a\nb\nc")
        assert caller.getresponse().read() == rb"[b'a\n', [b'b\n', b'c'], b'', b'']"
        caller.close()


class TestAddresses:
    def test_the_empty_host_is_every_interface(self):
        backend = Backend(lambda text, data: {})
        server = backend.listen("", 0)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            for host in ("127.0.0.1", "::1", "localhost"):
                caller = http.client.HTTPConnection(host, server.address[1], timeout=20)
                caller.request("POST", "/")
                assert caller.getresponse().status == 200
                caller.close()
        finally:
            server.stop()
            thread.join(20)

    def test_a_taken_port_says_what_to_do(self):
        backend = Backend(lambda text, data: {})
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=rf"port {port} is in use.*another port, such as {port + 1}$"):
                backend.listen("127.0.0.1", port)
            with pytest.raises(OSError, match="is in use"):
                backend.run("", port)

    @pytest.mark.parametrize("host", ["192.0.2.77", "nobody.invalid"])
    def test_a_foreign_address_is_refused_and_named(self, host):
        with pytest.raises(OSError, match=rf"'{re.escape(host)}' is no address of this machine"):
            Backend(lambda text, data: {}).listen(host, 0)

    def test_a_server_can_be_stopped_before_and_after_it_served(self):
        server = Backend(lambda text, data: {}).listen("127.0.0.1", 0)
        server.stop()
        server.serve()
        server.stop()


PROGRAM = """
import os, signal, sys
from izzati import Backend

def callback(text, data):
    print("called", flush=True)
    if "fork" in text:
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, str(signal.set_wakeup_fd(-1)).encode())
            os._exit(0)
        os.wait()
        return {"status": os.read(reading, 9).decode()}
    if text:
        sys.stdin.readline()
    return {"status": "yes"}

Backend(callback, only=()).run("127.0.0.1", 0)
print("after")
"""


@pytest.fixture
def program(tmp_path):
    """A script that runs until it is told to stop, and the port that its greeting names."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.greeting = []
    for line in process.stderr:
        process.greeting.append(line.rstrip())
        if line.startswith("Ctrl-C"):
            break
    process.port = int(re.search(r":(\d+)$", process.greeting[1])[1])
    yield process
    process.kill()
    process.communicate()


def threads(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


class TestRun:
    def test_it_greets_on_stderr_and_leaves_stdout_to_the_user(self, program):
        caller = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
        caller.request("POST", "/")
        assert caller.getresponse().read() == b'{"status":"yes"}'
        caller.close()
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=20)
        assert out == "called\nafter\n"
        assert re.fullmatch(r"\d\d:\d\d:\d\d POST / 200 \d+\.\d ms 127\.0\.0\.1\n", err)
        assert program.returncode == 0
        assert program.greeting == [
            "izzati serves / (callback)",
            f"  this machine  http://127.0.0.1:{program.port}",
            f"  plugins       {' '.join(entry.name for entry in DEFAULTS)}",
            "Ctrl-C stops it.",
        ]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a sender cannot choose the thread")
    def test_one_that_another_thread_than_the_main_one_gets_ends_it_too(self, program, number):
        """The system may give it to any: to the first that wakes up, after the program was stopped and goes on."""
        assert within(20, lambda: status(program.pid)[0] == "S" and len(threads(program.pid)) > 1)
        other = next(thread for thread in threads(program.pid) if thread != program.pid)
        ctypes.CDLL(None).tgkill(program.pid, other, number)
        assert program.wait(timeout=20) == 0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_signal_of_a_forked_child_does_not_reach_into_the_program(self, program):
        """Python would write to a descriptor that is the child's own, for something else."""
        caller = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
        caller.request("POST", "/?fork=1")
        assert caller.getresponse().read() == b'{"status":"-1"}'
        caller.close()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_request_in_flight_is_answered_before_it_ends(self, program, number):
        caller = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
        caller.request("POST", "/?wait=1")
        assert program.stdout.readline() == "called\n"
        program.send_signal(number)
        until_refused(program.port)
        program.stdin.write("go on\n")
        program.stdin.flush()
        answer = caller.getresponse()
        assert (answer.status, answer.read(), answer.getheader("Connection")) == (200, b'{"status":"yes"}', "close")
        caller.close()
        assert program.communicate(timeout=20)[0] == "after\n"

    def test_a_connection_that_a_caller_keeps_open_does_not_hold_it_up(self, program):
        with socket.create_connection(("127.0.0.1", program.port), timeout=20) as sock:
            sock.sendall(head(path="/?wait=1"))
            assert program.stdout.readline() == "called\n"
            program.send_signal(signal.SIGTERM)
            until_refused(program.port)
            program.stdin.write("go on\n")
            program.stdin.flush()
            assert read_answer(sock).status == 200
            assert program.communicate(timeout=20)[0] == "after\n"

    def test_a_second_signal_does_not_wait(self, program):
        caller = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
        caller.request("POST", "/?wait=1")
        assert program.stdout.readline() == "called\n"
        program.send_signal(signal.SIGTERM)
        until_refused(program.port)
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=20) == -signal.SIGTERM
        caller.close()


@pytest.mark.parametrize("option", ["threads", "head_seconds", "idle_seconds", "block_seconds", "grace_seconds"])
@pytest.mark.parametrize("value", [0, -1])
def test_an_option_that_makes_no_sense_is_refused(option, value):
    with pytest.raises(PluginError, match=f"{option} is a number above 0"):
        Backend(lambda text, data: {}, options={"server": {option: value}})


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(ValueError, match="from 0 to 65535"):
        Backend(lambda text, data: {}).listen("127.0.0.1", port)


def test_requests_wait_where_no_thread_can_be_started_for_them(serve, monkeypatch, caplog):
    told, go = threading.Event(), threading.Event()

    def none_left(thread):
        told.set()
        raise RuntimeError("can't start new thread")

    def callback(text, data):
        assert go.wait(20)

    served = serve({"/": callback, "/quick": lambda text, data: {}})
    with served.connect() as slow, served.connect() as quick:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none_left)
            slow.sendall(EMPTY)
            assert told.wait(20)
            quick.sendall(head(path="/quick"))
        assert read_answer(quick).status == 200
        go.set()
        assert read_answer(slow).status == 200
    assert "no thread can be started" in caplog.text


def test_a_request_still_under_way_after_the_grace_is_cut_off(serve, caplog):
    entered, leave = threading.Event(), threading.Event()

    def callback(text, data):
        entered.set()
        leave.wait(20)

    served = serve(callback, options={"server": {"grace_seconds": 0.05}})
    with served.connect() as sock:
        sock.sendall(EMPTY)
        assert entered.wait(20)
        served.stop()
        assert sock.recv(1) == b""
    leave.set()
    assert "was cut off" in caplog.text


class TestRefused:
    """Of a body that is refused the rest is read on, so that its caller sees the answer."""

    REFUSED = head("Content-Type: image/png", length=5_000_000, path="/no") + bytes(100_000)

    def refused(self, served):
        sock = served.connect()
        sock.sendall(self.REFUSED)
        assert read_answer(sock).status == 404
        return sock

    def test_its_caller_sees_that_nothing_follows_and_can_send_the_rest_while_the_server_ends(self, serve, monkeypatch):
        monkeypatch.setattr(drain, "_SECONDS", 60)
        served = serve(lambda text, data: {})
        with self.refused(served) as sock:
            assert sock.recv(1) == b""
            served.server.stop()
            until_refused(served.port)
            for _ in range(49):
                time.sleep(0.005)  # how fast it is sent
                sock.sendall(bytes(100_000))

    @pytest.mark.parametrize(("limit", "value"), [("_SECONDS", 0.1), ("_BYTES", 1_000_000)])
    def test_it_is_read_for_so_long_and_no_longer(self, serve, monkeypatch, limit, value):
        monkeypatch.setattr(drain, limit, value)
        with self.refused(serve(lambda text, data: {})) as sock:

            def is_closed():
                try:
                    sock.sendall(bytes(100_000 if limit == "_BYTES" else 1))
                except ConnectionError:
                    return True
                return False

            assert within(4, is_closed)


def test_a_request_behind_an_answer_that_promised_to_go_on_is_answered_though_the_server_is_told_to_stop(serve):
    def callback(text, data):
        return Response(stopping()) if text["n"] == "0" else text

    def stopping():
        yield b"whose head has gone by now"
        served.server.stop()

    served = serve(callback)
    with served.connect() as sock:
        sock.sendall(head(path="/?n=0") + head(path="/?n=1"))
        first, second = read_answer(sock), read_answer(sock)
        assert (first.body, first.headers["Connection"]) == (b"whose head has gone by now", None)
        assert (second.json, second.headers["Connection"]) == ({"n": "1"}, "close")


def test_who_has_been_refused_and_stays_holds_up_the_end_for_the_grace_only(serve):
    served = serve(lambda text, data: {}, options={"server": {"grace_seconds": 0.1}})
    with served.connect() as sock:
        sock.sendall(b"no HTTP\r\n\r\n")
        assert read_answer(sock).status == 400
        begun = time.monotonic()
        served.stop()
        assert time.monotonic() - begun < 4  # less than what is still on its way may take otherwise


def test_a_caller_whose_upload_has_arrived_does_not_hold_up_the_end(serve, monkeypatch):
    """It keeps its connection open, although there is nothing more for it to send."""
    monkeypatch.setattr(drain, "_SECONDS", 60)
    entered, leave = threading.Event(), threading.Event()

    def callback(text, data):
        entered.set()
        leave.wait(20)

    served = serve(callback)
    with served.connect() as sock:
        sock.sendall(head("Content-Type: image/png", length=100_000) + bytes(100_000))
        assert entered.wait(20)
        served.server.stop()
        leave.set()
        assert read_answer(sock).headers["Connection"] == "close"
        served.stop()


def until_refused(port):
    """Wait until nobody listens at the port."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        except OSError:
            pass
    pytest.fail("the server still listens")
