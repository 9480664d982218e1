"""The house: arrows point one way, and what is public is declared."""

from __future__ import annotations

import ast
import importlib
import io
import pkgutil
import tokenize
from pathlib import Path

import pytest

import izzati

PACKAGE = Path(izzati.__file__).parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages([str(PACKAGE)], "izzati.") if "__main__" not in module.name
)

UNLISTED = {"izzati.builtin", "izzati.hookspecs"}


def source(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return (path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py").read_text()


def imports(name):
    """The modules of izzati that a module imports when it is imported."""
    found = set()
    for node in ast.parse(source(name)).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("izzati"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("izzati")}
    return found


def test_no_module_imports_itself_through_others():
    arrows = {name: imports(name) for name in MODULES}

    def visit(name, path):
        assert name not in path, " -> ".join([*path, name])
        for other in arrows.get(name, ()):
            visit(other, [*path, name])

    for name in MODULES:
        visit(name, [])


@pytest.mark.parametrize("name", MODULES)
def test_no_import_stands_inside_a_function(name):
    for node in ast.walk(ast.parse(source(name))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for inner in ast.walk(node):
                assert not isinstance(inner, (ast.Import, ast.ImportFrom)), f"{name}.{node.name}, line {inner.lineno}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("izzati.builtin.")])
def test_built_in_plugins_import_only_public_names(name):
    for node in ast.walk(ast.parse(source(name))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("izzati"):
            assert node.module == "izzati" or node.module.startswith("izzati.builtin"), node.module
            if node.module == "izzati":
                assert {alias.name for alias in node.names} <= set(izzati.__all__)


def test_the_core_imports_neither_built_in_plugins_nor_what_tests_them():
    for name in MODULES:
        if not name.startswith(("izzati.builtin", "izzati.testing")):
            assert not {other for other in imports(name) if other.startswith(("izzati.builtin", "izzati.testing"))}, (
                name
            )


def test_only_what_sends_imports_the_callers_side():
    """It needs a library that a server does not."""
    callers = {name for name in MODULES if any(other.startswith("izzati.client") for other in imports(name))}
    assert {name for name in callers if not name.startswith("izzati.client")} <= {"izzati.cli.send", "izzati.cli.shown"}
    assert not any(other in ("izzati.cli.send", "izzati.cli.shown") for other in imports("izzati.cli"))


@pytest.mark.parametrize("name", ["izzati", *(name for name in MODULES if name not in UNLISTED)])
def test_every_module_says_what_is_public(name):
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__, key=lambda public: (kind_of_name(public), public))
    assert module.__doc__
    for public in module.__all__:
        assert hasattr(module, public)


def kind_of_name(public):
    """Constants first, then classes, then functions."""
    return 0 if public.isupper() else 1 if public[0].isupper() else 2


@pytest.mark.parametrize("public", izzati.__all__)
def test_every_public_name_explains_itself(public):
    value = getattr(izzati, public)
    if isinstance(value, type) or callable(value):
        assert value.__doc__


@pytest.mark.parametrize("name", [name for name in MODULES if ".testing" not in name])
def test_what_callers_are_told_is_ascii(name):
    """The JSON of a refusal has escapes for the rest, which read badly in a terminal."""
    for node in ast.walk(ast.parse(source(name))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    assert inner.value.isascii(), f"{name}, line {inner.lineno}: {inner.value}"


def test_the_house_stays_small():
    lines = {name: lines_of_code(name) for name in MODULES}
    beside_the_core = ("izzati.builtin", "izzati.cli", "izzati.client", "izzati.testing")
    assert sum(count for name, count in lines.items() if not name.startswith(beside_the_core)) < 2550
    # A contract suite is one class, and what its tests share.
    assert max(count for name, count in lines.items() if not name.startswith("izzati.testing")) < 400


def lines_of_code(name):
    """Lines that do something: no docstrings, comments or blank lines."""
    text = source(name)
    prose = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    ignored = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return len({token.start[0] for token in tokens if token.type not in ignored} - prose)
