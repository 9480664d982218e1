"""A program that serves what the bank is sent to: its callback answers with what it got."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hostile.browsers import ALLOWED

__all__ = ["Program", "echo"]

SECONDS = 20

_SOURCE = """
import hashlib
from izzati import Backend

def echo(text, data):
    files = [[file.name, file.filename, file.size, hashlib.sha256(file.read()).hexdigest()] for file in data]
    return {{"text": text, "files": files}}

Backend(echo, only={only!r}, options={options!r}).run("127.0.0.1", 0)
"""


def echo(only: tuple[str, ...] = (), **options: Mapping[str, Any]) -> str:
    """A program whose callback answers with what it got.

    :param only: names of installed plugins to use.
    :param options: of plugins, by their names.
    """
    options = {"browsers": {"allow_origins": [ALLOWED]}, "logs": {"requests": False}, **options}
    return _SOURCE.format(only=only, options=options)


class Program:
    """A program that serves a Backend, in a process of its own. What is left of it ends with the ``with`` block."""

    def __init__(self, folder: Path, source: str) -> None:
        #: what no answer may tell
        self.secrets = (str(folder), sys.prefix, sys.base_prefix, tempfile.gettempdir())
        script = folder / "app.py"
        script.write_text(source, "utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IZZATI_")}
        self.process = subprocess.Popen(
            [sys.executable, script],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._greeted = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._greeted.wait(SECONDS), "the program gave no greeting"
        found = re.search(r"127\.0\.0\.1:(\d+)", self.new_log())
        assert found, "the program does not serve"
        self.port = int(found[1])

    def _read(self) -> None:
        for line in self.process.stderr:
            self._lines.append(line.decode("utf-8", "replace"))
            if line.startswith(b"Ctrl-C"):
                self._greeted.set()
        self._greeted.set()

    def new_log(self) -> str:
        """What it has logged since this was asked last."""
        lines, self._lines = self._lines, []
        return "".join(lines)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SECONDS)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # they have all ended
            self.process.wait(SECONDS)
            self._reader.join(SECONDS)
            self.process.stdout.close()
            self.process.stderr.close()
