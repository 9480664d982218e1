"""JSON Web Tokens, by keys that their issuer publishes: over real HTTP, with all that can go wrong there."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from issuing import AUDIENCE, ISSUER, SECONDS, Issuer, Key, bearer, signed
from izzati_auth import Auth
from izzati_auth.credentials import Wrong
from izzati_auth.jwks import KeySet

from izzati import Problem

CHECKED = {"jwt_algorithms": ["RS256", "ES256"], "jwt_audience": AUDIENCE, "jwt_issuer": ISSUER, "failures": ""}


def who(text, data, *, request):
    return request.identity.name


@pytest.fixture
def ask(serve, issuer):
    """Ask with a token; keyword arguments at the first call are options."""
    served = []

    def ask(token, **options):
        if not served:
            served.append(serve(who, plugins=[Auth(jwt_jwks=issuer.url, **CHECKED, **options)]))
        return served[0].request(headers=bearer(token))

    return ask


def test_keys_are_fetched_when_they_are_first_needed_and_not_again(ask, issuer, rsa_key):
    assert ask("no.token.at-all").status == 401
    assert ask(rsa_key.token(algorithm="RS384")).status == 401
    assert issuer.asked == 0
    assert [ask(rsa_key.token()).json for _ in range(5)] == ["ann"] * 5
    assert issuer.asked == 1


def test_a_new_key_is_fetched_and_an_old_one_is_forgotten(ask, issuer, rsa_key, other_rsa_key):
    assert ask(rsa_key.token(), jwt_interval=0).status == 200
    issuer.publish(other_rsa_key)
    assert ask(other_rsa_key.token()).status == 200
    assert ask(rsa_key.token()).status == 401
    issuer.publish(rsa_key, other_rsa_key)
    assert [ask(key.token()).status for key in (rsa_key, other_rsa_key)] == [200, 200]


def test_a_flood_of_unknown_keys_is_no_flood_of_fetches(ask, issuer, rsa_key, other_rsa_key):
    assert ask(rsa_key.token()).status == 200
    tokens = [other_rsa_key.token(headers={"kid": f"k{number}"}) for number in range(100)]
    with ThreadPoolExecutor(16) as pool:
        statuses = {answer.status for answer in pool.map(ask, tokens)}
    assert (statuses, issuer.asked) == ({401}, 1)
    assert ask(rsa_key.token()).status == 200


def test_while_keys_are_fetched_those_who_need_none_go_on_and_few_wait(ask, issuer, rsa_key, other_rsa_key):
    """A flood must not keep every thread of a server waiting for another host."""
    assert ask(rsa_key.token(), jwt_interval=0, jwt_timeout=SECONDS).status == 200
    issuer.was_asked.clear()
    issuer.may_answer.clear()
    issuer.publish(rsa_key, other_rsa_key)
    turned_away = threading.Semaphore(0)

    def call(number):
        answer = ask(other_rsa_key.token())
        if answer.status == 503:
            assert answer.headers["Retry-After"] == "1"
            turned_away.release()
        return answer.status

    with ThreadPoolExecutor(20) as pool:
        try:
            calls = [pool.submit(call, number) for number in range(20)]
            assert issuer.was_asked.wait(SECONDS)
            assert ask(rsa_key.token()).status == 200
            for _ in range(12):
                assert turned_away.acquire(timeout=SECONDS)
        finally:
            issuer.may_answer.set()
        statuses = sorted(each.result() for each in calls)
    assert statuses == [200] * 8 + [503] * 12
    assert issuer.asked == 2


def test_while_the_issuer_is_down_callers_are_asked_to_come_back(ask, issuer, rsa_key, caplog):
    issuer.stop()
    for _ in range(3):
        answer = ask(rsa_key.token())
        assert answer.status == 503
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
        assert issuer.url not in answer.body.decode()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert issuer.url in caplog.text


def test_an_issuer_that_comes_back_is_asked_again(ask, issuer, rsa_key):
    issuer.stop()
    assert ask(rsa_key.token(), jwt_interval=0).status == 503
    issuer.start()
    assert ask(rsa_key.token()).status == 200


def test_who_has_a_known_key_gets_in_while_the_issuer_is_down(ask, issuer, rsa_key, other_rsa_key):
    assert ask(rsa_key.token(), jwt_interval=0).status == 200
    issuer.stop()
    assert ask(other_rsa_key.token()).status == 503
    assert ask(rsa_key.token()).status == 200


def test_an_issuer_that_does_not_answer_in_time_is_as_if_it_were_down(ask, issuer, rsa_key):
    issuer.may_answer.clear()
    answer = ask(rsa_key.token(), jwt_timeout=0.2)
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)


def test_an_issuer_that_answers_byte_by_byte_is_given_up(caplog):
    """Each byte comes in time, and the whole never would."""
    given_up = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            try:
                while True:
                    connection.sendall(b" ")
                    given_up.wait(0.01)  # between two bytes: this is the slowness
            except OSError:
                given_up.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        keys = KeySet(f"http://127.0.0.1:{listener.getsockname()[1]}/", ["RS256"], seconds=0.2)
        with pytest.raises(Problem, match="503"):
            keys.find("first", "RS256")
        assert given_up.wait(SECONDS)
        thread.join(SECONDS)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (500, None, {}),
        (404, None, {}),
        (302, b"", {"Location": "/elsewhere"}),
        (200, b"", {}),
        (200, b"<html>", {}),
        (200, b"\xff\xfe", {}),
        (200, b"[]", {}),
        (200, b"null", {}),
        (200, b"{}", {}),
        (200, b'{"keys": {}}', {}),
        (200, b'{"keys": []}', {}),
        (200, b'{"keys": [5, null, [], {}, {"kty": "RSA"}, {"kty": "new"}, {"kty": 5}]}', {}),
        (200, b"[" * 100_000, {}),
        (200, b"{}", {"Content-Length": "1000"}),
    ],
)
def test_an_answer_that_is_no_set_of_keys_is_as_if_the_issuer_were_down(ask, issuer, rsa_key, status, body, headers):
    if body is not None:
        issuer.body = body
    issuer.status, issuer.headers = status, headers
    answer = ask(rsa_key.token())
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)


def test_an_answer_that_is_too_large_is_as_if_the_issuer_were_down(ask, issuer, rsa_key):
    issuer.body += b" " * (1 << 20)
    assert ask(rsa_key.token()).status == 503


def test_a_redirect_is_not_followed(ask, issuer, rsa_key):
    with Issuer(rsa_key) as other:
        issuer.status, issuer.headers = 302, {"Location": other.url}
        assert ask(rsa_key.token()).status == 503
        assert (issuer.asked, other.asked) == (1, 0)


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")  # of PyJWT, when it signs with it
def test_keys_that_cannot_be_used_are_left_out_and_the_others_are_used(ask, issuer, rsa_key, ec_key):
    short = Key.rsa("short", 1024)
    unfit = [5, {"kty": "new", "kid": "x"}, {**short.published}, {**rsa_key.published, "kid": 5}]
    issuer.body = json.dumps({"keys": [*unfit, rsa_key.published, ec_key.published], "more": 1}).encode()
    assert ask(rsa_key.token()).status == 200
    assert ask(ec_key.token()).status == 200
    assert ask(short.token()).status == 401


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS384"}, {"alg": "RSA-OAEP"}, {"kty": "EC"}])
def test_a_key_for_something_else_checks_no_token(ask, issuer, rsa_key, ec_key, change):
    issuer.body = json.dumps({"keys": [{**rsa_key.published, **change}, ec_key.published]}).encode()
    assert ask(rsa_key.token()).status == 401
    assert ask(ec_key.token()).status == 200


def test_a_published_secret_checks_no_token(ask, issuer, ec_key):
    """Everyone can read it, and so could sign."""
    secret = "a secret of thirty-two characters"
    entry = {"kty": "oct", "k": "YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBjaGFyYWN0ZXJz", "kid": "open", "alg": "HS256"}
    issuer.body = json.dumps({"keys": [entry, ec_key.published]}).encode()
    assert ask(ec_key.token()).status == 200
    assert ask(signed(secret, "HS256", {"kid": "open"})).status == 401


def test_hmac_is_refused_at_the_start_where_keys_are_published(issuer):
    for algorithms in (["HS256"], ["RS256", "HS256"], ["none"], ["RS256", "none"]):
        with pytest.raises(ValueError, match=f"with public keys there are .* but not {algorithms[-1]}"):
            Auth(jwt_jwks=issuer.url, **{**CHECKED, "jwt_algorithms": algorithms})


def test_a_key_without_an_algorithm_serves_those_that_are_expected(ask, issuer, rsa_key):
    issuer.body = json.dumps(
        {"keys": [{k: v for k, v in rsa_key.published.items() if k not in ("alg", "use")}]}
    ).encode()
    assert ask(rsa_key.token(algorithm="RS256")).status == 200
    assert ask(rsa_key.token(algorithm="PS256")).status == 401


def test_a_key_of_another_curve_is_none_for_the_algorithm(ask, issuer, ec_key):
    large = Key.ec("large", ec.SECP384R1())
    issuer.body = json.dumps({"keys": [{**large.published, "alg": "ES256"}, ec_key.published]}).encode()
    assert ask(ec_key.token()).status == 200
    assert ask(large.token(algorithm="ES384")).status == 401


def test_a_token_that_names_no_key_is_checked_where_there_is_only_one(ask, issuer, rsa_key, other_rsa_key):
    nameless = rsa_key.token(headers={"kid": None})
    assert ask(nameless, jwt_interval=0).status == 200
    issuer.publish(rsa_key, other_rsa_key)
    assert ask(other_rsa_key.token()).status == 200
    assert ask(nameless).status == 401


@pytest.mark.parametrize("kid", ["", "First", "first ", "../first", "first\0", "' or 1=1 --", "x" * 10_000, "ü"])
def test_a_key_is_found_by_its_whole_id_alone(ask, rsa_key, kid):
    assert ask(rsa_key.token()).status == 200
    assert ask(rsa_key.token(headers={"kid": kid})).status == 401


def test_another_key_under_a_known_id_is_refused(ask, issuer, rsa_key, other_rsa_key):
    assert ask(other_rsa_key.token(headers={"kid": "first"})).status == 401
    twice = {**other_rsa_key.published, "kid": "first"}
    issuer.body = json.dumps({"keys": [rsa_key.published, twice]}).encode()
    assert ask(rsa_key.token()).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/jwks",
        "file:///etc/passwd",
        "ftp://issuer.example/jwks",
        "data:application/json,{}",
        "issuer.example/jwks",
        "https://",
        "https://ann:secret@issuer.example/jwks",
        "https://issuer.example:port/",
        "https://[::1/",
        "http://127.0.0.1.example/",
        " ",
    ],
)
def test_an_address_that_could_be_forged_or_has_a_password_in_it_is_refused_at_the_start(url):
    with pytest.raises(ValueError, match="auth: jwt_jwks takes an address that begins with https://") as refused:
        Auth(jwt_jwks=url, **CHECKED)
    assert "secret" not in str(refused.value)


def test_aged_keys_are_used_while_new_ones_are_fetched(issuer, rsa_key, other_rsa_key):
    seconds = [0.0]
    keys = KeySet(issuer.url, ["RS256"], fresh=300, clock=lambda: seconds[0])
    assert keys.find("first", "RS256")
    seconds[0] = 299
    assert keys.find("first", "RS256")
    assert issuer.asked == 1
    issuer.was_asked.clear()
    issuer.may_answer.clear()
    issuer.publish(other_rsa_key)
    seconds[0] = 300
    assert keys.find("first", "RS256")
    assert issuer.was_asked.wait(SECONDS)
    assert keys.find("first", "RS256")
    issuer.may_answer.set()
    assert keys.find("second", "RS256")
    assert issuer.asked == 2


def test_keys_that_could_not_be_fetched_anew_for_long_are_not_used_any_more(issuer):
    seconds = [0.0]
    keys = KeySet(issuer.url, ["RS256"], usable=3600, clock=lambda: seconds[0])
    assert keys.find("first", "RS256")
    issuer.stop()
    seconds[0] = 3599
    assert keys.find("first", "RS256")
    seconds[0] = 3600
    with pytest.raises(Problem, match="503"):
        keys.find("first", "RS256")


def test_an_unknown_key_is_fetched_once_the_interval_is_over_and_not_before(issuer, rsa_key, other_rsa_key):
    seconds = [0.0]
    keys = KeySet(issuer.url, ["RS256"], interval=30, clock=lambda: seconds[0])
    assert keys.find("first", "RS256")
    issuer.publish(rsa_key, other_rsa_key)
    seconds[0] = 29
    with pytest.raises(Wrong):
        keys.find("second", "RS256")
    seconds[0] = 30
    assert keys.find("second", "RS256")
    assert issuer.asked == 2
