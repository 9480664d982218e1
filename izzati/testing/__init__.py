"""For authors of plugins: contract suites to subclass, and pytest fixtures (extra ``izzati[testing]``).

A suite holds the tests that every plugin of a kind must pass. Subclass it in a test module and say with its fixtures
what is to be tested. The fixtures ``serve`` and ``install`` are found where a ``conftest.py`` says
``pytest_plugins = ["izzati.testing"]``.
"""

import pytest

pytest.register_assert_rewrite("izzati.testing")

from izzati.testing.fixtures import Install, install, serve  # noqa: E402 - after the rewriting of assertions is switched on
from izzati.testing.served import Answer, Served, read_answer, serving  # noqa: E402

__all__ = ["Answer", "Install", "Served", "install", "read_answer", "serve", "serving"]
