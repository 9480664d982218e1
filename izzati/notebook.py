"""Where an event loop runs already, as in a notebook: a server beside it, which the next one in its place replaces."""

from __future__ import annotations

import html
import os
import re
import sys
from collections.abc import Callable, Hashable, Mapping
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

from izzati.callbacks import Callback
from izzati.errors import BackgroundError
from izzati.handles import Process, Queue
from izzati.serving import Listen, Server, urls

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["RunningServer", "event_loop_runs", "place_of", "replace"]


def event_loop_runs() -> bool:
    """True if this thread runs an asyncio event loop, which a server that waits here would hold up."""
    asyncio = sys.modules.get("asyncio")  # who has not imported it runs no loop
    try:
        return asyncio is not None and asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


class RunningServer:
    """A server in a thread of this process, which ``run()`` gives where an event loop runs, as in a notebook.

    It ends with the program at the latest. A notebook shows what it serves, and where.
    """

    #: host and port where it accepts connections
    address: tuple[str, int]
    #: where it is found, by this machine: ``"http://127.0.0.1:5020"``
    url: str

    def __init__(self, listen: Callable[[], Server], where: Listen, greet: Callable[[tuple[str, int]], str]) -> None:
        serves: Future[Server] = import_module("concurrent.futures").Future()
        self._thread = Thread(target=self._serve, args=(listen, serves), name="izzati server", daemon=True)
        try:
            self._thread.start()
            self.address = serves.result().address
        except KeyboardInterrupt:  # so nobody has it
            serves.add_done_callback(lambda done: None if done.exception() else done.result().stop())
            raise
        self.url = next(iter(urls(where, self.address).values()))
        self._greeting = greet(self.address)

    def _serve(self, listen: Callable[[], Server], serves: Future[Server]) -> None:
        try:
            server = listen()  # here: one that can serve in the main thread only leaves any other to the next
            self._tell_to_stop = server.stop
            server.serve(lambda: serves.set_result(server))
            if not serves.done():
                raise BackgroundError("the server ended before it served")
        except BaseException as error:
            if serves.done():
                raise
            serves.set_exception(error)
        finally:
            self._tell_to_stop = lambda: None  # a notebook keeps what it has shown, and callbacks may hold much

    def stop(self) -> None:
        """Finish the requests in flight, and wait until they are. A callback cannot, since it is one of them."""
        self._tell_to_stop()
        self._thread.join()

    def __repr__(self) -> str:
        return self._greeting if self._thread.is_alive() else f"izzati no longer serves on port {self.address[1]}"

    def _repr_html_(self) -> str:
        """What a notebook shows: the same, and addresses are links."""
        links = re.sub(r"http://\S+", r'<a href="\g<0>" target="_blank">\g<0></a>', html.escape(repr(self)))
        return f"<pre>{links}</pre>"


def place_of(port: int, callbacks: Mapping[str, Callback]) -> Hashable:
    """What a server takes over from an earlier one: the port; where the system chooses one, the functions' names.

    When a cell runs again, its function is another one of the same name.

    :param callbacks: by their paths.
    :returns: for functions without a name at the top of a module, such as lambdas, a place that nothing takes over.
    """
    if port != 0:
        return port
    functions = {path: callback.function for path, callback in callbacks.items()}
    names = {path: getattr(function, "__qualname__", "") for path, function in functions.items()}
    return frozenset(names.items()) if all(map(str.isidentifier, names.values())) else object()


Handles = RunningServer | tuple[Process, Queue]

_last: dict[Hashable, RunningServer | Process] = {}
"""The server that was started last in each place."""


def replace(place: Hashable, begin: Callable[[], Handles]) -> Handles:
    """Start a server, once the last one that was started in its place has ended."""
    last = _last.pop(place, None)
    if isinstance(last, RunningServer):
        last.stop()
    elif last is not None:
        last.terminate()
        last.join()
    started = begin()
    if isinstance(started, RunningServer):
        _last[place] = _last[started.address[1]] = started
    else:
        _last[place] = started[0]
    return started


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_last.clear)  # they are the parent's to stop
