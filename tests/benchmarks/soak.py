"""A server under hostile and ordinary load for a while: its memory and its descriptors stay level.

    python tests/benchmarks/soak.py --seconds 60

Four callers send the bank of hostile requests (``tests/hostile``, but for its largest), photos that go to disk, and
uploads that they break off. Printed are the server's memory and descriptors; it exits with 1 if memory has grown by
more than 8 MiB since the first quarter, or if anything is left once the callers are gone. It needs Linux, for /proc.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile import BANK
from hostile.cases import multipart, post, upload
from hostile.program import Program, echo
from hostile.wire import answered, call

CALLERS = 4
LARGEST = 300_000
GROWTH = 8 << 20
PHOTO = post(multipart(upload("rex.jpg", bytes(range(256)) * 12_000)), "multipart/form-data; boundary=limit")
CASES = [case for case in BANK if len(case.data) < LARGEST and not case.then_close]


class Load:
    """What the callers have done, and when they are to end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = threading.Event()
        self.requests = itertools.count()
        self.unanswered = 0

    def run(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self.over.is_set():
            next(self.requests)
            what = chance.random()
            if what < 0.1:
                with socket.create_connection(("127.0.0.1", self.port), 30) as sock:
                    sock.sendall(PHOTO[: chance.randrange(len(PHOTO))])
            elif what < 0.2:
                with socket.create_connection(("127.0.0.1", self.port), 30) as sock:
                    sock.sendall(PHOTO)
                    self.unanswered += not sock.recv(12).startswith(b"HTTP/1.1 200")
            else:
                self.unanswered += not call(self.port, chance.choice(CASES)).answers


def memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    os.environ["MALLOC_ARENA_MAX"] = "1"  # an arena for each thread would fill for minutes, and look like a leak
    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder, "spool")
        spool.mkdir()
        source = echo(spool={"folder": str(spool)}, server={"head_seconds": 1, "block_seconds": 1, "threads": 8})
        with Program(Path(folder), source) as program:
            assert answered(program.port)
            pid, before = program.process.pid, descriptors(program.process.pid)
            load = Load(program.port)
            callers = [threading.Thread(target=load.run, args=(seed,)) for seed in range(CALLERS)]
            for caller in callers:
                caller.start()
            print(f"{'seconds':>8}{'requests':>10}{'MB':>8}{'descriptors':>13}")
            levels = []
            begin = time.monotonic()
            for quarter in range(1, 5):
                load.over.wait(max(0.0, begin + quarter * options.seconds / 4 - time.monotonic()))
                levels.append(memory(pid))
                done = next(load.requests)
                print(f"{time.monotonic() - begin:8.0f}{done:10,}{levels[-1] / 1e6:8.1f}{descriptors(pid):13}")
            load.over.set()
            for caller in callers:
                caller.join()
            deadline = time.monotonic() + 10
            while descriptors(pid) > before and time.monotonic() < deadline:
                time.sleep(0.1)
            left = max(0, descriptors(pid) - before)  # before, the first request may have had one
            growth = max(levels[1:]) - levels[0]
            traces = program.new_log().count("Traceback")
            print(
                f"left: {left} descriptors, {len(list(spool.iterdir()))} files; grown by {growth / 1e6:.1f} MB; ",
                end="",
            )
            print(f"{load.unanswered} not answered, {traces} tracebacks in the log")
            return int(left > 0 or growth > GROWTH or load.unanswered > 0 or traces > 0 or any(spool.iterdir()))


if __name__ == "__main__":
    sys.exit(main())
