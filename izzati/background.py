"""``background()``: a function that runs beside the program, and a queue to it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from izzati.arguments import expect
from izzati.callbacks import require_signature
from izzati.config import Settings
from izzati.discovery import Entry, Selection, installed
from izzati.errors import BackgroundError
from izzati.handles import BackgroundOptions, Process, Queue
from izzati.plugins import Plugins

__all__ = ["background", "end_import", "importing_main", "inert_handles"]

_GUARD = (
    "a background process imports this script to find its function, and the lines after run() would run in it again: "
    'put the lines from the first background() or run() on under `if __name__ == "__main__":`'
)


def background(
    target: Callable[..., object],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    restart: bool = False,
    maxsize: int = 0,
    **resources: Any,
) -> tuple[Process, Queue]:
    """Run ``target(q, *args, **kwargs)`` beside this program: ``p, q = background(greeter, args=("Hello",))``.

    By default it runs in a process of its own, which ends with this program at the latest. An installed plugin may
    run it elsewhere.

    :param target: a function whose first argument is the queue.
    :param name: if background work of this name runs already in this tree of processes, its handles are returned.
    :param restart: True to start it again, with growing pauses, when it raises or is killed. The queue is kept.
    :param maxsize: items that the queue holds before ``put`` waits; 0 for as many as there is memory for.
    :param resources: what the work needs, for plugins that place it (``num_gpus=1``).
    :returns: the process and the queue. ``p`` is a :class:`multiprocessing.Process`, ``q`` has the interface of a
        :class:`multiprocessing.Queue`: any holder may put and get, and each item goes to one getter.
    :raises CallbackError: (a ``TypeError``) if the target cannot take its arguments.
    :raises BackgroundError: if it cannot be sent to a process.
    :raises ValueError: if work of this name runs another function.
    """
    if importing_main():
        return inert_handles()
    options = BackgroundOptions(name=name, restart=restart, maxsize=maxsize, resources=resources)
    expect(Iterable, args, "args takes a list or tuple, as in args=('Hello',)")
    expect((Mapping, type(None)), kwargs, "kwargs takes a dict, as in kwargs={'greeting': 'Hello'}")
    return start(_hooks(installed()), target, tuple(args), dict(kwargs or {}), options)


def start(
    hooks: Any, target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], options: BackgroundOptions
) -> tuple[Process, Queue]:
    """Ask the plugins to run the target."""
    require_signature(target, ("q",), args, kwargs)
    handles = hooks.izzati_background(target, args, kwargs, options)
    if handles is None:
        raise BackgroundError("no plugin runs background work: processes is blocked, and all others declined")
    process, queue = handles
    return process, queue


def importing_main() -> bool:
    """True while a new process imports the main script, to find the functions that it shall run (spawn, forkserver).

    What the script starts then has been started already, by the process that runs it in earnest.
    """
    multiprocessing = sys.modules.get("multiprocessing.process")  # its children have it, and others need it not
    return multiprocessing is not None and getattr(multiprocessing.current_process(), "_inheriting", False)


def inert_handles() -> tuple[Process, Queue]:
    """Handles for a script that is only imported: nothing is started, what is put is dropped, and nothing comes."""
    return _InertProcess(), _InertQueue()


def end_import(frame: FrameType | None) -> None:
    """Called where an imported script would serve: nothing may follow, since it would run a second time.

    :param frame: that of ``run()``, which the script has called.
    :raises BackgroundError: if lines follow; it says what to change.
    """
    frame = frame and frame.f_back
    if frame is None or frame.f_code.co_name != "<module>":
        return
    try:
        statements = ast.parse(Path(frame.f_code.co_filename).read_bytes()).body
    except (OSError, SyntaxError):
        return
    if statements and statements[-1].lineno > frame.f_lineno:
        raise BackgroundError(_GUARD)


@lru_cache(maxsize=1)
def _hooks(entries: tuple[Entry, ...]) -> Any:
    """The hooks of installed plugins, for background work that belongs to no Backend.

    :param entries: those that are installed; others have other hooks.
    """
    return Plugins((), Settings({}), Selection(), implementing="izzati_background").hooks


class _InertProcess:
    name = "not started"
    pid = None
    exitcode = None

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        pass

    def terminate(self) -> None:
        pass

    kill = terminate


class _InertQueue:
    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        pass

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        raise BackgroundError(_GUARD)

    put_nowait, get_nowait = put, get

    def qsize(self) -> int:
        return 0

    def empty(self) -> bool:
        return True

    def full(self) -> bool:
        return False

    def close(self) -> None:
        pass

    join_thread = cancel_join_thread = close
