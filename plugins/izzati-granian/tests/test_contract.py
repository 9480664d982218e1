"""The contract of servers, but for what granian does otherwise; its page has the same list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from izzati.testing import ServerSuite

LOWER_CASE = "It sends the names of headers in lower case."
FRAMING = "A chunked body that is malformed ends where it is, as if that were its end."
BROKEN_OFF = "A chunked body that breaks off is taken for whole."
BOTH = "Beside chunks a `Content-Length` is ignored."

_NO_HTTP = "test_what_is_no_http_is_a_400_and_the_end_of_its_connection"


class TestGranian(ServerSuite):
    does_not: ClassVar[Mapping[str, str]] = {
        "test_header_names_keep_their_case": LOWER_CASE,
        f"{_NO_HTTP}[a length beside chunks]": BOTH,
        f"{_NO_HTTP}[a chunk size with a prefix]": FRAMING,
        f"{_NO_HTTP}[a chunk size with a sign]": FRAMING,
        f"{_NO_HTTP}[a chunk without a size]": FRAMING,
        f"{_NO_HTTP}[a chunk longer than its size]": FRAMING,
        "test_a_body_that_is_broken_off_does_not_reach_the_callback[chunked]": BROKEN_OFF,
    }

    @pytest.fixture
    def plugin(self):
        return "izzati_granian:Granian", {"chunked": True}
