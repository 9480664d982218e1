"""So many requests in so long, for a caller, and for an address that guesses."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest
from issuing import AUDIENCE, ISSUER, SECONDS, Key, basic, bearer, entry
from izzati_auth import Auth
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.wrappers import Response

from izzati import Backend, Identity, Problem, Route, hookimpl

TOKENS = {"ann": "ann-s-token", "bob": "bob-s-token"}
ANN, BOB, WRONG = bearer("ann-s-token"), bearer("bob-s-token"), bearer("eve-s-token")


def who(text, data, *, request):
    return request.identity.name


class Asking:
    """A Backend behind a client that comes from any address."""

    def __init__(self, *plugins, middleware=lambda app: app, **options):
        backend = Backend(who, plugins=[Auth(tokens=TOKENS, **options), *plugins], only=[])
        self._client = Client(middleware(backend))

    def __call__(self, headers, address="192.0.2.1", **kwargs):
        return self._client.post("/", headers=headers, environ_base={"REMOTE_ADDR": address}, **kwargs)

    def statuses(self, headers, times, *address):
        return [self(headers, *address).status_code for _ in range(times)]


def test_a_caller_that_asks_too_often_is_told_when_to_come_back():
    ask = Asking(rate="3/minute")
    assert ask.statuses(ANN, 3) == [200] * 3
    refused = ask(ANN)
    assert (refused.status_code, refused.json["limit"]) == (429, "3 per 1 minute")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "3 per 1 minute is the limit" in refused.json["detail"]


def test_each_caller_has_its_own_number_of_requests_wherever_it_calls_from():
    ask = Asking(rate="3/minute")
    assert ask.statuses(ANN, 2, "192.0.2.1") + ask.statuses(ANN, 2, "192.0.2.2") == [200, 200, 200, 429]
    assert ask.statuses(BOB, 3) == [200] * 3


def test_who_sends_no_credential_is_counted_by_address():
    ask = Asking(rate="2/minute")
    assert ask.statuses({}, 3) == [401, 401, 429]
    assert ask.statuses({}, 1, "192.0.2.2") == [401]
    assert ask.statuses(ANN, 1) == [200]


def test_several_rates_hold_at_once():
    ask = Asking(rate="100/minute;3/day")
    assert ask.statuses(ANN, 3) == [200] * 3
    refused = ask(ANN)
    assert (refused.status_code, refused.json["limit"]) == (429, "3 per 1 day")
    assert int(refused.headers["Retry-After"]) > 60


def test_as_many_get_in_as_may_when_all_come_at_once():
    ask = Asking(rate="30/hour")
    begin = threading.Barrier(8)

    def call(number):
        begin.wait(SECONDS)
        return ask.statuses(ANN, 10)

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for statuses in pool.map(call, range(8)) for status in statuses]
    assert statuses.count(200) == 30
    assert statuses.count(429) == 50


def test_who_guesses_has_to_wait_even_with_a_right_credential():
    """Otherwise the answer would tell which guess was right."""
    ask = Asking()
    assert ask.statuses(WRONG, 12) == [401] * 10 + [429] * 2
    refused = ask(ANN)
    assert (refused.status_code, refused.json["limit"]) == (429, "10 per 1 minute")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert ask.statuses(ANN, 1, "192.0.2.2") == [200]


def test_neither_a_right_credential_nor_none_is_a_guess():
    ask = Asking(failures="2/minute")
    assert ask.statuses({}, 5) + ask.statuses(ANN, 5) + ask.statuses(WRONG, 3) == [401] * 5 + [200] * 5 + [
        401,
        401,
        429,
    ]


@pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "cats"}, {"sub": None}, {"sub": ""}])
def test_a_token_that_its_issuer_has_signed_is_no_guess_even_if_it_is_refused(ec_key, claims):
    """A page whose token has just expired may have many requests on their way."""
    checked = {"jwt_algorithms": ["ES256"], "jwt_audience": AUDIENCE, "jwt_issuer": ISSUER}
    ask = Asking(jwt_key=ec_key.pem, **checked, failures="2/hour")
    assert ask.statuses(bearer(ec_key.token(**claims)), 5) == [401] * 5
    forged = Key.ec("curve").token(**claims)
    assert ask.statuses(bearer(forged), 3) == [401, 401, 429]


def test_guesses_may_be_unlimited():
    assert set(Asking(failures="").statuses(WRONG, 30)) == {401}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
        ("a socket's name", "a socket's name", True),
    ],
)
def test_addresses_of_one_line_to_the_internet_are_counted_together(first, second, same):
    """A home has 2**64 addresses of IPv6, so one guess from each would be no slower; and IPv4 may come as IPv6."""
    ask = Asking(failures="1/minute")
    assert ask.statuses(WRONG, 1, first) == [401]
    assert ask.statuses(WRONG, 1, second) == [429 if same else 401]


def test_behind_a_proxy_the_address_is_the_callers():
    ask = Asking(failures="1/minute", middleware=lambda app: ProxyFix(app, x_for=1))
    forwarded = [{**WRONG, "X-Forwarded-For": f"198.51.100.{number}"} for number in (1, 1, 2)]
    assert [ask(headers, "127.0.0.1").status_code for headers in forwarded] == [401, 429, 401]


def test_without_a_proxy_nobody_chooses_the_own_address():
    ask = Asking(failures="1/minute")
    forged = [{**WRONG, "X-Forwarded-For": f"198.51.100.{number}"} for number in (1, 2)]
    assert [ask(headers).status_code for headers in forged] == [401, 429]


def test_guesses_at_other_plugins_are_counted_too():
    class Knocks:
        @hookimpl
        def izzati_identify(self, request):
            if "X-Knock" not in request.headers:
                return None
            if request.headers["X-Knock"] != "twice":
                raise Problem(401, "Knock otherwise.", headers={"WWW-Authenticate": "Knock"})
            return Identity("the neighbour")

    ask = Asking(Knocks(), failures="2/minute", rate="3/minute")
    assert ask({"X-Knock": "twice"}).json == "the neighbour"
    assert ask.statuses({"X-Knock": "once"}, 3) == [401, 401, 429]
    assert ask.statuses({"X-Knock": "twice"}, 3, "192.0.2.2") == [200, 200, 429]


def test_guesses_that_are_sent_at_once_are_no_way_around_the_limit(serve, tmp_path):
    """Those that wait for their turn to be checked are refused without, as soon as others have used up the limit.

    Those that find no place to wait are a 503.
    """
    path = tmp_path / "htpasswd"
    path.write_text(entry("ann", "right", cost=8))
    served = serve(who, plugins=[Auth(htpasswd=path, failures="5/hour")])
    computed = []
    threading.setprofile(lambda frame, event, what: computed.append(what) if what is bcrypt.checkpw else None)
    try:
        with ThreadPoolExecutor(40) as pool:
            calls = [pool.submit(served.request, headers=basic("ann", f"guess {number}")) for number in range(40)]
        statuses = [call.result().status for call in calls]
    finally:
        threading.setprofile(None)
    assert statuses.count(401) == 5
    assert {*statuses} <= {401, 429, 503}
    assert served.request(headers=basic("ann", "right")).status == 429
    # Each is seen twice, as a call and as a return, but in threads that were there before not at all.
    assert 1 <= len(computed) // 2 <= 5 + (os.cpu_count() or 1)


def test_public_routes_and_preflights_are_not_counted(serve):
    class Open:
        @hookimpl
        def izzati_routes(self):
            return [Route("/open", lambda request: Response("ok"), public=True)]

    origins = {"browsers": {"allow_origins": ["https://app.example"]}}
    served = serve(who, plugins=[Auth(tokens=TOKENS, rate="1/hour", failures="1/hour"), Open()], options=origins)
    assert [served.request(headers=WRONG).status for _ in range(2)] == [401, 429]
    assert [served.request(method="GET", path="/open").status for _ in range(3)] == [200] * 3
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    assert [served.request(method="OPTIONS", headers=preflight).status for _ in range(3)] == [204] * 3
    refused = served.request(headers={**ANN, "Origin": "https://app.example"})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (429, "https://app.example")


def test_two_backends_count_each_for_itself():
    first, second = Asking(rate="1/hour"), Asking(rate="1/hour")
    assert first.statuses(ANN, 2) + second.statuses(ANN, 2) == [200, 429, 200, 429]


@pytest.mark.parametrize(
    "rate", ["often", "60", "/minute", "60/fortnight", "0/minute", "-1/minute", "5/minute;0/day", "1.5/s"]
)
@pytest.mark.parametrize("option", ["rate", "failures"])
def test_what_is_no_rate_is_refused_at_the_start(option, rate):
    with pytest.raises(ValueError, match=f"auth: {option} takes a rate such as '60/minute'.*, not '{rate}'"):
        Auth(tokens=TOKENS, **{option: rate})


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "memory",
        "nowhere://ann:hidden@host",
        "async+memory://",
        "redis://ann:hidden@host:port/x",
        "memcached://hidden",
    ],
)
def test_where_nothing_can_be_counted_it_does_not_start_and_repeats_no_password(uri):
    with pytest.raises(ValueError, match="auth: counters takes 'memory://', or a URI") as refused:
        Auth(tokens=TOKENS, counters=uri)
    assert "hidden" not in str(refused.value)


def test_while_nothing_can_be_counted_nobody_gets_in(caplog):
    with socket.create_server(("127.0.0.1", 0)) as nobody_listens:
        port = nobody_listens.getsockname()[1]
    ask = Asking(counters=f"redis://ann:hidden@127.0.0.1:{port}/0", rate="1/minute")
    for headers in (ANN, WRONG, {}):
        answer = ask(headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert str(port) not in answer.text
    assert "requests cannot be counted" in caplog.text
    assert "hidden" not in caplog.text


@pytest.fixture
def redis(tmp_path):
    """The URI of a Redis of its own, behind a socket that only this test can reach."""
    path = tmp_path / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            assert any("ready to accept connections" in line for line in process.stdout)
            yield f"redis+unix://{path}"
        finally:
            process.kill()


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_several_processes_count_together_in_redis(redis):
    limits = {"counters": redis, "rate": "3/minute", "failures": "2/minute"}
    first, second = Asking(**limits), Asking(**limits)
    assert first.statuses(ANN, 2) + second.statuses(ANN, 2) == [200, 200, 200, 429]
    assert 1 <= int(second(ANN).headers["Retry-After"]) <= 60
    assert first.statuses(WRONG, 1) + second.statuses(WRONG, 2) == [401, 401, 429]


def test_making_it_leaves_no_thread_behind():
    """Python 3.12 warns where a process with threads is forked, as for Backend(background=True)."""
    before = threading.active_count()
    Auth(tokens=TOKENS)
    assert threading.active_count() == before
