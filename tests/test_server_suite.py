"""The contract of servers: the built-in one keeps it, and each of its tests catches a server that does not."""

from __future__ import annotations

import errno
import io
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from izzati import Problem, hookimpl
from izzati.testing.server import ServerSuite


class TestBuiltIn(ServerSuite):
    @pytest.fixture
    def plugin(self):
        return "izzati.builtin.server:ThreadServer", {}


class Unread(io.RawIOBase):
    """The body of a request that a ``Plain`` server serves; nothing is read before it is wanted."""

    def __init__(self, server, sock, file, headers):
        self.server, self.sock, self.file = server, sock, file
        self.expects = headers.get("expect", "").lower() == "100-continue"
        self.chunked = "transfer-encoding" in headers
        self.left = 0 if self.chunked else server.length(headers.get("content-length", "0"))
        self.over = not (self.chunked or self.left)

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.over:
            return 0
        if self.expects:
            self.expects = False
            self.server.go_on(self.sock)
        if not self.left:
            self.left = self.server.chunk_size(self.file.readline(1000))
            if not self.left:
                while self.file.readline(1000) not in (b"\r\n", b""):
                    pass  # trailers
                self.over = True
                return 0
        data = self.file.read(min(len(buffer), self.left))
        if not data:
            raise Problem(400, "The body is not whole.")
        self.left -= len(data)
        if not self.left:
            if self.chunked:
                self.server.chunk_end(self.file)
            else:
                self.over = True
        buffer[: len(data)] = data
        return len(data)


class Plain:
    """A small server that is right: a thread for each connection. Those below are wrong in one way each."""

    request_line = rb"([A-Z]+) (\S+) HTTP/1\.1\r\n"
    header_line = rb"([!#-'*+.0-9A-Z^-z|~-]+):[ \t]*([^\0\r\n]*?)[ \t]*\r\n"
    chunk_line = rb"([0-9A-Fa-f]+)(;[^\0\r\n]*)?\r\n"
    length_value = r"([0-9]+)"
    body = Unread

    def __init__(self):
        self.stopping = threading.Event()
        self.idle, self.threads = set(), []
        self.wakened, self.waker = socket.socketpair()

    @hookimpl
    def izzati_serve(self, app, listen):
        self.app = app
        self.listener = self.bind((listen.host, listen.port))
        return self

    def bind(self, address):
        try:
            return socket.create_server(address, backlog=256)
        except OSError as error:
            raise OSError(errno.EADDRINUSE, f"port {address[1]} is taken") from error

    @property
    def address(self):
        return self.listener.getsockname()

    def serve(self, ready=lambda: None):
        ready()
        while not self.stopping.is_set():
            self.accept()
        self.finish()

    def accept(self):
        if self.listener in select.select([self.listener, self.wakened], [], [])[0]:
            self.begin(self.listener.accept()[0])

    def begin(self, sock):
        self.threads.append(threading.Thread(target=self.talk, args=(sock,), daemon=True))
        self.threads[-1].start()

    def finish(self):
        self.listener.close()
        for thread in self.threads:
            thread.join()

    def stop(self):
        self.stopping.set()
        self.waker.send(b"\0")
        for sock in list(self.idle):
            self.hang_up(sock)

    def hang_up(self, sock):
        sock.shutdown(socket.SHUT_RD)

    def talk(self, sock):
        try:
            with sock, sock.makefile("rb") as file:
                while self.exchange(sock, file):
                    pass
        except OSError:
            pass  # the caller has gone

    def exchange(self, sock, file):
        self.idle.add(sock)
        line = b"" if self.stopping.is_set() else file.readline(65536)
        self.idle.discard(sock)
        if not line:
            return False
        try:
            method, target, headers = self.head(line, file)
            unread = self.body(self, sock, file, headers)
        except ValueError:
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.drain(sock)
            return False
        return self.respond(sock, self.environ(method, target, headers, unread), unread, headers)

    def head(self, line, file):
        first = re.fullmatch(self.request_line, line)
        headers = {}
        for each in iter(file.readline, b"\r\n"):
            found = re.fullmatch(self.header_line, each)
            if found is None:
                raise ValueError(each)
            name, value = found[1].decode().lower().strip(), found[2].decode("latin-1")
            if headers.setdefault(name, value) != value:
                self.twice(name)
        if first is None:
            raise ValueError(line)
        if "content-length" in headers and "transfer-encoding" in headers:
            self.both(headers)
        return first[1].decode(), first[2].decode(), headers

    def twice(self, name):
        if name == "content-length":
            raise ValueError(name)

    def both(self, headers):
        raise ValueError(headers)

    def length(self, value):
        found = re.fullmatch(self.length_value, value)
        if found is None:
            raise ValueError(value)
        return max(0, int(found[1]))

    def chunk_size(self, line):
        found = re.fullmatch(self.chunk_line, line)
        if found is None:
            raise Problem(400, "This is no chunk.")
        return abs(int(found[1] or b"0", 16))

    def chunk_end(self, file):
        if file.readline(1000) != b"\r\n":
            raise Problem(400, "The chunk is longer than its size.")

    def go_on(self, sock):
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def environ(self, method, target, headers, unread):
        path, _, query = target.partition("?")
        environ = {
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path(path),
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.address[1]) if self.listener.fileno() >= 0 else "0",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": headers.get("content-type", ""),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BufferedReader(unread),
            "wsgi.input_terminated": unread.chunked,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if "content-length" in headers:
            environ["CONTENT_LENGTH"] = headers["content-length"]
        return environ

    def path(self, path):
        return unquote_to_bytes(path).decode("latin-1")

    def respond(self, sock, environ, unread, sent):
        head = []
        answer = self.app(environ, lambda status, headers, _=None: head.extend([status, headers]))
        content = b"".join(answer)
        getattr(answer, "close", lambda: None)()
        status, headers = head
        if "Content-Length" not in dict(headers):
            headers = [*headers, ("Content-Length", str(len(content)))]
        last = sent.get("connection") == "close" or self.stopping.is_set() or not self.reusable(unread)
        headers = self.headers([*headers, ("Connection", "close")] if last else headers)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "\r\n"]
        bodyless = environ["REQUEST_METHOD"] == "HEAD"
        sock.sendall("\r\n".join(lines).encode("latin-1") + self.content(content, bodyless))
        if last:
            self.drain(sock)
        return not last

    def reusable(self, unread):
        return unread.over

    def headers(self, headers):
        return headers

    def content(self, content, bodyless):
        return b"" if bodyless else content

    def drain(self, sock):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(5)
        while sock.recv(1 << 20):
            pass


class PlainSuite(ServerSuite):
    @pytest.fixture
    def plugin(self):
        return "test_server_suite:Plain", {}


class TestPlain(PlainSuite):
    pass


WRONG = {}
"""The name of a test, or of one case of it, to a suite of a server that must fail it."""


def fails(*tests):
    """What is decorated is a server that fails these tests of the suite."""

    def note(wrong):
        plugin = (f"test_server_suite:{wrong.__name__}", {})
        for test in tests:
            assert test not in WRONG
            attributes = {"plugin": pytest.fixture(lambda self: plugin), "seconds": 1.5}
            WRONG[test] = type(f"Test{wrong.__name__}", (ServerSuite,), attributes)
        return wrong

    return note


NO_HTTP = "test_what_is_no_http_is_a_400_and_the_end_of_its_connection[{}]".format


@fails("test_a_callback_answers")
class Empties(Plain):
    def headers(self, headers):
        return [(name, "0" if name == "Content-Length" else value) for name, value in headers]

    def content(self, content, bodyless):
        return b""


@fails("test_text_of_any_script_arrives")
class KeepsEscapes(Plain):
    def path(self, path):
        return path


@fails("test_one_connection_carries_several_requests")
class HangsUp(Plain):
    def reusable(self, unread):
        return False


@fails("test_header_names_keep_their_case")
class LowerCase(Plain):
    def headers(self, headers):
        return [(name.lower(), value) for name, value in headers]


@fails("test_a_head_request_gets_no_body")
class AnswersHead(Plain):
    def content(self, content, bodyless):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" if bodyless else content


@fails("test_another_method_is_told_the_right_one")
class ForgetsHeaders(Plain):
    def headers(self, headers):
        return [(name, value) for name, value in headers if name.startswith("Con")]


@fails("test_a_chunked_body_is_read_to_its_end")
class NoExtensions(Plain):
    chunk_line = rb"([0-9A-Fa-f]+)()\r\n"


@fails("test_a_large_upload_arrives_whole")
class Shortens(Plain):
    class body(Unread):  # noqa: N801 - takes the place of an attribute
        total = 0

        def readinto(self, buffer):
            count = super().readinto(buffer)
            self.total += count
            if self.total > 20 << 20:
                buffer[:count] = bytes(count)
            return count


@fails("test_a_large_answer_arrives_whole")
class AnswersTheBeginning(Plain):
    def content(self, content, bodyless):
        return content[: 20 << 20]


@fails("test_a_file_is_sent_with_its_length")
class NoLength(Plain):
    def headers(self, headers):
        return [*((name, value) for name, value in headers if name != "Content-Length"), ("Connection", "close")]

    def reusable(self, unread):
        return False


@fails("test_a_callback_that_raises_is_a_500_with_its_id")
class NoId(Plain):
    def headers(self, headers):
        return [(name, value) for name, value in headers if name != "X-Request-Id"]


@fails("test_a_body_is_asked_for_when_it_is_wanted")
class AsksForNothing(Plain):
    class body(Unread):  # noqa: N801 - takes the place of an attribute
        def __init__(self, server, sock, file, headers):
            super().__init__(server, sock, file, headers)
            self.over = self.over or self.expects


@fails(*(f"test_a_body_that_is_refused_is_not_asked_for[{status}]" for status in (404, 413, 415)))
class AsksAtOnce(Plain):
    class body(Unread):  # noqa: N801 - takes the place of an attribute
        def __init__(self, server, sock, file, headers):
            super().__init__(server, sock, file, headers)
            if self.expects:
                server.go_on(sock)


@fails(*(f"test_a_caller_that_sends_too_much_can_read_so[{case}]" for case in ("declared", "chunked")))
class Resets(Plain):
    def drain(self, sock):
        """Forgotten."""


@fails(NO_HTTP("no request line"), NO_HTTP("a request line of four words"))
class TakesAnyLine(Plain):
    def head(self, line, file):
        return super().head(b"POST /echo HTTP/1.1\r\n", file)


@fails(NO_HTTP("a header without a colon"))
class TakesWords(Plain):
    header_line = rb"([\w-]+)(?::[ \t]*)?([^\0\r\n]*?)[ \t]*\r\n"


@fails(NO_HTTP("a space before the colon"))
class TakesSpaces(Plain):
    header_line = rb"([\w -]+):[ \t]*([^\0\r\n]*?)[ \t]*\r\n"


@fails(NO_HTTP("a NUL in a header"))
class TakesNul(Plain):
    header_line = rb"([\w-]+):[ \t]*([^\r\n]*?)[ \t]*\r\n"


@fails(NO_HTTP("two different lengths"))
class TakesTheFirstLength(Plain):
    def twice(self, name):
        """The first one counts."""


@fails(NO_HTTP("a length that is no number"))
class TakesWordsForLengths(Plain):
    def length(self, value):
        return int(value) if value.isdigit() else 0

    def environ(self, method, target, headers, unread):
        return super().environ(method, target, {**headers, "content-length": str(unread.left)}, unread)


@fails(NO_HTTP("a length with a sign"))
class TakesSigns(TakesWordsForLengths):
    def length(self, value):
        return int(value)


@fails(NO_HTTP("a length beside chunks"))
class TakesBoth(Plain):
    def both(self, headers):
        del headers["content-length"]


@fails(NO_HTTP("a chunk size with a prefix"))
class TakesPrefixes(Plain):
    chunk_line = rb"((?:0x)?[0-9A-Fa-f]+)(;[^\0\r\n]*)?\r\n"


@fails(NO_HTTP("a chunk size with a sign"))
class TakesSignedChunks(Plain):
    chunk_line = rb"(-?[0-9A-Fa-f]+)(;[^\0\r\n]*)?\r\n"


@fails(NO_HTTP("a chunk without a size"))
class TakesNoSize(Plain):
    chunk_line = rb"([0-9A-Fa-f]*)(;[^\0\r\n]*)?\r\n"


@fails(NO_HTTP("a chunk longer than its size"))
class SkipsToTheNextLine(Plain):
    def chunk_end(self, file):
        file.readline(1000)


@fails("test_a_request_in_a_body_is_not_answered[read]")
class BelievesInNoLength(Plain):
    def environ(self, method, target, headers, unread):
        unread.over = True
        return super().environ(method, target, {**headers, "content-length": "0"}, unread)


@fails("test_a_request_in_a_body_is_not_answered[refused]")
class GoesOnUnread(Plain):
    def reusable(self, unread):
        return True


@fails("test_a_body_that_is_broken_off_does_not_reach_the_callback[chunked]")
class TakesHalves(Plain):
    def chunk_size(self, line):
        return super().chunk_size(line) if line else 0


@fails("test_a_body_that_is_broken_off_does_not_reach_the_callback[declared]")
class CountsWhatCame(Plain):
    def environ(self, method, target, headers, unread):
        environ = super().environ(method, target, headers, unread)
        if not unread.chunked and unread.left:
            content = unread.file.read(unread.left)
            environ |= {"wsgi.input": io.BytesIO(content), "CONTENT_LENGTH": str(len(content))}
        return environ


@fails("test_forty_callers_at_once_are_all_answered")
class TakesTwenty(Plain):
    def begin(self, sock):
        if sum(thread.is_alive() for thread in self.threads) < 20:
            super().begin(sock)
        else:
            sock.close()


@fails(*(f"test_callers_that_are_slow_hold_up_nobody[{sent}]" for sent in ("half a head", "half a body")))
class OneByOne(Plain):
    def begin(self, sock):
        self.talk(sock)


@fails("test_a_callback_that_takes_long_holds_up_nobody")
class OneCallByOne(Plain):
    lock = threading.Lock()

    def respond(self, *args):
        with self.lock:
            return super().respond(*args)


@fails("test_a_request_in_flight_is_answered_before_the_end")
class DoesNotWait(Plain):
    def finish(self):
        self.listener.close()


@fails("test_nobody_is_let_in_once_it_was_told_to_end")
class LetsIn(Plain):
    def finish(self):
        while any(thread.is_alive() for thread in self.threads):
            if select.select([self.listener], [], [], 0.05)[0]:
                self.begin(self.listener.accept()[0])


@fails("test_it_ends_with_code_0_although_connections_are_kept_open")
class WaitsForIdle(Plain):
    def hang_up(self, sock):
        """Forgotten."""


@fails("test_after_its_end_the_port_is_free_and_no_process_is_left")
class LeavesAChild(Plain):
    def serve(self, ready=lambda: None):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        super().serve(ready)


@fails("test_stdout_is_the_programs_and_run_returns_once")
class Prints(Plain):
    def serve(self, ready=lambda: None):
        print("serving")
        super().serve(ready)


@fails("test_a_taken_port_is_an_oserror_that_names_it")
class NamesNoPort(Plain):
    def bind(self, address):
        try:
            return socket.create_server(address)
        except OSError as error:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from error


class Unset(ServerSuite):
    """Says nothing."""


class Unable(PlainSuite):
    does_not = {"test_header_names_keep_their_case": "a reason"}  # noqa: RUF012 - as authors write it


class Misspelt(PlainSuite):
    does_not = {"test_header_names": "a reason"}  # noqa: RUF012 - as authors write it


def test_every_test_of_the_suite_has_a_server_that_fails_it(request):
    assert {test.partition("[")[0] for test in WRONG} == {name for name in dir(ServerSuite) if name.startswith("test_")}
    cases = {item.name for item in request.session.items if item.cls is TestPlain}
    assert cases <= set(WRONG)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run the wrong servers' own tests, all in one process: the name of each test to its outcome, what pytest said."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "test_wrong.py").write_text(
        "from test_server_suite import WRONG, Misspelt as TestMisspelt, Unable as TestUnable, Unset as TestUnset\n"
        "globals().update({wrong.__name__: wrong for wrong in WRONG.values()})\n"
    )
    (folder / "pytest.ini").write_text("[pytest]\n")
    chosen = [f"test_wrong.py::{suite.__name__}::{test}" for test, suite in WRONG.items()]
    chosen += [
        f"test_wrong.py::Test{name}::test_header_names_keep_their_case" for name in ("Unset", "Unable", "Misspelt")
    ]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--tb=no", "-q", "-p", "no:cacheprovider", "--color=no", *chosen],
        check=False,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
            "COLUMNS": "400",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = re.findall(r"^([A-Z]+) test_wrong\.py::\w+::(test_\w+(?:\[[^]]*\])?)", run.stdout, re.MULTILINE)
    return {test: outcome for outcome, test in lines if outcome != "ERROR"}, run.stdout


@pytest.mark.once
@pytest.mark.parametrize("test", sorted(WRONG))
def test_a_wrong_server_fails_its_test(outcomes, test):
    found, said = outcomes
    assert found.get(test) == "FAILED", said


@pytest.mark.once
def test_what_a_server_cannot_do_is_skipped_with_its_reason(outcomes):
    assert re.search(r"^SKIPPED .*does_not: a reason$", outcomes[1], re.MULTILINE)


@pytest.mark.once
def test_a_reason_for_a_test_that_there_is_not_is_refused(outcomes):
    assert "ValueError: does_not names tests that this suite does not have: test_header_names" in outcomes[1]


@pytest.mark.once
def test_a_suite_that_is_not_told_its_plugin_says_what_to_do(outcomes):
    assert re.search(r"TestUnset.*NotImplementedError: override the fixture `plugin`", outcomes[1])
