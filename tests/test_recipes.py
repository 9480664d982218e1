"""What recipes, tutorials and the page for those who move show is what happens."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack

import pytest
from deployment import running
from pages import EXAMPLES, block_of, fenced, run_block, text_of

from izzati import Backend, CallbackError
from izzati.testing import serving

RECIPES = "docs/recipes.md"
FILES = {
    "docs/tutorial-codec.md": [
        "izzati-cbor/izzati_cbor.py",
        "izzati-cbor/pyproject.toml",
        "izzati-cbor/tests/test_cbor.py",
    ],
    "docs/tutorial-storage.md": ["izzati-gzip/izzati_gzip.py", "izzati-gzip/tests/test_gzip.py"],
    "docs/tutorial-photos.md": ["photos.py"],
    "docs/tutorial-background.md": ["jobs.py"],
    "docs/clients.md": ["clients/call.sh", "clients/call.mjs", "clients/Call.java"],
}


def recipe(heading):
    """The Python example below a heading of the recipes."""
    section = text_of(RECIPES).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture
def cook(monkeypatch, nowhere):
    """Serve the example below a heading of the recipes."""
    with ExitStack() as stack:

        def run(heading):
            _, (backend,) = run_block(recipe(heading), monkeypatch)
            return stack.enter_context(serving(backend))

        yield run


@pytest.mark.parametrize(("page", "name"), [(page, name) for page, names in FILES.items() for name in names])
def test_a_file_of_the_examples_stands_whole_on_its_page(page, name):
    content = (EXAMPLES / name).read_text("utf-8")
    assert content in [block for kind in ("python", "toml", "sh", "js", "java") for block in fenced(page, kind)]


def test_files_come_back_in_each_of_the_ways_that_are_shown(cook, nowhere):
    served = cook("Return a file")
    (nowhere / "reply.png").write_bytes(b"a drawing")
    for path, disposition in (
        ("/path", "inline; filename=reply.png"),
        ("/name", "attachment; filename=Rex.png"),
        ("/more", "inline; filename=reply.png"),
    ):
        answer = served.request(path=path)
        assert (answer.body, answer.headers["Content-Type"]) == (b"a drawing", "image/png")
        assert answer.headers["Content-Disposition"] == disposition
        assert answer.headers["ETag"]
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "max-age=60")
    assert served.request(path="/memory").headers["Content-Type"].startswith("text/csv")
    mirrored = served.request(b"a photo", {"Content-Type": "image/jpeg"}, path="/mirror")
    assert (mirrored.body, mirrored.headers["Content-Type"]) == (b"a photo", "image/jpeg")


def test_a_refusal_has_the_members_that_the_function_gives(cook):
    served = cook("Refuse")
    refused = served.request(path="/?name=Max")
    assert (refused.status, refused.json["hint"], refused.json["known"]) == (404, "Try rex.", ["rex"])
    assert served.request(path="/?name=rex").json == {"age": 3}


def test_a_plugin_answers_get(cook):
    assert cook("Answer GET").request(method="GET", path="/about").body == b"Dogs, since 2017\n"


def test_what_a_function_keeps_is_there_in_the_next_call(cook):
    served = cook("Keep something between calls")
    assert [served.request(path="/?name=Rex").json for _ in range(2)] == [{"Rex": 1}, {"Rex": 2}]


def test_a_page_of_the_allowed_origin_may_call_and_no_other(cook):
    served = cook("Let pages of other origins call")
    answer = served.request(path="/?name=Rex", headers={"Origin": "https://app.example"})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
    assert served.request(path="/?name=Rex", headers={"Origin": "https://other.example"}).status == 403


def test_a_limit_is_where_the_recipe_moves_it(cook):
    assert cook("Move a limit").backend.limits.body == 4 << 30


def test_what_devices_send_is_answered(cook):
    served = cook("Take what devices send")
    answers = []
    for shown in fenced(RECIPES, "http"):
        head, _, body = shown.removesuffix("\n").partition("\n\n")
        assert f"Content-Length: {len(body)}" in head
        host = f"Host: 127.0.0.1:{served.port}"
        sent = re.sub(r"Host: \S+", host, head).replace("\n", "\r\n") + "\r\n\r\n" + body
        answers.append(served.raw(sent.encode()).body)
    assert answers == [b'"too warm"', b'"shed: 11 bytes"']


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn is for POSIX systems")
def test_the_middleware_of_others_counts_and_traces(tmp_path):
    (tmp_path / "app.py").write_text(recipe("Log, measure and trace"))
    with running(["gunicorn", "--bind", "127.0.0.1:8000", "app:app"], tmp_path) as server:
        assert server.ask(path="/?name=Rex").json == {"hello": "Rex"}
        assert server.ask(path="/").status == 500
        figures = server.ask(method="GET", path="/metrics").body.decode()
        assert server.end() == 0
        spans = [json.loads(span) for span in re.findall(r"^\{.*?^\}", server.log, re.MULTILINE | re.DOTALL)]
    assert 'izzati_answers_total{status="200"} 1.0' in figures
    assert 'izzati_answers_total{status="500"} 1.0' in figures
    assert 'izzati_call_seconds_count{function="callback"} 2.0' in figures
    assert [(span["name"], span["attributes"]["http.status_code"]) for span in spans] == [
        ("POST /", 200),
        ("POST /", 500),
    ]


def test_the_tests_that_pages_show_pass(tmp_path):
    shutil.copy(EXAMPLES / "photos.py", tmp_path)
    (tmp_path / "test_photos.py").write_text(block_of("docs/tutorial-photos.md", 3))
    (tmp_path / "test_greet.py").write_text(recipe("Test a function"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a reader has few of its plugins, too
    done = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert re.search(r"^3 passed in ", done.stdout, re.MULTILINE), done.stdout


def test_the_program_of_1_x_keeps_the_photo_and_passes_on_text(serve, monkeypatch, nowhere):
    names, _ = run_block(block_of("docs/moving.md", 1), monkeypatch)
    q = queue.Queue()
    served = serve(names["callback"], args=(q,))
    assert served.request(path="/?name=Rex").json == {"result": "success"}
    assert q.get_nowait() == {"name": "Rex"}
    assert served.request(b"a photo", {"Content-Type": "image/jpeg"}).body == b"a photo"
    assert (nowhere / "last.jpg").read_bytes() == b"a photo"


def test_what_is_said_to_be_gone_since_1_x_is_gone():
    def callback(text, data):
        return {}

    with pytest.raises(TypeError, match="callback"):
        Backend()
    with pytest.raises(TypeError, match="use_reloader"):
        Backend(callback).run(use_reloader=False)
    with pytest.raises(CallbackError):
        Backend(lambda text: text)
    assert not hasattr(Backend(callback), "app")


def test_the_files_of_1_x_have_other_names_now(serve):
    def callback(text, data):
        return [hasattr(data[0], name) for name in ("stream", "mimetype", "content_type", "filename", "save")]

    assert serve(callback).request(b"a", {"Content-Type": "image/png"}).json == [False, False, True, True, True]
