"""Nothing that a server answers runs as script, and the page's policy would stop it if it tried."""

from __future__ import annotations

import http.client

import pytest
from playwright.sync_api import Error, expect

from izzati import Problem, file_return

pytestmark = pytest.mark.once

ATTACK = "<img src=x onerror='window.owned = 1'><script>window.owned = 1</script>"
DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30" onload="window.owned = 1">'
    "<script>window.owned = 1</script><rect width='40' height='30' fill='teal'/></svg>"
)


def owned(page):
    return page.evaluate("window.owned ?? frames.length")


def send(page):
    page.click("#send")
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#result > :first-child")).to_be_visible()


@pytest.mark.parametrize(
    "result",
    [
        lambda: file_return(ATTACK.encode(), filename="page.html"),
        lambda: file_return(ATTACK.encode(), filename="page.xhtml", content_type="application/xhtml+xml"),
        lambda: file_return(b"window.owned = 1", filename="code.js"),
        lambda: file_return(b"{}", filename=f"{ATTACK}.zip", content_type="application/x-unknown"),
        lambda: file_return(ATTACK.encode(), content_type="application/json"),
        lambda: {ATTACK: [ATTACK], "__proto__": {"polluted": ATTACK}},
        lambda: ATTACK,
    ],
    ids=["html", "xhtml", "javascript", "filename", "false json", "values", "text"],
)
def test_what_an_answer_holds_is_only_shown(visit, result):
    page = visit(lambda text, data: result())
    send(page)
    assert owned(page) == 0
    assert page.evaluate("({}).polluted") is None


def test_a_drawing_is_a_picture_and_of_no_origin(visit):
    page = visit(lambda text, data: file_return(DRAWING.encode(), filename="drawing.svg"))
    send(page)
    picture = page.get_by_role("img", name="The answer: drawing.svg")
    assert (
        picture.evaluate("it => it.naturalWidth || new Promise((done) => (it.onload = () => done(it.naturalWidth)))")
        == 40
    )
    assert picture.get_attribute("src").startswith("data:image/svg+xml;")
    assert owned(page) == 0


@pytest.mark.parametrize("name", ["page.html", "drawing.svg"])
def test_an_answer_that_is_saved_opens_as_no_page(visit, name):
    page = visit(lambda text, data: file_return((DRAWING if "svg" in name else ATTACK).encode(), filename=name))
    send(page)
    address = page.get_by_role("link", name="Save").get_attribute("href")
    with page.expect_download() as saving:
        page.evaluate("address => void open(address)", address)
    assert saving.value.url == address
    assert owned(page) == 0


def test_what_a_refusal_or_a_docstring_says_is_text(visit):
    def callback(text, data):
        raise Problem(400, ATTACK, hint=ATTACK, more=[ATTACK])

    callback.__doc__ = f"{ATTACK}\n\n{ATTACK}"
    page = visit(callback)
    expect(page.locator("#description")).to_have_text(ATTACK)
    send(page)
    assert page.locator("#result").inner_text().count(ATTACK) == 3
    assert owned(page) == 0


def test_the_policy_stops_what_would_be_injected(visit):
    page = visit(lambda text, data: {})
    for injection in (
        f"document.body.innerHTML = `{ATTACK}`",
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.owned = 1'}))",
        "document.body.append(Object.assign(document.createElement('script'), {src: 'http://127.0.0.1:9/'}))",
    ):
        with pytest.raises(Error):
            page.evaluate(f"() => {{ {injection} }}")
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went out', () => 'did not')") == "did not"
    assert owned(page) == 0
    assert [word for word in ("trusted-types", "connect-src") if not any(word in fault for fault in page.faults)] == []
    page.faults.clear()  # these were on purpose


def test_the_policy_allows_this_server_alone(serve, visit):
    served = visit(lambda text, data: {}).served
    for path in ("/", "/izzati.js", "/izzati-page/page.js", "/izzati-page/page.css", "/favicon.ico", "/openapi.json"):
        answer = served.request(method="GET", path=path)
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert policy.pop("default-src") == "'none'"
        sources = {source for value in policy.values() for source in value.split()}
        assert sources == {"'none'", "'self'", "blob:", "data:", "'script'"}
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_asks_no_other_host(visit):
    asked = []
    page = visit(lambda text, data: {})
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    send(page)
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith(page.served.url)] == []


def test_a_browser_is_told_what_has_not_changed(visit):
    served = visit(lambda text, data: {}).served
    first = served.request(method="GET", path="/izzati.js")
    again = served.request(method="GET", path="/izzati.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (http.client.NOT_MODIFIED, b"")
    assert served.request(method="GET", path="/favicon.ico").headers["Cache-Control"] == "max-age=86400"
    assert served.request(method="HEAD", path="/").headers["Content-Length"] == str(
        len(served.request(method="GET", path="/").body)
    )
    assert served.request(method="GET", path="/izzati-page/nothing.js").status == http.client.NOT_FOUND
    assert served.request(method="GET", path="/izzati-page/..%2f__init__.py").status == http.client.NOT_FOUND
