"""Sphinx's configuration. The site is built from this repository alone: no other project's inventory is fetched."""

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import izzati

project = "izzati"
author = "The izzati developers"
project_copyright = "2026 The izzati developers"
release = version = izzati.__version__

sys.path.insert(0, str(Path(__file__).parent))  # for what this site generates
extensions = ["myst_parser", "sphinx.ext.autodoc", "option_tables"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 88

nitpicky = True
nitpick_ignore = [
    ("py:obj", "izzati.config.T"),  # whatever type a secret has
]
nitpick_ignore_regex = [
    # Described in the documentation of Python, pytest and Werkzeug, whose inventories are not fetched.
    (
        "py:.*",
        r"(_pytest|collections|contextlib|http|io|multiprocessing|os|pathlib|queue|socket|ssl|threading|types|typing|werkzeug)\..*",
    ),
]

html_theme = "furo"
html_title = f"izzati {release}"
html_show_sourcelink = False
html_copy_source = False


def read_defaults(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Dataclasses write ``<factory>`` for a default that is made anew each time, which is no Python, so not parsed."""
    return signature and signature.replace("<factory>", "..."), returns


def find_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """A value's docstring stands where it is defined; autodoc looks for it where it is imported."""
    if what != "data":
        return
    for module in [module for module in sys.modules if module.startswith("izzati.")]:
        docstring = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name.rpartition(".")[2]))
        if docstring:
            lines[:] = docstring


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", read_defaults)
    app.connect("autodoc-process-docstring", find_docstring)
