"""The site of examples/cluster, and what it loses when a piece of each kind is killed under load."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import NO_CLUSTER
from helpers import SECONDS, gone, within

START = Path(__file__).parents[3] / "examples" / "cluster" / "start.py"
MISSING = [name for name in ("boto3", "izzati_storage", "moto", "s3fs") if find_spec(name) is None]
if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
    MISSING.append("nginx")
CALLERS = 4
RAW = {"Content-Type": "image/jpeg"}

pytestmark = [
    pytest.mark.skipif(NO_CLUSTER is not None, reason=str(NO_CLUSTER)),
    pytest.mark.skipif(bool(MISSING) and "CI" not in os.environ, reason=f"not installed: {', '.join(MISSING)}"),
]


class Site:
    """The example, while it runs."""

    def __init__(self, folder):
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([sys.executable, START, "0"], stdout=log, stderr=log)
        found = within(120, lambda: re.search(r"S3 at (\S+), the site at (\S+)", self.log) or self._process.poll())
        assert isinstance(found, re.Match), self.log
        self._s3, self._url = found.groups()

    @property
    def log(self):
        return self._log.read_text()

    def pid(self, piece):
        return int(re.search(rf"^{piece} (\d+)$", self.log, re.MULTILINE)[1])

    def upload(self):
        """Send a photo: where it was stored."""
        request = urllib.request.Request(self._url, b"a photo", RAW)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)["uploads"][0]

    def health(self):
        with urllib.request.urlopen(f"{self._url}/healthz", timeout=SECONDS) as answer:
            return answer.status

    def looked_at(self):
        """The uploads that the worker has dealt with."""
        import boto3  # noqa: PLC0415 - not where it is missing

        access = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=self._s3, **access)
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="photos")
        keys = {each["Key"] for page in pages for each in page.get("Contents", ())}
        client.close()
        return {f"s3://photos/{key.removesuffix('.looked-at')}" for key in keys if key.endswith(".looked-at")}

    def processes(self, *pieces, named=b""):
        """Process ids of what these pieces consist of."""
        sessions = {self.pid(piece) for piece in pieces}
        found = []
        for each in filter(str.isdigit, os.listdir("/proc")):
            try:
                session = int(Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()[3])
                if session in sessions and named in Path(f"/proc/{each}/cmdline").read_bytes() and not gone(each):
                    found.append(int(each))
            except OSError:
                continue
        return found

    def end(self):
        self._process.terminate()
        self._process.wait(SECONDS)


class Load:
    """Callers that upload one photo after the other."""

    def __init__(self, site):
        self._site = site
        self._over = threading.Event()
        self.answered = []
        self.failed = []
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for each in self._threads:
            each.start()

    def _call(self):
        while not self._over.is_set():
            try:
                self.answered.append(self._site.upload())
            except (OSError, ValueError) as error:
                self.failed.append(error)
                time.sleep(0.05)  # as a caller does before it tries again

    def goes_on(self, count=25):
        """Wait until so many more were answered."""
        enough = len(self.answered) + count
        assert within(60, lambda: len(self.answered) >= enough), self.failed[-5:]

    def end(self):
        self._over.set()
        for each in self._threads:
            each.join(SECONDS)


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.end()


@pytest.fixture
def load(site):
    made = Load(site)
    yield made
    made.end()


def test_a_piece_of_each_kind_is_killed_under_load(site, load):
    nodes = ("node-1", "node-2")
    told = {}

    def kill(what, pids):
        failed = len(load.failed)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        load.goes_on()
        told[what] = len(load.failed) - failed

    def worker():
        (pid,) = within(SECONDS, lambda: site.processes(*nodes, named=b"Runner.run"))
        return pid

    load.goes_on()
    kill("a replica", [site.pid("replica-1")])
    kill("the worker", [worker()])
    kill("nginx's process", [pid for pid in site.processes("nginx") if pid != site.pid("nginx")])
    runs = worker()
    (node,) = (name for name in nodes if runs in site.processes(name))
    kill("the worker's node", site.processes(node))
    assert worker() != runs
    load.end()
    lost = missing(site, load.answered)
    print(f"answered {len(load.answered)}, not answered {told}, answered and lost {len(lost)}")
    # What the worker had in hand, once with its process and once with its node.
    assert len(lost) <= 2, lost
    # What was under way in the replica and in nginx's process; the others are nothing that a caller notices.
    assert told["the worker"] == told["the worker's node"] == 0
    assert told["a replica"] <= CALLERS
    assert told["nginx's process"] <= CALLERS

    for pid in site.processes("head"):
        os.kill(pid, signal.SIGKILL)
    # The cluster is lost, and no replica with it: they answer that they cannot.
    with pytest.raises(urllib.error.HTTPError, match="500"):
        site.upload()
    assert all(site.processes(replica) for replica in ("replica-2", "replica-3"))
    assert site.health() == 200


def missing(site, answered):
    """Uploads that were answered, and that the worker has not seen although it is done."""
    last = site.upload()
    assert within(60, lambda: last in site.looked_at())  # the queue is first in, first out
    return set(answered) - site.looked_at()
