"""Where callers must say who they are, the page asks for it; what it is made of tells nothing about the program."""

from __future__ import annotations

import subprocess

import pytest
from izzati_auth import Auth
from izzati_page import Page
from playwright.sync_api import expect

from izzati import Claims, Identity, Problem, hookimpl

pytestmark = pytest.mark.once

TOKEN = "Zm9ydHkgd2lua3M"


def who(text, data, *, request):
    """Say who calls."""
    return request.identity.name


@pytest.fixture
def passwords(tmp_path):
    path = tmp_path / "htpasswd"
    subprocess.run(["htpasswd", "-cbB", "-C", "4", path, "jürgen", "größe: 1"], check=True, capture_output=True)
    return path


def sign_in_by_token(page, token):
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Continue").click()


def sent(page):
    page.click("#send")
    expect(page.locator("#status")).to_contain_text("It took")
    return page.locator("#result > :first-child").inner_text()


def test_a_token_is_asked_for_and_kept_until_the_person_leaves(visit, photo):
    page = visit(who, plugins=[Auth(tokens={"ann": TOKEN})])
    page.set_input_files("#files", photo)  # as whoever drops one there does
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    expect(page.get_by_label("Password", exact=True)).to_be_hidden()
    sign_in_by_token(page, "wrong")
    expect(page.locator("#refused")).to_have_text("This token is not known here.")
    sign_in_by_token(page, TOKEN)
    expect(page.locator("#summary")).to_have_text("Say who calls")
    assert sent(page) == "ann"
    page.reload()
    assert sent(page) == "ann"
    page.click("#program > summary")
    expect(page.locator("#sample")).to_contain_text('-H "Authorization: Bearer $TOKEN"')
    page.get_by_label("Python").check()
    expect(page.locator("#sample")).to_contain_text(", token=token)")
    page.get_by_label("JavaScript").check()
    expect(page.locator("#sample")).to_contain_text("headers: { Authorization }")
    assert TOKEN not in page.content()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token", exact=True)).to_be_visible()
    assert page.evaluate("sessionStorage.length + localStorage.length + document.cookie.length") == 0


def test_a_name_and_a_password_are_asked_for_by_the_page_and_not_by_the_browser(visit, passwords, node):
    page = visit(who, plugins=[Auth(htpasswd=passwords)])
    expect(page.locator("#ways")).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("jürgen")
    page.get_by_label("Password", exact=True).fill("größe: 1")
    page.keyboard.press("Enter")
    assert sent(page) == "jürgen"
    page.click("#program > summary")
    expect(page.locator("#sample")).to_contain_text('-u "$NAME:$PASSWORD"')
    page.get_by_label("JavaScript").check()
    program = (
        page.locator("#sample").inner_text().partition("\n")[2].replace("log(answer)", "log(JSON.stringify(answer))")
    )
    assert node(f'const [name, password] = ["jürgen", "größe: 1"];\n{program}') == "jürgen"


def test_of_two_ways_the_person_chooses(visit, passwords):
    page = visit(who, plugins=[Auth(tokens={"ann": TOKEN}, htpasswd=passwords)])
    page.get_by_label("With a password").click()
    expect(page.get_by_label("Token", exact=True)).to_be_hidden()
    page.get_by_label("With a token").click()
    sign_in_by_token(page, TOKEN)
    assert sent(page) == "ann"


def test_a_token_that_is_no_longer_known_is_asked_for_again(visit):
    auth = Auth(tokens={"ann": TOKEN})
    page = visit(who, plugins=[auth])
    sign_in_by_token(page, TOKEN)
    expect(page.locator("#summary")).to_be_visible()
    page.evaluate("sessionStorage.setItem(Object.keys(sessionStorage)[0], 'Bearer old')")
    page.click("#send")
    expect(page.locator("#refused")).to_have_text("This token is not known here.")
    sign_in_by_token(page, TOKEN)
    assert sent(page) == "ann"


def test_a_refusal_of_the_functions_own_is_shown_though_it_is_about_who_calls(visit):
    def callback(text, data):
        raise Problem(401, "The dog does not know you.")

    page = visit(callback)
    with page.expect_response("**/openapi.json"):
        page.click("#send")
    page.evaluate("fetch('openapi.json').then((response) => response.text())")  # the page has read it by now
    expect(page.locator("#status")).to_have_text("The server does not know you.")
    expect(page.locator("#result")).to_have_text("The dog does not know you.")
    expect(page.locator("#desk")).to_be_visible()


def test_a_way_that_the_page_does_not_have_is_told(visit):
    class Certificates:
        @hookimpl
        def izzati_claims(self):
            return Claims(challenges=("Mutual",))

        @hookimpl
        def izzati_identify(self, request):
            return Identity("ann") if request.headers.get("X-Certificate") else None

    page = visit(who, plugins=[Certificates()])
    expect(page.locator("#trouble")).to_contain_text("in a way that this page does not have")


def test_who_is_refused_otherwise_is_told_why(visit):
    class Closed:
        @hookimpl
        def izzati_identify(self, request):
            raise Problem(403, "The show is over.")

    expect(visit(who, plugins=[Closed()]).locator("#trouble")).to_have_text("The show is over.")


def test_a_stranger_gets_the_page_and_the_module_and_no_word_about_the_program(serve):
    served = serve({"/secret-show": who}, plugins=[Page(title="A secret show"), Auth(tokens=[TOKEN])])

    def get(path, **headers):
        return served.request(method="GET", path=path, headers=headers)

    for path in ("/", "/izzati.js", "/favicon.ico", "/izzati-page/page.js", "/izzati-page/page.css"):
        answer = get(path)
        assert answer.status == 200
        assert b"secret" not in answer.body
    assert get("/openapi.json").status == 401
    assert get("/openapi.json", Authorization=f"Bearer {TOKEN}").json["info"]["title"] == "A secret show"
