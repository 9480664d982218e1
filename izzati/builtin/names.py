"""Background work that is found by its name, anywhere in a tree of processes.

The work itself answers for its name, at a Unix socket in the abstract namespace: the name is taken exactly as long as
the work lives. Where the system has no such sockets, a name is found only in the process that gave it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import reduction
from typing import Any

from izzati import BackgroundError, Process, Queue
from izzati.builtin.loop import loop
from izzati.builtin.packets import PacketQueue
from izzati.builtin.program import identity

__all__ = ["Claim", "answer", "claim", "join_tree", "remember", "tree"]

_TREE = "_IZZATI_TREE"
_ANSWER_SECONDS = 10.0
_known: dict[str, tuple[str, Process, Queue, int]] = {}


@dataclass
class Claim:
    """A name that is ours to give, or the work that has it."""

    found: tuple[Process, Queue] | None = None
    listening: _Listening | None = None

    def close(self) -> None:
        """The work has it now."""
        if self.listening is not None:
            self.listening.socket.close()


class _Listening:
    """A listening socket that can go to a process that is being started."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def __getstate__(self) -> Any:
        return reduction.DupFd(self.socket.fileno())

    def __setstate__(self, copy: Any) -> None:
        self.socket = socket.socket(fileno=copy.detach())


def tree() -> str:
    """Names this tree of processes; programs that it starts inherit it with their environment."""
    if _TREE not in os.environ:
        os.environ[_TREE] = identity()
    return os.environ[_TREE]


def join_tree(name: str) -> None:
    """In a process that was started by a server of multiprocessing's, which has an older environment."""
    os.environ[_TREE] = name


def claim(name: str, target: Callable[..., object]) -> Claim:
    """Find the work of this name, or reserve the name.

    :raises ValueError: if the work of this name runs another function.
    """
    for ended in [
        other for other, (_, process, _, pid) in _known.items() if pid != os.getpid() or not process.is_alive()
    ]:
        del _known[ended]
    if name in _known:
        runs, process, queue, _ = _known[name]
        _require_same(name, runs, target)
        return Claim(found=(process, queue))
    if sys.platform != "linux":
        return Claim()
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        listening = _bind(name)
        if listening is not None:
            return Claim(listening=_Listening(listening))
        found = _ask(name, target)
        if found is not None:
            return Claim(found=found)
        time.sleep(0.01)
    raise BackgroundError(f"the background work named {name!r} does not answer")


def remember(name: str, target: Callable[..., object], process: Process, queue: Queue) -> None:
    """Whose child has the name, so that its parent finds the real process object again."""
    _known[name] = (_description(target), process, queue, os.getpid())


def answer(listening: _Listening, target: Callable[..., object], queue: PacketQueue) -> None:
    """In the process that does the work: give its handles to whoever of this user asks for its name."""
    message = json.dumps(
        {"pid": os.getpid(), "runs": _description(target), "maxsize": queue.maxsize, "creator": queue.creator}
    )

    def accept() -> None:
        caller, _ = listening.socket.accept()
        with caller, contextlib.suppress(OSError):
            if _user(caller) == os.getuid():
                caller.settimeout(_ANSWER_SECONDS)
                socket.send_fds(caller, [message.encode()], queue.descriptors)

    loop.watch(listening.socket.fileno(), accept)


def _bind(name: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.bind(_address(name))
        sock.listen(128)
    except OSError:
        sock.close()
        return None
    return sock


def _ask(name: str, target: Callable[..., object]) -> tuple[Process, Queue] | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(_ANSWER_SECONDS)
        try:
            sock.connect(_address(name))
            if _user(sock) != os.getuid():
                raise BackgroundError(f"the name {name!r} is taken by a process of another user")
            message, descriptors, _, _ = socket.recv_fds(sock, 4096, 4)
        except OSError:
            return None  # it ended just now
    if not message:
        return None
    told = json.loads(message)
    queue = PacketQueue(told["maxsize"], descriptors=list(descriptors), creator=told["creator"])
    _require_same(name, told["runs"], target)
    return _FoundProcess(name, told["pid"]), queue


def _require_same(name: str, runs: str, target: Callable[..., object]) -> None:
    if runs != _description(target):
        raise ValueError(
            f"the background work named {name!r} runs {runs}, not {_description(target)}: "
            "choose another name, or end that one first"
        )


def _description(target: Callable[..., object]) -> str:
    module = getattr(target, "__module__", "").replace("__mp_main__", "__main__")
    return f"{module}.{getattr(target, '__qualname__', type(target).__qualname__)}"


def _address(name: str) -> str:
    return f"\0izzati-{tree()}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _user(sock: socket.socket) -> int:
    """Who is at the other end; abstract names have no permissions."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user


class _FoundProcess:
    """A process that another one of this tree has started."""

    exitcode = None

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        weakref.finalize(self, os.close, self._descriptor).atexit = False

    def is_alive(self) -> bool:
        return not self._ended(0)

    def join(self, timeout: float | None = None) -> None:
        self._ended(timeout)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)
