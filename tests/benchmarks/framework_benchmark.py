"""izzati beside other frameworks, in process: one request after the other, without a server, in one table a job.

    python tests/benchmarks/framework_benchmark.py

Each framework gets an environment of its own, made by pip, and a process of its own; ``--environments`` keeps the
environments for another time. In each round every process is asked for every job in turn, in an order that changes.
Printed are medians of all rounds: microseconds of processor time a request, and ratios, which are the medians of those
of each round. Processor time, since what else runs on the machine counts less in it; ``--clock wall`` for the other.
The memory of a large upload is what it takes at most beyond what one of 1 MiB has left to the process.
``--instructions`` counts by valgrind what is executed for a request, which nothing else on the machine changes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from environments import installed
from jobs import JOBS, prepare

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLOOR = "bare WSGI"
FALCON = "Falcon"
IZZATI = "izzati"
PLUGINS = "izzati, with plugins"
NOTHING = "nothing"
WARM, COUNTED = 50, 250
"""Calls of a process before those that are counted, and with them."""


class Peer(NamedTuple):
    """What is compared.

    :param packages: what pip installs for it.
    :param module: in ``peers``.
    """

    packages: Sequence[str]
    module: str


PEERS = {
    FLOOR: Peer(["werkzeug"], "floor"),
    IZZATI: Peer(["-e", str(ROOT)], "izzati_2"),
    PLUGINS: Peer(
        ["-e", str(ROOT), "-e", str(ROOT / "plugins" / "izzati-auth"), "-e", str(ROOT / "plugins" / "izzati-msgpack")],
        "izzati_plugins",
    ),
    FALCON: Peer(["falcon"], "falcon"),
    "Bottle": Peer(["bottle"], "bottle"),
    "Werkzeug": Peer(["werkzeug"], "werkzeug"),
    "Starlette": Peer(["starlette", "python-multipart"], "starlette"),
    "Litestar": Peer(["litestar"], "litestar"),
    "Flask": Peer(["flask"], "flask"),
    "FastAPI": Peer(["fastapi", "python-multipart"], "fastapi"),
    "functions-framework": Peer(["functions-framework"], "google_functions"),
    "izzati 1.2.3": Peer(["izzati==1.2.3"], "izzati_1"),
    NOTHING: Peer([], "nothing"),
}
MEMORY_JOB = "large-upload"


class Goal(NamedTuple):
    """What izzati shall cost at most, as a multiple of what another one does."""

    job: str
    who: str
    most: float
    of: str


GOALS = (
    Goal("json", IZZATI, 0.75, FALCON),
    Goal("json", IZZATI, 1.3, FLOOR),
    Goal("json", PLUGINS, 1.1, FALCON),
    Goal("form", IZZATI, 0.95, FALCON),
    Goal("form", IZZATI, 1.3, FLOOR),
    Goal("upload", IZZATI, 0.75, FLOOR),
    Goal("large-upload", IZZATI, 1.0, FLOOR),
    Goal("file", IZZATI, 1.05, FLOOR),
)


class Process:
    """A peer in a process of its own, which answers orders.

    :raises RuntimeError: if it cannot be had.
    """

    def __init__(self, python: Path, peer: Peer, folder: Path) -> None:
        self._process = subprocess.Popen(
            [python, HERE / "caller.py", peer.module, folder],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self._answer()
        except RuntimeError:
            self.end()
            raise

    def ask(self, **order: Any) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline() or '{"error": "its process has ended"}'
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def end(self) -> None:
        self._process.communicate()


def _environment() -> dict[str, str]:
    """Without options for izzati, and with the same hashes in each process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("IZZATI_", "PYTHON"))}
    return {**inherited, "PYTHONHASHSEED": "0"}


def pythons(names: Sequence[str], folder: Path, *, here: bool) -> Iterator[tuple[str, Path]]:
    """The interpreter of each peer that can be had; says which cannot."""
    for name in names:
        if here:
            yield name, Path(sys.executable)
            continue
        print(f"installing {name} ...", file=sys.stderr)
        try:
            yield name, installed(PEERS[name].packages, folder / PEERS[name].module) / "python"
        except subprocess.CalledProcessError:
            print(f"not compared: {name}, which cannot be downloaded")


@contextmanager
def processes(pythons: Mapping[str, Path], folder: Path) -> Iterator[dict[str, Process]]:
    """A process for each peer that starts; says which do not."""
    with ExitStack() as stack:
        started = {}
        for name, python in pythons.items():
            try:
                started[name] = process = Process(python, PEERS[name], folder)
            except RuntimeError as error:
                print(f"not compared: {name} ({str(error).partition(chr(10))[0]})")
            else:
                stack.callback(process.end)
        yield started


class Measured:
    """What was measured of each peer, for each job."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, list[float]]] = {}
        self.megabytes: dict[str, float] = {}
        self.cannot: dict[str, dict[str, str]] = {}

    def add(self, job: str, name: str, figure: float) -> None:
        self.figures.setdefault(job, {}).setdefault(name, []).append(figure)

    def median(self, job: str, name: str) -> float:
        return statistics.median(self.figures[job][name])

    def ratio(self, job: str, name: str, other: str) -> float | None:
        """The median of the ratios of each round; None if one of them is missing."""
        figures = self.figures[job]
        if name not in figures or other not in figures:
            return None
        return statistics.median(one / two for one, two in zip(figures[name], figures[other], strict=True))


def does(name: str, job: str) -> bool:
    """True if a peer is asked for a job."""
    return (job == "plugins") == (name == PLUGINS) or (job == "plugins" and name in (FLOOR, FALCON))


def measure(processes: Mapping[str, Process], jobs: Sequence[str], rounds: int, seconds: float, clock: str) -> Measured:
    """All jobs of all peers, in turn."""
    measured = Measured()
    for number in range(rounds):
        names = list(processes)
        start = number % len(names)
        for job in jobs:
            for name in [*names[start:], *names[:start]]:
                if not does(name, job) or name in measured.cannot.get(job, {}):
                    continue
                try:
                    if job == MEMORY_JOB and number == 0 and sys.platform == "linux":
                        processes[name].ask(job="upload", seconds=0)  # so that all is imported
                        measured.megabytes[name] = processes[name].ask(job=job, memory=True)["megabytes"]
                    figure = processes[name].ask(job=job, seconds=seconds, clock=clock)["seconds"]
                    measured.add(job, name, figure * 1e6)
                except RuntimeError as error:
                    measured.cannot.setdefault(job, {})[name] = str(error)
    return measured


def count(pythons: Mapping[str, Path], jobs: Sequence[str], folder: Path) -> Measured:
    """Thousands of instructions for a request: what many take, less what few take."""
    measured = Measured()
    for job in jobs:
        for name, python in pythons.items():
            if does(name, job):
                try:
                    few, many = (_instructions(python, PEERS[name], job, calls, folder) for calls in (WARM, COUNTED))
                    measured.add(job, name, (many - few) / (COUNTED - WARM) / 1000)
                except RuntimeError as error:
                    measured.cannot.setdefault(job, {})[name] = str(error)
    return measured


def _instructions(python: Path, peer: Peer, job: str, calls: int, folder: Path) -> int:
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    program = [python, HERE / "caller.py", peer.module, folder, job]
    subprocess.run([*program, "1"], env=_environment(), capture_output=True, check=False)  # so that all is compiled
    command = [*valgrind, *program, str(calls)]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None or done.stdout:
        raise RuntimeError(done.stdout or done.stderr.strip().rpartition("\n")[2])
    return int(found[1])


def show(measured: Measured, jobs: Sequence[str], unit: str) -> None:
    """Print a table for each job, and each goal beside what was reached."""
    for job in jobs:
        figures = measured.figures.get(job, {})
        memory = measured.megabytes if job == MEMORY_JOB else {}
        more = f"{'MB more':>10}" if memory else ""
        print(f"\n{JOBS[job].title:<42}{unit:>14}{'to ' + FLOOR:>14}{'to ' + FALCON:>12}{more}")
        for name in sorted(figures, key=lambda name: measured.median(job, name)):
            ratios = (measured.ratio(job, name, other) for other in (FLOOR, FALCON))
            row = "".join(f"{_shown(ratio):>{width}}" for ratio, width in zip(ratios, (14, 12), strict=True))
            used = f"{memory[name]:>10,.1f}" if name in memory else ""
            print(f"{name:<42}{measured.median(job, name):>14,.1f}{row}{used}")
        for name, why in measured.cannot.get(job, {}).items():
            print(f"{name:<42} does not do this: {why[:200]}")
    print()
    for goal in GOALS:
        job = "plugins" if goal.who == PLUGINS else goal.job
        ratio = measured.ratio(job, goal.who, goal.of) if job in measured.figures else None
        if ratio is not None:
            verdict = "met" if ratio <= goal.most else "not met"
            print(f"{JOBS[job].title}: {ratio:.2f} x {goal.of}, at most {goal.most} is wanted: {verdict}")


def _shown(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="these peers")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=None, help="these jobs")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each measurement (%(default)s)")
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu", help="processor or elapsed time")
    parser.add_argument("--instructions", action="store_true", help="count instructions, of small requests")
    parser.add_argument("--environments", type=Path, help="keep the environments in this folder")
    parser.add_argument("--here", action="store_true", help="use what is installed beside this Python")
    options = parser.parse_args()
    jobs = options.jobs or (["json", "plugins", "form"] if options.instructions else list(JOBS))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        prepare(folder, jobs)
        found = dict(pythons(options.only, options.environments or folder, here=options.here))
        if options.instructions:
            show(count(found, jobs, folder), jobs, "k instructions")
            return
        with processes(found, folder) as running:
            if not running:
                sys.exit("nothing is left to compare")
            measured = measure(running, jobs, options.rounds, options.seconds, options.clock)
        show(measured, jobs, "microseconds")


if __name__ == "__main__":
    main()
