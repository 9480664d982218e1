"""What an item costs: a queue in a Ray cluster beside a local one, in the same run.

    pip install '.[test]' && python benchmarks/cost.py [items] [rounds]

The cluster is a head and a node, both on this machine, whose cores all of it shares. Times are medians of all rounds,
in which local and cluster take turns. CPU time is what the inbox's own process has used (Linux: /proc), by item.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from izzati_ray import Ray
from nodes import two_nodes

from izzati import BackgroundOptions
from izzati.builtin.processes import Processes

ITEM = b"x" * 200


def idle(q):
    threading.Event().wait()


def echo(q, answers):
    while True:
        answers.put(q.get())


def take(q, source):
    """Take what there is, say when that is over, and wait."""
    q.put("ready")
    count = 0
    while source.get() is not None:
        count += 1
    q.put(count)
    threading.Event().wait()


class Measured:
    """A plugin, and what it has started."""

    def __init__(self, plugin):
        self._plugin = plugin
        self._started = []

    def start(self, target, *args):
        options = BackgroundOptions()
        process, q = self._plugin.izzati_background(target=target, args=args, kwargs={}, options=options)
        self._started.append(process)
        return q

    def end(self):
        for process in self._started:
            process.kill()
        for process in self._started:
            process.join()
        self._started.clear()


def per_item(count, act):
    """Microseconds for each of so many."""
    began = time.perf_counter()
    for _ in range(count):
        act()
    return (time.perf_counter() - began) / count * 1e6


def single(measured, count):
    """One program: put, get, and there and back through a worker; microseconds."""
    waiting = measured.start(idle)
    answers = measured.start(idle)
    worker = measured.start(echo, answers)
    worker.put(ITEM)
    answers.get()
    put = per_item(count, lambda: waiting.put(ITEM))
    get = per_item(count, waiting.get)

    def there_and_back():
        worker.put(ITEM)
        answers.get()

    found = {"put": put, "get": get, "round trip": per_item(count, there_and_back)}
    measured.end()
    return found


def shared(measured, count, workers, head=None):
    """One queue that was filled, and so many workers that empty it: items a second, and CPU microseconds for each."""
    before = head.inboxes() if head else set()
    source = measured.start(idle)
    inbox = (head.inboxes() - before).pop() if head else None
    readers = [measured.start(take, source) for _ in range(workers)]
    assert [reader.get() for reader in readers] == ["ready"] * workers
    used = cpu(inbox)
    feeders = [threading.Thread(target=fill, args=(source, count // 4)) for _ in range(4)]
    began = time.perf_counter()
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    for _ in readers:
        source.put(None)
    assert sum(reader.get() for reader in readers) == count // 4 * 4
    seconds = time.perf_counter() - began
    used = cpu(inbox) - used
    measured.end()
    return count / seconds, used / count * 1e6


def fill(source, count):
    for _ in range(count):
        source.put(ITEM)


def cpu(pid):
    """Seconds of CPU time that a process has used."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(count=1000, rounds=5):
    with two_nodes() as cluster:
        os.environ.update(cluster.environment)
        kinds = {"local": Measured(Processes()), "cluster": Measured(Ray(cluster.address))}
        single(kinds["cluster"], 50)
        singles = {name: [] for name in kinds}
        throughput = {(name, workers): [] for name in kinds for workers in (1, 2, 4)}
        for _ in range(rounds):
            for name, measured in kinds.items():
                singles[name].append(single(measured, count))
                head = cluster.head if name == "cluster" else None
                for workers in (1, 2, 4):
                    throughput[name, workers].append(shared(measured, count, workers, head))
    for what in ("put", "get", "round trip"):
        local, remote = (statistics.median(each[what] for each in singles[name]) for name in kinds)
        print(f"{what}: {local:.0f} us local, {remote:.0f} us in the cluster ({remote / local:.0f} times)")
    for (name, workers), found in throughput.items():
        rates, used = (statistics.median(values) for values in zip(*found, strict=True))
        inbox = f", {used:.0f} us of the inbox's CPU for each" if name == "cluster" else ""
        print(f"{name}, {workers} workers at one queue: {rates:.0f} items a second{inbox}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
