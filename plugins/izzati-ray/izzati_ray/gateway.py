"""A program of its own, which is connected to Ray and does what another program asks it to.

izzati's programs are not connected to Ray themselves: a process that is cannot be forked, as servers fork theirs, and
Ray ends it when the head of the cluster does not answer any more.
"""

from __future__ import annotations

import socket
import sys
import threading
from concurrent.futures import Future
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

__all__: list[str] = []

# Seconds in which the head of the cluster accepts a connection.
_SECONDS = 10.0


def main() -> None:
    """Serve the program at the other end of a socket, until it is gone."""
    connection = Connection(int(sys.argv[1]))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what functions print comes out here
    path, argv, address, options = connection.recv()
    # Ray tells every process where the program's modules are, and looks here.
    sys.path[:], sys.argv[:] = path, argv
    try:
        if address != "auto":  # Ray itself would try for some minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
        ray = import_module("ray")
        cluster_module = import_module("izzati_ray.cluster")
        ray.init(address, namespace=cluster_module.NAMESPACE, logging_level="warning", **options)
        cluster = cluster_module.Cluster(ray.get_runtime_context().gcs_address)
    except BaseException as error:
        connection.send((0, False, f"{type(error).__name__}: {error}"))
        return
    sending = threading.Lock()

    def reply(number: int, answer: Future[Any]) -> None:
        error = answer.exception()
        with sending:
            try:
                connection.send((number, error is None, answer.result() if error is None else error))
            except OSError:
                pass  # it is gone

    connection.send((0, True, cluster.address))
    while True:
        try:
            number, method, args = connection.recv()
        except (EOFError, OSError):
            break
        try:
            answer = getattr(cluster, method)(*args)
        except BaseException as error:
            answer = Future()
            answer.set_exception(import_module("izzati").BackgroundError(f"{type(error).__name__}: {error}"))
        answer.add_done_callback(partial(reply, number))
    ray.shutdown()


if __name__ == "__main__":
    main()
