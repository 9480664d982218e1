"""The documentation's pages, and the examples in them."""

from __future__ import annotations

import queue
import re
import textwrap
from pathlib import Path

from izzati import Backend

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
    *sorted(EXAMPLES.rglob("README.md")),
]


def text_of(page):
    return (ROOT / page).read_text("utf-8")


def fenced(page, kind):
    """What stands in a page's blocks of a kind: ``python``, ``sh``, …"""
    found = re.findall(rf"^[ ]*```{kind}\n(.*?)^[ ]*```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def blocks():
    """Every Python example: its page, its number there from 1, and itself."""
    for page in PAGES:
        for number, block in enumerate(fenced(page, "python"), 1):
            yield str(page.relative_to(ROOT)), number, block


def block_of(page, number):
    return fenced(page, "python")[number - 1]


def run_block(block, monkeypatch):
    """Run an example as its reader would, but for serving; the names that it leaves, and the Backends that it ran.

    What tutorials have their reader save is there to be imported.
    """
    ran = []

    def run(backend, **options):
        ran.append(backend)
        q = queue.Queue()
        q.put({"name": "Rex"})
        return None, q

    monkeypatch.setattr(Backend, "run", run)
    for folder in (EXAMPLES, *EXAMPLES.glob("izzati-*")):
        monkeypatch.syspath_prepend(folder)
    names = {"__name__": "__main__"}
    try:
        exec(compile(block, "an example in the documentation", "exec"), names)
    finally:
        if names.get("p"):
            names["p"].kill()
            names["p"].join(20)
    return names, ran
