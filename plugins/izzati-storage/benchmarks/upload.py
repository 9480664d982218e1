"""One large upload to S3: how much memory the server takes for it, and how fast it is beside fsspec alone.

    pip install '.[test]' && python benchmarks/upload.py [MiB] [rounds]

The S3 server is moto's, on this machine. Each round sends the same bytes once through izzati and once by fsspec alone,
in processes of their own; the medians of all rounds are compared. Memory is what the process has more at its peak than
before (Linux: VmHWM), after a small upload that loads what every upload needs.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from pathlib import Path

import boto3

MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
IZZATI = """
import sys
from izzati import Backend
from izzati_storage import Store
access = {"endpoint_url": sys.argv[1], "key": "testing", "secret": "testing"}
store = Store("s3://uploads/izzati", options={"s3": access})
server = Backend(lambda text, data: data[0].size, plugins=[store], only=()).listen("127.0.0.1", 0)
print(server.address[1], flush=True)
server.serve(lambda: None)
"""
FSSPEC = """
import sys, time
import fsspec
files = fsspec.filesystem("s3", endpoint_url=sys.argv[1], key="testing", secret="testing")
for line in sys.stdin:
    began = time.perf_counter()
    with files.open("uploads/fsspec", "wb", block_size=8 << 20) as file:
        for _ in range(int(line)):
            file.write(bytes(1 << 18))
    print(time.perf_counter() - began, flush=True)
"""


def started(code, *args):
    command = [sys.executable, "-W", "ignore", "-c", code, *args]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def memory(process, name):
    """A number of bytes from /proc: ``VmRSS``, what is used now; ``VmHWM``, the most since the peak was forgotten."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) << 10


def measured(process, act):
    """Seconds that it took, and bytes of memory that were added."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    before = memory(process, "VmRSS")
    seconds = act()
    return seconds, memory(process, "VmHWM") - before


def through_izzati(port, blocks):
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blocks << 18)}
    connection.request("POST", "/", (bytes(1 << 18) for _ in range(blocks)), headers)
    answer = connection.getresponse()
    assert (answer.status, int(answer.read())) == (200, blocks << 18), answer.status
    connection.close()
    return time.perf_counter() - began


def by_fsspec(process, blocks):
    process.stdin.write(f"{blocks}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main(size=256, rounds=5):
    moto = started(MOTO)
    endpoint = f"http://127.0.0.1:{int(moto.stdout.readline())}"
    access = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint, **access)
    client.create_bucket(Bucket="uploads")
    izzati, fsspec = started(IZZATI, endpoint), started(FSSPEC, endpoint)
    port = int(izzati.stdout.readline())
    try:
        through_izzati(port, 1)
        by_fsspec(fsspec, 1)
        found = {"izzati": [], "fsspec": []}
        for _ in range(rounds):
            found["izzati"].append(measured(izzati, lambda: through_izzati(port, size * 4)))
            found["fsspec"].append(measured(fsspec, lambda: by_fsspec(fsspec, size * 4)))
            for each in client.list_objects_v2(Bucket="uploads")["Contents"]:
                client.delete_object(Bucket="uploads", Key=each["Key"])
    finally:
        for process in (izzati, fsspec, moto):
            process.kill()
            process.communicate()
        client.close()
    medians = {}
    for name, each in found.items():
        seconds, added = (statistics.median(values) for values in zip(*each, strict=True))
        medians[name] = seconds
        most = max(added for _, added in each)
        print(
            f"{name}: {size / seconds:.0f} MiB/s, {added / 2**20:.0f} MiB of memory added ({most / 2**20:.0f} at most)"
        )
    print(f"izzati is {medians['fsspec'] / medians['izzati']:.2f} times as fast as fsspec alone")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
