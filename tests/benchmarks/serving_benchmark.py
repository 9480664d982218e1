"""The servers of ``run()`` beside what else a function could be served with, alternately in one run.

    pip install ./plugins/izzati-granian fastapi gunicorn httptools python-multipart uvicorn uvloop waitress
    python tests/benchmarks/serving_benchmark.py

It needs wrk, and Linux, whose /proc tells how much memory a server had at most. Every server runs as it comes, its log
thrown away, with one process that answers, unless its name says otherwise. Printed are medians of all rounds; a ratio
is the median of those of each round.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

SECONDS = 60
MEGABYTE = 1 << 20

IZZATI = """
from pathlib import Path
from izzati import Backend, UploadedFile

def echo(text, data):
    return text

def size(text, data):
    return {{"size": data[0].size}}

def download(text, data):
    return Path("large.bin")

paths = {{"/": echo, "/size": size, "/download": download}}
Backend(paths, block={block}, only={only}, options={options}).run("127.0.0.1", {port})
"""
WERKZEUG = """
import json, tempfile
from werkzeug import Request, Response
from werkzeug.utils import send_file

@Request.application
def app(request):
    if request.path == "/size":
        with tempfile.TemporaryFile() as file:
            while block := request.stream.read(1 << 18):
                file.write(block)
            return Response(json.dumps({"size": file.tell()}), content_type="application/json")
    if request.path == "/download":
        return send_file("large.bin", request.environ)
    return Response(json.dumps(request.get_json()), content_type="application/json")
"""
FASTAPI = """
import tempfile
from typing import Any
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse

app = FastAPI()

@app.post("/")
async def echo(body: dict[str, Any]):
    return body

@app.post("/size")
async def size(request: Request):
    with tempfile.TemporaryFile() as file:
        async for block in request.stream():
            file.write(block)
        return {"size": file.tell()}

@app.post("/download")
async def download():
    return FileResponse("large.bin")
"""
# As little as answers at all: what a framework behind granian could not be faster than.
BARE = """
import json

def app(environ, start_response):
    body = json.dumps(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""
MODULES = {"werkzeug_app": WERKZEUG, "fastapi_app": FASTAPI, "bare_app": BARE}
SERVE_WERKZEUG = "from werkzeug_app import app; from werkzeug.serving import run_simple; "
SERVE_WAITRESS = "from werkzeug_app import app; from waitress import serve; "


def izzati(port: int, granian_workers: int = 0) -> list[str]:
    """With the built-in server unless granian shall have workers."""
    granian = {"block": [], "only": ["granian"], "options": {"granian": {"workers": granian_workers}}}
    built_in: dict[str, object] = {"block": ["granian"], "only": [], "options": {}}
    return ["-c", IZZATI.format(port=port, **(granian if granian_workers else built_in))]


SERVERS: dict[str, Callable[[int], list[str]]] = {
    "izzati": izzati,
    "izzati, granian": lambda port: izzati(port, granian_workers=1),
    "izzati, granian, 2 workers": lambda port: izzati(port, granian_workers=2),
    "bare WSGI, granian": lambda port: ["-m", "granian", *GRANIAN, f"--port={port}", "bare_app:app"],
    "Werkzeug's own": lambda port: ["-c", f"{SERVE_WERKZEUG}run_simple('127.0.0.1', {port}, app, threaded=True)"],
    "waitress": lambda port: ["-c", f"{SERVE_WAITRESS}serve(app, host='127.0.0.1', port={port})"],
    "gunicorn": lambda port: ["-m", "gunicorn", "--threads=16", f"--bind=127.0.0.1:{port}", "werkzeug_app:app"],
    "uvicorn, FastAPI": lambda port: ["-m", "uvicorn", *UVICORN, f"--port={port}", "fastapi_app:app"],
}
UVICORN = ("--loop=uvloop", "--http=httptools")
GRANIAN = ("--interface=wsgi", "--no-ws", "--blocking-threads=16")  # as izzati-granian starts it
ECHO = (
    "izzati",
    "izzati, granian",
    "izzati, granian, 2 workers",
    "bare WSGI, granian",
    "Werkzeug's own",
    "uvicorn, FastAPI",
)
UPLOAD = ("izzati", "izzati, granian", "waitress", "uvicorn, FastAPI")
DOWNLOAD = ("izzati", "izzati, granian", "gunicorn", "uvicorn, FastAPI")
START = ("izzati", "izzati, granian", "waitress", "uvicorn, FastAPI")

BODY = json.dumps({"name": "Rex", "age": 4, "tags": ["good", "brown"], "note": "n" * 140})
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[BODY]]
done = function(summary, latency)
    local errors = summary.errors.connect + summary.errors.read + summary.errors.status + summary.errors.timeout
    io.write(string.format("requests %d microseconds %d p50 %d p99 %d errors %d\\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors))
end
""".replace("BODY", BODY)


class Answering(NamedTuple):
    """A server that answers: where, as which process, and how many seconds that took."""

    port: int
    pid: int
    seconds: float

    def ask(self, path: str, body: bytes = b"{}", kind: str = "application/json", times: int = 1) -> int:
        """POST a body, as often as said, in one request; returns how many bytes the answer's body had."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as sock:
            sock.sendall(f"{head}Content-Length: {len(body) * times}\r\n\r\n".encode())
            for _ in range(times):
                sock.sendall(body)
            answer = bytearray()
            while b"\r\n\r\n" not in answer:
                answer += sock.recv(65536) or b"\r\n\r\n"
            if not re.match(rb"HTTP/1\.1 200 ", answer):
                raise ConnectionError(f"the server answered {bytes(answer[:200])!r}")
            received = len(answer) - answer.index(b"\r\n\r\n") - 4
            buffer = bytearray(MEGABYTE)
            while count := sock.recv_into(buffer):
                received += count
            return received

    @property
    def memory(self) -> float:
        """MB that it had in memory at most, with all processes that it started."""
        return sum(_peak(pid) for pid in (self.pid, *_children(self.pid))) / 1e6


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread may have ended since
            yield from map(int, (task / "children").read_text().split())


def _peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Answering]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or some modules would be compiled at each start
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *SERVERS[name](port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        answering = Answering(port, process.pid, 0.0)
        while process.poll() is None and time.perf_counter() - begin < SECONDS:
            try:
                answering.ask("/")
                break
            except ConnectionRefusedError:
                time.sleep(0.001)
        else:
            raise RuntimeError(f"{name} does not answer; is everything installed that this file names?")
        yield answering._replace(seconds=time.perf_counter() - begin)
    finally:
        process.send_signal(signal.SIGINT if name == "Werkzeug's own" else signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def echo(answering: Answering, connections: int, seconds: int, folder: Path) -> dict[str, float]:
    url = f"http://127.0.0.1:{answering.port}/"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(folder / "echo.lua"), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"requests (\d+) microseconds (\d+) p50 (\d+) p99 (\d+) errors (\d+)", output)
    if found is None or found[5] != "0":
        raise RuntimeError(f"wrk met errors: {output}")
    requests, microseconds, half, most = map(int, found.groups()[:4])
    return {"requests a second": requests / microseconds * 1e6, "p50 ms": half / 1e3, "p99 ms": most / 1e3}


def upload(answering: Answering, megabytes: int) -> dict[str, float]:
    return _transfer(
        answering, megabytes, lambda: answering.ask("/size", bytes(MEGABYTE), "application/octet-stream", megabytes)
    )


def download(answering: Answering, megabytes: int) -> dict[str, float]:
    return _transfer(answering, megabytes, lambda: answering.ask("/download"))


def _transfer(answering: Answering, megabytes: int, transfer: Callable[[], int]) -> dict[str, float]:
    before = answering.memory
    begin = time.perf_counter()
    transfer()
    seconds = time.perf_counter() - begin
    memory = answering.memory
    return {"MiB a second": megabytes / seconds, "MB of memory": memory, "of that in use before": before}


def start(answering: Answering) -> dict[str, float]:
    return {"ms to the first answer": answering.seconds * 1000}


def compare(
    title: str, names: Sequence[str], rounds: int, folder: Path, measure: Callable[[Answering], dict[str, float]]
) -> None:
    """Measure each server in each round, in turn, and print a table; ratios are those of the first column."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            with serving(name, folder) as answering:
                found[name].append(measure(answering))
    columns = list(found[names[0]][0])
    print(f"\n{title:<28}" + "".join(f"{column:>24}" for column in columns) + f"{'ratio to ' + names[-1]:>28}")
    for name, results in found.items():
        medians = [statistics.median(each[column] for each in results) for column in columns]
        ratio = statistics.median(
            its[columns[0]] / last[columns[0]] for its, last in zip(results, found[names[-1]], strict=True)
        )
        print(f"{name:<28}" + "".join(f"{each:>24,.1f}" for each in medians) + f"{ratio:>28.2f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="izzati's servers beside others.")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each server (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement by wrk (%(default)s)")
    parser.add_argument("--megabytes", type=int, default=256, help="of an upload and a download (%(default)s)")
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 16, 64])
    parser.add_argument("--only", nargs="*", choices=list(SERVERS), default=list(SERVERS), help="these servers")
    options = parser.parse_args(arguments)

    def chosen(names: Sequence[str]) -> list[str]:
        return [name for name in names if name in options.only]

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for module, source in MODULES.items():
            (folder / f"{module}.py").write_text(source)
        (folder / "echo.lua").write_text(WRK)
        with (folder / "large.bin").open("wb") as file:
            for _ in range(options.megabytes):
                file.write(os.urandom(MEGABYTE))
        for connections in options.connections:
            compare(
                f"echo, {connections} connections",
                chosen(ECHO),
                options.rounds,
                folder,
                lambda answering, connections=connections: echo(answering, connections, options.seconds, folder),
            )
        size = f"{options.megabytes} MiB"
        compare(f"upload, {size}", chosen(UPLOAD), options.rounds, folder, lambda its: upload(its, options.megabytes))
        compare(
            f"download, {size}", chosen(DOWNLOAD), options.rounds, folder, lambda its: download(its, options.megabytes)
        )
        compare("start", chosen(START), options.rounds, folder, start)


if __name__ == "__main__":
    main()
