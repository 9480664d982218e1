"""``p`` and ``q``: what ``background()`` gives back where the work runs on a cluster."""

from __future__ import annotations

import os
import pickle
import queue
import time
import weakref
from collections.abc import Callable
from typing import Any

import cloudpickle

from izzati_ray.link import link
from izzati_ray.work import UNKNOWN, Gone, Key

__all__ = ["RayProcess", "RayQueue", "Share"]

# Seconds that an inbox is waited for at a time, so that it is not left with the calls of those who are no more.
_AT_A_TIME = 10.0


class Share:
    """Handles of work without a name, in the program that started it, share one of these; with the last of them it
    goes, and then the inbox.
    """

    def __init__(self, key: Key, address: str) -> None:
        weakref.finalize(self, self._drop, key, address, os.getpid()).atexit = False

    @staticmethod
    def _drop(key: Key, address: str, owner: int) -> None:
        if os.getpid() == owner:  # a fork has copies
            _dropped.append((key, address))

    @staticmethod
    def forget() -> None:
        """Let go of the inboxes whose handles are gone; not while they go, which may be at any point of anything."""
        while _dropped:
            key, address = _dropped.pop()
            link(address).ask(key, "forget")


_dropped: list[tuple[Key, str]] = []


class _Handle:
    """What is known of a work: where its inbox is found. That is all that is pickled."""

    def __init__(self, key: Key, address: str, share: Share | None = None) -> None:
        self._key = key
        self._address = address
        self._share = share

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self)["_key"] == vars(other)["_key"]

    def __hash__(self) -> int:
        return hash(self._key)

    def _ask(self, question: str, *args: Any) -> Any:
        return link(self._address).ask(self._key, question, *args).result()


class RayQueue(_Handle):
    """A queue in the cluster, with the interface of :class:`multiprocessing.Queue`; it can be sent to anywhere."""

    def __init__(self, key: Key, address: str, maxsize: int = 0, share: Share | None = None) -> None:
        super().__init__(key, address, share)
        self.maxsize = maxsize
        self._closed = False

    def __reduce__(self) -> Any:
        return RayQueue, (self._key, self._address, self.maxsize)

    def __repr__(self) -> str:
        return f"<RayQueue of {self._key.actor}>"

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._require_open()
        data = cloudpickle.dumps(item)
        self._until(lambda: self._ask("put", data) or None, "room", queue.Full, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._require_open()
        data = self._until(lambda: self._ask("take"), "item", queue.Empty, block, timeout)
        return pickle.loads(data)  # noqa: S301 - whoever can put can run code, as the page says

    def put_nowait(self, item: Any) -> None:
        self.put(item, block=False)

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def qsize(self) -> int:
        size: int = self._ask("qsize")
        return size

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        is_full: bool = self._ask("full")
        return is_full

    def close(self) -> None:
        self._closed = True

    def join_thread(self) -> None:
        """What was put has left already."""

    cancel_join_thread = join_thread

    def _until(
        self, attempt: Callable[[], Any], event: str, failure: type[Exception], block: bool, timeout: float | None
    ) -> Any:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (found := attempt()) is None:
            seconds = _left(deadline) if block else 0
            if seconds <= 0:
                raise failure
            self._ask("wait", event, seconds)
        return found

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError(f"the queue of {self._key.actor} was closed here")


class RayProcess(_Handle):
    """Work in the cluster, with the interface of :class:`multiprocessing.Process`."""

    pid = None  # none on this machine

    def __init__(self, key: Key, address: str, name: str, share: Share | None = None) -> None:
        super().__init__(key, address, share)
        self.name = name
        self._exitcode: int | None = None

    def __reduce__(self) -> Any:
        return RayProcess, (self._key, self._address, self.name)

    def __repr__(self) -> str:
        return f"<RayProcess {self.name}>"

    @property
    def exitcode(self) -> int | None:
        if self._exitcode is None:
            try:
                self._exitcode = self._ask("exitcode")
            except Gone:
                self._exitcode = UNKNOWN
        return self._exitcode

    def is_alive(self) -> bool:
        return self.exitcode is None

    def join(self, timeout: float | None = None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while self._exitcode is None:
                seconds = _left(deadline)
                self._exitcode = self._ask("join", max(0.0, seconds))
                if seconds <= 0:
                    break
        except Gone:
            self._exitcode = UNKNOWN

    def terminate(self) -> None:
        self._end("terminate")

    def kill(self) -> None:
        self._end("kill")

    def _end(self, how: str) -> None:
        try:
            if self._exitcode is None:
                self._ask(how)
        except Gone:
            self._exitcode = UNKNOWN


def _left(deadline: float | None) -> float:
    """Seconds to wait, as long as an inbox is waited for at a time; 0 or less if the time is up."""
    return _AT_A_TIME if deadline is None else min(_AT_A_TIME, deadline - time.monotonic())
