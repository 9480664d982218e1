"""The port, before granian has it."""

from __future__ import annotations

import errno
import socket
from typing import Any

from izzati import Listen

__all__ = ["reserve"]


def reserve(listen: Listen) -> socket.socket:
    """A socket that is bound, and does not listen: it finds out whether the port is free, and which one it is.

    granian's workers bind their own sockets beside it. They set SO_REUSEPORT, and would share the port with another
    program that does so, too, such as this one started twice. Here SO_REUSEADDR alone is set, and that is refused.

    :raises OSError: if the port is taken, or the host is no address of this machine.
    """
    unavailable: OSError | None = None
    for family, address in _addresses(listen):
        try:
            return _bound(family, address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise OSError(
                    errno.EADDRINUSE,
                    f"port {listen.port} is in use by another program; stop that one, or choose another port, "
                    f"such as {listen.port + 1}",
                ) from error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            unavailable = error
    raise OSError(errno.EADDRNOTAVAIL, f"{listen.host!r} is no address of this machine") from unavailable


def _addresses(listen: Listen) -> list[tuple[int, tuple[Any, ...]]]:
    """Where to bind, the best first. granian binds one address, so a name with several gets the first of them."""
    if not listen.host:
        # One socket for both, IPv4 as mapped addresses (RFC 4291 §2.5.5.2); where that is not to be had, IPv4.
        both = [(socket.AF_INET6, ("::", listen.port))] if _ipv6_takes_ipv4() else []
        return [*both, (socket.AF_INET, ("0.0.0.0", listen.port))]  # noqa: S104 - asked for
    try:
        infos = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(error.errno, f"{listen.host!r} is no address of this machine: {error.strerror}") from error
    return [(family, address) for family, _, _, _, address in sorted(infos)]  # IPv4 first


def _ipv6_takes_ipv4() -> bool:
    """True unless the system keeps the two apart (net.ipv6.bindv6only), or has no IPv6; granian does not choose."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
