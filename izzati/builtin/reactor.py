"""The reactor: connections wait in a selector, and what has arrived is answered by one thread or by many."""

from __future__ import annotations

import errno
import heapq
import itertools
import logging
import math
import select
import selectors
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from izzati.builtin.descriptors import kept_for_files, next_descriptor
from izzati.builtin.environ import connection_environ
from izzati.builtin.http11 import Connection
from izzati.builtin.pool import Pool
from izzati.builtin.states import Claim, Progress
from izzati.builtin.timeouts import Timeouts

__all__ = ["Reactor"]

log = logging.getLogger("izzati.server")

_MOMENT = 0.01
"""Seconds that an answer may take before another thread goes on with the rest."""

_WARY = 1.0
"""Seconds after such an answer in which every answer gets a thread of the pool."""

_LAST = 1.0
"""Seconds for which what had been sent when it was told to stop is looked for, while there is more of it."""

_SAFE = 1.0
"""Seconds for which whoever has connected, or has begun a head, keeps a place that another one waits for."""

_TURN = 3.0
"""Seconds for which newcomers wait until somebody gives way. Then they are told that nobody does."""

_CROSSING = 0.25
"""Seconds in which another request may come from a caller who has just been answered, when it is told to stop."""

_QUIET = 20
"""Moments without an answer under way after which nobody looks for slow ones any more."""


class Reactor:
    """Accepts connections, receives their requests, and has them answered.

    What a connection waits for costs no thread: the next request, the rest of one, up to 64 KiB of a body. One thread,
    the leader, does all by turns: as long as nothing blocks, one does more than many, which would only wait for each
    other at the interpreter's lock. When an answer takes longer than a moment, or waits for its caller, another thread
    becomes the leader, and for a while the threads of a pool answer.

    :param listeners: listening sockets.
    :param threads: how many requests may be answered at once.
    :param grace: seconds that requests in flight may take once it was told to stop.
    """

    def __init__(
        self, app: Any, listeners: list[socket.socket], threads: int, timeouts: Timeouts, grace: float
    ) -> None:
        self._app = app
        self._listeners = listeners
        self._timeouts = timeouts
        self._grace = grace
        self._pool = Pool(threads)
        self._selector = selectors.DefaultSelector()
        # Sockets, since they can be written to by a signal's handler, which must not wait for a lock.
        self._waker, self._wakened = socket.socketpair()
        self._alarm, self._alarmed = socket.socketpair()
        for sock in (self._waker, self._wakened, self._alarm, self._alarmed):
            sock.setblocking(False)
        self._stopping = False
        #: connections that the selector watches, by number
        self._watched: dict[int, Connection] = {}
        #: those of which a request has arrived, and that nobody answers yet, in turn; they are watched still
        self._ready: dict[int, Connection] = {}
        #: those that a thread has which does not lead
        self._answered: dict[int, Connection] = {}
        #: those that such a thread gives back, and how far their next requests have arrived
        self._returned: deque[tuple[Connection, Progress]] = deque()
        #: when to look at which connection, by number; its own deadline may have moved since
        self._deadlines: list[tuple[float, int]] = []
        self._numbers = itertools.count()
        #: guards what says who leads, and what the leader answers
        self._lock = threading.Lock()
        #: counts the leaders
        self._term = 0
        self._leader: threading.Thread | None = None
        #: what the leader answers, and since when
        self._current: Connection | None = None
        self._since = 0.0
        self._wary_until = 0.0
        #: the first of the descriptors that requests need for files
        self._kept = math.inf
        #: True once a connection had one of them: from then on it is looked before each
        self._scarce = False
        #: since when nobody gives way to another one
        self._crowded_since = math.inf
        #: when the log was told last that descriptors are used up
        self._told = -math.inf
        self._watching = False

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listeners[0].getsockname()[:2]
        return host, port

    def serve(self, ready: Callable[[], object] = lambda: None) -> None:
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._kept = kept_for_files()
        ready()
        try:
            with self._lock:
                self._start_leader()
            with _rung_by_signals(self._alarm):
                self._oversee()
        finally:
            self.stop()
            self._finish(time.monotonic() + self._grace)
            self._selector.close()
            for sock in (self._waker, self._wakened, self._alarm, self._alarmed):
                sock.close()

    def stop(self) -> None:
        self._stopping = True
        _ring(self._waker)
        _ring(self._alarm)

    def forget(self) -> None:
        """Close this process's copies of all sockets, which no signal must ring: their numbers are given anew."""
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(-1)
        self._selector.close()
        for sock in (*self._listeners, self._waker, self._wakened, self._alarm, self._alarmed):
            sock.close()
        for connection in (*self._watched.values(), *self._answered.values()):
            connection.socket.close()

    @property
    def lingers(self) -> bool:
        """True if the thread that has answered may wait for the same connection's next request."""
        return self._current is None and not self._pool.backlog and not self._stopping

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a thread does nothing but wait for its caller, others may work."""
        if self._current is not None and threading.current_thread() is self._leader:
            self._replace_leader()
        with self._pool.waiting():
            yield

    # What the thread does that was told to serve

    def _oversee(self) -> None:
        """Look for answers that take long, while there are any; returns when it is to stop."""
        while not self._stopping:
            self._watching = False
            if self._current is None:
                select.select([self._alarmed], [], [])
            self._watching = True
            quiet = 0
            while quiet < _QUIET and not self._stopping:
                select.select([], [], [], _MOMENT) if sys.platform != "win32" else time.sleep(_MOMENT)
                _hear(self._alarmed)
                quiet = quiet + 1 if self._current is None else 0
                if self._is_held_up():
                    self._replace_leader()

    def _is_held_up(self) -> bool:
        return self._current is not None and time.monotonic() - self._since > _MOMENT

    def _start_leader(self) -> None:
        leader = threading.Thread(target=self._lead, args=(self._term + 1,), name="izzati leader", daemon=True)
        leader.start()
        self._term += 1
        self._leader = leader

    def _replace_leader(self) -> None:
        """The leader goes on with its answer alone."""
        with self._lock:
            if self._current is None:
                return
            if self._stopping:
                self._term, self._leader = self._term + 1, None
            else:
                try:
                    self._start_leader()
                except RuntimeError as error:
                    log.error("no thread can be started, so others wait for a request that takes long: %s", error)
                    return
            connection, self._current = self._current, None
            self._wary_until = time.monotonic() + _WARY
            self._unwatch(connection)
            self._answered[connection.number] = connection

    # What the leader does

    def _lead(self, term: int) -> None:
        with self._lock:
            pass  # until whoever started this thread has written down that it leads
        while not self._stopping:
            try:
                # Those that come meanwhile wait for their turn, or who sends many at once would have all turns.
                for _ in range(len(self._ready)):
                    connection = self._next_ready()
                    if time.monotonic() < self._wary_until:
                        self._hand_over(connection)
                    elif not self._answer_at_once(connection, term):
                        return
                self._select(self._patience())
            except Exception:  # a defect, which must cost no more than the connection that met it
                log.exception("the server failed at a connection")
                time.sleep(_MOMENT)  # it may fail at each turn

    def _answer_at_once(self, connection: Connection, term: int) -> bool:
        """True if this thread still leads afterwards."""
        with self._lock:
            self._current, self._since = connection, time.monotonic()
        if not self._watching:
            _ring(self._alarm)
        progress = connection.answer()
        with self._lock:
            leads = self._term == term
            if leads:
                self._current = None
        if leads:
            self._advance(connection, progress)
        else:
            self._give_back(connection, progress)
        return leads

    def _select(self, patience: float | None) -> bool:
        """Take what has arrived; False if nothing has.

        :param patience: seconds to wait for something; None for as long as it takes.
        """
        events = self._selector.select(patience)
        for key, _ in events:
            if key.data is not None:
                # Else it was hung up a moment ago; or what has arrived is of a later request.
                if key.data.number in self._watched and key.data.number not in self._ready:
                    self._advance(key.data, key.data.receive())
            elif key.fileobj is self._wakened:
                _hear(self._wakened)
            else:
                self._accept(key.fileobj)
        while self._returned:
            connection, progress = self._returned.popleft()
            del self._answered[connection.number]
            self._watch(connection)
            self._advance(connection, progress)
        self._expire()
        self._pool.tend()
        return bool(events)

    def _next_ready(self) -> Connection:
        return self._ready.pop(next(iter(self._ready)))

    def _patience(self) -> float | None:
        """Seconds until something must be looked at, even if nothing arrives."""
        if self._ready:
            return 0.0
        if self._pool.backlog:
            return _MOMENT
        return max(0.0, self._deadlines[0][0] - time.monotonic()) if self._deadlines else None

    def _accept(self, listener: Any) -> None:
        for _ in range(64):  # then those that are connected have their turn
            if not self._has_place():
                if time.monotonic() > self._crowded_since + _TURN:
                    self._turn_away(listener)
                return
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: Any, welcome: bool = True) -> bool:
        """False if nobody waits for it, or there is no descriptor."""
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            return False
        self._scarce = self._scarce or sock.fileno() >= self._kept
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            environ = connection_environ(sock, address)
        except OSError:
            sock.close()  # the caller has gone already
            return True
        connection = Connection(next(self._numbers), sock, self._app, environ, self._timeouts, self)
        connection.welcome = welcome
        self._watch(connection)
        return True

    def _turn_away(self, listener: Any) -> None:
        """Let some in who are only told that there is no place."""
        for _ in range(16):
            if not self._accept_one(listener, welcome=False):
                return

    def _has_place(self) -> bool:
        """False if another connection would take one of the descriptors that requests need for files."""
        while self._scarce and next_descriptor() >= self._kept:
            if not self._make_room():
                self._crowded_since = min(self._crowded_since, time.monotonic())
                return False
        self._crowded_since = math.inf
        return True

    def _advance(self, connection: Connection, progress: Progress) -> None:
        """Go on with a connection that is watched."""
        if progress is Progress.READY:
            connection.deadline = math.inf  # it came in time, though the time may be over before it is looked at
            self._ready[connection.number] = connection
        elif progress is Progress.GONE:
            self._close(connection)
        else:
            self._note(connection)

    def _expire(self) -> None:
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number = heapq.heappop(self._deadlines)
            connection = self._watched.get(number) or self._answered.get(number)
            if connection is not None:
                connection.noted = math.inf
            if connection is not None and number in self._watched:
                progress = Progress.WAITING
                if connection.deadline <= now:
                    progress = connection.receive()  # it may have come in time, while this thread had no turn
                if progress is Progress.WAITING and connection.deadline <= now:
                    progress = connection.expire()
                self._advance(connection, progress)

    def _make_room(self) -> bool:
        """Part with the connection that may claim its place least; False if that frees no descriptor yet."""
        now = time.monotonic()
        if now > self._told + 1:
            self._told = now
            log.error("no file descriptor is left for another connection")
        progress = Progress.WAITING
        found = min((each for each in self._watched.values() if self._may_go(each, now)), key=_claim, default=None)
        if found is not None:
            before = _claim(found)
            progress = found.receive()  # it may have sent something a moment ago
            if progress is Progress.WAITING and _claim(found) == before:
                progress = found.give_way()
            self._advance(found, progress)
        if progress is not Progress.GONE:
            time.sleep(_MOMENT)  # or the next turn, which would find no descriptor either, would follow at once
        return progress is Progress.GONE

    def _may_go(self, connection: Connection, now: float) -> bool:
        if connection.claim is Claim.REQUEST or connection.number in self._ready:
            return False
        return connection.claim is Claim.NONE or connection.since + _SAFE < now

    # Connections on their way between the selector and threads

    def _watch(self, connection: Connection) -> None:
        self._watched[connection.number] = connection
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._note(connection)

    def _unwatch(self, connection: Connection) -> None:
        del self._watched[connection.number]
        self._selector.unregister(connection.socket)

    def _note(self, connection: Connection) -> None:
        if connection.deadline < connection.noted:
            connection.noted = connection.deadline
            heapq.heappush(self._deadlines, (connection.deadline, connection.number))

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        connection.socket.close()

    def _hand_over(self, connection: Connection) -> None:
        self._unwatch(connection)
        self._answered[connection.number] = connection
        self._pool.submit(partial(self._answer, connection))

    def _hand_over_ready(self) -> None:
        while self._ready:
            self._hand_over(self._next_ready())

    def _answer(self, connection: Connection) -> None:
        progress = Progress.GONE
        try:
            progress = connection.answer()
        finally:
            self._give_back(connection, progress)

    def _give_back(self, connection: Connection, progress: Progress) -> None:
        if progress is Progress.GONE:
            del self._answered[connection.number]
            connection.socket.close()
        else:
            self._returned.append((connection, progress))
        if progress is not Progress.GONE or self._stopping:
            _ring(self._waker)

    def _finish(self, deadline: float) -> None:
        """Answer what has arrived, and end."""
        while (leader := self._leader) is not None and leader.is_alive():
            leader.join(_MOMENT)
            if self._is_held_up():
                self._replace_leader()
        self._hand_over_ready()
        self._close_listeners()
        until = min(deadline, time.monotonic() + _LAST)
        while self._select(_CROSSING if self._watched else 0.0) and time.monotonic() < until:
            self._hand_over_ready()
        self._hand_over_ready()
        self._end_connections()
        while (self._answered or self._watched) and (left := deadline - time.monotonic()) > 0:
            self._select(min(0.05, left))
            self._end_connections()
        if self._answered:
            log.error("a request was still under way after %g seconds, and was cut off", self._grace)
        for connection in tuple(self._answered.values()):
            connection.cut()
        for connection in tuple(self._watched.values()):
            self._close(connection)
        self._pool.close(deadline)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            for _ in range(1024):  # whom the system has connected already
                if not self._accept_one(listener):
                    break
            self._selector.unregister(listener)
            listener.close()

    def _end_connections(self) -> None:
        for connection in tuple(self._watched.values()):
            self._advance(connection, connection.end())
        self._hand_over_ready()

    @property
    def stopping(self) -> bool:
        """True once no further requests are taken."""
        return self._stopping


def _claim(connection: Connection) -> tuple[Claim, float]:
    return connection.claim, connection.since


@contextmanager
def _rung_by_signals(bell: socket.socket) -> Iterator[None]:
    """The system may give a signal to any thread. Python's handler runs in the main one, once that wakes up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)


def _ring(bell: socket.socket) -> None:
    try:
        bell.send(b"\0")
    except OSError:
        pass  # it rings already, or nobody listens any more


def _hear(bell: socket.socket) -> None:
    try:
        bell.recv(4096)
    except BlockingIOError:
        pass
