"""``izzati run --reload``: the program in a process of its own, which is started again whenever a file of it changes.

Nothing of the program is imported here, so nothing of it runs twice.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from izzati.cli.child import Child
from izzati.cli.programs import split
from izzati.config import FILE
from izzati.errors import IzzatiError
from izzati.serving import RESTARTED

__all__ = ["supervise"]

# Milliseconds between two looks at the program, while no file changes.
_LOOK = 50


def supervise(spec: str) -> int:
    """Run the program, again and again, until it ends with success or this process is told to end.

    :param spec: ``FILE`` or ``FILE:name``.
    :returns: the exit code of the program.
    :raises IzzatiError: if watchfiles is not installed, or the system cannot watch.
    :raises OSError: if there is no such file.
    """
    file = Path(split(spec)[0])
    file.stat()  # one that is not there is a slip of the pen, and not to be waited for
    return _Supervisor(file.resolve()).run()


class _Supervisor:
    """Starts and ends the program.

    :param file: the program.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._child: Child | None = None
        self._told_to_end: int | None = None
        self._failure_told = False
        self._has_run = False

    def run(self) -> int:
        changes = _changes(self._file)
        handlers = {number: signal.signal(number, self._pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for changed in changes:
                code = self._child.exit_code if self._child is not None else None
                if code == 0 or (self._told_to_end and code is not None):
                    return code
                if self._told_to_end and self._child is None:
                    return 128 + self._told_to_end
                if self._child is None or (changed and not self._told_to_end):
                    self._start(changed)
                elif code is not None and not self._failure_told:
                    self._failure_told = True
                    _say(f"{self._file.name} has failed; it starts again when a file changes")
            raise AssertionError("unreachable")
        finally:
            if self._child is not None:
                self._child.end()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _start(self, changed: Sequence[str]) -> None:
        if self._child is not None:
            _say(f"{_told(changed, self._file.parent)} changed")
            self._has_run = self._has_run or self._child.exit_code is None
            self._child.end()
            if self._told_to_end:
                return
        # As this process was started, interpreter and options and all; the child knows by its pipe that it is one.
        command = [sys.executable, *sys.orig_argv[1:]]
        self._child = Child(command, {RESTARTED: "1"} if self._has_run else {})
        self._failure_told = False
        if self._told_to_end:
            self._child.end()  # a signal that came just now was passed on to nobody

    def _pass_on(self, number: int, frame: object) -> None:
        self._told_to_end = number
        if self._child is not None and not (number == signal.SIGINT and _has_the_terminal()):
            self._child.signal(number)


def _has_the_terminal() -> bool:
    """True if Ctrl-C is sent to this process, so to its child, too, which would take a second one for impatience."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _changes(file: Path) -> Iterator[list[str]]:
    """The paths that have changed, whenever any have; and an empty list again and again, from the moment it watches."""
    watchfiles = _watchfiles()
    folder, usual = file.parent, watchfiles.DefaultFilter()
    options = Path(os.environ.get("IZZATI_CONFIG", FILE))
    others = {str(file), str(options.parent.resolve() / options.name)}

    def counts(change: Any, path: str) -> bool:
        # Below the folder only, which may itself lie in one that is usually left out.
        return (path.endswith(".py") or path in others) and usual(change, os.path.relpath(path, folder))

    while True:
        watching = False
        try:
            for changes in watchfiles.watch(
                folder, watch_filter=counts, rust_timeout=_LOOK, yield_on_timeout=True, ignore_permission_denied=True
            ):
                watching = True
                yield sorted({path for _, path in changes})
        except RuntimeError as error:
            # A file whose name is no UTF-8, an upload perhaps, has ended it; unless it could not even begin.
            if not watching:
                raise IzzatiError(f"{folder} cannot be watched: {error}") from error


def _watchfiles() -> Any:
    try:
        return import_module("watchfiles")
    except ImportError:
        raise IzzatiError(
            "--reload needs the library watchfiles, which comes with an extra of izzati; "
            "in a clone of it: pip install '.[reload]'"
        ) from None


def _told(changed: Sequence[str], folder: Path) -> str:
    first, *others = (os.path.relpath(path, folder) for path in changed)
    return f"{first} and {len(others)} more have" if others else f"{first} has"


def _say(text: str) -> None:
    print(f"izzati: {text}", file=sys.stderr, flush=True)
