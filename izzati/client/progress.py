"""How far a call has come: told to a function, or drawn as a bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator

from izzati.limits import human

__all__ = ["Progress", "metered"]

Progress = Callable[[int, int | None], object]
"""Called with the bytes so far, and how many there will be; None if nobody knows."""

_WIDTH = 24
_FIRST = 0.5
"""Seconds after which a bar appears: of what is quicker there is nothing to see."""
_BETWEEN = 0.1


def metered(
    blocks: Iterable[bytes | memoryview], total: int | None, progress: bool | Progress, doing: str
) -> Iterator[bytes | memoryview]:
    """The same blocks; progress is told before the first, and after each has been used.

    :param progress: True for a bar on stderr.
    :param doing: what the bar says.
    """
    bar = _Bar(doing) if progress is True else None
    tell = bar or progress
    done = 0
    if not callable(tell):
        yield from blocks
        return
    try:
        tell(done, total)
        for block in blocks:
            yield block
            done += len(block)
            tell(done, total)
    finally:
        if bar is not None:
            bar.end(done, total)


class _Bar:
    """A line on stderr, drawn over itself a few times a second; where that is no terminal, its last state only.

    By hand, since what is needed is a line, and the usual library for bars starts a thread of its own, which makes
    every later fork a warning.
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._begun = time.monotonic()
        self._due = self._begun + _FIRST
        self._live = sys.stderr.isatty()
        self._drawn = False

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due, self._drawn = now + _BETWEEN, True
            if self._live:
                sys.stderr.write(f"\r{self._line(done, total)}\x1b[K")
                sys.stderr.flush()

    def end(self, done: int, total: int | None) -> None:
        if self._drawn:
            before, after = ("\r", "\x1b[K") if self._live else ("", "")
            sys.stderr.write(f"{before}{self._line(done, total)}{after}\n")
            sys.stderr.flush()

    def _line(self, done: int, total: int | None) -> str:
        speed = f"{human(int(done / (time.monotonic() - self._begun)))}/s"
        if total is None:
            return f"{self._doing} {human(done)}, {speed}"
        part = done / total if total else 1.0
        filled = "#" * int(part * _WIDTH)
        return f"{self._doing} [{filled:.<{_WIDTH}}] {part:4.0%}  {human(done)} of {human(total)}, {speed}"
