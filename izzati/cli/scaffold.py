"""``izzati plugin new``: the first files of a plugin's distribution, whose tests pass at once."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

import izzati
from izzati.discovery import DEFAULTS
from izzati.errors import IzzatiError

__all__ = ["KINDS", "ScaffoldError", "new_plugin"]

KINDS = {
    "codec": "Reads and writes application/x-{name} in izzati.",
    "storage": "Keeps izzati's files at {name}://…",
    "hooks": "A plugin for izzati.",
}
"""The kinds of plugins that can be begun, and a sentence about each."""

_TEMPLATES = files("izzati.cli") / "templates"
# What izzati.toml or a message would take for something else than the new plugin.
_TAKEN = {"block", "izzati", "limits", *(entry.name for entry in DEFAULTS)}


class ScaffoldError(IzzatiError):
    """The files cannot be written as asked."""


def new_plugin(name: str, kind: str, into: Path) -> Path:
    """Write a distribution.

    :param name: the plugin's name; ``izzati-`` before it may be left out.
    :param kind: one of :data:`KINDS`.
    :param into: the folder in which its own folder is made.
    :returns: that folder.
    :raises ScaffoldError: for a name that is none, or if the folder is there already.
    """
    name = name.removeprefix("izzati-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ScaffoldError(
            f"{name!r} is no name for a plugin: use small letters, digits and hyphens, as in 'my-codec'"
        )
    module = name.replace("-", "_")
    kind_of_plugin = "".join(word.capitalize() for word in name.split("-"))
    if module in _TAKEN or kind_of_plugin in izzati.__all__ or keyword.iskeyword(kind_of_plugin):
        raise ScaffoldError(f"{name!r} is a name of izzati's or of Python's own; choose another one")
    names = {
        "name": name,
        "module": module,
        "MODULE": module.upper(),
        "Class": kind_of_plugin,
        "summary": KINDS[kind].format(name=name),
    }
    folder = into / f"izzati-{name}"
    if folder.exists():
        raise ScaffoldError(f"{folder} is there already; choose another name, or remove it")
    (folder / "tests").mkdir(parents=True)
    for template, path in (
        ("pyproject.toml", "pyproject.toml"),
        ("README.md", "README.md"),
        (f"{kind}.py", f"izzati_{module}.py"),
        ("conftest.py", "tests/conftest.py"),
        (f"test_{kind}.py", f"tests/test_{module}.py"),
    ):
        text = (_TEMPLATES / f"{template}.txt").read_text("utf-8")
        (folder / path).write_text(Template(text).substitute(names), "utf-8")
    return folder
