"""Hostile requests, over real connections, against the built-in server."""

from __future__ import annotations

import pytest
from hostile import BANK
from hostile.judge import broken, different
from hostile.program import Program, echo
from hostile.wire import answered, call


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    patience = {"head_seconds": 1, "block_seconds": 1}
    with Program(tmp_path_factory.mktemp("hostile"), echo(server=patience)) as running:
        yield running


@pytest.mark.parametrize("case", BANK, ids=lambda case: case.id)
def test_the_callback_gets_what_was_sent_or_the_caller_a_refusal_that_explains(program, case):
    outcome = call(program.port, case)
    assert not broken(case, outcome, program.secrets)
    assert not different(case, outcome)
    assert answered(program.port)
    assert "Traceback" not in program.new_log()
