"""Connections to SFTP servers: only to those that are known, and none that waits for ever."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

__all__ = ["connect"]

_CONNECT, _ANSWER, _KEEPALIVE = 10, 60, 30


class KnownHosts(paramiko.MissingHostKeyPolicy):  # type: ignore[misc] # paramiko has no types
    """Refuses every host whose key is not in a file as OpenSSH keeps it. (fsspec's own default trusts anybody.)

    :param path: that file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        try:
            known = paramiko.HostKeys(self._path)
        except OSError:
            known = paramiko.HostKeys()
        if not known.check(hostname, key):
            raise paramiko.SSHException(
                f"the {key.get_name()} key of {hostname}, {key.fingerprint}, is not in {self._path}: compare it with "
                "the server's own, then add it with ssh-keyscan; or name another file by the option known_hosts"
            )


class _Pipelined(paramiko.util.ClosingContextManager):  # type: ignore[misc] # as above
    """A file whose reads and writes do not each wait for an answer of the server; paramiko's do, for every 32 KiB."""

    def __init__(self, file: paramiko.SFTPFile) -> None:
        file.set_pipelined(True)
        self._file = file
        self._last = b""

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        self._file.seek(offset, whence)

    def read(self, size: int) -> bytes:
        return b"".join(self._file.readv([(self._file.tell(), size)]))

    def write(self, data: bytes) -> None:
        if self._last:
            self._file.write(self._last)
        self._last = data

    def close(self) -> None:
        try:
            if self._last:
                # A write that is not pipelined waits for the answers to all before it, which close() would not read.
                self._file.set_pipelined(False)
                self._file.write(self._last)
        finally:
            self._file.close()


class _Connection(SFTPFileSystem):  # type: ignore[misc] # nor has fsspec
    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> Any:
        return _Pipelined(super()._open(path, mode, block_size, **kwargs))


def connect(arguments: Mapping[str, Any]) -> Any:
    """A connection of its own: paramiko's must not be used by two threads at once.

    :param arguments: those of ``SSHClient.connect``; ``known_hosts``, the path of a file; ``host_key_policy``.
    """
    arguments = dict(arguments)
    known_hosts = os.path.expanduser(arguments.pop("known_hosts", "~/.ssh/known_hosts"))
    defaults = {
        "host_key_policy": KnownHosts(known_hosts),
        "timeout": _CONNECT,
        "banner_timeout": _CONNECT,
        "auth_timeout": _CONNECT,
    }
    connection = _Connection(**{**defaults, **arguments}, skip_instance_cache=True)
    connection.ftp.get_channel().settimeout(_ANSWER)
    transport = connection.client.get_transport()
    transport.set_keepalive(_KEEPALIVE)
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as OpenSSH's own client does
    return connection
