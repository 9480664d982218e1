"""The page and README say what the plugin does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from izzati_granian import Granian
from test_contract import TestGranian as Contract
from test_hostile import REASONS

README = Path(__file__).parent.parent / "README.md"
PAGE = README.parent.parent.parent / "docs" / "granian.md"


@pytest.mark.parametrize("document", [README, PAGE], ids=["README", "page"])
def test_the_table_has_every_option_and_its_default_and_no_other(document):
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+|no) \|", document.read_text("utf-8"), re.MULTILINE)
    defaults = {name: option.default for name, option in inspect.signature(Granian).parameters.items()}
    assert {name: value != "no" and int(value.replace(",", "")) for name, value in rows} == defaults


def test_the_page_lists_exactly_what_the_contract_and_the_bank_leave_out():
    text = PAGE.read_text("utf-8")
    listed = text.partition("and the tests hold it:\n\n")[2].partition("\n\n")[0]
    first_sentences = {re.split(r"(?<=\.)\s", item, maxsplit=1)[0] for item in listed.removeprefix("- ").split("\n- ")}
    assert first_sentences == {*Contract.does_not.values(), *REASONS}
