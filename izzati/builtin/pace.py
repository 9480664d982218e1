"""Sending to callers that take their time."""

from __future__ import annotations

import math
import socket
import struct
from typing import IO, Any

from izzati import BLOCK

try:
    import fcntl
    import termios
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["SLOWEST", "send_all", "send_file"]

SLOWEST = 1024
"""Bytes a second that a caller must send of a body, and take of an answer, while it is waited for."""


def send_all(sock: socket.socket, data: memoryview) -> None:
    """Send all of it. The socket's timeout is how often it is looked at whether the caller takes anything.

    :raises TimeoutError: if it does not, or less than 1 KiB a second. The first look only begins to count.
    """
    pace = _Pace(sock)
    sent = 0
    while sent < len(data):
        try:
            sent += sock.send(data[sent : sent + BLOCK])
        except TimeoutError:
            pace.check(sent)


def send_file(sock: socket.socket, file: IO[bytes], length: int) -> int:
    """The same for a file, from where it is, by the system's own call where it has one.

    :returns: how many bytes there were, if the file ends early.
    """
    pace = _Pace(sock)
    begin = file.tell()
    while (sent := file.tell() - begin) < length:
        try:
            if not sock.sendfile(file, begin + sent, length - sent):
                break
        except TimeoutError:
            pace.check(file.tell() - begin)
    return sent


class _Pace:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._taken = -math.inf

    def check(self, sent: int) -> None:
        """After each timeout.

        :param sent: bytes, since the beginning.
        """
        before, self._taken = self._taken, sent - _queued(self._socket)
        if self._taken - before < SLOWEST * (self._socket.gettimeout() or 0):
            raise TimeoutError("the caller takes the answer too slowly")


def _queued(sock: Any) -> int:
    """Bytes that the system has still to send, or that may be lost; 0 where it does not tell."""
    if fcntl is None:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0])
    except OSError:
        return 0
