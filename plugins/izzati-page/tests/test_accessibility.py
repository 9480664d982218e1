"""The page keeps axe's rules, in light and dark, on a phone and on a desktop, whatever it shows."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import DESKTOP, PHONE
from izzati_auth import Auth
from playwright.sync_api import expect

from izzati import Problem, file_return

pytestmark = pytest.mark.once

FUNCTIONS = {
    "/": lambda text, data: {"dog": {"name": "Rex", "age": 3, "toys": list(range(30))}, "none": None},
    "/refuse/<int:number>": lambda text, data: (_ for _ in ()).throw(Problem(404, "No such dog.", nearest=["Rex"])),
    "/text": lambda text, data: file_return(b"a line\n" * 200, filename="notes.txt"),
    "/photo": lambda text, data: file_return(data[0].read(), filename="photo.png"),
}


@pytest.fixture
def axe():
    """``axe(page, what)`` fails with what breaks a rule."""
    rules = Axe()

    def check(page, what):
        found = rules.run(page)
        assert found.violations_count == 0, f"{what}: {found.generate_report()}"

    return check


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_rule_is_broken(visit, axe, photo, scheme, screen):
    # axe is a script that is injected, so for it the policy is set aside.
    page = visit(FUNCTIONS, color_scheme=scheme, bypass_csp=True, **screen)
    expect(page.locator("#summary")).to_be_visible()
    axe(page, "the beginning")
    page.set_input_files("#files", photo)
    for function in ("Send text and files", "Text", "Photo"):
        page.get_by_role("link", name=function, exact=True).click()
        page.click("#send")
        expect(page.locator("#status")).to_contain_text("It took")
        page.click("#facts > summary")
        axe(page, f"the answer of {function}")
    page.get_by_role("link", name="Refuse").click()
    page.get_by_label("number").fill("3")
    page.click("#program > summary")
    page.get_by_label("JSON", exact=True).check()
    page.fill("#source", '{"a": 1')
    page.click("#send")
    expect(page.locator("#mistake")).to_be_visible()
    axe(page, "a mistake")
    page.fill("#source", "")
    page.click("#send")
    expect(page.locator("#answer.failed")).to_be_visible()
    axe(page, "a refusal")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_is_broken_where_a_token_is_asked_for(visit, axe, scheme):
    page = visit(FUNCTIONS, plugins=[Auth(tokens=["Zm9ydHkgd2lua3M"])], color_scheme=scheme, bypass_csp=True)
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#refused")).to_be_visible()
    axe(page, "the door")
