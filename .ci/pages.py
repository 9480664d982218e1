"""Do what pages of the documentation tell their reader to do: python3 .ci/pages.py README.md docs/start.md

Each page begins in a new folder: README.md and docs/start.md in a copy of the checkout. In it, from top to bottom,

- ```python and ```toml below "Save this as `NAME`" become that file, other ```python blocks app.py;
- ```sh runs. It has to succeed, or to serve at port 5020, until the next that does, or the end of the page;
- ```console runs each line after "$ ", whose output has to be what follows. There "..." stands for anything. Where
  nothing serves, app.py is served meanwhile, as the page's reader would.

What runs README.md's tests is left out: .ci/run does that. So is a ```toml block that is to be put into a file.
Programs are those of an environment that has what this Python has, and takes what a page installs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(python|toml|sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"[Ss]ave (?:this|it|them) as\s+`([\w./-]+)`[^\n]*\n*\Z")
IN_A_CLONE = ("README.md", "docs/start.md")
PORT = 5020
SECONDS = 300


class Reader:
    """Somebody who follows a page, in a folder."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        self._server: subprocess.Popen[bytes] | None = None

    def follow(self, page: str) -> None:
        text = (ROOT / page).read_text("utf-8")
        later = []
        for block in BLOCK.finditer(text):
            kind, code = block.groups()
            name = NAMED.search(text[: block.start()])
            if kind == "console" and self._server is None and "curl" in code:
                later.append(code)  # it is answered by what README shows first, once izzati is installed
            elif kind == "console":
                self._compare(code)
            elif kind == "sh" and "pytest" not in code:
                self._run(code)
            elif kind == "python" or (kind == "toml" and name):
                path = self._folder / (name[1] if name else "app.py")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(code, "utf-8")
        self.stop()
        for code in later:
            self._run(".venv/bin/python app.py")
            self._compare(code)
        self.stop()

    def stop(self) -> None:
        """Press Ctrl-C."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGINT)
            expect(self._server.wait(SECONDS) == 0, "what served ends with success at Ctrl-C")
            self._server = None

    def _run(self, code: str) -> None:
        self.stop()
        begun = time.monotonic()
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None:
            if answers():
                self._server = process
                break
            if time.monotonic() - begun > SECONDS:
                os.killpg(process.pid, signal.SIGKILL)
                expect(False, f"this ends or serves within {SECONDS} seconds:\n{code}")
            time.sleep(0.05)  # between two looks
        print(f"{time.monotonic() - begun:5.1f} s  {code.strip()}", flush=True)
        expect(process.returncode in (None, 0), f"this succeeds:\n{code}")

    def _compare(self, code: str) -> None:
        for command, expected in re.findall(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", code, re.MULTILINE):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                timeout=SECONDS,
                check=False,
            )
            print(f"         {command.strip()}", flush=True)
            pattern = re.escape(timeless(expected.rstrip("\n"))).replace(r"\.\.\.", ".*?")
            expect(
                re.fullmatch(pattern, timeless(done.stdout.rstrip("\n")), re.DOTALL) is not None,
                f"{command}gives\n{expected}\nand not\n{done.stdout}",
            )


def environment(folder: Path) -> Path:
    """Make an environment; its folder of programs."""
    venv.create(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "this.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n", "utf-8")
    block = ",".join(entry.name for entry in entry_points(group="izzati"))  # the page's reader has none of them
    for name in ("izzati", "pip", "pytest"):  # this Python's own would not see what is installed there
        run = f'#!/bin/sh\nIZZATI_BLOCK={block} exec "{folder}/bin/python" -m {name} "$@"\n'
        (folder / "bin" / name).write_text(run, "utf-8")
        (folder / "bin" / name).chmod(0o755)
    return folder / "bin"


def timeless(text: str) -> str:
    """The text without what is measured."""
    return re.sub(r" *\d+\.\d+ ms", " 0 ms", text)


def answers() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


def expect(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"It was expected that {what}")


def main() -> None:
    expect(not answers(), f"no other program serves at port {PORT}")
    left_out = (".git", ".venv", ".tox", ".*_cache", ".hypothesis", "__pycache__")
    for page in sys.argv[1:]:
        print(f"-- {page}", flush=True)
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home, "izzati")
            if page in IN_A_CLONE:
                shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*left_out))
            folder.mkdir(exist_ok=True)
            reader = Reader(folder, environment(Path(home, "environment")))
            try:
                reader.follow(page)
            finally:
                reader.stop()


if __name__ == "__main__":
    main()
