"""From ``run()`` to the last answer: what a server is, the greeting, and the signals that end it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["LOOPBACK", "RESTARTED", "Listen", "Server", "greeting", "in_place_of_run", "serve_until_signalled", "urls"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
RESTARTED = "_IZZATI_RESTARTED"
"""A variable of the environment that is set where the program has run before, and its user may have been greeted."""

in_place_of_run: list[Callable[[Any, str, int], Any] | None] = []
"""While another program runs a script: the last one is what ``run()`` does there, given Backend, host and port; None
for what it does otherwise."""


@dataclass(frozen=True)
class Listen:
    """Where to accept connections.

    :param host: a name or address; empty for every interface, IPv4 and IPv6.
    :param port: 0 lets the system choose a free one.
    :raises ValueError: if there is no such port.
    """

    host: str = ""
    port: int = 5020

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"a port is a number from 0 to 65535, not {self.port}")

    @property
    def loopback(self) -> bool:
        """True if only this machine can connect."""
        return self.host.lower() in LOOPBACK or self.host.startswith("127.")


class Server(Protocol):
    """What ``izzati_serve`` gives: bound when it is made, serving when told to, in any thread."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where it accepts connections."""

    def serve(self, ready: Callable[[], object] = lambda: None) -> None:
        """Serve until stopped; call ``ready`` once connections are accepted. Returns when the last answer is out."""

    def stop(self) -> None:
        """Accept no more connections, and finish the requests in flight. May be called from any thread or signal."""


def serve_until_signalled(server: Server, greet: str, ready: Callable[[], object]) -> None:
    """Serve until SIGINT or SIGTERM; a second signal does not wait for requests in flight any longer.

    :param greet: printed to stderr once connections are accepted.
    :param ready: called then.
    """

    def accepting() -> None:
        sys.stderr.write(f"{greet}\n")
        ready()

    with _stopped_by_signals(server):
        server.serve(accepting)


def greeting(
    what: Iterable[str], listen: Listen, address: tuple[str, int], plugins: Iterable[str], end: str, *, guarded: bool
) -> str:
    """What ``run()`` says when it serves.

    :param end: how it is stopped.
    :param guarded: True if callers must say who they are.
    """
    found = urls(listen, address)
    warning = ['Anyone on the network may call it; run(host="127.0.0.1") keeps it to this machine.']
    if listen.loopback or guarded:
        warning = []
    if RESTARTED in os.environ:
        return "\n".join([f"izzati serves again: {' '.join(found.values())}", *warning])
    lines = [f"izzati serves {', '.join(what)}", *(f"  {who:13} {url}" for who, url in found.items())]
    lines += [f"  plugins       {' '.join(plugins)}"]
    return "\n".join([*lines, *warning, end])


def urls(listen: Listen, address: tuple[str, int]) -> dict[str, str]:
    """Where it is found, by who finds it there; the nearest first.

    :param address: where it accepts connections.
    """
    host, port = address
    if listen.loopback:
        return {"this machine": _url(host, port)}
    if listen.host not in ("", "0.0.0.0", "::"):  # noqa: S104 - it is told, not chosen, here
        return {"the network": _url(host, port)}
    network = _network_address()
    here = {"this machine": _url("127.0.0.1", port)}
    return {**here, "the network": _url(network, port)} if network else here


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _network_address() -> str | None:
    """This machine's address on its network. Connecting a datagram socket sends nothing; it only picks a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737), never a machine
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith(("127.", "0.")) else address


@contextmanager
def _stopped_by_signals(server: Server) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        server.stop()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
