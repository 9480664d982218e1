"""Keys: what the template may say, and that nobody who sends a file or has a name gets out of it."""

from __future__ import annotations

import re

import fsspec
import pytest
from helpers import form
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from izzati_storage import Store
from werkzeug.test import Client

from izzati import Backend, Identity, hookimpl

NAMES = ["s3://evil/x", "../../x", "..", "/etc/passwd", "a\\..\\b", "a%2e%2e%2fb", "x" * 5000, "\u202egnp.exe", "a#1"]
some_name = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
many = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Caller:
    """Everybody is this one."""

    def __init__(self, name):
        self.name = name

    @hookimpl
    def izzati_identify(self):
        return None if self.name is None else Identity(self.name)


@pytest.fixture
def memory():
    """A store in memory: what it holds, by path."""
    store = fsspec.filesystem("memory").store
    store.clear()
    yield store
    store.clear()


def key_of(memory, template, *, filename="a.png", field="file", caller=None):
    """The key that an upload got."""
    memory.clear()
    plugins = [Store("memory://in/uploads", key=template), *([Caller(caller)] if caller is not None else [])]
    quoted = [
        value.replace("\\", "\\\\").replace('"', "%22").translate({10: "%0A", 13: "%0D"}) for value in (filename, field)
    ]
    body, headers = form((quoted[0] or "-", b"x"), field=quoted[1])
    answer = Client(Backend(lambda text, data: None, plugins=plugins, only=())).post("/", data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    (path,) = memory
    assert path.startswith("/in/uploads/")
    return path.removeprefix("/in/uploads/")


def names(test):
    """Try these names, and some that nobody thought of."""
    for name in NAMES:
        test = example(name=name)(test)
    return many(given(name=some_name)(test))


@names
def test_no_name_of_a_file_leaves_its_part_of_the_key(memory, name):
    key = key_of(memory, "{date}/{id}-{name}", filename=name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d/[0-9a-f]{32}-[^/\\\x00-\x1f\x7f#?*:]+", key)
    assert len(key.rpartition("/")[2].encode()) <= 255
    assert not key.endswith(".")


@names
def test_no_name_of_a_field_leaves_its_part_of_the_key(memory, name):
    _, found, last = key_of(memory, "all/{field}/{id}", field=name).split("/")
    assert found.strip(".") == found != ""
    assert re.fullmatch("[0-9a-f]{32}", last)


@many
@given(one=some_name, other=some_name)
@example(one="a/b", other="c/b")
@example(one=".", other="..")
@example(one="", other="(empty)")
@example(one="a", other="a.")
@example(one="A" * 101, other="A" * 102)
@example(one="%2E", other=".")
def test_two_callers_never_share_a_folder(memory, one, other):
    folders = []
    for name in (one, other):
        folder, last = key_of(memory, "{identity}/{id}", caller=name).split("/")
        assert folder.strip(".") == folder != ""
        assert len(folder) <= 100
        assert re.fullmatch("[0-9a-f]{32}", last)
        folders.append(folder)
    assert (folders[0] == folders[1]) == (one == other)


@pytest.mark.parametrize("name", ["ann", "ann@example.com", "Ann-Marie_1"])
def test_a_plain_name_of_a_caller_is_its_folder(memory, name):
    assert key_of(memory, "{identity}/{id}", caller=name).startswith(f"{name}/")


def test_where_nobody_says_who_calls_there_is_one_folder_that_no_caller_can_have(memory):
    assert key_of(memory, "{identity}/{id}").startswith("(anonymous)/")
    assert key_of(memory, "{identity}/{id}", caller="(anonymous)").startswith("%28anonymous%29/")


def test_a_long_name_keeps_its_suffix(memory):
    key = key_of(memory, "{id}-{name}", filename="\xe9" * 500 + ".tar.png")
    assert (key.endswith("\xe9.png"), len(key.encode()) <= 255) == (True, True)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{id}/{user}", r"\{user\} is no placeholder.*\{date\}, \{field\}, \{id\}, \{identity\}, \{name\}"),
        ("{id}-{name.__class__}", "no placeholder"),
        ("{id}-{name!r}", "no placeholder"),
        ("{id:>200}", "no placeholder"),
        ("{id}-{}", "no placeholder"),
        ("{id", "no template"),
        ("{date}/{name}", r"needs \{id\}"),
        ("", r"needs \{id\}"),
        ("../{id}", "part '..'"),
        ("a/../{id}", "part '..'"),
        ("/{id}", "part ''"),
        ("a//{id}", "part ''"),
        ("{id}/", "part ''"),
        ("./{id}", "part '.'"),
        ("a\0/{id}", "part"),
        ("a\\{id}", "part"),
        ("a:b/{id}", "part"),
        ("{id}.", "part 'x.'"),
        ("a#b/{id}", "part 'a#b'"),
        ("{{}}/{id}?", "part"),
        ("{id}" * 10, "320 bytes"),
        ("/".join(["{name}"] * 9) + "/{id}", "1024 bytes"),
    ],
)
def test_a_template_that_could_do_harm_is_refused_with_what_is_wrong(template, told):
    with pytest.raises(ValueError, match=told):
        Store("memory://uploads", key=template)


def test_a_template_that_is_too_long_below_its_url_is_refused():
    Store("memory://" + "x" * 700)
    with pytest.raises(ValueError, match="1024 bytes"):
        Store("memory://" + "x" * 900)
