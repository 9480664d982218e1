"""The contract of servers: what goes over their connections, and how they end. Each runs in a process of its own."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from izzati.testing.served import SECONDS, Answer

__all__ = ["ServerSuite"]

BODY = 32 << 20
"""Bytes of a body that the suite's Backend takes."""

Plugin = tuple[str, Mapping[str, Any]]

# What a callback does besides, such as waiting, is seen by a connection that it makes to the test: that works in any
# process that a server may start.
_PROGRAM = """
import hashlib
import importlib
import socket
import sys

from izzati import Backend, Limits, file_return


def echo(text, data):
    return {{"text": text, "files": [[file.size, hashlib.sha256(file.read()).hexdigest()] for file in data]}}


def big(text, data):
    return b"".join(number.to_bytes(8, "big") + b"x" * 65_528 for number in range(int(text["blocks"])))


def file(text, data):
    return file_return({file!r})


def wait(text, data):
    with socket.create_connection(("127.0.0.1", int(text["port"])), 60) as test:
        test.recv(1)
    return {{"waited": True}}


def boom(text, data):
    raise RuntimeError("these words are nobody's business")


def main():
    module, _, name = {name!r}.partition(":")
    plugin = getattr(importlib.import_module(module), name)(**{options!r})
    callbacks = {{"/echo": echo, "/big": big, "/file": file, "/wait": wait, "/boom": boom, "/h\\u00fctte": echo}}
    Backend(callbacks, plugins=[plugin], only=(), limits=Limits(body={body})).run("127.0.0.1", int(sys.argv[1]))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        print(f"OSError: {{error}}", file=sys.stderr)
        sys.exit(3)
    print("after run()")
"""

_START = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
_CHUNKED = _START + b"Transfer-Encoding: chunked\r\n\r\n"

_NO_HTTP = {
    "no request line": b"nonsense\r\n\r\n",
    "a request line of four words": b"POST /echo more HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "a header without a colon": _START + b"X-Nothing\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": _START + b"Content-Length : 0\r\n\r\n",
    "a NUL in a header": _START + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "two different lengths": _START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is no number": _START + b"Content-Length: two\r\n\r\nab",
    "a length with a sign": _START + b"Content-Length: +2\r\n\r\nab",
    "a length beside chunks": _START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size with a prefix": _CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a sign": _CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk without a size": _CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": _CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
}


class ServerSuite:
    """What every plugin that implements ``izzati_serve`` must do. Subclass it and say which plugin that is::

        from izzati.testing import ServerSuite


        class TestRapid(ServerSuite):
            @pytest.fixture
            def plugin(self):
                return "izzati_rapid:Rapid", {"threads": 8}

            does_not = {"test_header_names_keep_their_case": "the library under it sends them in lower case"}

    The class is imported and made, with these options, in a program that the suite starts, since some servers need the
    main thread or start processes. One program serves most tests of a class; those that end it start their own.
    """

    does_not: Mapping[str, str] = {}
    """What the server cannot do: the name of a test, or of one case of it (``test_…[case]``), to the reason."""

    seconds: float = SECONDS
    """An upper bound for each answer and each end. Nothing waits that long unless it fails."""

    # What the author says, and what is made of it --------------------------------------------------------------------

    @pytest.fixture
    def plugin(self) -> Plugin:
        """The plugin to test, as its class and the class's arguments: ``("izzati_rapid:Rapid", {"threads": 8})``.
        Arguments are literals (numbers, strings, lists, …); another program will make it.
        """
        raise NotImplementedError(
            "override the fixture `plugin` of this ServerSuite: it returns the class to test and its arguments, as in "
            '("izzati_rapid:Rapid", {"threads": 8})'
        )

    @pytest.fixture(autouse=True)
    def _able(self, request: pytest.FixtureRequest) -> None:
        """Skip what the server does not do, and refuse reasons for tests that there are not."""
        unknown = {name for name in self.does_not if not hasattr(self, name.partition("[")[0])}
        if unknown:
            raise ValueError(f"does_not names tests that this suite does not have: {', '.join(sorted(unknown))}")
        name = request.node.name
        reason = self.does_not.get(name) or self.does_not.get(name.partition("[")[0])
        if reason:
            pytest.skip(f"does_not: {reason}")

    @pytest.fixture
    def start_server(self, plugin: Plugin, tmp_path: Path) -> Iterator[Callable[..., _Program]]:
        """Start programs for this test alone, which may end them."""
        if sys.platform == "win32":
            pytest.skip("Windows has no SIGTERM that a program could act on")
        with ExitStack() as stack:

            def start(port: int = 0) -> _Program:
                program = _Program(tmp_path, plugin, port, self.seconds)
                stack.callback(program.kill)
                return program

            yield start

    @pytest.fixture
    def own_server(self, start_server: Callable[..., _Program]) -> _Program:
        """A program that serves this test alone."""
        return start_server()

    @pytest.fixture
    def server(
        self, request: pytest.FixtureRequest, plugin: Plugin, tmp_path_factory: pytest.TempPathFactory
    ) -> _Program:
        """A program that serves by this plugin, together with other tests of the class."""
        # Not a fixture of the class: then `plugin` would have to be one as well, in every suite of every author.
        suite = request.node.getparent(pytest.Class)
        assert suite is not None
        shared = suite.stash.setdefault(_SHARED, {})
        program: _Program | None = shared.get(repr(plugin))
        if program is None or not program.runs:
            program = shared[repr(plugin)] = _Program(tmp_path_factory.mktemp("server"), plugin, 0, self.seconds)
            suite.addfinalizer(program.kill)
        return program

    # Requests and answers --------------------------------------------------------------------------------------------

    def test_a_callback_answers(self, server: _Program) -> None:
        """A request goes in, its callback's result comes out."""
        answer = server.request("/echo?a=1", b"abc")
        assert answer.headers["Content-Type"] == "application/json"
        assert _result(answer) == {"text": {"a": "1"}, "files": [[3, _digest(b"abc")]]}

    def test_text_of_any_script_arrives(self, server: _Program) -> None:
        """A WSGI server decodes the path's escapes into Latin-1, and leaves the query's alone (PEP 3333)."""
        answer = server.request("/h%C3%BCtte?name=%E6%97%A5%E6%9C%AC+%26")
        assert _result(answer)["text"] == {"name": "\u65e5\u672c &"}

    def test_one_connection_carries_several_requests(self, server: _Program) -> None:
        """A caller that sends many requests does not pay for a connection each time."""
        with server.connect() as caller:
            for number in range(3):
                caller.send(_head(f"/echo?n={number}", 3) + b"abc")
                assert _result(caller.answer())["text"] == {"n": str(number)}

    def test_header_names_keep_their_case(self, server: _Program) -> None:
        """Names are the same in any case (RFC 9110 §5.1), but clients of izzati 1.x look for ``Content-Type``."""
        with server.connect() as caller:
            caller.send(_head("/echo", 0))
            assert b"\r\nContent-Type: " in caller.head()

    def test_a_head_request_gets_no_body(self, server: _Program) -> None:
        """What were sent would be taken for the next answer of the connection."""
        with server.connect() as caller:
            caller.send(b"HEAD /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert caller.answer("HEAD").status == 405
            caller.send(_head("/echo?n=2", 0))
            assert _result(caller.answer())["text"] == {"n": "2"}

    def test_another_method_is_told_the_right_one(self, server: _Program) -> None:
        """The method arrives as it was sent, and the answer's headers as they were made."""
        answer = server.request("/echo", method="GET")
        assert answer.status == 405
        assert "POST" in answer.headers["Allow"].split(", ")

    def test_a_chunked_body_is_read_to_its_end(self, server: _Program) -> None:
        """Chunks of any size, with extensions and trailers (RFC 9112 §7.1), and then the next request."""
        with server.connect() as caller:
            caller.send(_CHUNKED + b"3\r\nabc\r\n00A;name=value\r\n0123456789\r\n1\r\nx\r\n0\r\nX-Trailer: yes\r\n\r\n")
            assert _result(caller.answer())["files"] == [[14, _digest(b"abc0123456789x")]]
            caller.send(_head("/echo?n=2", 0))
            assert _result(caller.answer())["text"] == {"n": "2"}

    def test_a_large_upload_arrives_whole(self, server: _Program) -> None:
        """Some megabytes, below the Backend's limit."""
        content = _content(24 * 16)
        answer = server.request("/echo", content)
        assert _result(answer)["files"] == [[len(content), _digest(content)]]

    def test_a_large_answer_arrives_whole(self, server: _Program) -> None:
        """Some megabytes, more than any buffer on the way holds."""
        answer = server.request("/big?blocks=384")
        assert (answer.status, len(answer.body)) == (200, 24 << 20)
        assert _digest(answer.body) == _digest(_content(384))

    def test_a_file_is_sent_with_its_length(self, server: _Program) -> None:
        """So that its caller knows how much is to come, and whether all of it came."""
        answer = server.request("/file")
        content = server.file.read_bytes()
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(content)))
        assert _digest(answer.body) == _digest(content)

    def test_a_callback_that_raises_is_a_500_with_its_id(self, server: _Program) -> None:
        """The caller gets the id under which the log has the reason, nothing of the reason, and can go on."""
        with server.connect() as caller:
            caller.send(_head("/boom", 0))
            answer = caller.answer()
            assert answer.status == 500
            assert answer.headers["X-Request-Id"] in answer.json["detail"]
            assert b"nobody's business" not in answer.body
        assert server.request("/echo").status == 200

    # Bodies that are not wanted --------------------------------------------------------------------------------------

    def test_a_body_is_asked_for_when_it_is_wanted(self, server: _Program) -> None:
        """``Expect: 100-continue``: such a caller sends no body before it was told to."""
        with server.connect() as caller:
            caller.send(_head("/echo", 3, "Expect: 100-continue"))
            assert caller.head().startswith(b"HTTP/1.1 100 ")
            caller.send(b"abc")
            assert _result(caller.answer())["files"] == [[3, _digest(b"abc")]]

    @pytest.mark.parametrize("status", [404, 413, 415])
    def test_a_body_that_is_refused_is_not_asked_for(self, server: _Program, status: int) -> None:
        """The first that such a caller sees is the refusal; nothing was sent for nothing."""
        path = "/nowhere" if status == 404 else "/echo"
        length = BODY + 1 if status == 413 else 3
        expects = ("Expect: 100-continue", *(["Content-Encoding: gzip"] if status == 415 else []))
        with server.connect() as caller:
            caller.send(_head(path, length, *expects))
            assert caller.head().startswith(b"HTTP/1.1 %d " % status)

    @pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
    def test_a_caller_that_sends_too_much_can_read_so(self, server: _Program, chunked: bool) -> None:
        """Most callers send all before they read. A server that hangs up at once gives them a reset, not the 413."""
        size = BODY + (24 << 20)  # the rest is more than fits in buffers on the way
        with server.connect() as caller:
            caller.send(_CHUNKED + b"%x\r\n" % size if chunked else _head("/echo", size))
            try:
                for _ in range(size >> 16):
                    caller.send(bytes(1 << 16))
                caller.send(b"\r\n0\r\n\r\n" if chunked else b"")
                answer = caller.answer()
            except ConnectionError as error:
                pytest.fail(f"the caller of a body that is too large got no answer, but {error!r}")
            assert (answer.status, answer.json["limit"]) == (413, "body")
        assert server.request("/echo").status == 200

    # Broken and hostile callers --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("case", _NO_HTTP)
    def test_what_is_no_http_is_a_400_and_the_end_of_its_connection(self, server: _Program, case: str) -> None:
        """After any of these nobody knows where the next request begins, a proxy in front least of all."""
        with server.connect() as caller:
            caller.send(_NO_HTTP[case])
            assert caller.answer().status == 400
            assert caller.is_closed(), "the connection stayed open"
        assert server.request("/echo").status == 200

    @pytest.mark.parametrize("path", ["/echo", "/nowhere"], ids=["read", "refused"])
    def test_a_request_in_a_body_is_not_answered(self, server: _Program, path: str) -> None:
        """Neither if the body is read, nor if it is refused unread: then it is thrown away, or the connection ends."""
        smuggled = _head("/echo?n=smuggled", 0)
        with server.connect() as caller:
            caller.send(_head(path, len(smuggled)) + smuggled)
            assert caller.answer().status == (200 if path == "/echo" else 404)
            try:
                caller.send(_head("/echo?n=2", 0))
                answer = caller.answer()
            except (ConnectionError, http.client.BadStatusLine):
                return  # the connection has ended, which is as safe
            assert _result(answer)["text"] == {"n": "2"}

    @pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
    def test_a_body_that_is_broken_off_does_not_reach_the_callback(self, server: _Program, chunked: bool) -> None:
        """Half of an upload is no upload. The callback of this test would call back, if it were called."""
        with closing(_Meeting(self.seconds)) as meeting, server.connect() as caller:
            start = _CHUNKED.replace(b"/echo", b"/wait?port=%d" % meeting.port) + b"3\r\nabc\r\n"
            caller.send(start if chunked else _head(f"/wait?port={meeting.port}", 10) + b"abc")
            caller.sock.shutdown(socket.SHUT_WR)
            first, _, _ = select.select([caller.sock, meeting.listener], [], [], self.seconds)
            assert meeting.listener not in first, "the callback was called with half of a body"
            assert first, "the connection was not ended"
        assert server.request("/echo").status == 200

    # Many callers ----------------------------------------------------------------------------------------------------

    def test_forty_callers_at_once_are_all_answered(self, server: _Program) -> None:
        """All are connected before the first of them sends; each gets its own answer."""
        with ExitStack() as stack:
            callers = [stack.enter_context(server.connect()) for _ in range(40)]
            for number, caller in enumerate(callers):
                caller.send(_head(f"/echo?n={number}", 0, "Connection: close"))
            answers = [_result(caller.answer())["text"] for caller in callers]
        assert answers == [{"n": str(number)} for number in range(40)]

    @pytest.mark.parametrize("sent", ["half a head", "half a body"])
    def test_callers_that_are_slow_hold_up_nobody(self, server: _Program, sent: str) -> None:
        """Some callers stop in the middle; another one, who came later, is answered."""
        with ExitStack() as stack:
            for _ in range(4):
                caller = stack.enter_context(server.connect())
                caller.send(b"POST /echo HT" if sent == "half a head" else _head("/echo", 100) + b"abc")
            assert server.request("/echo").status == 200

    def test_a_callback_that_takes_long_holds_up_nobody(self, server: _Program) -> None:
        """Another request is answered while it waits."""
        with closing(_Meeting(self.seconds)) as meeting, server.connect() as caller:
            caller.send(_head(f"/wait?port={meeting.port}", 0))
            with meeting.met():
                assert server.request("/echo").status == 200
            assert _result(caller.answer()) == {"waited": True}

    # Beginning and end -----------------------------------------------------------------------------------------------

    def test_a_request_in_flight_is_answered_before_the_end(self, own_server: _Program) -> None:
        """SIGTERM is how a new version begins; no caller shall notice."""
        with closing(_Meeting(self.seconds)) as meeting, own_server.connect() as caller:
            caller.send(_head(f"/wait?port={meeting.port}", 0))
            with meeting.met():
                own_server.terminate()
                own_server.refuses(self.seconds / 4)  # it has noticed; and if it does not refuse, another test says so
                assert not own_server.ends_within(0.5), "the program ended while a request was in flight"
            try:
                answer = caller.answer()
            except (ConnectionError, http.client.BadStatusLine) as error:
                pytest.fail(f"the caller that was waiting got no answer, but {error!r}")
            assert _result(answer) == {"waited": True}
        assert own_server.ended() == 0

    def test_nobody_is_let_in_once_it_was_told_to_end(self, own_server: _Program) -> None:
        """While it finishes a request, new callers are refused at once: their load balancer asks another server."""
        with closing(_Meeting(self.seconds)) as meeting, own_server.connect() as caller:
            caller.send(_head(f"/wait?port={meeting.port}", 0))
            with meeting.met():
                own_server.terminate()
                assert own_server.refuses(self.seconds), "new connections were still accepted"

    def test_it_ends_with_code_0_although_connections_are_kept_open(self, own_server: _Program) -> None:
        """Callers keep their connections for a next request that may never come. The first of them has long been idle
        when the last has its answer.
        """
        with ExitStack() as stack:
            for caller in [stack.enter_context(own_server.connect()) for _ in range(5)]:
                caller.send(_head("/echo", 0))
                assert caller.answer().status == 200
            own_server.terminate()
            assert own_server.ended() == 0

    def test_after_its_end_the_port_is_free_and_no_process_is_left(self, own_server: _Program) -> None:
        """A process that is left keeps stderr open, which is how it is found."""
        assert own_server.request("/echo").status == 200
        port = own_server.port
        own_server.terminate()
        own_server.ended()
        assert own_server.silent(), "the program has ended, and a process that it started goes on"
        socket.create_server(("127.0.0.1", port)).close()

    def test_stdout_is_the_programs_and_run_returns_once(self, own_server: _Program) -> None:
        """Logs go to stderr. What follows ``run()`` happens once, not in each process that a server started."""
        assert own_server.request("/echo").status == 200
        own_server.terminate()
        own_server.ended()
        assert own_server.silent()
        assert own_server.stdout.read_text() == "after run()\n"

    def test_a_taken_port_is_an_oserror_that_names_it(self, start_server: Callable[..., _Program]) -> None:
        """Raised by ``run()``, before anything is served; the number is what its reader has to change."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            program = start_server(port)
            code = program.ended()
            assert program.silent()
        said = "".join(program.lines)
        assert (code, f"{port}" in said.rpartition("OSError: ")[2]) == (3, True), said


_SHARED: pytest.StashKey[dict[str, _Program]] = pytest.StashKey()
"""By plugin, what serves all tests of one class."""


class _Program:
    """The suite's program in a process of its own, and its callers."""

    def __init__(self, folder: Path, plugin: Plugin, port: int, seconds: float) -> None:
        self.file = folder / "answer.bin"
        self.file.write_bytes(_content(48))
        self.stdout = folder / "stdout"
        self.lines: list[str] = []
        self._seconds = seconds
        self._port: int | None = None
        self._greeted = threading.Event()
        script = folder / "program.py"
        name, options = plugin
        script.write_text(
            _PROGRAM.format(file=str(self.file), name=name, options=dict(options), body=BODY), encoding="utf-8"
        )
        with self.stdout.open("wb") as stdout:
            self._process = subprocess.Popen(  # noqa: S603 - the program is written above
                [sys.executable, str(script), str(port)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                # It imports what the tests can import, and is a group that can be ended with all that it started.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONIOENCODING": "utf-8"},
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="stderr of a server", daemon=True)
        self._reader.start()

    @property
    def port(self) -> int:
        """Where it serves, as its greeting says."""
        assert self._greeted.wait(SECONDS), "the server gave no greeting"
        if self._port is None:
            pytest.fail(f"the server ended before it served:\n{''.join(self.lines)}")
        return self._port

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @contextmanager
    def connect(self) -> Iterator[_Caller]:
        with socket.create_connection(("127.0.0.1", self.port), self._seconds) as sock:
            yield _Caller(sock)

    def request(self, path: str, body: bytes = b"", *, method: str = "POST") -> Answer:
        """One request, on a connection of its own."""
        with self.connect() as caller:
            caller.send(_head(path, len(body), "Connection: close", method=method))
            caller.send(body)
            return caller.answer(method)

    def terminate(self) -> None:
        self._process.terminate()

    def ended(self) -> int:
        """Wait for its end: the exit code."""
        try:
            return self._process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            pytest.fail("the program did not end in time")

    def ends_within(self, seconds: float) -> bool:
        """For an end that must not come: how long a program that does not wait gets to show it."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def silent(self) -> bool:
        """Wait until nothing more can come to stderr, from it or from a process that it started."""
        self._reader.join(self._seconds)
        return not self._reader.is_alive()

    def refuses(self, seconds: float) -> bool:
        """Try to connect until that is refused, or in vain for so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                    sock.settimeout(0.05)
                    sock.recv(1)
            except ConnectionRefusedError:
                return True
            except OSError:
                pass  # accepted so far, or cut off by its end
        return False

    def kill(self) -> None:
        """End it, with all that it started, whatever it does."""
        if hasattr(os, "killpg"):
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # they have all ended
        else:
            self._process.kill()
        self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            if self._port is None and (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)):
                self._port = int(found[1])
                self._greeted.set()
        self._greeted.set()


class _Caller:
    """One side of a connection. It loses nothing of what follows an answer, so that one too many is seen."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = _Lasting(socket.SocketIO(sock, "r"))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, method: str = "POST") -> Answer:
        """Read the next answer."""
        response = http.client.HTTPResponse(cast("socket.socket", self), method=method)
        response.begin()
        return Answer(response.status, response.reason, response.headers, response.read())

    def head(self) -> bytes:
        """Read to the end of a head, that of ``100 Continue`` too."""
        return b"".join(iter(self._file.readline, b"\r\n"))

    def is_closed(self) -> bool:
        """Wait until the other side closes the connection."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def makefile(self, mode: str) -> io.BufferedReader:
        """For ``http.client``, which takes a socket and gets the same buffer each time."""
        return self._file


class _Lasting(io.BufferedReader):
    def close(self) -> None:
        """An answer that has been read closes its file; others follow here."""


class _Meeting:
    """Where a callback of the program comes when it has begun, and goes on when it is let go."""

    def __init__(self, seconds: float) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(seconds)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def met(self) -> socket.socket:
        """Wait until the callback has begun; it goes on when what is returned is closed."""
        return self.listener.accept()[0]

    def close(self) -> None:
        self.listener.close()


def _head(path: str, length: int, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if length or method == "POST":
        lines += ["Content-Type: image/png", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "\r\n"]).encode()


def _result(answer: Answer) -> Any:
    """What the callback returned, if it was called at all."""
    assert answer.status == 200, f"the answer is {answer.status} {answer.reason}: {answer.body[:500]!r}"
    assert answer.body, "the answer is empty"
    return answer.json


def _content(blocks: int) -> bytes:
    """Blocks of 64 KiB, each with its number, so that one that is lost, doubled or moved shows."""
    return b"".join(number.to_bytes(8, "big") + b"x" * 65_528 for number in range(blocks))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
