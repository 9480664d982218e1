"""Background work in processes of this machine: how they start, are watched, and end."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.util
import os
import pickle
import signal
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, cast

from izzati import BackgroundError, BackgroundOptions, Process, Queue
from izzati.builtin import names
from izzati.builtin.loop import loop
from izzati.builtin.packets import PacketQueue
from izzati.builtin.program import first_process
from izzati.builtin.queues import make_queue

__all__ = ["start"]

log = logging.getLogger("izzati.background")

_LINUX = sys.platform == "linux"
# Seconds that a process may take to end when its program ends, before it is killed.
_GRACE = 2.0
# Seconds between a crash and the next start; they double from the first to the last.
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 30.0
# The exit code of a process for which somebody else has waited; multiprocessing has the same for its fork server.
_UNKNOWN = 255


def start(
    target: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: BackgroundOptions,
    start_method: str | None,
) -> tuple[Process, Queue]:
    """Start it, or find what runs under its name.

    :param start_method: None for what suits, as :class:`~izzati.builtin.processes.Processes` says.
    :raises BackgroundError: if it cannot be sent to a process, or its name is taken by other work.
    """
    if options.name is None:
        return _started(target, args, kwargs, options, start_method, None)
    claim = names.claim(options.name, target)
    if claim.found is not None:
        return claim.found
    try:
        process, queue = _started(target, args, kwargs, options, start_method, claim)
    finally:
        claim.close()
    names.remember(options.name, target, process, queue)
    return process, queue


def _started(
    target: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: BackgroundOptions,
    start_method: str | None,
    claim: names.Claim | None,
) -> tuple[BackgroundProcess, Queue]:
    global _fallen_back_to  # noqa: PLW0603 - a fact about this process
    name = options.name if options.name is not None else getattr(target, "__name__", "background")
    chosen = start_method or _chosen_method()
    methods = [chosen] if chosen else _default_methods()
    queue = make_queue(options.maxsize, multiprocessing.get_context(methods[-1]))
    listening = claim.listening if claim is not None else None
    # Others may find what has a name, so that it lives as long as they do: a server may replace the worker that was
    # the first to ask for it.
    owner = os.getpid() if listening is None else first_process(_background)
    work = _Work(target, queue, args, kwargs, owner, options.restart, listening, chosen, names.tree())
    for method in methods:
        process = _CLASSES[method](target=work, name=name)
        process.owner = owner
        try:
            process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            if method == methods[-1]:
                raise BackgroundError(_unpicklable(target, method, error)) from error
            log.info("%s is forked although this process has threads, since it cannot be pickled: %s", name, error)
        else:
            if not chosen:
                _fallen_back_to = multiprocessing.get_start_method(allow_none=True)
            return process, queue
    raise AssertionError("unreachable")


_reaping = threading.RLock()


class BackgroundProcess(multiprocessing.process.BaseProcess):
    """A process that this program watches, and that does not outlive it."""

    _start_method: str
    #: the process with which it ends
    owner: int
    #: descriptor that is ready when the process has ended; its sentinel is only when its own children have, too
    _ended: int | None = None
    _expected = False
    _reaped = False
    _popen: Any

    def start(self) -> None:
        with _paused_loop(), _quiet_fork(self._start_method):
            super().start()
            if self._start_method != "forkserver":
                self._ended = _pidfd(self.pid)
                if self._ended is not None:
                    weakref.finalize(self, os.close, self._ended).atexit = False
        if self.owner == os.getpid():
            _ends_with_this_program(self)
        else:
            _children().discard(self)
        loop.watch(self._descriptor, self._has_ended)

    def join(self, timeout: float | None = None) -> None:
        wait([self._descriptor], timeout)
        self._reap()

    def is_alive(self) -> bool:
        self._reap()
        return super().is_alive()

    @property
    def exitcode(self) -> int | None:
        self._reap()
        return super().exitcode

    def terminate(self) -> None:
        self._expected = True
        super().terminate()

    def kill(self) -> None:
        self._expected = True
        super().kill()

    def _reap(self) -> None:
        """If it has ended: end what it has left behind, take its exit code, and tell of a violent end; all once."""
        with _reaping:
            if self._popen is not None and not self._reaped and wait([self._descriptor], 0):
                _kill_group(self.pid)  # first, since the number is its own only until the exit code is taken
                super().join()
                self._reaped = True
                code = super().exitcode
                if code is None:
                    # A program that waits for any child of its own, as gunicorn does, was faster.
                    self._popen.returncode = _UNKNOWN
                    super().join()
                if code is None and not self._expected:
                    log.error("the background process %s (%s) has ended", self.name, self.pid)
                elif code is not None and code < 0 and not self._expected:
                    log.error(
                        "the background process %s (%s) was killed by %s", self.name, self.pid, _signal_name(-code)
                    )

    @property
    def _descriptor(self) -> int:
        return self.sentinel if self._ended is None else self._ended

    def _has_ended(self) -> None:
        loop.unwatch(self._descriptor)
        self._reap()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_ended"}


_CLASSES: dict[str, Any] = {}
for _method in multiprocessing.get_all_start_methods():
    _context: Any = multiprocessing.get_context(_method)
    _name = f"{_method.capitalize()}BackgroundProcess"
    _CLASSES[_method] = type(_name, (BackgroundProcess, _context.Process), {"__module__": __name__})
    globals()[_name] = _CLASSES[_method]  # where pickle looks for it


@dataclass
class _Work:
    """What a background process does, from its first line to its last."""

    target: Callable[..., object]
    queue: Queue
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parent: int
    restart: bool
    listening: Any
    chosen: str | None
    tree: str

    def __call__(self) -> None:
        # multiprocessing sets the method of a child to that of its own start.
        global _background, _inherited
        _background, _inherited = os.getpid(), (self.chosen,)
        names.join_tree(self.tree)
        _forget_the_parents_signals()
        if hasattr(os, "setpgid"):
            os.setpgid(0, 0)  # whatever it starts can be ended with it, and Ctrl-C is the program's to handle
        _end_with(self.parent)
        if self.listening is not None:
            names.answer(self.listening, self.target, cast("PacketQueue", self.queue))
        if self.restart:
            self._supervise()
        else:
            self._run()

    def _run(self) -> None:
        try:
            self.target(self.queue, *self.args, **self.kwargs)
        except Exception:
            name = multiprocessing.current_process().name
            log.exception("the background process %s (%s) raised", name, os.getpid())
            sys.exit(1)

    def _supervise(self) -> None:
        """Run the target in a process below this one, again and again, until it returns."""
        pause = _FIRST_PAUSE
        once = _Work(self.target, self.queue, self.args, self.kwargs, os.getpid(), False, None, self.chosen, self.tree)
        while True:
            started = time.monotonic()
            worker = _CLASSES[self._method](target=once, name=multiprocessing.current_process().name)
            worker.owner = os.getpid()
            worker.start()
            worker.join()
            if worker.exitcode == 0:
                return
            if time.monotonic() - started > _LAST_PAUSE:
                pause = _FIRST_PAUSE
            log.warning("the background process %s starts again in %g s", worker.name, pause)
            time.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    @property
    def _method(self) -> str:
        return "fork" if _LINUX else "spawn"


def _forget_the_parents_signals() -> None:
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)


def _end_with(parent: int) -> None:
    """End this process, and what it has started, when its parent is gone."""
    descriptor = _pidfd(parent)
    if descriptor is None:
        above = multiprocessing.parent_process()
        descriptor = above.sentinel if above is not None else None
    if descriptor is not None:
        loop.watch(descriptor, _parent_is_gone)


def _parent_is_gone() -> None:
    if callable(signal.getsignal(signal.SIGTERM)):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
    _kill_group(os.getpid())
    os._exit(1)


def _ends_with_this_program(process: BackgroundProcess) -> None:
    global _mine, _mine_in  # noqa: PLW0603 - one list a process, emptied by a fork
    if _mine_in != os.getpid():
        _mine, _mine_in = [], os.getpid()
        # Before multiprocessing's own, which would wait for them.
        multiprocessing.util.Finalize(None, _end_all, exitpriority=100)
    _mine = [other for other in _mine if other.is_alive()]
    _mine.append(process)


_mine: list[BackgroundProcess] = []
_mine_in = 0


def _children() -> set[multiprocessing.process.BaseProcess]:
    """Those that multiprocessing waits for when this process ends."""
    children: set[multiprocessing.process.BaseProcess] = getattr(multiprocessing.process, "_children", set())
    return children


def _forget_the_parents_children() -> None:
    """In a fork that multiprocessing has not made: it would wait for its parent's children when it ends."""
    _children().difference_update(_mine)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents_children)


def _end_all() -> None:
    running = [process for process in _mine if process.is_alive()]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + _GRACE
    for process in running:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _kill_group(leader: int | None) -> None:
    """Kill what a background process has left behind."""
    if leader is not None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def _pidfd(pid: int | None) -> int | None:
    try:
        return os.pidfd_open(pid) if pid is not None else None
    except (AttributeError, OSError):
        return None  # not Linux, an old kernel, or gone already


@contextlib.contextmanager
def _paused_loop() -> Iterator[None]:
    loop.pause()
    try:
        yield
    finally:
        loop.resume()


@contextlib.contextmanager
def _quiet_fork(method: str) -> Iterator[None]:
    if method != "fork" or not _LINUX or not _has_threads():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it was chosen, or the log has told why
        yield


# This process's own number, if it is a background process; its forks have it, too.
_background: int | None = None
_inherited: tuple[str | None] | None = None
_fallen_back_to: str | None = None


def _chosen_method() -> str | None:
    """What the user has set, in this process or the one that started this tree."""
    if _inherited is not None:
        return _inherited[0]
    method = multiprocessing.get_start_method(allow_none=True)
    # Starting a process makes multiprocessing's default look like a choice.
    return None if method == _fallen_back_to else method


def _default_methods() -> list[str]:
    """The start methods to try, in turn."""
    if not _LINUX:
        return ["spawn"]
    return ["forkserver", "fork"] if _has_threads() and _has_script() else ["fork"]


def _has_script() -> bool:
    """True if another process can import the main script. It cannot in a notebook, whose functions are here alone."""
    main = sys.modules["__main__"]
    return getattr(main, "__spec__", None) is not None or hasattr(main, "__file__")


def _has_threads() -> bool:
    """True if other threads than the main one and ours are running, Python's or not."""
    return len(os.listdir("/proc/self/task")) - loop.threads > 1


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _unpicklable(target: Callable[..., object], method: str, error: Exception) -> str:
    name = getattr(target, "__qualname__", repr(target))
    return (
        f"{name}, or an argument of it, cannot be sent to a process that {method} starts: {error}. "
        "Define functions at the top of a module, and give arguments that can be pickled."
    )
