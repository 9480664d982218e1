"""The same call as code: what the page shows to copy does what the page did."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.once

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


@pytest.fixture
def samples(visit):
    """``samples(language, files)`` fills the form in with each text in turn, and gives the text, the code that the page
    shows then, and a list of what arrives: first the page's own call."""

    def fill(language, files=()):
        calls = []

        def callback(text, data):
            calls.append((text, [(file.filename, file.read()) for file in data]))
            return {"status": "yes"}

        page = visit(callback)
        page.get_by_label("JSON", exact=True).check()
        page.set_input_files("#files", files)
        page.click("#program > summary")
        page.get_by_label(language).check()
        for text in TEXTS:
            calls.clear()
            page.fill("#source", json.dumps(text))
            code = page.locator("#sample").inner_text()
            with page.expect_response(page.served.url + "/"):
                page.click("#send")
            expect(page.locator("#status")).to_contain_text("It took")
            yield text, code, calls

    return fill


@pytest.fixture
def chosen(tmp_path, photo):
    odd = tmp_path / 'it\'s a, "b"; c.txt'
    odd.write_text("woof")
    return [photo, odd]


@pytest.mark.parametrize("with_files", [False, True], ids=["without files", "with files"])
def test_curl_sends_the_same(samples, tmp_path, chosen, with_files):
    for text, code, calls in samples("curl", chosen if with_files else []):
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        assert json.loads(done.stdout) == {"status": "yes"}
        assert len(calls) == 2
        assert calls[0] == calls[1]
        assert calls[0][0] == text


def test_javascript_sends_the_same(samples, node):
    for text, code, calls in samples("JavaScript"):
        imports, _, rest = code.partition("\n")
        assert re.fullmatch(r'import { send } from "http://127\.0\.0\.1:\d+/izzati\.js";', imports)
        assert node(f"{rest}\nconsole.log(JSON.stringify(answer));") == {"status": "yes"}
        assert calls == [(text, [])] * 2


@pytest.mark.parametrize("with_files", [False, True], ids=["without files", "with files"])
def test_python_sends_the_same(samples, tmp_path, chosen, with_files):
    for text, code, calls in samples("Python", chosen if with_files else []):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        assert done.stdout.decode().strip() == "{'status': 'yes'}"
        assert len(calls) == 2
        assert calls[0] == calls[1]
        assert calls[0][0] == text
