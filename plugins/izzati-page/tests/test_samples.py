"""The same call as code: what the page shows to copy does what the page did."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from izzati import Problem, file_return

pytestmark = pytest.mark.once

WRITTEN = """{ "big": 12345678901234567890, "ratio": [1.0, {"small": 0.10000000000000000001}],
  "slash": "\\/", "2": true, "1": "true, null" }"""
TEXTS = [
    {"name": "Rex"},
    {},
    {
        "name": 'it\'s "Rex" \\ $HOME `id`\n',
        "at": "@rex",
        "semi": "a;type=b",
        "less": "<x",
        "größe": "🐕",
        "quoted": '"a"',
    },
    {"age": 3, "toys": [{"ball": True, "name": 'a "b", c; d'}, None], "flag": False},
]
SOURCES = [*map(json.dumps, TEXTS), WRITTEN]


@pytest.fixture
def samples(visit):
    """``samples(language, files)`` fills the form in with each text in turn, and gives the code that the page shows
    then. ``samples.calls`` is what has arrived: first the page's own calls."""
    calls = []

    def callback(text, data):
        calls.append((repr(text), [(file.filename, file.read()) for file in data]))
        return {"status": "yes"}

    def fill(language, files=()):
        page = visit(callback)
        page.get_by_label("JSON", exact=True).check()
        page.set_input_files("#files", files)
        page.click("#program > summary")
        page.get_by_label(language).check()
        codes = []
        for source in SOURCES:
            page.fill("#source", source)
            codes.append(page.locator("#sample").inner_text())
            with page.expect_response(page.served.url + "/"):
                page.click("#send")
            expect(page.locator("#status")).to_contain_text("It took")
        assert [text for text, _ in calls] == [repr(json.loads(source)) for source in SOURCES]
        return codes

    fill.calls = calls
    return fill


@pytest.fixture
def chosen(tmp_path, photo):
    odd = tmp_path / 'it\'s a, "b"; c.txt'
    odd.write_text("woof")
    return [photo, odd]


@pytest.mark.parametrize("with_files", [False, True], ids=["without files", "with files"])
def test_curl_sends_the_same(samples, tmp_path, chosen, with_files):
    for code in samples("curl", chosen if with_files else []):
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        assert json.loads(done.stdout) == {"status": "yes"}
    assert samples.calls[len(SOURCES) :] == samples.calls[: len(SOURCES)]


def test_javascript_sends_the_same(samples, node):
    program = ["const answers = [];", "console.log = (answer) => answers.push(answer);"]
    for code in samples("JavaScript"):
        imports, _, rest = code.partition("\n")
        assert re.fullmatch(r'import { send } from "http://127\.0\.0\.1:\d+/izzati\.js";', imports)
        program.append(f"{{ {rest} }}")
    program.append("process.stdout.write(JSON.stringify(answers));")
    assert node("\n".join(program)) == [{"status": "yes"}] * len(SOURCES)
    assert samples.calls[len(SOURCES) :] == samples.calls[: len(SOURCES)]


RUN = "import json, sys\nfor code in json.load(sys.stdin): exec(code, {})"


def run_python(codes, folder):
    return subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(codes).encode(),
        cwd=folder,
        capture_output=True,
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize("with_files", [False, True], ids=["without files", "with files"])
def test_python_sends_the_same(samples, tmp_path, chosen, with_files):
    done = run_python(samples("Python", chosen if with_files else []), tmp_path)
    assert done.stdout.decode().splitlines() == ["{'status': 'yes'}"] * len(SOURCES)
    assert samples.calls[len(SOURCES) :] == samples.calls[: len(SOURCES)]


def test_a_file_that_comes_back_is_saved_over_none_that_was_sent_and_a_refusal_over_none_at_all(visit, tmp_path, photo):
    sent, refusals = photo.read_bytes(), []

    def callback(text, data):
        if refusals:
            raise Problem(404, refusals.pop())
        return file_return(data[0].read()[::-1], filename=data[0].filename)

    page = visit(callback)
    page.set_input_files("#files", photo)
    page.click("#send")
    expect(page.locator("#status")).to_contain_text("It took")
    page.click("#program > summary")
    curl = page.locator("#sample").inner_text()
    page.get_by_label("Python").check()
    answer = tmp_path / "answer-rex.png"
    subprocess.run(["bash", "-c", curl], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert answer.read_bytes() == sent[::-1]
    refusals.append("No dog.")
    done = subprocess.run(["bash", "-c", curl], cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert (done.returncode, answer.read_bytes(), refusals) == (22, sent[::-1], [])
    answer.unlink()
    run_python([page.locator("#sample").inner_text()], tmp_path)
    assert answer.read_bytes() == sent[::-1]
    assert photo.read_bytes() == sent


def test_what_curl_cannot_send_is_said(visit, photo):
    page = visit(lambda text, data: [text, len(data)])
    page.set_input_files("#files", photo)
    page.get_by_label("JSON", exact=True).check()
    page.click("#program > summary")
    for name in ("a=b", ""):
        page.fill("#source", json.dumps({name: "c"}))
        expect(page.locator("#sample")).to_have_text(
            f"# curl cannot send files with a field whose name is {json.dumps(name)}. Python and JavaScript can."
        )
