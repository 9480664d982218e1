"""One HTTP/1.1 connection (RFC 9112) for a WSGI application: h11 reads the requests, this has the socket."""

from __future__ import annotations

import io
import logging
import math
import random
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

import h11

from izzati import BLOCK, Problem
from izzati.builtin import refusals
from izzati.builtin.answer import Answer
from izzati.builtin.chunks import ChunkFrames
from izzati.builtin.drain import Drain
from izzati.builtin.environ import check_following, check_lines, length_of_body, request_environ
from izzati.builtin.pace import SLOWEST, send_all, send_file
from izzati.builtin.states import Claim, Progress, Waiter
from izzati.builtin.streams import BodyStream, FileWrapper
from izzati.builtin.timeouts import Timeouts

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Connection"]

log = logging.getLogger("izzati.server")

EARLY = 64 * 1024
"""Bytes of a body that are taken before the application is called; a longer one it must ask for."""

_PIECES = 256
"""Chunks that are likewise taken before; each costs as much as hundreds of bytes."""

_LINGER = 0.001
"""Seconds for which a worker waits for the next request of a connection before it looks for other work."""

_LINE_END = b"\r\n"
"""Means nothing before a request (RFC 9112, section 2.2): small devices send one behind a body."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_MIGHT_SWITCH = h11.MIGHT_SWITCH_PROTOCOL  # type: ignore[attr-defined]  # its documentation has it, its __all__ not
_UNREAD = (h11.SEND_BODY, h11.ERROR)
"""States of the caller in which more of its request may be on its way."""


class ConnectionLost(Exception):
    """The caller is gone, or takes nothing more."""


class Connection:
    """Requests and answers of one connection, in turn.

    It belongs to one thread at a time: to the selector's, which calls :meth:`receive` until a request is ready, and
    then to a worker's, which calls :meth:`answer`.

    :param number: the server's, for this connection.
    :param sock: a connected socket; closed at the end.
    :param environ: what is the same in every request of this connection.
    :param server: told when a thread waits, and asked whether it may, and whether further requests are taken.
    """

    def __init__(
        self,
        number: int,
        sock: socket.socket,
        app: Callable[..., Iterable[bytes]],
        environ: dict[str, Any],
        timeouts: Timeouts,
        server: Waiter,
    ) -> None:
        self.number = number
        self.socket = sock
        # Switching back and forth would cost a call of the system each time; see _blocking.
        sock.setblocking(False)
        #: when the server will look at its deadline, at the latest
        self.noted = math.inf
        self._app = app
        self._environ = environ
        self._timeouts = timeouts
        self._server = server
        #: False if its request is to be refused, since there is no place for it
        self.welcome = True
        #: True until the first answer
        self._fresh = True
        #: behind the last answer
        self._drain: Drain | None = None
        self._begin()
        self.deadline = self.since + timeouts.head

    def _begin(self) -> None:
        """Before each request."""
        # A new one for each, since h11 answers as well, or else does not know that the answer is over.
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=refusals.HEAD)
        self._request: h11.Request | None = None
        self._for_head = False
        #: of a body in chunks
        self._frames: ChunkFrames | None = None
        self._problem: Problem | None = None
        self._early: deque[bytes] = deque()
        self._early_size = 0
        self._head: tuple[str, list[tuple[str, str]]] | None = None
        self._answer: Answer | None = None
        self._told_to_go_on = False
        self._waited, self._waited_for = 0.0, 0
        #: True while no byte of the next request has arrived
        self.idle = True
        self._received = 0
        #: since when it has not had a request, or not the whole of one's head, as time.monotonic() counts
        self.since = time.monotonic()
        #: until when something must have arrived
        self.deadline = self.since + self._timeouts.idle

    def receive(self) -> Progress:
        """Take what has arrived, without waiting."""
        try:
            if self._drain is not None:
                return Progress.WAITING if self._drain.receive() else Progress.GONE
            return self._take(self.socket.recv(EARLY))
        except BlockingIOError:
            return Progress.WAITING
        except OSError:
            return Progress.GONE
        except Exception:
            # One connection must not end the thread that receives for all.
            log.exception("a connection failed")
            return Progress.GONE

    def expire(self) -> Progress:
        """The deadline has passed."""
        if self._drain is not None:
            return Progress.GONE
        if self._request is None:
            if self.idle:
                return Progress.GONE
            self._problem = refusals.head_too_late(self._timeouts.head)
        elif self._early_size - self._waited_for < SLOWEST * self._timeouts.block:
            self._problem = refusals.too_slow(self._timeouts.block)
        else:
            self._waited_for = self._early_size
            self.deadline = time.monotonic() + self._timeouts.block
            return Progress.WAITING
        return Progress.READY

    @property
    def claim(self) -> Claim:
        if self._drain is not None:
            return Claim.NONE
        if self.idle:
            return Claim.NEW if self._fresh else Claim.NONE
        return Claim.HEAD if self._request is None else Claim.REQUEST

    def give_way(self) -> Progress:
        """Its place is needed for another connection; not called of one that has sent a request."""
        if self.claim is not Claim.HEAD:
            return Progress.GONE
        self._problem = refusals.crowded()
        return Progress.READY

    def end(self) -> Progress:
        """The server takes no further requests; one that has begun is answered still, or refused."""
        if self.idle:
            return Progress.GONE
        if self._drain is not None:
            return Progress.WAITING
        if self._request is None:
            self._problem = refusals.ending()
        return Progress.READY

    def answer(self) -> Progress:
        """Answer the request that is ready, and those that follow at once, unless others wait for their turn.

        :returns: how far the next request has arrived.
        """
        try:
            while self._answer_one():
                self._fresh = False
                following, _ = self._http.trailing_data
                self._begin()
                progress = self._take(following) if following else Progress.WAITING
                if progress is Progress.WAITING:
                    progress = self._linger()
                if progress is not Progress.READY or not self._server.lingers:
                    return progress
            if self._drain is not None:
                return Progress.WAITING
        except (ConnectionLost, OSError) as error:
            log.debug("connection lost: %s", error)
        except Exception:
            log.exception("a connection failed")
        return Progress.GONE

    def cut(self) -> None:
        """End the connection, whatever is under way."""
        with suppress(OSError):  # the caller was faster
            self.socket.shutdown(socket.SHUT_RDWR)

    def _take(self, data: bytes) -> Progress:
        if not data and self._request is not None:
            self._problem = refusals.ended_early()
            return Progress.READY
        if self.idle and data:
            data = data.lstrip(_LINE_END)
            if not data:
                return Progress.WAITING
            self.idle = False
            self.since = time.monotonic()
            self.deadline = self.since + self._timeouts.head
        self._received += len(data)
        return self._advance(data)

    def _advance(self, data: bytes) -> Progress:
        """See what the bytes that have arrived amount to, with these."""
        try:
            self._pass_on(data)
            return (self._request is None and self._take_head()) or self._take_body()
        except Problem as problem:
            self._problem = problem
            return Progress.READY

    def _take_head(self) -> Progress | None:
        """None if the first of the body is to be taken, too, before the request is answered."""
        arrived, _ = self._http.trailing_data
        self._for_head = arrived.startswith(b"HEAD ")  # known by whoever refuses what is no request otherwise
        event = self._next_event()
        if event is h11.NEED_DATA:
            return Progress.WAITING
        if not isinstance(event, h11.Request):
            return Progress.GONE
        following, _ = self._http.trailing_data
        check_lines(arrived[: len(arrived) - len(following)])
        self._request = event
        if not self.welcome:
            raise refusals.crowded()
        # h11 looks only while they are incomplete.
        if self._received > refusals.HEAD and _length_of_head(event) > refusals.HEAD:
            raise refusals.head_too_long()
        self.deadline = time.monotonic() + self._timeouts.block
        length = length_of_body(event)
        if length is None:
            self._frames = ChunkFrames()
            self._frames.check(following)
        elif not length:
            check_following(event, following)
        # Of a long body it must be known first whether it is wanted at all.
        return Progress.READY if (length or 0) > EARLY or self._http.they_are_waiting_for_100_continue else None

    def _take_body(self) -> Progress:
        while self._early_size < EARLY and len(self._early) < _PIECES:
            event = self._next_event()
            if event is h11.NEED_DATA:
                return Progress.WAITING
            if not isinstance(event, h11.Data):
                break
            self._early.append(bytes(event.data))
            self._early_size += len(event.data)
        return Progress.READY

    def _pass_on(self, data: bytes) -> None:
        if self._frames is not None:
            self._frames.check(data)
        self._http.receive_data(data)

    def _linger(self) -> Progress:
        """Wait for a moment, if there is nothing else to do: callers often send the next request at once."""
        if not self._server.lingers:
            return Progress.WAITING
        self.socket.settimeout(_LINGER)
        try:
            return self._take(self.socket.recv(EARLY))
        except TimeoutError:
            return Progress.WAITING
        finally:
            self.socket.settimeout(0)

    def _answer_one(self) -> bool:
        """Answer one request; True if another may follow."""
        # Not kept, since its traceback leads back to this connection.
        problem, self._problem = self._problem, None
        try:
            if problem is not None:
                raise problem
            assert self._request is not None
            environ = request_environ(self._environ, self._request, self._body())
        except Problem as problem:
            self._refuse(problem)
        else:
            self._respond(environ)
        goes_on = self._answer is not None and not self._answer.closes
        if self._http.their_state in _UNREAD or (not goes_on and self._http.trailing_data[0]):
            self._drain = Drain(self.socket)
            self.since = time.monotonic()
            self.deadline = self._drain.deadline
        return goes_on

    def _body(self) -> IO[bytes]:
        """The request's body: all of it, if it has arrived, else what receives the rest when it is read."""
        if self._http.their_state in _UNREAD:
            import_module("izzati.builtin.memory").share_memory()  # ctypes, which few programs need
            return io.BufferedReader(BodyStream(self.next_data), EARLY)
        return io.BytesIO(self._early[0] if len(self._early) == 1 else b"".join(self._early))

    def _next_event(self) -> Any:
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            error.with_traceback(None)  # h11's last frame holds the error in turn
            if error.error_status_hint == 431:
                raise refusals.head_too_long() from error
            reason = re.split(r": (?:bytearray|b['\"])", str(error))[0]  # without the bytes themselves
            raise Problem(
                error.error_status_hint, f"This is not HTTP/1.1 as RFC 9112 has it: {reason}. Use an HTTP library."
            ) from error
        return event

    def next_data(self) -> bytes | bytearray:
        """The next bytes of the request's body; empty at its end.

        :raises Problem: 408 if they take too long, 400 if they break the protocol or end too early.
        """
        if self._early:
            return self._early.popleft()
        if self._http.their_state not in _UNREAD:
            return b""
        if self._http.they_are_waiting_for_100_continue and not self._told_to_go_on and self._answer is None:
            self._told_to_go_on = True
            self._write(_CONTINUE)
        while True:
            event = self._next_event()
            if isinstance(event, h11.Data):
                return event.data
            if event is not h11.NEED_DATA:
                return b""
            self._await_more()

    def _await_more(self) -> None:
        """Receive more of the body if it comes, from a caller that sends at least 1 KiB in each second of waiting."""
        data = None
        try:
            data = self.socket.recv(BLOCK)
        except BlockingIOError:
            started = time.monotonic()
            with suppress(TimeoutError), self._blocking(max(0.001, self._timeouts.block - self._waited)):
                data = self.socket.recv(BLOCK)
            self._waited += time.monotonic() - started
        if data == b"":
            raise refusals.ended_early()
        if data:
            self._pass_on(data)
            self._waited_for += len(data)
        if self._waited >= self._timeouts.block:
            if self._waited_for < SLOWEST * self._waited:
                raise refusals.too_slow(self._timeouts.block)
            self._waited, self._waited_for = 0.0, 0

    def _respond(self, environ: dict[str, Any]) -> None:
        blocks: Iterable[bytes] = ()
        try:
            blocks = self._app(environ, self._start_response)
            if isinstance(blocks, FileWrapper) and self._send_file(blocks):
                return
            if isinstance(blocks, (list, tuple)) and len(blocks) == 1:
                self._send(blocks[0], len(blocks[0]))
            else:
                for block in blocks:
                    self._send(block)
            if self._answer is None:
                self._send(b"", 0)
            assert self._answer is not None
            self._write(self._answer.end())
        except ConnectionLost:
            raise
        except BaseException:  # a SystemExit, too, ends no thread of the server
            log.exception("the application failed while it answered")
            if self._answer is not None:
                self._answer.closes = True
                self.cut()  # the only way left to say that this is not the whole answer
            else:
                self._refuse(Problem(500, "The server failed to answer this request."))
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | None = None,
    ) -> Callable[[bytes], None]:
        if self._answer is not None:
            raise exc_info[1] if exc_info else AssertionError("start_response was called after the answer had begun")
        self._head = (status, headers)
        return self._send

    def _send(self, data: bytes, length: int | None = None) -> None:
        """Send the next bytes of an answer, before the first of them its head.

        :param length: of all bytes that there will be; None if it is not known.
        """
        if self._answer is not None:
            self._write(self._answer.frame(data))
        else:
            answer = self._start(length)
            self._write(answer.head + answer.frame(data))

    def _start(self, length: int | None) -> Answer:
        if self._head is None:
            raise AssertionError("the application sent data before it called start_response")
        status, headers = self._head
        request = self._request
        if self._http.their_state is _MIGHT_SWITCH:
            self._http.send(h11.Response(status_code=400, headers=[]))  # to nobody: no answer here switches
        self._answer = answer = Answer(
            status,
            headers,
            length,
            for_head=self._for_head,
            chunks=request is None or request.http_version != b"1.0",
            close=not self._body_is_over() or self._http.their_state is not h11.DONE or self._server.stopping,
        )
        return answer

    def _send_file(self, file: FileWrapper) -> bool:
        """Send a file of known length by sendfile; False if this answer cannot go that way."""
        assert self._head is not None
        length = next((int(value) for name, value in self._head[1] if name.lower() == "content-length"), None)
        # A file that decompresses has a descriptor, too, but that is not what it reads.
        if length is None or not isinstance(file.file, (io.BufferedReader, io.BufferedRandom, io.FileIO)):
            return False
        answer = self._start(length)
        self._write(answer.head)
        if not answer.bodyless and length:
            try:
                with self._blocking(self._timeouts.block / 2):
                    sent = send_file(self.socket, file.file, length)
            except OSError as error:
                raise ConnectionLost(error) from error
            answer.count(sent)
        answer.end()
        return True

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application: what arrived is no request, or the application failed."""
        if self._answer is not None:
            return
        request_id = f"{random.getrandbits(64):016x}"
        log.info("request %s was refused: %s", request_id, problem)
        own = [("X-Content-Type-Options", "nosniff"), ("X-Request-Id", request_id), ("Connection", "close")]
        self._head = (f"{problem.code} {problem.title}", [*problem.get_headers(), *own])
        body = problem.get_body().encode("ascii")
        self._send(body, len(body))

    def _body_is_over(self) -> bool:
        """True if the request's body has been read, or if the rest of it has arrived and can be thrown away."""
        try:
            while self._http.their_state is h11.SEND_BODY and self._next_event() is not h11.NEED_DATA:
                pass
        except Problem:
            return False
        return self._http.their_state not in _UNREAD

    def _write(self, data: bytes) -> None:
        if not data:
            return  # a frame without a length or an end to tell
        try:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent < len(data):
                with self._blocking(self._timeouts.block / 2):
                    send_all(self.socket, memoryview(data)[sent:])
        except OSError as error:
            raise ConnectionLost(error) from error

    @contextmanager
    def _blocking(self, seconds: float) -> Iterator[None]:
        """Here the socket may block, for so many seconds."""
        self.socket.settimeout(seconds)
        try:
            with self._server.waiting():
                yield
        finally:
            self.socket.settimeout(0)


def _length_of_head(request: h11.Request) -> int:
    line = len(request.method) + len(request.target)
    return line + sum(len(name) + len(value) + 4 for name, value in request.headers.raw_items())
