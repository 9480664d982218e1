"""A Ray cluster of several nodes on this machine."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from helpers import SECONDS, gone, within

SMALL = ["--object-store-memory=80000000", "--disable-usage-stats"]
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that is lost is missed after 2 seconds, rather than after 20.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    # The functions of tests are found on each node, as those of an installed package are.
    "PYTHONPATH": str(Path(__file__).parent),
}


class Node:
    """The processes of a node of the cluster, which all belong to one session."""

    def __init__(self, folder, address, environment, *args):
        self.address = address
        self._log = folder / f"{address}.log"
        ray = Path(sys.executable).with_name("ray")
        command = [ray, "start", "--block", f"--node-ip-address={address}", *SMALL, *args]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
            )
        assert within(60, lambda: b"Ray runtime started" in self._log.read_bytes() or self._process.poll()), self.log
        assert self._process.poll() is None, self.log

    @property
    def log(self):
        return self._log.read_text("utf-8", "replace")

    def processes(self):
        """Process ids of all that belongs to it."""
        found = []
        for each in filter(str.isdigit, os.listdir("/proc")):
            try:
                session = int(Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()[3])
            except OSError:
                continue
            if session == self._process.pid:
                found.append(int(each))
        return found

    def inboxes(self):
        """Process ids of the inboxes that it has."""
        return {pid for pid in self.processes() if b"Inbox" in _command(pid)}

    def kill(self):
        """End all of it at once, as a machine that loses its power does."""
        assert within(SECONDS, self._kill_all)
        self._process.wait(SECONDS)

    def _kill_all(self):
        """True if nothing is left; what has just been started is found the next time."""
        left = [pid for pid in self.processes() if not gone(pid)]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not left


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class RayCluster:
    """A head and its nodes."""

    def __init__(self, folder):
        self._folder = folder
        #: what a program needs to reach it, beside its address
        self.environment = {**ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.nodes = []
        head = ["--head", "--port=0", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={folder}"]
        self.head = self._start("127.0.0.2", *head)
        self.address = (folder / "ray_current_cluster").read_text()

    def add(self, address, *args):
        return self._start(address, f"--address={self.address}", *args)

    def end(self):
        for node in reversed(self.nodes):
            node.kill()

    def _start(self, address, *args):
        # One of the nodes reads what all of them log, since they share a folder here; so one that runs functions.
        reads = f"--include-log-monitor={'true' if len(self.nodes) == 1 else 'false'}"
        self.nodes.append(Node(self._folder, address, {**os.environ, **self.environment}, reads, *args))
        return self.nodes[-1]


@contextmanager
def two_nodes():
    """A head that runs no functions, and a node that does. It says that it has a GPU, and a resource ``usual``."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # where its Unix sockets are, whose paths must be short
    cluster = RayCluster(folder)
    try:
        cluster.add("127.0.0.3", "--num-cpus=2", "--num-gpus=1", '--resources={"usual": 100}')
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(folder)
