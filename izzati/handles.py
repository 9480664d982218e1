"""What ``background()`` gives back, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["BackgroundOptions", "Process", "Queue"]


@dataclass(frozen=True)
class BackgroundOptions:
    """How background work shall run.

    :param name: finds the running one again; None for work that nobody looks for.
    :param restart: True to start it again after it crashed.
    :param maxsize: items that its queue holds before ``put`` waits; 0 for as many as there is memory for.
    :param local: True for work that must stay on this machine, such as a Backend's own server.
    :param resources: what the work needs, for plugins that place it (``{"num_gpus": 1}``).
    """

    name: str | None = None
    restart: bool = False
    maxsize: int = 0
    local: bool = False
    resources: Mapping[str, Any] = field(default_factory=dict)


class Process(Protocol):
    """Background work, with the interface of :class:`multiprocessing.Process`."""

    name: str

    @property
    def pid(self) -> int | None:
        """The process id; None if it has none on this machine."""

    @property
    def exitcode(self) -> int | None:
        """None while it runs; 0 after a return, 1 after an exception, ``-N`` after signal N."""

    def is_alive(self) -> bool:
        """True while it runs."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most ``timeout`` seconds."""

    def terminate(self) -> None:
        """End it, in a way that it can notice (SIGTERM)."""

    def kill(self) -> None:
        """End it, whatever it does (SIGKILL)."""


class Queue(Protocol):
    """One first-in-first-out queue, with the interface of :class:`multiprocessing.Queue`.

    Any holder may put to it and get from it; each item goes to one getter.
    """

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item.

        :param timeout: seconds to wait for room.
        :raises queue.Full: if there is no room (``maxsize``) in time.
        :raises ValueError: if the queue is closed.
        :raises Exception: what pickling the item raises, here and now.
        """

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the oldest item.

        :param timeout: seconds to wait for one.
        :raises queue.Empty: if none came in time.
        :raises ValueError: if the queue is closed.
        """

    def put_nowait(self, item: Any) -> None:
        """``put(item, block=False)``"""

    def get_nowait(self) -> Any:
        """``get(block=False)``"""

    def qsize(self) -> int:
        """About how many items wait."""

    def empty(self) -> bool:
        """True if no item waits."""

    def full(self) -> bool:
        """True if ``put`` would wait."""

    def close(self) -> None:
        """This process will put and get no more."""

    def join_thread(self) -> None:
        """After ``close``: wait until what was put here has left this process."""

    def cancel_join_thread(self) -> None:
        """Do not wait for that when this process ends."""
