"""Every example runs by its command, and does what it says."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cbor2
import pytest
from deployment import running
from helpers import JPEG, SECONDS, within
from PIL import Image

from izzati import Problem, file_return

EXAMPLES = Path(__file__).parent.parent / "examples"
LIST = (EXAMPLES / "README.md").read_text("utf-8")
PROGRAMS = sorted(path for path in EXAMPLES.glob("*.py"))
PLUGINS = sorted(path.name for path in EXAMPLES.glob("izzati-*"))
CLIENTS = sorted(path.name for path in (EXAMPLES / "clients").iterdir())
INSTALLED = os.environ["IZZATI_BLOCK"].split(",")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

posix = pytest.mark.skipif(sys.platform == "win32", reason="it is started as on POSIX systems")


@contextmanager
def example(name, folder, *plugins, **environment):
    """An example that serves at a free port of this machine; plugins are those that it uses."""
    environment["IZZATI_BLOCK"] = ",".join(name for name in INSTALLED if name not in plugins)
    command = [sys.executable, "-m", "izzati", "run", "--host", "127.0.0.1", "--port", "8000", str(EXAMPLES / name)]
    with running(command, folder, **environment) as program:
        yield program


def picture(kind="JPEG", size=(800, 600)):
    file = io.BytesIO()
    Image.new("RGB", size, "orange").save(file, kind)
    return file.getvalue()


def claiming(png, width, height):
    """A small PNG that says that it is a large one (ISO/IEC 15948, 11.2.2)."""
    head = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + head + struct.pack(">I", zlib.crc32(head)) + png[33:]


def sentence(path):
    """The sentence on top of a program or of a plugin's README."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)).partition("\n")[0]
    return re.search(r"\n\n(.*?\.)(?: |\n)", text, re.DOTALL)[1].replace("\n", " ")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_a_program_is_on_the_list_with_the_sentence_on_its_top(path):
    assert f"| `python examples/{path.name}` | {sentence(path)} |\n" in LIST


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_is_on_the_list_with_the_sentence_on_its_top(name):
    assert f"| `pip install ./examples/{name}` | {sentence(EXAMPLES / name / 'README.md')} |\n" in LIST


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_is_on_the_list_with_the_sentence_on_its_top(name):
    row = re.search(rf"^\| `(\w+) examples/clients/{name} [^|]*` \| ([^|]*)\. \|$", LIST, re.MULTILINE)
    assert row, f"examples/README.md has no row for {name}"
    first = (EXAMPLES / "clients" / name).read_text("utf-8").removeprefix("#!/bin/sh\n")[:200]
    assert row[2] in re.sub(r"^(?:#|//) ", "", first)


def test_nothing_on_the_list_is_missing():
    for named in re.findall(r"examples/[\w./-]+", LIST):
        assert (EXAMPLES.parent / named).exists(), named


def test_several_functions_answer_at_their_paths(tmp_path):
    with example("functions.py", tmp_path) as program:
        assert json.loads(program.ask(b"a=1&b=2", FORM, path="/add").body) == {"sum": 3.0, "for": "127.0.0.1"}
        refused = program.ask(b"a=1", FORM, path="/add")
        assert (refused.status, refused.json["hint"]) == (400, "Send a=1 and b=2.")
        assert program.ask(b"four", {"Content-Type": "image/png"}, path="/count").json == {"": 4}
        assert program.ask(path="/dogs/Rex").json == "Hello, Rex"


def test_a_photo_comes_back_small_and_what_is_none_is_refused(tmp_path):
    with example("photos.py", tmp_path) as program:
        for kind in ("JPEG", "PNG", "WEBP"):
            answer = program.ask(picture(kind), {"Content-Type": f"image/{kind.lower()}"})
            assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
            assert "small.jpg" in answer.headers["Content-Disposition"]
            assert Image.open(io.BytesIO(answer.body)).size == (320, 240)
        answer = program.ask(picture(), {"Content-Type": "image/jpeg"}, path="/?width=40")
        assert Image.open(io.BytesIO(answer.body)).size == (40, 30)
        for body, path, status in (
            (None, "/", 400),
            (picture(), "/?width=wide", 400),
            (picture(), "/?width=99999", 400),
            (JPEG, "/", 415),
            (picture()[:2000], "/", 415),
            (picture("PNG")[:-200], "/", 415),
            (picture("GIF"), "/", 415),
            (claiming(picture("PNG"), 10_000, 9_500), "/", 413),
        ):
            assert program.ask(body, {"Content-Type": "image/png"}, path=path).status == status, program.log


def test_the_page_has_its_title_and_describes_both_functions(tmp_path):
    with example("page.py", tmp_path, "page") as program:
        description = program.ask(method="GET", path="/openapi.json").json
        assert description["info"]["title"] == "Dog show"
        assert [path["post"]["summary"] for path in description["paths"].values() if "post" in path] == [
            "Send a photo back",
            "Greet a dog by its name",
        ]
        assert program.ask(method="GET").headers["Content-Type"].startswith("text/html")
        assert program.ask(picture(), {"Content-Type": "image/jpeg"}).body == picture()


def test_the_example_of_auth_lets_in_whom_it_has_told_the_token(tmp_path):
    with example("auth.py", tmp_path, "auth") as program:
        assert program.ask().status == 401
        words = shlex.split(re.search(r"^curl .*$", program.log, re.MULTILINE)[0])
        name, _, value = words[words.index("-H") + 1].partition(": ")
        assert program.ask(b"name=Rex", {**FORM, name: value}).json == {"hello": "ann"}
        assert program.ask(headers={name: f"{value}x"}).status == 401


@posix
def test_photos_go_to_the_bucket_and_come_back_from_it(tmp_path):
    with example("s3.py", tmp_path, "storage") as program:
        (name,) = program.ask(picture(), {"Content-Type": "image/jpeg"}).json["kept"]
        assert program.ask(path=f"/photos/{name}").body == picture()
        assert program.ask(path="/photos/other").status == 404
        assert f'"PUT /dogs/photos/{name} ' in program.log


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder in which the plugins among the examples are installed, by pip."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    sources = [EXAMPLES / name for name in PLUGINS]
    copies = [shutil.copytree(source, folder / "sources" / source.name) for source in sources]
    subprocess.run([*command, "--target", folder, *copies], check=True)
    return folder


def test_the_plugins_work_together_once_they_are_installed(site, tmp_path):
    program = tmp_path / "app.py"
    program.write_text("def callback(text, data):\n    return text or data[0].save('gz://dogs.csv')\n")
    with example(program, tmp_path, PYTHONPATH=str(site)) as served:
        cbor = {"Content-Type": "application/cbor"}
        answer = served.ask(cbor2.dumps({"photo": b"\xff\xd8"}), cbor)
        assert (answer.headers["Content-Type"], cbor2.loads(answer.body)) == (
            "application/cbor",
            {"photo": b"\xff\xd8"},
        )
        assert re.fullmatch(r"callback;dur=[\d.]+", answer.headers["Server-Timing"])
        assert served.ask(b"1,Rex", {"Content-Type": "text/csv"}).json == "gz://dogs.csv"
    assert gzip.decompress((tmp_path / "gzip" / "dogs.csv.gz").read_bytes()) == b"1,Rex"


@pytest.mark.once
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_sends_text_and_a_photo_and_keeps_what_comes_back(name, serve, photo, tmp_path):
    program = {".sh": "sh", ".mjs": "node", ".java": "java"}[Path(name).suffix]
    needed = "javac" if program == "java" else program  # which compiles what java runs
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed, so nobody knows whether {name} works")
    calls = []

    def callback(text, data):
        calls.append((text, [(file.name, file.filename, file.content_type, file.read()) for file in data]))
        return file_return(data[0])

    def refuse(text, data):
        raise Problem(418, "There is no dog.")

    served = serve({"/": callback, "/refuse": refuse})

    def call(path, kept):
        command = [program, EXAMPLES / "clients" / name, f"{served.url}{path}", photo, kept]
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=3 * SECONDS, check=False)

    kept, none = tmp_path / "answer", tmp_path / "none"
    with ThreadPoolExecutor() as pool:
        done, refused = pool.map(call, ["/", "/refuse"], [kept, none])
    assert (done.returncode, done.stderr) == (0, "")
    assert kept.read_bytes() == JPEG
    ((text, files),) = calls
    assert files == [("photo", "rex.jpg", "image/jpeg", JPEG)]
    # A form of fetch has no values but text.
    assert text == {"name": "Rex", "owner": '{"age":40}' if program == "node" else {"age": 40}}
    assert refused.returncode != 0
    assert "There is no dog." in refused.stderr
    assert not none.exists()


@posix
def test_a_job_is_taken_in_at_once_and_its_result_is_fetched_later(tmp_path):
    with example("jobs.py", tmp_path) as program:
        places = []
        for photo in (b"no photo", picture(size=(60, 40))):
            begun = program.ask(photo, {"Content-Type": "image/jpeg"})
            assert begun.status == 202
            places.append(begun.headers["Location"])
        answers = {}

        def done():
            answers.update({place: program.ask(path=place) for place in places})
            return all(answer.status != 202 for answer in answers.values())

        assert within(SECONDS, done), program.log
        failed, painted = (answers[place] for place in places)
        assert (failed.status, painted.status) == (422, 200)
        assert Image.open(io.BytesIO(painted.body)).size == (60, 40)
        for path in ("/jobs/00000000-0000-4000-8000-000000000000", "/jobs/..%2Fapp"):
            assert program.ask(path=path).status == 404
        assert program.end() == 0
    assert sorted(path.suffix for path in (tmp_path / "jobs").iterdir()) == [".failed", ".jpg"]
