"""The example's Dockerfile, by its own commands: in a folder instead of an image, with an environment as its Python."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import entry_points

import pytest
from deployment import ROOT, Running, reserved

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its commands are Linux's")

DOCKERFILE = ROOT / "examples" / "deploy" / "Dockerfile"
OTHERS = ",".join(entry.name for entry in entry_points(group="izzati") if entry.name != "granian")


def instructions():
    """Each instruction with its words; lines that go on are joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text("utf-8"))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and not line.startswith("#")]


class Image:
    """What the instructions make, below a folder. Its Python sees this one's packages, so that nothing is fetched."""

    def __init__(self, folder, port):
        self.root = folder / "root"
        self._port = port
        self._bin = folder / "environment" / "bin"
        self.environment = {"PATH": f"{self._bin}:{os.environ['PATH']}", "HOME": str(folder), "IZZATI_BLOCK": OTHERS}
        self.workdir = self.root
        self.user = "root"
        self.health = self.command = None
        venv.create(folder / "environment", symlinks=True)
        (site,) = (folder / "environment").glob("lib/python*/site-packages")
        (site / "this.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self._stub("pip", 'exec python -m pip "$@"')
        self._stub("useradd", f'for name; do :; done; echo "$name" >> {folder}/users')
        self.users = folder / "users"

    def build(self):
        for instruction, words in instructions():
            getattr(self, f"_{instruction.lower()}")(words)

    def run(self, words):
        """Run a command in it, as ``docker exec`` does."""
        return subprocess.run(
            words,
            cwd=self.workdir,
            env=self.environment,
            capture_output=True,
            timeout=60,
            encoding="utf-8",
            check=False,
        )

    def start(self):
        words = [str(self._bin / self.command[0]), *self.command[1:]]
        return Running(words, self.workdir, self._port, **self.environment)

    def _stub(self, name, line):
        path = self._bin / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def _path(self, path):
        return self.root / path.lstrip("/") if path.startswith("/") else self.workdir / path

    def _from(self, words):
        assert re.fullmatch(r"python:3\.\d+-slim", words)

    def _copy(self, words):
        *sources, target = words.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(ROOT / source, self._path(target), ignore=ignored)
            else:
                folder = target.endswith(("/", "."))
                path = self._path(target) / (ROOT / source).name if folder else self._path(target)
                path.parent.mkdir(parents=True, exist_ok=True)
                # Loopback and a free port, where the image has every interface and one of its own.
                text = (ROOT / source).read_text("utf-8").replace("run(port=8000)", f'run("127.0.0.1", {self._port})')
                path.write_text(text, "utf-8")

    def _run(self, words):
        line = re.sub(r"(?<=\s)/(?=src|app)", f"{self.root}/", words)
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            ["sh", "-euc", line],
            cwd=self.workdir,
            env={**self.environment, **offline},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _workdir(self, words):
        self.workdir = self._path(words)
        self.workdir.mkdir(parents=True, exist_ok=True)

    def _user(self, words):
        self.user = words

    def _env(self, words):
        self.environment |= dict(word.split("=", 1) for word in shlex.split(words))

    def _expose(self, words):
        assert words == "8000"

    def _healthcheck(self, words):
        options, _, command = words.partition("CMD ")
        assert all(option.startswith("--") for option in options.split())
        self.health = [word.replace("8000", str(self._port)) for word in json.loads(command)]

    def _cmd(self, words):
        self.command = json.loads(words)  # the exec form: a shell would not hand signals on


def test_the_dockerfile_makes_a_server_that_is_healthy_answers_and_ends(tmp_path):
    with reserved() as port:
        image = Image(tmp_path, port)
        image.build()
        assert image.users.read_text().split() == [image.user] != ["root"]
        where = image.run(
            ["python", "-c", "import izzati, izzati_granian; print(izzati.__file__, izzati_granian.__file__)"]
        )
        assert all(path.startswith(str(tmp_path)) for path in where.stdout.split()), where
        assert image.run(image.health).returncode != 0
        server = image.start()
        try:
            server.until_it_accepts()
            assert image.run(image.health).returncode == 0
            answer = server.ask(b'{"name": "Rex"}', {"Content-Type": "application/json"})
            assert (answer.status, answer.json["text"], answer.headers["Server"]) == (200, {"name": "Rex"}, "granian")
            assert server.end() == 0
            assert '"path": "/"' in server.log
        finally:
            server.kill()
