"""The inbox of a work: an actor that holds its queue, and starts the actor that runs its function.

The two are apart, so that the end of the function, whatever its cause, takes nothing with it that waits in the queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable
from typing import Any

import ray

from izzati_ray.runner import Runner
from izzati_ray.work import UNKNOWN, Gone, Work

__all__ = ["Inbox"]

log = logging.getLogger("izzati.background")

# Seconds between a crash and the next start; they double from the first to the last.
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 30.0
# Seconds in which a reader that was told of an item takes it.
_MOMENT = 0.1
# Seconds in which the answers have left that were given before the end.
_LAST_WORDS = 0.2
_RUNNER = ray.remote(Runner)


class Inbox:
    """One queue, and the one who runs the function that belongs to it.

    A reader that has to wait is told when there is something, and takes it then. So nothing is ever on its way to a
    reader that is no more, but for an item whose taking it did not live to see.

    :param address: that of the cluster, for handles that are made in the work's own process.
    """

    def __init__(self, work: Work, address: str) -> None:
        self._work = work
        self._address = address
        self._items: deque[bytes] = deque()
        self._exitcode: int | None = None
        #: the exit code if it ends now, since that was asked for
        self._told: int | None = None
        self._forgotten = False
        self._last_asked = time.monotonic()
        self._runner: Any = None
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {"item": deque(), "room": deque()}
        self._ended, self._stopped = asyncio.Event(), asyncio.Event()
        self._order: asyncio.Future[bool] | None = None
        self._running = asyncio.get_running_loop().create_task(self._run())

    def __repr__(self) -> str:
        return f"{self._work.title} (inbox)"  # Ray puts it before what is logged here

    async def ask(self, token: str, question: str, *args: Any) -> Any:
        """Call one of the methods below, if this is the inbox that is meant.

        :raises Gone: if it is not.
        """
        if token != self._work.key.token:
            raise Gone(f"{self._work.title} is other work by now")
        self._last_asked = time.monotonic()
        return await getattr(self, question)(*args)

    async def work(self) -> tuple[Work, bool]:
        """What this was made with, and whether that goes on."""
        return self._work, self._exitcode is None

    async def put(self, item: bytes) -> bool:
        """Add an item; False if there is no room."""
        if not self._is("room"):
            return False
        self._items.append(item)
        self._wake("item")
        return True

    async def take(self) -> bytes | None:
        """Remove the oldest item; None if there is none."""
        if not self._items:
            return None
        item = self._items.popleft()
        self._wake("room")
        return item

    async def wait(self, event: str, seconds: float) -> None:
        """Return when there may be an ``"item"``, or ``"room"``; after so many seconds at the latest."""
        if not self._is(event):
            waiter = asyncio.get_running_loop().create_future()
            self._waiting[event].append(waiter)
            await _at_most(seconds, waiter)

    async def join(self, seconds: float) -> int | None:
        """The exit code, as soon as there is one; after so many seconds what there is then."""
        await _at_most(seconds, self._ended.wait())
        return self._exitcode

    async def qsize(self) -> int:
        return len(self._items)

    async def full(self) -> bool:
        return not self._is("room")

    async def exitcode(self) -> int | None:
        return self._exitcode

    async def terminate(self) -> None:
        """End the function for good, in a way that it can notice."""
        self._stop(-15)
        if self._order is None:
            self._kill()  # it has not begun
        elif not self._order.done():
            self._order.set_result(True)

    async def kill(self, code: int = -9) -> None:
        """End the function for good, whatever it does."""
        self._stop(code)
        self._kill()

    async def forget(self) -> None:
        """Nobody holds the handles any more: end, as soon as the function has ended."""
        self._forgotten = True
        await self._ended.wait()
        self._leave()

    async def order(self) -> bool:
        """Asked by the process that runs the function: True when it shall end, False when it has ended."""
        self._order = asyncio.get_running_loop().create_future()
        return await self._order

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            started = time.monotonic()
            code = await self._run_once()
            if code == 0 or self._told is not None or not self._work.restart:
                break
            if time.monotonic() - started > _LAST_PAUSE:
                pause = _FIRST_PAUSE
            log.warning("the background process %s starts again in %g s", self._work.title, pause)
            await _at_most(pause, self._stopped.wait())
            if self._told is not None:
                code = self._told
                break
            pause = min(pause * 2, _LAST_PAUSE)
        self._exitcode = code
        self._ended.set()
        self._leave()
        if self._work.named:
            await self._linger()
            await self.forget()

    async def _run_once(self) -> int:
        try:
            self._runner = _RUNNER.options(**self._work.resources).remote(self._work.title)
            code: int = await self._runner.run.remote(self._work, self._address)
        except ray.exceptions.RayActorError as error:
            code = UNKNOWN if self._told is None else self._told
            if self._told is None:
                log.error("the background process %s has ended: %s", self._work.title, error)
        except Exception:
            log.exception("the background process %s cannot be started", self._work.title)
            code = 1
        self._kill()  # what the function has left behind, threads and all
        if self._order is not None and not self._order.done():
            self._order.set_result(False)
        self._order = None
        return code

    async def _linger(self) -> None:
        while (left := self._last_asked + self._work.linger - time.monotonic()) > 0:  # noqa: ASYNC110 - it moves
            await asyncio.sleep(left)

    def _stop(self, code: int) -> None:
        self._told = code
        self._stopped.set()

    def _kill(self) -> None:
        if self._runner is not None:
            ray.kill(self._runner)

    def _leave(self) -> None:
        if self._forgotten and self._exitcode is not None:
            this = ray.get_runtime_context().current_actor
            asyncio.get_running_loop().call_later(_LAST_WORDS, ray.kill, this)

    def _is(self, event: str) -> bool:
        return bool(self._items) if event == "item" else not 0 < self._work.maxsize <= len(self._items)

    def _wake(self, event: str, everyone: bool = False) -> None:
        """Tell who waits longest; a moment later all, in case that one is no more."""
        waiting = self._waiting[event]
        while waiting:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                if not everyone:
                    break
        if waiting:
            asyncio.get_running_loop().call_later(_MOMENT, self._wake_again, event)

    def _wake_again(self, event: str) -> None:
        if self._is(event):
            self._wake(event, everyone=True)


async def _at_most(seconds: float, awaitable: Awaitable[Any]) -> None:
    try:
        await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:  # which is another one than TimeoutError in Python 3.10
        pass
