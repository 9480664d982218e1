"""Background work in processes of this machine, on multiprocessing."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from izzati import BackgroundOptions, Process, Queue, hookimpl

__all__ = ["Processes"]


class Processes:
    """Runs background work in a process of its own, which ends with the program at the latest.

    :param start_method: ``"fork"``, ``"spawn"`` or ``"forkserver"``. Unless given: what
        ``multiprocessing.set_start_method`` has set; else on Linux fork while the program has one thread, forkserver
        otherwise, fork again for what cannot be pickled and where there is no script; on other systems spawn.
    :raises ValueError: if this system has no such method.
    """

    # By name, here and below: multiprocessing and what is built on it would be a tenth of what a Backend takes to
    # start, and most have no background work.

    def __init__(self, start_method: str | None = None) -> None:
        if start_method is not None:
            known = import_module("multiprocessing").get_all_start_methods()
            if start_method not in known:
                raise ValueError(f"processes: start_method={start_method!r} is none of {', '.join(known)}")
        self._start_method = start_method

    @hookimpl
    def izzati_background(
        self, target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], options: BackgroundOptions
    ) -> tuple[Process, Queue]:
        started: tuple[Process, Queue] = import_module("izzati.builtin.work").start(
            target, args, kwargs, options, self._start_method
        )
        return started
