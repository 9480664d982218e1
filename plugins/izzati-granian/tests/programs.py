"""Programs that tests start, since granian wants a main thread of its own."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass

SECONDS = 20
"""An upper bound for whatever should take no time at all."""


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Program:
    """A script in a process of its own, and a caller of what it serves."""

    def __init__(self, folder, source, *args, **environment):
        script = folder / f"program{len(list(folder.iterdir()))}.py"
        script.write_text(source, "utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", script, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self.lines = []
        self._port = None
        self._greeted = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self._port = int(found[1])
                self._greeted.set()
        self._greeted.set()

    @property
    def port(self):
        assert self._greeted.wait(SECONDS), "the program gave no greeting"
        assert self._port, self.log
        return self._port

    @property
    def log(self):
        return "".join(self.lines)

    def request(self, body=None, headers=(), *, method="POST", path="/", host="127.0.0.1", chunked=False):
        with closing(http.client.HTTPConnection(host, self.port, timeout=SECONDS)) as connection:
            connection.request(method, path, body, dict(headers), encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def ended(self):
        """Wait for its end, and that of all that it started: its exit code."""
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert not self._reader.is_alive(), "the program has ended, and a process that it started goes on"
        return code

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # they have all ended
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        self.process.stdout.close()
        self.process.stderr.close()
