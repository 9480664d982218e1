"""Calls one peer's application in this process, as often as it is told by lines of JSON, and says how long it took.

    python caller.py PEER FOLDER                 # answers lines such as {"job": "json", "seconds": 0.1}
    python caller.py PEER FOLDER JOB COUNT       # calls it so often, for who counts from outside

It runs in the environment of the peer, so it needs nothing but Python.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

from jobs import JOBS, Job

BLOCK = 64 * 1024
"""Bytes of a body in one message to an ASGI application, as uvicorn gives them."""

CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}


class Answer(NamedTuple):
    """What an application answered."""

    status: int
    body: bytes


class WSGI:
    """Calls a WSGI application (PEP 3333)."""

    def __init__(self, app: Any, job: Job, path: str, folder: Path) -> None:
        self._app = app
        self._open = lambda: job.body(folder)
        self._environ = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "5020",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1:5020",
            "HTTP_ACCEPT": "*/*",
            "HTTP_USER_AGENT": "caller",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "CONTENT_LENGTH": str(_length(job, folder)),
            **{f"HTTP_{name.upper()}": value for name, value in job.headers},
            **({"CONTENT_TYPE": job.content_type} if job.content_type else {}),
        }

    def _ask(self, take: Callable[[bytes], object]) -> str:
        """One request; ``take`` gets each block of its answer, which it need not keep. Returns the status."""
        told = ""

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            nonlocal told
            told = status

        with self._open() as body:
            answer = self._app({**self._environ, "wsgi.input": body}, start_response)
            for block in answer:
                take(block)
            if hasattr(answer, "close"):
                answer.close()
        return told

    def ask(self) -> Answer:
        body = bytearray()
        status = self._ask(body.extend)
        return Answer(int(status[:3]), bytes(body))

    def repeat(self, count: int, clock: Callable[[], float]) -> float:
        begin = clock()
        for _ in range(count):
            self._ask(len)
        return clock() - begin


class ASGI:
    """Calls an ASGI application, in an event loop that goes on from one call to the next."""

    def __init__(self, app: Any, job: Job, path: str, folder: Path) -> None:
        self._app = app
        self._open = lambda: job.body(folder)
        self._loop = event_loop()
        headers = [
            ("host", "127.0.0.1:5020"),
            ("accept", "*/*"),
            ("user-agent", "caller"),
            ("content-length", str(_length(job, folder))),
            *job.headers,
            *([("content-type", job.content_type)] if job.content_type else []),
        ]
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 5020),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": "POST",
            "root_path": "",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }

    async def _ask(self, take: Callable[[bytes], object]) -> int:
        status = 0
        with self._open() as body:

            async def receive() -> dict[str, Any]:
                block = body.read(BLOCK)
                return {"type": "http.request", "body": block, "more_body": len(block) == BLOCK}

            async def send(message: dict[str, Any]) -> None:
                nonlocal status
                status = message.get("status", status)
                take(message.get("body", b""))

            await self._app({**self._scope, "state": {}}, receive, send)
        return status

    def ask(self) -> Answer:
        body = bytearray()
        status = self._loop.run_until_complete(self._ask(body.extend))
        return Answer(status, bytes(body))

    def repeat(self, count: int, clock: Callable[[], float]) -> float:
        async def all_of_them() -> float:
            begin = clock()
            for _ in range(count):
                await self._ask(len)
            return clock() - begin

        return self._loop.run_until_complete(all_of_them())


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _length(job: Job, folder: Path) -> int:
    with job.body(folder) as body:
        return body.seek(0, os.SEEK_END)


def caller_of(peer: Any, name: str, folder: Path) -> WSGI | ASGI:
    """What calls a peer's application for one job, once it has been seen to answer rightly."""
    job = JOBS[name]
    apps = getattr(peer, "APPS", None)  # one for each job; else one application answers all, each at its path
    if apps is not None and job.path not in apps:
        raise ValueError("it has no way to")
    app, path = (apps[job.path], "/") if apps is not None else (peer.app, f"/{job.path}")
    kind = ASGI if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__) else WSGI
    caller = kind(app, job, path, folder)
    answer = caller.ask()
    if peer.__name__ != "peers.nothing" and not (answer.status in (200, 201) and job.fits(answer.body, folder)):
        raise ValueError(f"it answered {answer.status} {answer.body[:500]!r}")
    return caller


def megabytes_more(act: Callable[[], object]) -> float:
    """By how much the process's memory grew at most, meanwhile. It needs Linux."""
    gc.collect()
    before = memory_of("/proc/self/status", "VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    act()
    return (memory_of("/proc/self/status", "VmHWM") - before) / 1e6


def memory_of(status: str, line: str) -> int:
    """Bytes of a process: that it has (``VmRSS``), or had at most (``VmHWM``)."""
    return int(Path(status).read_text().partition(f"{line}:")[2].split(maxsplit=1)[0]) * 1024


def serve(peer: Any, folder: Path, lines: IO[str], answers: IO[str]) -> None:
    """Answer each line of JSON by another one."""
    callers: dict[str, WSGI | ASGI] = {}
    counts: dict[str, int] = {}
    for line in lines:
        order = json.loads(line)
        job, clock = order["job"], CLOCKS[order.get("clock", "cpu")]
        try:
            if job not in callers:
                callers[job] = caller_of(peer, job, folder)
            if order.get("memory"):
                answer = {"megabytes": megabytes_more(callers[job].ask)}
            else:
                if job not in counts:
                    # What takes long the first time, as imports do, is over after two.
                    once = min(callers[job].repeat(1, time.perf_counter) for _ in range(3))
                    counts[job] = max(1, round(order["seconds"] / once))
                answer = {"seconds": callers[job].repeat(counts[job], clock) / counts[job]}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def main() -> None:
    name, folder, *counted = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints is no answer
    os.chdir(folder)  # where the file is that is sent out
    try:
        peer = importlib.import_module(f"peers.{name}")
    except Exception as error:  # it is not installed, or another one has its name
        answers.write(f"{json.dumps({'error': str(error)})}\n")
        return
    if counted:
        job, count = counted
        caller_of(peer, job, Path(folder)).repeat(int(count), time.perf_counter)
        return
    answers.write("{}\n")
    answers.flush()
    serve(peer, Path(folder), sys.stdin, answers)


if __name__ == "__main__":
    main()
