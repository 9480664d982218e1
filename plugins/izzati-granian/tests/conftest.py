"""The fixtures ``serve`` and ``install``, and ``start``, which starts a program."""

from contextlib import ExitStack

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
