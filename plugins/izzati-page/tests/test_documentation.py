"""The page of the documentation and the README say what the code does."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import MODULE
from izzati_page import Page
from werkzeug.wrappers import Response

from izzati import Route, hookimpl

README = Path(__file__).parent.parent / "README.md"
DOCUMENTATION = README.parent.parent.parent / "docs" / "page.md"


def examples(language):
    """The blocks of this language on the documentation's page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENTATION.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def echo(text, data):
    return [text, [file.filename for file in data]]


class Written:
    """A page of the program's own."""

    def __init__(self, markup):
        self.markup = markup

    @hookimpl
    def izzati_routes(self):
        yield Route("/mine", lambda request: Response(self.markup, content_type="text/html"))


@pytest.mark.parametrize("path", [README, DOCUMENTATION], ids=["README", "documentation"])
def test_the_table_has_every_option_with_its_default(path):
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", path.read_text("utf-8"), re.MULTILINE))
    assert rows == {name: option.default for name, option in inspect.signature(Page).parameters.items()}


def test_the_readme_lists_what_is_public(serve):
    public = re.findall(r"^\| `GET (/[\w.]*)`.*\| (yes|no) \|", README.read_text("utf-8"), re.MULTILINE)
    served = serve(echo, plugins=[Page()])
    routes = {route.path: "yes" if route.public else "no" for route in Page().izzati_routes(served.backend)}
    assert dict(public) == {path: told for path, told in routes.items() if "<" not in path}


def test_a_page_of_this_server_sends_as_documented(serve, tab, photo):
    served = serve(echo, plugins=[Page(), Written(examples("html")[0])])
    page = tab()
    page.goto(f"{served.url}/mine")
    with page.expect_console_message(lambda message: message.type == "log") as told:
        page.set_input_files("input", photo)
    assert told.value.args[0].json_value() == [{"name": "Rex", "toys": ["ball"]}, ["rex.png"]]


def test_a_page_of_another_origin_sends_as_documented(serve, tab):
    elsewhere = {"browsers": {"allow_origins": ["*"]}}
    served = serve({"/greet": echo}, plugins=[Page()], options=elsewhere)
    other = serve(echo, plugins=[Written(examples("html")[1].replace("http://192.0.2.7:5020", served.url))])
    page = tab()
    with page.expect_console_message(lambda message: message.type == "log") as told:
        page.goto(f"{other.url}/mine")
    assert told.value.args[0].json_value() == [{"name": "Rex"}, []]


def test_node_sends_as_documented(serve, tmp_path):
    served = serve(echo)
    (tmp_path / "rex.jpg").write_bytes(b"a photo")
    (tmp_path / "izzati.js").write_bytes(MODULE.read_bytes())
    (tmp_path / "package.json").write_text('{"type": "module"}')
    program = examples("js")[0].replace("http://192.0.2.7:5020", served.url) + "console.log(JSON.stringify(answer));"
    (tmp_path / "program.js").write_text(program)
    command = [shutil.which("node"), "program.js"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60, check=True)
    assert json.loads(done.stdout) == [{}, ["rex.jpg"]]


def test_it_says_that_it_is_typed():
    assert (Path(importlib.util.find_spec("izzati_page").origin).parent / "py.typed").is_file()
