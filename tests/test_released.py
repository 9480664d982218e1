"""izzati 1.2.3, as it was released: its Frontend calls this Backend, and its Backend is called by this Frontend."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers import JPEG, SECONDS, within

from izzati import Frontend, Refused, file_return

CALLER = """
import json, sys
from importlib.metadata import version
from izzati import Frontend

assert version("izzati") == "1.2.3"
url, js, *path = sys.argv[1:]
print(ascii(Frontend(url).send(js=json.loads(js), f=open(path[0], "rb") if path else None)))
"""
FILE = ("file", "rex.jpg", "application/octet-stream", JPEG)


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """A Python that has the released package, in an environment of its own."""
    folder = tmp_path_factory.mktemp("released")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder.joinpath("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "izzati==1.2.3"], check=True, timeout=600)
    return python


@pytest.fixture
def send(released):
    """Send with the released Frontend, in a process of its own; returns what its ``send`` returned."""
    environ = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    def run(served, js=None, path: Path | None = None):
        # Isolated: neither the folder it is started in nor the environment may lend it this izzati.
        command = [released, "-I", "-c", CALLER, f"http://127.0.0.1:{served.port}", json.dumps(js)]
        command += [path] if path else []
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True, timeout=60)
        return ast.literal_eval(done.stdout.decode("ascii"))

    return run


@pytest.mark.parametrize(
    ("js", "text"),
    [
        pytest.param(None, {}, id="nothing"),
        pytest.param(
            {"name": "Zoë & co", "n": 3, "empty": ""}, {"name": "Zoë & co", "n": "3", "empty": ""}, id="values"
        ),
        pytest.param({"tags": ["b", "a"], "name": "Rex"}, {"tags": ["b", "a"], "name": "Rex"}, id="list"),
    ],
)
def test_the_released_frontend_sends_text(recorder, send, js, text):
    assert send(recorder, js) == {"status": "yes"}
    assert recorder.calls == [(text, [])]


@pytest.mark.parametrize(
    ("js", "text"),
    [
        pytest.param(None, {}, id="alone"),
        pytest.param({"name": "Zoë & co", "n": 3}, {"name": "Zoë & co", "n": "3"}, id="values"),
        pytest.param({"tags": ["b", "a"], "name": "Rex"}, {"tags": ["b", "a"], "name": "Rex"}, id="list"),
    ],
)
def test_the_released_frontend_sends_a_file_and_text_with_it(recorder, send, photo, js, text):
    assert send(recorder, js, photo) == {"status": "yes"}
    assert recorder.calls == [(text, [FILE])]


def test_the_released_frontend_reads_a_dict_back(serve, send):
    value = {"name": "Zoë", "tags": ["a", {"b": None}], "n": 1.5, "ok": True}
    assert send(serve(lambda text, data: value), {"name": "Rex"}) == value


@pytest.mark.parametrize("content", [JPEG, JPEG * 50_000, b""], ids=["small", "large", "empty"])
def test_the_released_frontend_reads_a_file_back(serve, send, tmp_path, content):
    reply = tmp_path / "reply.jpg"
    reply.write_bytes(content)
    assert send(serve(lambda text, data: file_return(reply)), {"name": "Rex"}) == content


def test_the_released_frontend_gets_the_file_back_that_it_sent(serve, send, photo):
    served = serve(lambda text, data: file_return(data[0].read(), data[0].filename))
    assert send(served, {"name": "Rex"}, photo) == JPEG


BACKEND = """
import sys
from importlib.metadata import version
from izzati import Backend, file_return

assert version("izzati") == "1.2.3"

def callback(text, data):
    if "file" in text:
        return file_return(text["file"])
    return {"text": text, "file": [data[0].filename, len(data[0].read())] if data else None}

Backend(callback).run(host="127.0.0.1", port=int(sys.argv[1]), use_reloader=False)
"""


@pytest.fixture(scope="module")
def backend(released):
    """The URL of a released Backend, in a process of its own."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [released, "-I", "-c", BACKEND, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:

        def listens():
            with closing(socket.socket()) as caller:
                return caller.connect_ex(("127.0.0.1", port)) == 0

        try:
            assert within(SECONDS, listens)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("js", "text"),
    [
        pytest.param({"name": "Zoë & co", "n": 3}, {"name": "Zoë & co", "n": "3"}, id="values"),
        pytest.param({"tags": ["b", "a"]}, {"tags": "b"}, id="list"),  # 1.x drops all but the first
    ],
)
def test_the_released_backend_gets_text_and_a_file(backend, photo, js, text):
    with Frontend(backend) as frontend, photo.open("rb") as file:
        assert frontend.send(js) == {"text": text, "file": None}
        assert frontend.send(js=js, f=file) == {"text": text, "file": ["rex.jpg", len(JPEG)]}


def test_the_released_backend_gets_text_beside_a_file_that_is_sent_the_new_way(backend, photo):
    with Frontend(backend) as frontend:
        assert frontend.send(text={"name": "Zoë"}, files=[photo]) == {
            "text": {"name": "Zoë"},
            "file": ["rex.jpg", len(JPEG)],
        }


def test_the_released_backend_gives_a_file_back(backend, photo):
    with Frontend(backend) as frontend:
        out = frontend.send({"file": str(photo)})
        assert (out, out.content_type) == (JPEG, "image/jpeg")


def test_the_released_backend_fails_with_an_error_that_names_its_status(backend):
    with Frontend(backend) as frontend, pytest.raises(Refused, match="500 Internal Server Error"):
        frontend.send({"file": "no/such/photo.jpg"})
