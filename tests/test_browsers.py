"""Browsers: foreign pages are kept out unless allowed, and allowed ones can read the answers."""

from __future__ import annotations

import pytest

from izzati import Backend, PluginError

ORIGIN = "https://app.example"


@pytest.fixture
def closed(serve):
    return serve(lambda text, data: {})


@pytest.fixture
def opened(serve):
    return serve(lambda text, data: {}, options={"browsers": {"allow_origins": [ORIGIN]}})


def test_a_page_of_the_server_itself_may_call(closed):
    assert closed.request(headers={"Origin": f"http://127.0.0.1:{closed.port}"}).status == 200
    behind_a_proxy = {"Origin": "https://localhost", "Host": "localhost:443"}
    assert closed.request(headers=behind_a_proxy).status == 200


def test_an_allowed_page_can_read_answers_and_errors(opened):
    for path, status in (("/", 200), ("/no", 404)):
        answer = opened.request(headers={"Origin": ORIGIN}, path=path)
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Vary"] == "Origin"
    assert opened.request(headers={"Origin": "https://other.example"}).status == 403


def test_a_cache_must_not_give_a_page_what_others_got(opened, closed):
    assert opened.request().headers["Vary"] == "Origin"
    assert closed.request().headers["Vary"] is None


def test_a_star_allows_every_page(serve):
    served = serve(lambda text, data: {}, options={"browsers": {"allow_origins": "*"}})
    assert served.request(headers={"Origin": "null"}).headers["Access-Control-Allow-Origin"] == "null"


def test_a_preflight_is_answered(opened, closed):
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,authorization",
    }
    answer = opened.request(method="OPTIONS", headers=headers)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type,authorization"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert closed.request(method="OPTIONS", headers=headers).status == 403
    del headers["Access-Control-Request-Headers"]
    assert opened.request(method="OPTIONS", headers=headers).headers["Access-Control-Allow-Headers"] is None


def test_allowed_hosts_are_answered_and_no_others(serve):
    served = serve(lambda text, data: {}, options={"browsers": {"allow_hosts": ["Dogs.example"]}})
    assert served.request(headers={"Host": "dogs.example:80"}).status == 200
    assert served.request(headers={"Host": "localhost"}).status == 403
    anywhere = serve(lambda text, data: {}, options={"browsers": {"allow_hosts": "*"}})
    assert anywhere.request(headers={"Host": "any.example"}).status == 200


def test_on_every_interface_any_name_is_answered(serve):
    served = serve(lambda text, data: {}, host="0.0.0.0")
    assert served.request(headers={"Host": "any.example"}).status == 200
    answer = served.request(headers={"Host": "no host"})
    assert (answer.status, "Host" in answer.json["detail"]) == (400, True)


@pytest.mark.parametrize(
    "options",
    [
        {"allow_origins": ["https://app.example/"]},
        {"allow_origins": ["app.example"]},
        {"allow_hosts": ["app.example:443"]},
        {"allow_hosts": ["https://app.example"]},
    ],
)
def test_what_could_never_match_is_refused_at_the_start(options):
    with pytest.raises(PluginError, match="such as"):
        Backend(lambda text, data: {}, options={"browsers": options})


def test_an_origin_is_allowed_in_any_case(serve):
    served = serve(lambda text, data: {}, options={"browsers": {"allow_origins": "https://App.Example"}})
    assert served.request(headers={"Origin": ORIGIN}).status == 200


@pytest.mark.parametrize(("name", "value"), [("Method", "PO(ST"), ("Headers", "x-a, b c"), ("Headers", "x;y")])
def test_a_preflight_for_what_is_no_name_is_refused_and_not_sent_back(opened, name, value):
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = opened.request(method="OPTIONS", headers={**headers, f"Access-Control-Request-{name}": value})
    assert (answer.status, answer.headers[f"Access-Control-Allow-{name}s"]) == (400, None)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example@{host}",
        "http://{host}/",
        "HTTP://{host}",
        "http://{host}?",
        "null, null",
        "http:{host}",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_of_no_page(serve, origin):
    for origins, status in ((["*"], 403), ([], 403)):
        served = serve(lambda text, data: {}, options={"browsers": {"allow_origins": origins}})
        sent = origin.format(host=f"127.0.0.1:{served.port}")
        answer = served.request(headers={"Origin": sent, "Host": f"127.0.0.1:{served.port}"})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, None)


def test_a_view_in_an_app_has_an_origin_without_a_host_which_only_a_star_allows(serve):
    opened = serve(lambda text, data: {}, options={"browsers": {"allow_origins": "*"}})
    assert opened.request(headers={"Origin": "file://"}).headers["Access-Control-Allow-Origin"] == "file://"
    closed = serve(lambda text, data: {})
    assert closed.raw(b"POST / HTTP/1.0\r\nOrigin: http://\r\nContent-Length: 0\r\n\r\n").status == 403
