"""A queue between processes that no dying process can jam: a socket that carries whole packets.

A :class:`multiprocessing.Queue` is a pipe with a lock for its readers; one that is killed inside ``get`` keeps the
lock, or leaves half an item. Here the kernel hands each packet to one reader, whole, so there is no lock to keep. Nor
does an item go to a thread first: ``put`` sends it, and only what finds no room waits for it in this process.
"""

from __future__ import annotations

import array
import errno
import io
import multiprocessing
import multiprocessing.util
import os
import pickle
import queue
import select
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from multiprocessing import reduction
from multiprocessing.context import assert_spawning
from typing import Any

from izzati.builtin.loop import loop

__all__ = ["PacketQueue"]

# Beyond this an item travels in a file in memory whose descriptor is sent. Well below any system's limit for a packet.
_INLINE = 32 * 1024
_DESCRIPTOR = array.array("i", [0]).itemsize
_NO_READER = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)
_NO_ROOM = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)
# How long put() waits for a reader that is at work, before it leaves the item to the background thread: less turns.
_PATIENCE = 0.005
# How often a put() that finds no place looks whether one was lost with a reader that was killed.
_GLANCE = 0.05
# Seconds and glances for which it must look so: a reader that lives may be held up before it gives its place back.
_LOST, _GLANCES = 2.0, 10


class PacketQueue:
    """Has the interface of :class:`multiprocessing.Queue`, and its exceptions. Linux only.

    :param maxsize: items that it holds before ``put`` waits; 0 for as many as there is memory for.
    :param descriptors: for the same queue in another process, to which they have been sent.
    :param creator: for that, the process that made it.
    """

    def __init__(self, maxsize: int = 0, *, descriptors: Sequence[int] = (), creator: int | None = None) -> None:
        if not descriptors:
            # Counts are kept by the kernel, too: no process can end while it holds one.
            flags = os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC
            pair = [end.detach() for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)]
            descriptors = [*pair, os.eventfd(0, flags), os.eventfd(max(0, maxsize), flags)]
        receiver, sender, self._count, self._places = descriptors
        self._receiver = _Socket(receiver)
        self._outbox = _Outbox(_Socket(sender))
        self._closed = False
        self._lost_since: float | None = None
        self._glances = 0
        #: items that it holds before ``put`` waits; 0 for any number
        self.maxsize = maxsize
        #: the process that made it, which ends after all that could read what it has put
        self.creator = creator or os.getpid()
        _flush_at_exit(self._outbox, self.creator)
        # Not by __del__: at the end of the interpreter what that would need has gone.
        weakref.finalize(self, _let_go, self._receiver, self._outbox, self._count, self._places).atexit = False
        multiprocessing.util.register_after_fork(self, PacketQueue._after_fork)

    @property
    def descriptors(self) -> list[int]:
        """What another process needs to take part."""
        return [self._receiver.fileno(), self._outbox.fileno(), self._count, self._places]

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._require_open()
        data = _pickled(item)
        if self.maxsize > 0:
            self._take_place(block, timeout)
        os.eventfd_write(self._count, 1)
        self._outbox.send(data, _PATIENCE if block else 0)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._require_open()
        deadline = None if timeout is None else time.monotonic() + timeout
        flags = 0 if block and deadline is None else socket.MSG_DONTWAIT
        while True:
            try:
                data, ancillary, _, _ = self._receiver.recvmsg(_INLINE + 1, socket.CMSG_SPACE(_DESCRIPTOR), flags)
                break
            except BlockingIOError:
                left = None if deadline is None else deadline - time.monotonic()
                if not block or left is None or left <= 0 or not _ready(self._receiver.fileno(), select.POLLIN, left):
                    raise queue.Empty from None
        _take(self._count)
        if self.maxsize > 0:
            os.eventfd_write(self._places, 1)
        return pickle.loads(_fetch(ancillary) if ancillary else data)  # noqa: S301 - from this tree of processes

    def put_nowait(self, item: Any) -> None:
        self.put(item, block=False)

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def qsize(self) -> int:
        if self.empty():
            return 0
        with open(f"/proc/self/fdinfo/{self._count}") as status:
            found = next(line for line in status if line.startswith("eventfd-count:"))
        return int(found.split()[1], 16)

    def empty(self) -> bool:
        self._require_open()
        return not _ready(self._receiver.fileno(), select.POLLIN, 0) and not self._outbox

    def full(self) -> bool:
        self._require_open()
        return self.maxsize > 0 and not _ready(self._places, select.POLLIN, 0)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._receiver.close()
            self._outbox.close_when_empty()

    def join_thread(self) -> None:
        if not self._closed:
            raise ValueError(f"{self!r} is not closed: close() it first")
        self._outbox.flush()

    def cancel_join_thread(self) -> None:
        self._outbox.abandoned = True

    def __repr__(self) -> str:
        return f"<PacketQueue {'closed' if self._closed else self._receiver.fileno()}>"

    def __getstate__(self) -> tuple[int, list[Any], int]:
        assert_spawning(self)
        return self.maxsize, [reduction.DupFd(descriptor) for descriptor in self.descriptors], self.creator

    def __setstate__(self, state: tuple[int, list[Any], int]) -> None:
        maxsize, copies, creator = state
        self.__init__(maxsize, descriptors=[copy.detach() for copy in copies], creator=creator)  # type: ignore[misc]

    def _after_fork(self) -> None:
        self._outbox.forget()
        _flush_at_exit(self._outbox, self.creator)

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError(f"{self!r} is closed")

    def _take_place(self, block: bool, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not _take(self._places):
            if self._has_lost_its_places():
                os.eventfd_write(self._places, self.maxsize)
                continue
            left = _GLANCE if deadline is None else min(_GLANCE, deadline - time.monotonic())
            if not block or left <= 0:
                raise queue.Full
            _ready(self._places, select.POLLIN, left)
        self._lost_since = None

    def _has_lost_its_places(self) -> bool:
        """All places are taken, and no item is there: readers were killed before they gave places back.

        True only when it has been so for long, glance after glance, which may be those of several calls.
        """
        if not self.empty():
            self._lost_since = None
            return False
        if self._lost_since is None:
            self._lost_since, self._glances = time.monotonic(), 0
        self._glances += 1
        if self._glances < _GLANCES or time.monotonic() - self._lost_since < _LOST:
            return False
        self._lost_since = None
        return True


class _Outbox:
    """What this process has put; usually empty, since it is sent at once."""

    def __init__(self, sender: socket.socket) -> None:
        self._sender = sender
        self._closing = False
        self.abandoned = False
        self.forget()

    def forget(self) -> None:
        """After a fork: what waits is the parent's to send."""
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._room: select.epoll | None = None

    def fileno(self) -> int:
        return self._sender.fileno()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def send(self, data: bytes, patience: float) -> None:
        """Send, or leave it to the background thread if there is no room for so many seconds."""
        with self._lock:
            if self._waiting:
                self._waiting.append(data)
                return
            if self._sent(data) or (
                patience and _ready(self._sender.fileno(), select.POLLOUT, patience) and self._sent(data)
            ):
                return
            self._waiting.append(data)
            self._room = select.epoll()  # is itself readable when there is room to write
            self._room.register(self._sender.fileno(), select.EPOLLOUT)
            loop.watch(self._room.fileno(), self._send_on)

    def flush(self) -> None:
        """Wait until all has been sent."""
        while self._waiting and not self.abandoned:
            _ready(self._sender.fileno(), select.POLLOUT, _GLANCE)
            self._send_on()

    def close_when_empty(self) -> None:
        """Close the sender, once nothing waits for it."""
        with self._lock:
            self._closing = True
            if not self._waiting:
                self._sender.close()

    def _send_on(self) -> None:
        with self._lock:
            while self._waiting and self._sent(self._waiting[0]):
                self._waiting.popleft()
            if not self._waiting and self._room is not None:
                loop.unwatch(self._room.fileno())
                self._room.close()
                self._room = None
                if self._closing:
                    self._sender.close()

    def _sent(self, data: bytes) -> bool:
        try:
            if len(data) <= _INLINE:
                self._sender.send(data, socket.MSG_DONTWAIT)
            else:
                _send_file(self._sender, data)
        except OSError as error:
            if error.errno in _NO_ROOM:
                return False
            if error.errno in _NO_READER:
                return True  # nobody is left who could ever get it
            if error.errno == errno.ETOOMANYREFS:  # descriptors in flight; poll() does not tell when there are fewer
                time.sleep(_PATIENCE)
                return False
            raise
        return True


class _Socket(socket.socket):
    """A socket that waits, even where the program has set a default timeout, and that may live until its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(fileno=descriptor)
        self.settimeout(None)

    def __del__(self) -> None:
        self.close()


def _let_go(receiver: socket.socket, outbox: _Outbox, *counters: int) -> None:
    receiver.close()
    outbox.close_when_empty()
    for counter in counters:
        os.close(counter)


def _flush_at_exit(outbox: _Outbox, creator: int) -> None:
    """Have what is left sent when this process ends."""
    # Bound to the outbox, which lives until it is empty: who drops the queue itself does not wait for its readers.
    multiprocessing.util.Finalize(outbox, _flush, (weakref.ref(outbox), creator), exitpriority=-5)


def _flush(outbox: weakref.ref[_Outbox], creator: int) -> None:
    left = outbox()
    # When its creator ends all others have ended, so nobody would read, and a wait would have no end.
    if left is not None and os.getpid() != creator:
        left.flush()


def _pickled(item: Any) -> bytes:
    """Not by ``ForkingPickler.dumps``: it gives a view, and Python may crash where the garbage collector finds one."""
    buffer = io.BytesIO()
    reduction.ForkingPickler(buffer).dump(item)
    return buffer.getvalue()


def _send_file(sender: socket.socket, data: bytes) -> None:
    descriptor = os.memfd_create("izzati item", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        sender.sendmsg([b"file"], rights, socket.MSG_DONTWAIT)
    finally:
        os.close(descriptor)


def _fetch(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    descriptors = array.array("i")
    descriptors.frombytes(ancillary[0][2])
    with open(descriptors[0], "rb") as file:
        file.seek(0)
        return file.read()


def _ready(descriptor: int, events: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, events)
    return bool(poll.poll(seconds * 1000))


def _take(counter: int) -> bool:
    """Take one from a counter of the kernel's; False if it stands at 0."""
    try:
        os.eventfd_read(counter)
    except BlockingIOError:
        return False
    return True
