"""Servers that tests start by their commands, as the page about deployment has them."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from helpers import SECONDS, within

from izzati.testing import Answer

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "deployment.md").read_text("utf-8")


def command(name):
    """The command of the page that starts this server, as words."""
    (line,) = re.findall(rf"^{re.escape(name)} .*app(?:\.py)?:backend$", PAGE, re.MULTILINE)
    return shlex.split(line)


@contextmanager
def reserved():
    """A free port. A socket holds it that does not listen, and that a server may bind beside."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


class Running:
    """A program that serves at a port, in a folder of its own, with all that it starts.

    :param words: its command; programs are those of this Python's environment.
    """

    def __init__(self, words, folder, port, **environment):
        self.port = port
        self._log = folder / "log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [_program(words[0]), *words[1:]],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # gunicorn keeps a socket in its user's home, and these tests may run side by side.
                env={**inherited, "HOME": str(folder), **environment},
                start_new_session=True,
            )

    @property
    def log(self):
        return self._log.read_text("utf-8")

    def until_it_accepts(self):
        def accepts():
            assert self.process.poll() is None, self.log
            try:
                self.connect().close()
            except ConnectionRefusedError:
                return False
            return True

        assert within(SECONDS, accepts), self.log
        return self

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)

    def ask(self, body=None, headers=(), *, method="POST", path="/", chunked=False):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)) as connection:
            connection.request(method, path, body, dict(headers), encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.reason, response.headers, response.read())

    def end(self):
        """End it as an operator does: its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def kill(self):
        """End it and all of its processes, if they are there still."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(SECONDS)


def _program(name):
    beside = Path(sys.executable).parent / name
    return beside if beside.exists() else name


@contextmanager
def running(words, folder, port="8000", **environment):
    """Start a command, and end it with the block. Where it says ``port``, it gets a free one."""
    with reserved() as free:
        words = [word.replace(port, str(free)) for word in words]
        program = Running(words, folder, free, **environment)
        try:
            yield program.until_it_accepts()
        finally:
            program.kill()
