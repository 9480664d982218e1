"""A call that must be over in time: who waits for it is answered, and it goes on alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from importlib import import_module
from typing import TYPE_CHECKING, Any

from izzati.errors import forget_frames
from izzati.request import Request

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["call_in_time"]

log = logging.getLogger("izzati")


def call_in_time(function: Callable[[], Any], request: Request) -> Any:
    """What the function returns, or raises, within ``Limits.seconds``.

    :raises Problem: 503 if it takes longer. It keeps the request's uploads until it ends.
    """
    futures = import_module("concurrent.futures")  # by name: few programs set a limit
    future: Future[Any] = futures.Future()
    run = copy_context().run
    threading.Thread(target=run, args=(_run, function, future), name=f"izzati {request.id}", daemon=True).start()
    if futures.wait([future], request.limits.seconds).done:
        return future.result()
    release = request.keep()

    def finish(late: Future[Any]) -> None:
        release()
        error = late.exception()
        log.warning("request %s: the callback ended after its time", request.id, exc_info=error)
        if error is not None:
            forget_frames(error)

    future.add_done_callback(finish)
    raise request.limits.too_late()


def _run(function: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
