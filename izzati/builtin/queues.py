"""The queue of background work: packets where the system has them, multiprocessing's elsewhere."""

from __future__ import annotations

import multiprocessing.queues
import sys
from multiprocessing import reduction
from multiprocessing.context import BaseContext
from typing import Any

from izzati import Queue
from izzati.builtin.packets import PacketQueue

__all__ = ["make_queue"]


class PickledQueue(multiprocessing.queues.Queue):  # type: ignore[type-arg]
    """A multiprocessing queue that refuses at once what cannot be pickled, rather than losing it in a thread."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        reduction.ForkingPickler.dumps(item)
        super().put(item, block, timeout)


def make_queue(maxsize: int, context: BaseContext) -> Queue:
    """A queue for processes that the context starts."""
    if sys.platform == "linux":
        return PacketQueue(maxsize)
    return PickledQueue(maxsize, ctx=context)
