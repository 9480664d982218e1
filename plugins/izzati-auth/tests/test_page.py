"""The page and the README say what the code does."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest
from izzati_auth import Auth

from izzati import Backend

README = Path(__file__).parent.parent / "README.md"
PAGE = README.parent.parent.parent / "docs" / "auth.md"
OPTIONS = inspect.signature(Auth).parameters
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def table(path):
    """Each option of the table, and what it says is the default."""
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", path.read_text("utf-8"), re.MULTILINE)
    for names, defaults in rows:
        found = re.findall(r"`(\w+)`", names)
        told = defaults.replace("`", "").split(", ")
        yield from zip(found, told * len(found) if len(told) == 1 else told, strict=False)


@pytest.mark.parametrize("path", [README, PAGE], ids=["README", "page"])
def test_the_table_has_every_option_with_its_default(path):
    defaults = {name: str(option.default or (0 if option.default == 0 else "none")) for name, option in OPTIONS.items()}
    assert dict(table(path)) == defaults


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_runs(block, monkeypatch):
    ran = []
    monkeypatch.setattr(Backend, "run", lambda backend, *listen: ran.append(backend))
    names = {"__name__": "__main__"}
    exec(compile(block, "an example of the page", "exec"), names)
    assert ran or "app" in names


def test_the_first_example_answers_its_curl_line_with_what_the_page_shows(serve, monkeypatch):
    monkeypatch.setattr(Backend, "run", lambda backend: None)
    names = {}
    exec(compile(BLOCKS[0], "an example of the page", "exec"), names)
    token, shown = re.search(r"^\$ curl .*Bearer (\S+)'.*\n(.*)$", PAGE.read_text("utf-8"), re.MULTILINE).groups()
    served = serve(names["callback"], plugins=[Auth(tokens={"ann": token})])
    assert served.request(headers={"Authorization": f"Bearer {token}"}).body.decode() == shown


def test_the_file_on_the_page_is_taken_with_a_hash_of_the_token_that_the_page_shows(
    serve, install, monkeypatch, tmp_path
):
    page = PAGE.read_text("utf-8")
    (tmp_path / "izzati.toml").write_text(re.search(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1])
    monkeypatch.chdir(tmp_path)
    install(Auth, "auth")
    served = serve(lambda text, data, *, request: request.identity.name)
    tokens = re.search(r"IZZATI_AUTH_TOKENS=([\w,]+) ", page)[1].split(",")
    assert [served.request(headers={"Authorization": f"Bearer {token}"}).json for token in tokens] == ["ann", "bob"]


def test_it_says_that_it_is_typed():
    assert (Path(importlib.util.find_spec("izzati_auth").origin).parent / "py.typed").is_file()
