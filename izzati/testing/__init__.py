"""For authors of plugins: contract suites to subclass, and pytest fixtures (extra ``izzati[testing]``).

A suite holds the tests that every plugin of a kind must pass. Subclass it in a test module and say with its fixtures
what is to be tested. The fixtures ``serve`` and ``install`` are found where a ``conftest.py`` says
``pytest_plugins = ["izzati.testing"]``.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"izzati.testing.{suite}" for suite in ("background", "codec", "identify", "server", "storage"))
)

# ruff: noqa: E402 - after the rewriting of assertions is switched on
from izzati.testing.background import BackgroundSuite
from izzati.testing.codec import CodecSuite
from izzati.testing.fixtures import Install, install, serve
from izzati.testing.identify import IdentifySuite
from izzati.testing.served import Answer, Served, read_answer, serving
from izzati.testing.server import ServerSuite
from izzati.testing.storage import StorageSuite

__all__ = [
    "Answer",
    "BackgroundSuite",
    "CodecSuite",
    "IdentifySuite",
    "Install",
    "Served",
    "ServerSuite",
    "StorageSuite",
    "install",
    "read_answer",
    "serve",
    "serving",
]
