"""The fixtures ``serve`` and ``install``, and ``start``, which starts a program."""

import os
from contextlib import ExitStack
from importlib.metadata import entry_points

import pytest
from programs import Program

pytest_plugins = ["izzati.testing"]


@pytest.fixture
def start(tmp_path):
    """``start(source, …)`` starts a program, and ends it with the test."""
    with ExitStack() as stack:

        def start_program(source, *args, **environment):
            program = Program(tmp_path, source, *args, **environment)
            stack.callback(program.kill)
            return program

        yield start_program


# The programs that these tests start use this plugin, whatever else is installed beside it.
os.environ["IZZATI_BLOCK"] = ",".join(entry.name for entry in entry_points(group="izzati") if entry.name != "granian")
