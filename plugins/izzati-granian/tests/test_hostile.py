"""The bank of hostile requests, but for what granian does otherwise; its page has the same list."""

from __future__ import annotations

import pytest
from hostile import BANK
from hostile.judge import broken, different
from hostile.program import Program, echo
from hostile.wire import answered, call

EMPTY = "What is no HTTP is a 400 without a body, and headers that are too long or too many are a 431 without one."
HTTP_2 = "Whoever begins with HTTP/2 is not answered."
TWO_TYPES = "Of two headers `Content-Type` one counts."
TRAILER = "A LF alone may end the last chunk or its trailer; whether a request behind it is answered depends on that."
NO_LENGTH = "A body without a length is taken for the next request; the callback is called as if nothing had been sent."
NO_PATH = "A target that is neither a path nor a URL of this server is taken for a path, and a fragment is left out."

DOES_OTHERWISE = {
    "framing: HTTP/2": HTTP_2,
    "framing: two media types": TWO_TYPES,
    "framing: a chunk with a bare LF behind the last": TRAILER,
    "framing: a chunk with a bare LF behind a trailer": TRAILER,
    **{each.id: NO_LENGTH for each in BANK if each.name.startswith("no length") and each.sent is None},
    "targets: the target 'evil.example:443'": NO_PATH,
    "targets: the target 'ftp://localhost/'": NO_PATH,
    "targets: the target 'javascript:alert(1)'": NO_PATH,
    "targets: the target 'index.html'": NO_PATH,
    "targets: the target '/?b=1#c'": NO_PATH,
}
REASONS = {EMPTY, *DOES_OTHERWISE.values()}

BY_GRANIAN = ("framing", "targets", "browsers")
"""Groups in which granian refuses before izzati sees the request."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with Program(tmp_path_factory.mktemp("hostile"), echo(only=("granian",))) as running:
        yield running


@pytest.mark.parametrize("case", BANK, ids=lambda case: case.id)
def test_the_callback_gets_what_was_sent_or_the_caller_a_refusal_that_explains(program, case):
    outcome = call(program.port, case)
    wrong = broken(case, outcome, program.secrets)
    if case.id in DOES_OTHERWISE:
        assert wrong, "granian does no longer otherwise"
    elif wrong not in ("a 400 that explains nothing", "a 431 that explains nothing") or case.group not in BY_GRANIAN:
        assert not wrong
        assert case.group in ("framing", "targets") or not different(case, outcome)
    assert answered(program.port)
    assert "Traceback" not in program.new_log()


def test_every_case_that_is_said_to_differ_is_in_the_bank():
    assert DOES_OTHERWISE.keys() <= {case.id for case in BANK}
