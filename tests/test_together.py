"""All plugins of this repository in one Backend, as a user has them who has installed them all."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import msgpack
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

PROGRAM = """
import gc
from izzati import Backend

PLUGINS = ["auth", "msgpack", "page", "storage"]
# What only the garbage collector finds stays for long, and is growth here.
gc.disable()

def callback(text, data, *, request):
    if "fail" in text:
        raise RuntimeError("a defect")
    return data[0] if data else {"hello": request.identity.name, **text}

Backend(callback, only=PLUGINS, require=PLUGINS).run("127.0.0.1", 0)
"""
TOKEN = {"Authorization": "Bearer anns-token"}
JSON = {"Content-Type": "application/json"}
MSGPACK = {"Content-Type": "application/msgpack"}
PNG = {"Content-Type": "image/png"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PHOTO = bytes(range(256)) * 400
PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="rex.png"\r\n\r\n' + PHOTO


class Program:
    def __init__(self, folder):
        (folder / "app.py").write_text(PROGRAM)
        #: where uploads go
        self.uploads = folder / "uploads"
        self.uploads.mkdir()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IZZATI_")}
        options = {
            "IZZATI_AUTH_TOKENS": json.dumps({"ann": "anns-token"}),
            "IZZATI_AUTH_FAILURES": "",
            "IZZATI_STORAGE_URL": self.uploads.as_uri(),
            "IZZATI_LOGS_REQUESTS": "no",
            # Threads that come one by one, and an arena of each, would take their time to fill, and look like a leak.
            "IZZATI_SERVER_THREADS": "4",
            "MALLOC_ARENA_MAX": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env={**environment, **options}, stderr=subprocess.PIPE, text=True
        )
        greeting = []
        while not greeting or not greeting[-1].startswith("Ctrl-C"):
            greeting.append(self.process.stderr.readline())
            assert greeting[-1], "".join(greeting)
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", "".join(greeting))[1])
        # What it logs from here on must not fill a pipe that nobody reads.
        self._reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._reader.start()

    def ask(self, body=None, headers=None, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], response.read()
        finally:
            connection.close()

    def break_off(self):
        """Begin an upload, and go away."""
        head = f"POST / HTTP/1.1\r\nHost: x\r\n{header(TOKEN)}{header(FORM)}Content-Length: 10000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as sock:
            sock.sendall(head.encode() + PART)

    @property
    def memory(self):
        """Bytes that it has in memory."""
        with open(f"/proc/{self.process.pid}/statm") as status:
            return int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        self._reader.join(30)


def header(fields):
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items())


@pytest.fixture
def program(tmp_path):
    running = Program(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()
    running.process.stderr.close()


def test_each_does_its_part_in_one_program(program):
    assert program.ask(b'{"a":1}', {**JSON, **TOKEN})[2] == b'{"hello":"ann","a":1}'
    status, kind, body = program.ask(msgpack.packb({"a": b"bytes"}), {**MSGPACK, **TOKEN})
    assert (status, kind, msgpack.unpackb(body)) == (200, "application/msgpack", {"hello": "ann", "a": b"bytes"})
    assert program.ask(PART + b"\r\n--b--\r\n", {**FORM, **TOKEN})[2] == PHOTO
    assert len([path for path in program.uploads.rglob("*") if path.is_file()]) == 1
    assert program.ask(b'{"a":1}', JSON)[0] == 401
    program.end()


def test_good_and_bad_requests_in_their_thousands_leave_memory_level_and_no_file(program):
    many = [
        (200, (b'{"a":[1,2,{"b":null}]}', {**JSON, **TOKEN})),
        (200, (msgpack.packb({"a": [1, 2, {"b": None}]}), {**MSGPACK, **TOKEN})),
        (200, (b"a=1&b=2&a=3", {"Content-Type": "application/x-www-form-urlencoded", **TOKEN})),
        (401, (b'{"a":1}', JSON)),
        (401, (PHOTO, {**PNG, "Authorization": "Bearer another-token"})),
        (400, (b'{"a":', {**JSON, **TOKEN})),
        (400, (b"\xdd\xff\xff\xff\xff", {**MSGPACK, **TOKEN})),
        (400, (b"[" * 100_000, {**JSON, **TOKEN})),
        (400, (PART, {**FORM, **TOKEN})),
        (404, (b"{}", {**JSON, **TOKEN}, "/no/such/path")),
        (415, (b"x", {"Content-Type": "application/cbor", **TOKEN})),
        (500, (b'{"fail":1}', {**JSON, **TOKEN})),
    ]

    def round_of_them(number):
        for expected, request in many:
            status, _, body = program.ask(*request)
            assert status == expected, body
        program.break_off()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(round_of_them, range(40)))
        levels = [program.memory]
        for _ in range(3):
            list(pool.map(round_of_them, range(40)))
            levels.append(program.memory)
    assert max(levels) - levels[0] < 8 << 20, levels
    program.end()
    assert [path for path in program.uploads.rglob("*") if path.is_file()] == []
