"""The bank of hostile requests (``tests/hostile``) against izzati, izzati 1.2.3, Flask and FastAPI, in one table.

    python tests/benchmarks/hostile_comparison.py

Each gets an environment of its own, made by pip, and serves one function that answers with what it got, written and
served as its documentation teaches. The rule is the same for all: exactly what was sent arrives, or a 4xx explains.
``--why`` prints what broke it, for each case.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from environments import installed  # noqa: E402 - beside this file
from hostile import BANK  # noqa: E402 - which is found only now
from hostile.cases import FORM, JSON, Case  # noqa: E402
from hostile.judge import broken  # noqa: E402
from hostile.wire import PROBE, answered, call  # noqa: E402

SECONDS = 60

IZZATI = """
import hashlib
from izzati import Backend

def echo(text, data):
    files = [[file.name, file.filename, file.size, hashlib.sha256(file.read()).hexdigest()] for file in data]
    return {"text": text, "files": files}

Backend(echo, options={"browsers": {"allow_origins": ["https://app.example"]}}, only=[]).run("127.0.0.1", PORT)
"""
# Its README: the callback gets a dict and a list of Werkzeug's files, and returns a dict.
IZZATI_1 = """
import hashlib
from izzati import Backend

def echo(text, data):
    files = []
    for file in data:
        content = file.read()
        files.append([file.name, file.filename, len(content), hashlib.sha256(content).hexdigest()])
    return {"text": text, "files": files}

Backend(echo).run("127.0.0.1", PORT)
"""
# Flask's quickstart: request.is_json, get_json(), form and files. Its page about security has TRUSTED_HOSTS, that about
# deployment begins with Gunicorn.
FLASK = """
import hashlib
from flask import Flask, request
from flask_cors import CORS

app = Flask(__name__)
CORS(app, origins=["https://app.example"])
app.config["TRUSTED_HOSTS"] = ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"]

def described(name, filename, content):
    return [name, filename, len(content), hashlib.sha256(content).hexdigest()]

@app.post("/")
def echo():
    if request.is_json:
        return {"text": request.get_json(), "files": []}
    if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
        text = {key: values if len(values) > 1 else values[0] for key, values in request.form.lists()}
        sent = [(name, file) for name, files in request.files.lists() for file in files]
        return {"text": text, "files": [described(name, file.filename, file.read()) for name, file in sent]}
    content = request.get_data()
    return {"text": {}, "files": [described("", "", content)] if content else []}
"""
# FastAPI's tutorial: a body is declared, forms with any fields come by Starlette's request.form(); CORSMiddleware and
# TrustedHostMiddleware.
FASTAPI = """
import hashlib
from typing import Any
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"], allow_methods=["POST"], allow_headers=["*"])
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])

def described(name, filename, content):
    return [name, filename, len(content), hashlib.sha256(content).hexdigest()]

@app.post("/json")
def json(body: dict[str, Any]):
    return {"text": body, "files": []}

@app.post("/form")
async def form(request: Request):
    text, files = {}, []
    async with request.form() as sent:
        for key, value in sent.multi_items():
            if isinstance(value, str):
                text.setdefault(key, []).append(value)
            else:
                files.append(described(key, value.filename, await value.read()))
    return {"text": {key: values if len(values) > 1 else values[0] for key, values in text.items()}, "files": files}

@app.post("/")
async def file(request: Request):
    content = await request.body()
    return {"text": {}, "files": [described("", "", content)] if content else []}
"""


class Contestant(NamedTuple):
    """What is compared.

    :param packages: what pip installs for it.
    :param source: its program, ``app.py``; ``PORT`` stands for the port.
    :param command: what starts it, by the programs of its environment.
    :param paths: where it takes which media type, if not all at one path.
    """

    packages: Sequence[str]
    source: str
    command: Sequence[str]
    paths: tuple[tuple[str, str], ...] = ()


CONTESTANTS = {
    "izzati": Contestant([str(ROOT)], IZZATI, ["python", "app.py"]),
    "izzati 1.2.3": Contestant(["izzati==1.2.3"], IZZATI_1, ["python", "app.py"]),
    "Flask": Contestant(
        ["flask", "flask-cors", "gunicorn"], FLASK, ["gunicorn", "--workers=4", "--bind=127.0.0.1:PORT", "app:app"]
    ),
    "FastAPI": Contestant(
        ["fastapi[standard]"],
        FASTAPI,
        ["fastapi", "run", "--port=PORT", "--host=127.0.0.1", "app.py"],
        ((JSON, "/json"), (FORM, "/form"), ("multipart/form-data", "/form"), ("multipart/", "/form")),
    ),
}


@contextmanager
def serving(contestant: Contestant, folder: Path, programs: Path) -> Iterator[int]:
    """Its port, while it serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "app.py").write_text(contestant.source.replace("PORT", str(port)))
    program, *arguments = (word.replace("PORT", str(port)) for word in contestant.command)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IZZATI_")}
    process = subprocess.Popen(
        [programs / program, *arguments],
        cwd=folder,
        env={**inherited, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while not accepts(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{program} does not serve")
            time.sleep(0.05)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


def addressed(data: bytes, paths: Sequence[tuple[str, str]]) -> bytes:
    """The same request, sent where its media type is taken."""

    def address(match: re.Match[bytes]) -> bytes:
        kinds = [path for media_type, path in paths if b"content-type: " + media_type.encode() in match[0].lower()]
        return b"POST %b %b" % (kinds[0].encode() if kinds else b"/", match[1])

    return re.sub(rb"POST / (HTTP/1\.1\r\n.*?\r\n\r\n)", address, data, flags=re.DOTALL) if paths else data


def attack(port: int, contestant: Contestant, cases: Sequence[Case]) -> Iterator[tuple[Case, str]]:
    """Each case, and in which way it broke the rule."""
    probe = addressed(PROBE, contestant.paths)
    for case in cases:
        sent = replace(case, data=addressed(case.data, contestant.paths))
        wrong = broken(sent, call(port, sent, probe))
        if not answered(port, probe):
            wrong = f"{wrong}; afterwards it did not answer an ordinary request".lstrip("; ")
            time.sleep(1)
        yield case, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--every", type=int, default=1, help="take only every so many-th case")
    parser.add_argument("--here", action="store_true", help="use what is installed beside this Python")
    parser.add_argument("--why", action="store_true", help="print what broke the rule")
    options = parser.parse_args()
    cases = BANK[:: options.every]
    kept: dict[str, Counter[str]] = {}
    for name in options.only:
        kept[name] = Counter()
        contestant = CONTESTANTS[name]
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            programs = Path(sys.executable).parent if options.here else installed(contestant.packages, folder)
            with serving(contestant, folder, programs) as port:
                for case, wrong in attack(port, contestant, cases):
                    kept[name][case.group] += not wrong
                    if wrong and options.why:
                        print(f"{name}: {case.id}: {wrong}", file=sys.stderr)
    print("cases in which the rule was kept".ljust(34), "".join(f"{name:>14}" for name in ["of", *kept]))
    groups = Counter(case.group for case in cases)
    for group, count in [*groups.items(), ("all", groups.total())]:
        row = [counter.total() if group == "all" else counter[group] for counter in kept.values()]
        print(group.ljust(34), "".join(f"{number:>14,}" for number in [count, *row]))


if __name__ == "__main__":
    main()
