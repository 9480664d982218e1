"""A child process that ends when its parent wants it to, and when its parent is gone.

Between the two is a pipe that nobody writes to. On every system it closes however the parent ends, SIGKILL included.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Child", "end_with_parent", "has_parent"]

_PIPE = "_IZZATI_PARENT"
# Seconds that requests in flight may take once the child shall end.
_REQUESTS = 5.0
# Seconds that it may take to end after that, with what it has in the background, before it is killed.
_END = 3.0
# Seconds after a violent end in which what it had in the background finds out and ends, too.
_ORPHANS = 2.5


class Child:
    """A process that was started, and is to be ended by this one.

    :param command: an ``izzati run``, which calls :func:`end_with_parent`.
    :param environment: variables that it gets beside those of this process.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        pipe, self._pipe = Pipe(duplex=False)
        with pipe:
            environ = {**os.environ, **environment, _PIPE: str(pipe.fileno())}
            self._process = subprocess.Popen(command, env=environ, **_inheriting(pipe.fileno()))  # noqa: S603 - ourselves

    @property
    def exit_code(self) -> int | None:
        """As a shell tells it, 128 and the signal's number if one has killed it; None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def signal(self, number: int) -> None:
        """Pass a signal on; nothing happens if it has ended."""
        self._process.send_signal(number)

    def end(self) -> None:
        """End it, and what it has in the background: what is in flight is finished, up to a bound."""
        killed = self._process.poll() not in (None, *range(256))
        self._pipe.close()
        try:
            self._process.wait(_REQUESTS + _END)
        except subprocess.TimeoutExpired:
            killed = True
            self._process.kill()
            self._process.wait()
        if killed:
            time.sleep(_ORPHANS)


def _inheriting(descriptor: int) -> dict[str, Any]:
    """How a process is started that shall have this descriptor (on Windows: this handle)."""
    if sys.platform != "win32":
        return {"pass_fds": [descriptor]}
    os.set_handle_inheritable(descriptor, True)
    return {"close_fds": False}  # or it would not have a redirected stdout, either


class Terminated(KeyboardInterrupt):
    """SIGTERM. A SystemExit, while a plugin is loaded, would be taken for the plugin's own."""


def has_parent() -> bool:
    """True in the process of a :class:`Child`, until it calls :func:`end_with_parent`."""
    return _PIPE in os.environ


def end_with_parent() -> None:
    """In the process of a :class:`Child`, before the program runs: watch the pipe."""
    pipe = _readable(int(os.environ.pop(_PIPE)))
    signal.signal(signal.SIGTERM, _leave)
    # By name, since nothing but their loader imports built-in plugins. Their thread steps aside while a process forks.
    loop = import_module("izzati.builtin.loop").loop
    loop.watch(pipe, partial(_end, loop, pipe))


def _readable(descriptor: int) -> Any:
    if sys.platform != "win32":
        return Connection(descriptor, writable=False)
    return import_module("multiprocessing.connection").PipeConnection(descriptor, writable=False)


def _leave(number: int, frame: object) -> None:
    """While the program does not serve: end what it has in the background before it ends, as SIGTERM would not."""
    raise Terminated


def _end(loop: Any, pipe: Any) -> None:
    loop.unwatch(pipe)
    _signal_this_process(signal.SIGTERM)
    loop.later(_REQUESTS, _insist)
    loop.later(_REQUESTS + 2 * _END, partial(os._exit, 1))  # the parent does it earlier, if it is still there


def _insist() -> None:
    print(f"izzati: the program is still busy after {_REQUESTS:g} seconds, and is cut off", file=sys.stderr)
    _signal_this_process(signal.SIGINT)


def _signal_this_process(number: int) -> None:
    if callable(signal.getsignal(number)):  # else it is ending already, and this would kill it
        if sys.platform == "win32":
            signal.raise_signal(number)  # os.kill() would
        else:
            os.kill(os.getpid(), number)
