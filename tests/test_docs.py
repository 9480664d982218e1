"""The documentation says what the code does: the hook reference, the tables, and every example."""

from __future__ import annotations

import ast
import http.client
import inspect
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pages import ROOT, block_of, blocks, fenced, run_block

import izzati
import izzati.client
import izzati.testing
from izzati import Limits, hookspecs
from izzati.builtin.server import ThreadServer
from izzati.discovery import DEFAULTS

README = (ROOT / "README.md").read_text("utf-8")
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "izzati_spec")}
BLOCKS = [pytest.param(block, id=f"{page}-{number}") for page, number, block in blocks()]
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
QUICKSTART_PORT = 5020


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation as plain text: name of the page to what it says."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "text", "-d", folder / "doctrees", ROOT / "docs", folder]
    built = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert built.returncode == 0, built.stderr
    return {page.stem: page.read_text("utf-8") for page in folder.glob("*.txt")}


def described_hooks(page):
    """Each hook on its page: its name, its parameters, and the text below it."""
    pattern = r"^(izzati_\w+)\(([^)]*)\) -> (.*?)(?=^izzati_|\Z)"
    for name, parameters, text in re.findall(pattern, page, re.MULTILINE | re.DOTALL):
        function = ast.parse(f"def hook({parameters.strip()}): ...").body[0]
        yield name, [argument.arg for argument in function.args.args], text


def curl(line):
    """The multipart body that a line with curl's -F sends (``-F name=value``, ``-F name=@file``), and its headers."""
    words = shlex.split(line)
    assert words[0] == "curl", line
    parts = []
    for option, value in zip(words[1::2], words[2::2], strict=False):
        assert option == "-F", f"this test does not know {option}"
        name, _, content = value.partition("=")
        filename = f'; filename="{Path(content[1:]).name}"' if content.startswith("@") else ""
        data = "bytes of a file" if filename else content
        parts.append(f'--B\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n{data}\r\n')
    return "".join([*parts, "--B--\r\n"]).encode(), {"Content-Type": "multipart/form-data; boundary=B"}


@pytest.mark.once
def test_the_hook_reference_has_every_hook_and_no_other(site):
    assert {name for name, _, _ in described_hooks(site["hooks"])} == set(HOOKS)


@pytest.mark.once
@pytest.mark.parametrize("name", HOOKS)
def test_the_hook_reference_has_the_hooks_parameters_says_what_they_are_and_when_it_is_asked(site, name):
    parameters, text = next((found, text) for hook, found, text in described_hooks(site["hooks"]) if hook == name)
    assert parameters == list(inspect.signature(HOOKS[name]).parameters)
    assert [parameter for parameter in parameters if f"**{parameter}** --" not in text] == []
    assert "When: " in text


@pytest.mark.parametrize("name", HOOKS)
def test_the_table_of_hooks_says_what_each_is_given_and_who_is_asked(name):
    parameters = ", ".join(f"`{each}`" for each in inspect.signature(HOOKS[name]).parameters) or "none"
    asked = "until one answers" if HOOKS[name].izzati_spec["firstresult"] else "all"
    assert f"| `{name}` | {parameters} | {asked} |\n" in (ROOT / "docs" / "hooks.md").read_text("utf-8")


@pytest.mark.once
def test_the_page_about_plugins_lists_the_built_in_ones_in_the_order_in_which_they_are_asked(site):
    listed = re.search(r"the built-in ones: ([^.]+)\.", site["plugins"])[1]
    assert re.findall(r'"(\w+)"', listed) == [entry.name for entry in DEFAULTS]


@pytest.mark.once
def test_every_public_name_is_described(site):
    described = re.findall(r"^(?:class |exception )?(\w+)(?:\(|:|$)", site["api"], re.MULTILINE)
    assert {*izzati.__all__, *izzati.client.__all__} - set(described) == set()


@pytest.mark.once
def test_every_public_name_for_tests_is_described(site):
    for name in izzati.testing.__all__:
        assert re.search(rf"\b{name}\b", site["authors"]), name


def test_the_page_of_the_command_has_every_command_and_option_and_no_other():
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    options = set()
    for command in (["run"], ["send"], ["plugins"], ["explain"], ["plugin", "new"]):
        done = subprocess.run(
            [sys.executable, "-m", "izzati", *command, "--help"], capture_output=True, encoding="utf-8", check=True
        )
        assert f"## izzati {' '.join(command)}\n" in page
        options |= set(re.findall(r"--[a-z]+", done.stdout))
    assert set(re.findall(r"--[a-z]+", page)) == options - {"--help"}
    assert page.count("## izzati ") == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *vars(Limits()).items(),
        *((name, option.default) for name, option in inspect.signature(ThreadServer).parameters.items()),
    ],
)
def test_the_wires_tables_have_the_limit_and_its_default(name, value):
    page = (ROOT / "docs" / "wire.md").read_text("utf-8")
    row = re.search(rf"^\| `{name}` \| (?:none|([\d,]+) ?(\w*)) \|", page, re.MULTILINE)
    assert row, f"docs/wire.md has no row for {name}"
    assert (int(row[1].replace(",", "")) * UNITS[row[2]] if row[1] else None) == value


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_in_the_documentation_runs(block, monkeypatch, nowhere):
    run_block(block, monkeypatch)


def on_paper(number, monkeypatch):
    """The names of an example of the page "Three plugins on paper"."""
    return run_block(block_of("docs/on-paper.md", number), monkeypatch)[0]


def test_the_jobs_on_paper_answer_later_and_to_the_same_caller_only(serve, monkeypatch):
    names = on_paper(1, monkeypatch)
    go = threading.Event()

    def callback(text, data):
        assert go.wait(20)
        return names["callback"](text, data)

    class Names:
        @izzati.hookimpl
        def izzati_identify(self, request):
            return izzati.Identity(request.headers["From"])

    served = serve(callback, plugins=[names["Jobs"](), Names()])
    photo = {"Content-Type": "image/png", "From": "ann"}
    accepted = served.request(b"a photo", {**photo, "Prefer": "respond-async"})
    assert (accepted.status, accepted.headers["Preference-Applied"]) == (202, "respond-async")
    place = accepted.headers["Location"]
    waiting = served.request(method="GET", path=place, headers={"From": "ann"})
    assert (waiting.status, waiting.headers["Retry-After"]) == (202, "1")
    assert served.request(method="GET", path=place, headers={"From": "bob"}).status == 404
    go.set()
    deadline = time.monotonic() + 20
    while (answer := served.request(method="GET", path=place, headers={"From": "ann"})).status == 202:
        assert time.monotonic() < deadline
    assert (answer.status, answer.json) == (200, {"size": 7})
    assert served.request(b"a photo", photo).json == {"size": 7}


def test_the_stream_on_paper_sends_each_value_before_the_next_is_made_and_ends_with_its_caller(serve, monkeypatch):
    names = on_paper(2, monkeypatch)
    go, ended = threading.Event(), threading.Event()

    def callback(text, data):
        try:
            yield 1
            assert go.wait(20)
            while True:
                yield 2
        finally:
            ended.set()

    served = serve({"/": callback, "/count": names["callback"]}, plugins=[names["Streams"]()])
    assert served.request(path="/count?count=2").body == b'data: {"number": 0}\n\ndata: {"number": 1}\n\n'
    with served.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        received = b""
        while b"data: 1" not in received:
            received += sock.recv(65536)
        assert b"data: 2" not in received
        go.set()
    assert ended.wait(20)


def test_the_typed_text_on_paper_gives_the_callback_its_dataclass(serve, monkeypatch):
    names = on_paper(3, monkeypatch)
    served = serve(names["callback"], plugins=[names["TypedText"]()])
    assert served.request(path="/?name=Rex").json == {"hello": "Rex", "age": 0}
    refused = served.request(path="/?nme=Rex")
    assert (refused.status, "unexpected keyword argument 'nme'" in refused.json["detail"]) == (422, True)


def test_the_suite_on_the_authors_page_fails_as_the_page_says(tmp_path):
    (tmp_path / "test_pairs.py").write_text(block_of("docs/authors.md", 2))
    first = ["-x", "--hypothesis-seed=0", "-k", "a_value"]
    plugins = ["-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *first, "test_pairs.py"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # others take longer to load than this does
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "FAILED test_pairs.py::TestPairs::test_a_value" in done.stdout


def test_the_readmes_first_example_answers_its_curl_line_with_what_the_readme_shows(serve, monkeypatch):
    names, ran = run_block(block_of("README.md", 1), monkeypatch)
    assert len(ran) == 1
    line, shown = re.search(r"^\$ (curl .*)\n(.*)$", README, re.MULTILINE).groups()
    answer = serve(names["callback"]).request(*curl(line))
    assert (answer.status, answer.body.decode()) == (200, shown)


def test_the_first_example_answers_a_photo_alone_and_is_the_same_on_the_first_page_of_the_documentation(
    serve, monkeypatch
):
    names, _ = run_block(block_of("README.md", 1), monkeypatch)
    answer = serve(names["callback"]).request(*curl("curl -F photo=@examples/rex.jpg http://localhost:5020/"))
    assert (answer.status, answer.json) == (200, {"hello": "you", "photos": ["rex.jpg"]})
    assert block_of("docs/index.md", 1) == block_of("README.md", 1)


def test_the_files_that_the_readmes_commands_name_exist():
    commands = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert len(commands) == 2
    named = [word for line in commands for word in shlex.split(line) if word.endswith((".py", ".txt"))]
    assert named == ["examples/quickstart.py", "requirements-dev.txt"]
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.alone  # since it uses the port 5020
def test_the_quickstart_answers_greets_on_stderr_prints_on_stdout_and_ends_with_ctrl_c():
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", QUICKSTART_PORT)) == 0:
            pytest.fail(
                f"another program serves on port {QUICKSTART_PORT}, where the quickstart would: stop it, and try again"
            )
    command = [sys.executable, "examples/quickstart.py"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            answer = ask_the_quickstart(process)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
    assert answer == (200, b'{"status":"yes"}')
    assert '`{"status":"yes"}`' in README
    greeting, printed = fenced("docs/start.md", "text")
    assert stdout == printed.partition("\n")[0] + "\n" == "{'name': 'Rex'} ['rex.jpg']\n"
    said, shown = (re.sub(r"(?m)^  the network .*\n", "", text) for text in (stderr, greeting))  # there may be none
    assert said.startswith(shown.replace("  page forms", "  forms"))
    assert re.search(r"^Ctrl-C stops it\.\n\d\d:\d\d:\d\d POST / 200 \d+\.\d ms 127\.0\.0\.1\n\Z", stderr, re.MULTILINE)
    assert process.returncode == 0


def ask_the_quickstart(process):
    """Its answer, as soon as it accepts connections."""
    body, headers = curl("curl -F name=Rex -F photo=@rex.jpg")
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", QUICKSTART_PORT, timeout=20)
        try:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except ConnectionRefusedError:
            assert process.poll() is None, f"the quickstart ended before it served: {process.stderr.read()}"
            assert time.monotonic() < deadline, "the quickstart did not accept a connection within 30 seconds"
            time.sleep(0.05)  # between two attempts, not instead of one
        finally:
            connection.close()
