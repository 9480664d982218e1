"""What is still on its way of a request that has been refused."""

from __future__ import annotations

import socket
import time

from izzati import BLOCK

__all__ = ["Drain"]

_BYTES = 64 << 20
_SECONDS = 5.0


class Drain:
    """Reads it and throws it away, up to 64 MiB and for up to 5 seconds: a connection that closes on what nobody has
    read is reset, and its caller, who is sending still, may never see the answer.

    :param sock: which does not block. Nothing more is sent on it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._left = _BYTES
        #: when it is over at the latest, as time.monotonic() counts
        self.deadline = time.monotonic() + _SECONDS
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the caller was faster

    def receive(self) -> bool:
        """Throw away what has arrived; False if no more need be read.

        :raises OSError: if the caller has reset the connection, or nothing has arrived.
        """
        received = len(self._socket.recv(BLOCK))
        self._left -= received
        return received > 0 and self._left > 0
