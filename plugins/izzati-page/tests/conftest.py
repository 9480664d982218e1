"""Fixtures: a real Chromium, a page in it that keeps an eye on itself, and pictures to send."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import zlib
from importlib.resources import files

import pytest
from izzati_page import Page
from playwright.sync_api import expect, sync_playwright

pytest_plugins = ["izzati.testing"]

MODULE = files("izzati_page") / "static" / "izzati.js"
MILLISECONDS = 20_000
"""After this anything that waits has failed."""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1200, "height": 820}}
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_WATCH = """
addEventListener("securitypolicyviolation", (event) => {
    console.error("violated", event.violatedDirective, event.blockedURI);
});
"""


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    """No izzati.toml of the folder where the tests are run."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium; Playwright's own would have to be downloaded."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no Chromium is installed: apt-get install chromium, or name one by the variable CHROMIUM"
    expect.set_options(timeout=MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """``tab(…)`` opens a tab with these properties of a context. None may break its policy, or raise."""
    contexts, faults = [], []

    def told(message):
        if message.type == "error" and ("violated" in message.text or "Content Security Policy" in message.text):
            faults.append(message.text)

    def start(**properties):
        context = chromium.new_context(**{**DESKTOP, **properties})
        context.set_default_timeout(MILLISECONDS)
        context.add_init_script(_WATCH)
        contexts.append(context)
        page = context.new_page()
        page.on("console", told)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.faults = faults
        return page

    yield start
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def visit(serve, tab):
    """``visit(callback, …)`` serves a callback, or a dict of them, with the page, and opens it. By then it has read
    what the server describes, or asks who calls, or says what is wrong."""

    def start(callback, *, path="", plugins=(), options=None, page=None, **properties):
        served = serve(callback, plugins=[page or Page(), *plugins], options=options)
        opened = tab(**properties)
        opened.goto(served.url + path)
        expect(opened.locator("#desk, #door, #trouble").filter(visible=True)).to_have_count(1)
        opened.served = served
        return opened

    return start


def png(width, height, colour):
    """A picture of one colour."""
    rows = (b"\0" + bytes(colour) * width) * height
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.fixture
def photo(tmp_path):
    """A picture to send, rex.png: 40 x 30 pixels."""
    path = tmp_path / "rex.png"
    path.write_bytes(png(40, 30, (200, 120, 40)))
    return path


@pytest.fixture
def node():
    """``node(script)`` runs a module in Node, and gives the JSON that it prints. ``izzati`` is imported there."""
    program = shutil.which("node")
    assert program, "Node is not installed: apt-get install nodejs (20 or newer)"

    def run(script):
        source = f'import * as izzati from "{MODULE}";\nconst {{ send, Problem }} = izzati;\n{script}'
        done = subprocess.run(
            [program, "--input-type=module", "-e", source],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
