"""How the cost of a request grows: with plugins, with the size of an upload, with its parts, with callers at once.

    pip install matplotlib
    python tests/benchmarks/growth_benchmark.py --plot docs/growth.svg

Each should be flat or a straight line. Printed, and drawn if a file for it is named, are medians of all rounds, in
which every point is measured in turn. Times are processor time, since what else runs on the machine counts less in it.
Memory is read from /proc, so it needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import io
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from caller import WSGI, megabytes_more, memory_of
from jobs import JOBS, Job
from werkzeug.wrappers import Response

from izzati import Backend, Request, hookimpl

PLUGINS = (0, 5, 10, 20, 30, 40, 50)
KILOBYTES = tuple(4**power for power in range(10))
PARTS = (1, 250, 500, 1_000, 1_500, 2_000)
CALLERS = (1, 10, 100, 250, 500, 1_000)
BOUNDARY = b"limit"


class Curve(NamedTuple):
    """One quantity, as another one grows.

    :param points: how far that has grown, and the medians of what was measured there.
    """

    title: str
    unit: str
    points: dict[float, float]


class Panel(NamedTuple):
    """Curves over the same axis."""

    title: str
    axis: str
    curves: list[Curve]
    logarithmic: bool = False


class Declining:
    """A plugin as most are: asked for a request's way in, in which it has no part, and for its headers."""

    @hookimpl
    def izzati_admit(self, request: Request) -> None:
        return None

    @hookimpl
    def izzati_read(self, request: Request) -> None:
        return None

    @hookimpl
    def izzati_finalize(self, response: Response, request: Request) -> None:
        return None


class Wrapping:
    """A plugin around the call of the callback."""

    @hookimpl(wrapper=True)
    def izzati_call(self) -> Any:
        return (yield)


def echo(text: dict[str, Any], data: Sequence[Any]) -> dict[str, Any]:
    return text


def count(text: dict[str, Any], data: Sequence[Any]) -> dict[str, int]:
    return {"fields": len(text), "bytes": sum(file.size for file in data)}


def several(kind: type, number: int) -> list[Any]:
    """Plugins of one kind, each with a name of its own."""
    return [type(f"{kind.__name__}{each}", (kind,), {})() for each in range(number)]


def seconds_of(act: Callable[[], object], times: int = 1) -> float:
    begin = time.process_time()
    for _ in range(times):
        act()
    return (time.process_time() - begin) / times


def in_a_copy(measure: Callable[[], float]) -> float:
    """What is measured in a copy of this process, which leaves this one as it is."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=lambda: answers.put(measure()))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError("it could not be measured: see above")
    return float(answers.get())


def medians(rounds: int, grown: Sequence[float], measure: Callable[[float], float]) -> dict[float, float]:
    """The median at each point; in every round all of them are measured."""
    found: dict[float, list[float]] = {each: [] for each in grown}
    for number in range(rounds):
        for each in grown if number % 2 else reversed(grown):
            found[each].append(measure(each))
    return {each: statistics.median(figures) for each, figures in found.items()}


def asking(backend: Backend, job: Job, folder: Path) -> Callable[[], object]:
    """What sends one request; it has been answered once."""
    caller = WSGI(backend, job, "/", folder)
    answer = caller.ask()
    if answer.status != 200:
        raise RuntimeError(f"it answered {answer.status} {answer.body[:500]!r}")
    return caller.ask


def by_plugins(rounds: int, most: int, folder: Path) -> Panel:
    grown = [number for number in PLUGINS if number <= most]

    def requests(kind: type) -> dict[float, float]:
        ask = {
            number: asking(Backend(echo, plugins=several(kind, number), only=()), JOBS["json"], folder)
            for number in grown
        }
        return medians(rounds, grown, lambda number: seconds_of(ask[int(number)], 500) * 1e6)

    def start(number: float) -> float:
        return seconds_of(lambda: Backend(echo, plugins=several(Declining, int(number)), only=())) * 1e3

    return Panel(
        "plugins",
        "plugins beside the built-in ones",
        [
            Curve("request, plugins with three hooks that decline", "µs", requests(Declining)),
            Curve("request, plugins that wrap the call", "µs", requests(Wrapping)),
            Curve("a Backend is made", "ms", medians(rounds, grown, start)),
        ],
    )


def multipart(parts: Iterable[bytes]) -> bytes:
    return b"".join(b"--%b\r\n%b\r\n" % (BOUNDARY, part) for part in parts) + b"--%b--\r\n" % BOUNDARY


def form(open_body: Callable[[Path], IO[bytes]]) -> Job:
    content_type = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    return Job("", "", content_type, open_body, lambda body, folder: True)


def by_size(rounds: int, most: int, folder: Path) -> Panel:
    grown = [number for number in KILOBYTES if number <= most]
    block = os.urandom(1024)
    head = b'Content-Disposition: form-data; name="file"; filename="rex.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    before, after = multipart([head + b"\0"]).split(b"\0")
    for number in grown:
        with (folder / f"{number}").open("wb") as file:
            file.write(before)
            for _ in range(number):
                file.write(block)
            file.write(after)
    backend = Backend(count, only=())
    asking(backend, form(lambda folder: (folder / f"{grown[0]}").open("rb")), folder)  # so that all is imported
    ask = {
        number: WSGI(backend, form(lambda folder, number=number: (folder / f"{number}").open("rb")), "/", folder).ask
        for number in grown
    }
    # First, since what the process once had it keeps for the next time.
    memory = medians(rounds, grown, lambda number: in_a_copy(lambda: megabytes_more(ask[int(number)])))
    times = {number: max(1, 4096 // number) for number in grown}
    time = medians(rounds, grown, lambda number: seconds_of(ask[int(number)], times[int(number)]) * 1e3)
    return Panel(
        "upload, one file",
        "KiB",
        [Curve("request", "ms", time), Curve("memory that it takes at most", "MB", memory)],
        logarithmic=True,
    )


def by_parts(rounds: int, most: int, folder: Path) -> Panel:
    grown = [number for number in PARTS if number <= most]

    def requests(line: str, value: bytes) -> dict[float, float]:
        bodies = {
            number: multipart(line.format(each).encode() + b"\r\n\r\n" + value for each in range(number))
            for number in grown
        }
        ask = {
            number: asking(Backend(count, only=()), form(lambda folder, body=body: io.BytesIO(body)), folder)
            for number, body in bodies.items()
        }
        return medians(rounds, grown, lambda number: seconds_of(ask[int(number)]) * 1e3)

    field = 'Content-Disposition: form-data; name="field{}"'
    return Panel(
        "parts of a form",
        "parts",
        [
            Curve("request, fields of 20 bytes", "ms", requests(field, bytes(20))),
            Curve("request, files of 1 KiB", "ms", requests(f'{field}; filename="rex.jpg"', bytes(1024))),
        ],
    )


SERVER = """
import sys
from izzati import Backend
server = Backend(lambda text, data: text, only=(), options={"logs": {"requests": False}}).listen("127.0.0.1", 0)
server.serve(lambda: print(server.address[1], flush=True))
"""


def by_callers(rounds: int, most: int, answers: int) -> Panel:
    """Callers that each keep a connection, and wait for an answer before they ask again.

    :param answers: of one measurement, to all of them together.
    """
    grown = [number for number in CALLERS if number <= most]
    # Each caller is a descriptor here, and one in the server, which inherits this limit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    found: dict[int, list[tuple[float, float]]] = {number: [] for number in grown}
    for _ in range(rounds):
        for number in grown:
            with served() as (port, pid):
                asyncio.run(all_callers(port, number, number))  # so that all is imported, and every thread started
                before = processor_seconds(pid)
                asyncio.run(all_callers(port, number, answers))
                cost = (processor_seconds(pid) - before) / answers
                found[number].append((cost * 1e6, memory_of(f"/proc/{pid}/status", "VmHWM") / 1e6))
    cost, memory = (
        {number: statistics.median(figures[place] for figures in its) for number, its in found.items()}
        for place in range(2)
    )
    return Panel(
        "callers at once, of the built-in server",
        "callers",
        [Curve("request", "µs", cost), Curve("memory that it takes at most", "MB", memory)],
    )


@contextmanager
def served() -> Iterator[tuple[int, int]]:
    """The port and the process of a server that echoes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IZZATI_")}
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, env=inherited, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


async def all_callers(port: int, callers: int, answers: int) -> None:
    body = JOBS["json"].body(Path()).read()
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    left = iter(range(answers))

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"the server answered {answer!r}")
            await reader.readexactly(len(body))  # which it echoes as it is
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(caller() for _ in range(callers)))


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(panel: Panel) -> None:
    print(f"\n{panel.title:<52}" + "".join(f"{point:>10,}" for point in panel.curves[0].points))
    for curve in panel.curves:
        figures = "".join(f"{figure:>10,.2f}" for figure in curve.points.values())
        print(f"{f'{curve.title}, {curve.unit}':<52}{figures}", flush=True)


def draw(panels: Sequence[Panel], file: Path) -> None:
    matplotlib = importlib.import_module("matplotlib")  # which only who draws needs
    matplotlib.use("Agg")
    # Text stays text, and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "izzati"})
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for panel, left in zip(panels, axes.flat, strict=True):
        right = left.twinx()
        unit = panel.curves[0].unit
        lines = []
        for number, curve in enumerate(panel.curves):
            axis, side = (left, "left") if curve.unit == unit else (right, "right")
            label = f"{curve.title}, {curve.unit} ({side})"
            lines += axis.plot(list(curve.points), list(curve.points.values()), f"C{number}o-", label=label)
        left.set(title=panel.title, xlabel=panel.axis)
        right.set_visible(any(curve.unit != unit for curve in panel.curves))
        if panel.logarithmic:
            left.set(xscale="log", yscale="log")
        else:
            left.set_ylim(bottom=0)
        right.set_ylim(bottom=0)
        left.legend(handles=lines, fontsize="small")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each point (%(default)s)")
    parser.add_argument("--plugins", type=int, default=PLUGINS[-1], help="at most (%(default)s)")
    parser.add_argument("--kilobytes", type=int, default=KILOBYTES[-1], help="of an upload, at most (%(default)s)")
    parser.add_argument("--parts", type=int, default=PARTS[-1], help="of a form, at most (%(default)s)")
    parser.add_argument("--callers", type=int, default=CALLERS[-1], help="at once, at most (%(default)s)")
    parser.add_argument("--answers", type=int, default=5_000, help="to all callers together (%(default)s)")
    parser.add_argument("--plot", type=Path, help="draw to this file; it needs matplotlib")
    options = parser.parse_args()
    panels = []
    for measure, most in (
        (by_plugins, options.plugins),
        (by_size, options.kilobytes),
        (by_parts, options.parts),
    ):
        with tempfile.TemporaryDirectory() as folder:
            panels.append(measure(options.rounds, most, Path(folder)))
            show(panels[-1])
    panels.append(by_callers(options.rounds, options.callers, options.answers))
    show(panels[-1])
    if options.plot:
        draw(panels, options.plot)


if __name__ == "__main__":
    main()
