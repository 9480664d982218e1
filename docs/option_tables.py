"""A directive for Sphinx, ``options``: the options of plugins, as their classes have them."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from izzati import Limits
from izzati.config import Settings
from izzati.discovery import DEFAULTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

log = logging.getLogger(__name__)

PLUGINS = Path(__file__).parent.parent / "plugins"


def plugins() -> dict[str, object]:
    """What makes each plugin of this repository, by name: ``limits`` first, then the built-in ones, then the others.

    None stands for one that is not installed here.
    """
    values = {entry.name: entry.value for entry in DEFAULTS}
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        values |= tomllib.loads(project.read_text("utf-8"))["project"]["entry-points"]["izzati"]
    made: dict[str, object] = {"limits": Limits}
    for name, value in values.items():
        module, _, attribute = value.partition(":")
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            made[name] = None
        else:
            made[name] = getattr(found, attribute) if attribute else found
    return made


def options(name: str, kind: object) -> list[tuple[str, str, str, str]]:
    """Of each option its name, what it takes, its default, and what it is, in the words of the class's docstring."""
    if not inspect.isclass(kind):
        return []
    said = dict(re.findall(r":param (\w+): (.*?)(?=\n:|\Z)", inspect.getdoc(kind) or "", re.DOTALL))
    rows = []
    for option in Settings({}).options(name, kind):
        default = "none" if option.value in (None, (), [], "") else repr(option.value)
        what = " ".join(said[option.name].split())
        rows.append((option.name, f"{option.takes}; secret" if option.secret else option.takes, default, what))
    return rows


class Options(SphinxDirective):
    """A section for each plugin that has options, with a table of them."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # it depends on the code, which Sphinx does not look at
        lines = [""]
        for name, kind in plugins().items():
            if kind is None:
                log.warning("the plugin %s is not installed, so its options cannot be listed", name)
            rows = options(name, kind)
            if rows:
                lines += [f"## {name}", "", (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " "), ""]
                lines += ["| option | default | takes | |", "|---|---|---|---|"]
                for option, takes, default, what in rows:
                    plain = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", what.replace("``", "`")).replace("|", "\\|")
                    lines.append(f"| `{option}` | `{default}` | {takes} | {plain} |")
                lines.append("")
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> None:
    app.add_directive("options", Options)
