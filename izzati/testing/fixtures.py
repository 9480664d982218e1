"""pytest fixtures: a Backend that really serves, and a plugin that is installed for one test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from izzati.backend import Backend
from izzati.discovery import GROUP, installed
from izzati.testing.served import Served, serving

__all__ = ["Install", "install", "serve"]


class Install:
    """``install(plugin, "name")`` installs a plugin until the test ends, as its distribution would: by an entry point.

    :param plugin: its class, or a module.
    :param name: its name; that of its distribution is ``izzati-<name>``, version 1.0.
    """

    def __init__(self, site: Path, patch: pytest.MonkeyPatch) -> None:
        #: names of what has been installed
        self.names: list[str] = []
        self._site = site
        self._patch = patch

    def __call__(self, plugin: Any, name: str) -> None:
        holder = ModuleType(f"izzati_installed_{name.replace('-', '_')}")
        vars(holder)["plugin"] = plugin
        self._patch.setitem(sys.modules, holder.__name__, holder)
        info = self._site / f"izzati_{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: izzati-{name}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {holder.__name__}:plugin\n", "utf-8")
        self.names.append(name)
        installed.cache_clear()


@pytest.fixture
def install(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install(plugin, "name")`` installs a plugin for one test; see :class:`Install`."""
    site = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(site)
    yield Install(site, monkeypatch)
    monkeypatch.undo()
    installed.cache_clear()


@pytest.fixture
def serve(install: Install) -> Iterator[Callable[..., Served]]:
    """``serve(callback, …)`` serves a callback, or a dict of them, on a free port, until the test ends.

    Arguments are the Backend's. Of installed plugins those are used that the test has installed, or names by ``only``.
    """
    with ExitStack() as stack:

        def start(callback: Any, *args: Any, host: str = "127.0.0.1", **kwargs: Any) -> Served:
            backend = Backend(callback, *args, **{"only": install.names, **kwargs})
            return stack.enter_context(serving(backend, host))

        yield start
