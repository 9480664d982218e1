"""The process that runs the function, on whichever node of the cluster has what it needs."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading

from izzati_ray.cluster import Cluster
from izzati_ray.handles import RayQueue
from izzati_ray.link import adopt
from izzati_ray.work import Key, Work

__all__ = ["Runner"]

log = logging.getLogger("izzati.background")


class Runner:
    """An actor that runs one function, once, in the main thread of its process."""

    def __init__(self, title: str) -> None:
        self._title = title

    def __repr__(self) -> str:
        return self._title  # Ray puts it before what the function prints

    def run(self, work: Work, address: str) -> int:
        """Run the function to its end: its exit code, as that of a process of its own would be."""
        os.environ.setdefault("IZZATI_RAY_ADDRESS", address)  # for background work of this background work
        cluster = Cluster(address)
        adopt(cluster)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_obey, args=(cluster, work.key), name="izzati ray", daemon=True).start()
        try:
            target, args, kwargs = pickle.loads(work.call)  # noqa: S301 - what the cluster is for
            target(RayQueue(work.key, address, work.maxsize), *args, **kwargs)
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException as error:
            log.exception("the background process %s (%s) raised", work.title, os.getpid())
            if isinstance(error, ModuleNotFoundError):
                log.error(
                    "If %s is a module of the program, this node lacks it: install it on every node, or give the "
                    'option runtime_env={"working_dir": "."}',
                    error.name,
                )
            return 1
        return 0


def _obey(cluster: Cluster, key: Key) -> None:
    """In a thread: end this process when the inbox says so."""
    if not cluster.ask(key, "order").result():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        cluster.ask(key, "kill", -signal.SIGTERM)  # the same, but no failure in Ray's eyes
    else:
        os.kill(os.getpid(), signal.SIGTERM)
