"""The documentation holds together: links, the drawing, and the lists that repeat what the code says."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

import pytest
from pages import PAGES, ROOT, text_of

from izzati import hookspecs
from izzati.discovery import DEFAULTS

pytestmark = pytest.mark.once

HOOKS = [name.removeprefix("izzati_") for name, spec in vars(hookspecs).items() if hasattr(spec, "izzati_spec")]
SVG = "{http://www.w3.org/2000/svg}"
CODE = re.compile(r"^[ ]*(```|~~~).*?^[ ]*\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(((?!https?:|mailto:)[^)\s]*)\)")
SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def load_option_tables():
    spec = importlib.util.spec_from_file_location("option_tables", ROOT / "docs" / "option_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


option_tables = load_option_tables()
PLUGINS = {name: kind for name, kind in option_tables.plugins().items() if kind is not None}


def anchors(path):
    """What a link may name after a #: headings, as GitHub and the site write them."""
    found, seen = set(), defaultdict(int)
    for heading in re.findall(r"^#{1,6} +(.+?)$", CODE.sub("", path.read_text("utf-8")), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        found.add(re.sub(r"[^\w]+", "-", text.lower()).strip("-"))  # where the site differs
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}, which does not exist"
        assert path == ROOT or ROOT in path.parents, f"{page.name} links to {target}, which is not in the repository"
        if anchor:
            assert anchor in anchors(path), f"{page.name} links to {target}, which has no such heading"


def test_every_page_is_in_the_table_of_contents_once():
    listed = re.findall(r"^```\{toctree\}\n(?::.*\n)+\n((?:.+\n)+)```$", text_of("docs/index.md"), re.MULTILINE)
    pages = [re.sub(r".* <(.*)>", r"\1", line) for block in listed for line in block.splitlines()]
    assert sorted(pages) == sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index")


def test_the_readme_is_one_screen():
    assert len(text_of("README.md").splitlines()) <= 60


def test_the_page_about_plugins_has_each_of_this_repository():
    listed = re.findall(r"^\| `(izzati-\w+)` \|", text_of("docs/plugins.md"), re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_greetings_list_the_built_in_plugins_in_their_order(page):
    for shown in re.findall(r"^  plugins       (.*)$", page.read_text("utf-8"), re.MULTILINE):
        assert shown.removeprefix("page ").split() == [entry.name for entry in DEFAULTS]


# The drawing


@pytest.fixture(scope="module")
def drawing():
    return ET.parse(ROOT / "docs" / "request.svg").getroot()


def test_the_drawing_has_every_hook_once_and_no_other(drawing):
    drawn = [each.text for each in drawing.iter(f"{SVG}text") if "hook" in each.get("class").split()]
    assert sorted(drawn) == sorted(HOOKS)


def test_the_drawing_has_the_hooks_of_a_request_in_their_order(drawing):
    steps = {each.text: float(each.get("y")) for each in drawing.iter(f"{SVG}text") if each.get("class") == "hook"}
    way = ["admit", "identify", "read", "decode", "store", "call", "save", "render", "open", "encode", "finalize"]
    assert [name for name in sorted(steps, key=steps.get) if name != "error"] == way


def test_the_drawing_names_the_plugins_that_answer(drawing):
    for each in drawing.iter(f"{SVG}text"):
        hook = each.get("data-hook")
        if hook:
            answering = {name for name, kind in PLUGINS.items() if hasattr(kind, f"izzati_{hook}")}
            assert set(each.text.split(", ")) == answering, hook


def test_the_page_about_the_architecture_says_what_each_hook_is_for():
    table = text_of("docs/architecture.md").partition("## What each hook is for")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(HOOKS)


# Options


def options(*kinds):
    """Of each option of these plugins its default."""
    return {row[0]: default_of(kind, row[0]) for kind in kinds for row in option_tables.options("x", kind)}


def default_of(kind, name):
    default = inspect.signature(kind).parameters[name].default
    return None if default in ((), "") else default


def shown(text):
    """A default as a table writes it."""
    if text in ("none", "") or text.startswith(("any", "as above")):
        return None
    if text in ("no", "`false`"):
        return False
    number = re.fullmatch(r"([\d,]+)(?: (\w+))?", text)
    return int(number[1].replace(",", "")) * SIZES.get(number[2], 1) if number else text.strip("`")


def rows(page, section):
    """The rows of the tables of options on a page: name and default, where several are in one row each."""
    text = text_of(page).partition(section)[2] if section else text_of(page)
    for table in re.findall(r"^\| option [^\n]*\n\|[-|]*\n((?:\|.*\n)+)", text, re.MULTILINE):
        for names, defaults in re.findall(r"^\| (.*?) \| (.*?) \|", table, re.MULTILINE):
            found = re.findall(r"`(\w+)`", names)
            values = defaults.split(", ") if len(defaults.split(", ")) == len(found) else [defaults] * len(found)
            yield from zip(found, map(shown, values), strict=True)


@pytest.mark.parametrize(
    ("page", "section", "plugin", "otherwise"),
    [
        ("docs/auth.md", "\n## Options", "auth", {}),
        ("docs/granian.md", "\n## Options", "granian", {}),
        ("docs/page.md", "", "page", {}),
        ("docs/storage.md", "", "storage", {"schemes"}),
        ("docs/wire.md", "\n### Browsers", "browsers", {"head_seconds"}),
        ("plugins/izzati-auth/README.md", "", "auth", {}),
        ("plugins/izzati-granian/README.md", "", "granian", {}),
        ("plugins/izzati-page/README.md", "", "page", {}),
        ("plugins/izzati-storage/README.md", "", "storage", {"schemes"}),
    ],
)
def test_a_table_of_options_has_each_with_its_default(page, section, plugin, otherwise):
    """What is otherwise is not a default in a word, or belongs to another table."""
    table = dict(rows(page, section))
    expected = options(PLUGINS[plugin])
    assert set(expected) - set(table) == set()
    assert {name: table[name] for name in expected if name not in otherwise} == {
        name: default for name, default in expected.items() if name not in otherwise
    }


@pytest.mark.parametrize("name", [name for name, kind in PLUGINS.items() if inspect.isclass(kind)])
def test_every_option_of_a_plugin_is_described_where_it_is_defined(name):
    kind = PLUGINS[name]
    described = [row[0] for row in option_tables.options(name, kind)]
    assert described == ([] if kind.__init__ is object.__init__ else list(inspect.signature(kind).parameters))


# Problems


def raised():
    """Of each status the members that a Problem of izzati, or of a plugin, has with it."""
    found = defaultdict(set)
    folders = [ROOT / "izzati", *(ROOT / "plugins").glob("*/izzati_*")]
    files = [path for each in folders for path in ([each] if each.is_file() else each.rglob("*.py"))]
    for path in files:
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if name == "exceeded":
                found[given["status"].value if "status" in given else 413] |= {"limit", "maximum"}
            elif name == "Problem" and isinstance(node.args[0], ast.Constant):
                found[node.args[0].value] |= set(given) - {"headers", "title", "type"}
    found[501]  # by h11, as error.error_status_hint
    return found


def test_the_page_about_problems_has_every_status_with_its_members():
    cells = [line.strip("|").split("|") for line in text_of("docs/problems.md").splitlines() if line.startswith("|")]
    table = {int(row[0]): set(re.findall(r"`(\w+)`", row[2])) for row in cells if row[0].strip().isdigit()}
    assert table == dict(raised())


def test_each_file_of_the_site_is_a_page_or_belongs_to_one():
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")) + text_of("docs/conf.py")
    for path in Path(ROOT / "docs").iterdir():
        if path.is_file() and path.suffix != ".md" and path.name != "conf.py":
            assert path.name in pages or path.stem in pages, path.name
