"""The plugin as a whole: how it is configured, what it claims, and who else is there."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from issuing import AUDIENCE, ISSUER, basic, bearer
from izzati_auth import Auth
from werkzeug.test import Client

from izzati import Backend, Claims, Identity, OptionError, PluginError, Problem, hookimpl
from izzati.testing import read_answer

TOKEN = "Zm9ydHkgd2lua3M"


def who(text, data, *, request):
    return request.identity.name


@pytest.fixture
def every_way(issuer, passwords):
    jwt = {"jwt_jwks": issuer.url, "jwt_algorithms": ["RS256"], "jwt_audience": AUDIENCE, "jwt_issuer": ISSUER}
    return {"tokens": {"bob": TOKEN}, "htpasswd": str(passwords), **jwt}


def test_installed_and_unconfigured_it_refuses_to_start_and_says_how_to_configure_it(install):
    install(Auth, "auth")
    with pytest.raises(PluginError) as refused:
        Backend(who, only=["auth"])
    for line in ('options={"auth": {"tokens": ', "IZZATI_AUTH_TOKENS=", "izzati.toml      auth.tokens = ["):
        assert line in str(refused.value)


@pytest.mark.parametrize(
    "options", [{"tokens": []}, {"tokens": {}}, {"jwt_key": ""}, {"rate": "60/minute"}, {"realm": "x"}]
)
def test_options_that_let_nobody_in_are_none(options):
    with pytest.raises(ValueError, match="no way to get in is configured"):
        Auth(**options)


@pytest.mark.parametrize(
    ("ways", "challenges"),
    [
        (["tokens"], ('Bearer realm="dogs"',)),
        (["htpasswd"], ('Basic realm="dogs", charset="UTF-8"',)),
        (["jwt_jwks", "jwt_algorithms", "jwt_audience", "jwt_issuer"], ('Bearer realm="dogs"',)),
        (["tokens", "htpasswd"], ('Bearer realm="dogs"', 'Basic realm="dogs", charset="UTF-8"')),
    ],
)
def test_it_claims_a_challenge_for_each_way_that_is_configured(serve, every_way, ways, challenges):
    auth = Auth(realm="dogs", **{way: every_way[way] for way in ways})
    assert auth.izzati_claims().challenges == challenges
    answer = serve(who, plugins=[auth]).request()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, ", ".join(challenges))


def test_a_wrong_bearer_token_is_told_as_such_beside_the_other_ways(serve, every_way):
    served = serve(who, plugins=[Auth(**every_way)])
    told = served.request(headers=bearer("wrong")).headers["WWW-Authenticate"]
    assert told.startswith('Bearer realm="izzati", error="invalid_token", error_description="This token')
    assert told.endswith('", Basic realm="izzati", charset="UTF-8"')
    told = served.request(headers=basic("ann", "wrong")).headers["WWW-Authenticate"]
    assert told == 'Bearer realm="izzati", Basic realm="izzati", charset="UTF-8"'


def test_every_way_leads_to_the_name(serve, every_way, rsa_key):
    served = serve(who, plugins=[Auth(**every_way)])
    credentials = (bearer(TOKEN), basic("ann", "a cat"), bearer(rsa_key.token(sub="eve")))
    assert [served.request(headers=headers).json for headers in credentials] == ["bob", "ann", "eve"]


@pytest.mark.parametrize("realm", ['a "dog"', "a\\b", "größe", "a\r\nX: y", "a\0"])
def test_a_realm_that_cannot_be_sent_is_refused_at_the_start(realm):
    with pytest.raises(ValueError, match="auth: realm takes printable ASCII"):
        Auth(tokens=[TOKEN], realm=realm)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        f"Bearer\t{TOKEN}",
        f"Bearer{TOKEN}",
        f"Bearer:{TOKEN}",
        f"Bearer={TOKEN}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN},",
        f'Bearer "{TOKEN}"',
        f"Bearer {TOKEN}\xa0",
        "Bearer gr\xf6\xdfe",
        f"Bearer Bearer {TOKEN}",
        f"Token {TOKEN}",
        TOKEN,
        f"Basic {TOKEN}",
        f"Digest {TOKEN}",
        f"\xa0Bearer {TOKEN}",
        ",",
        "=",
        f"Bearer token={TOKEN}",
        "Basic " + "=" * 50,
        "Negotiate x",
    ],
)
def test_a_header_that_is_odd_is_refused(serve, every_way, value):
    answer = serve(who, plugins=[Auth(**every_way)]).request(headers={"Authorization": value.encode("latin-1")})
    assert answer.status == 401
    assert 'Basic realm="izzati"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "value", [f"bearer {TOKEN}", f"BEARER {TOKEN}", f"bEaReR   {TOKEN}", f"Bearer {TOKEN}  ", f" Bearer {TOKEN}"]
)
def test_the_case_of_a_scheme_and_the_spaces_around_do_not_matter(serve, value):
    assert serve(who, plugins=[Auth(tokens=[TOKEN])]).request(headers={"Authorization": value}).status == 200


@pytest.mark.parametrize(("first", "second"), [(TOKEN, "wrong"), ("wrong", TOKEN), (TOKEN, TOKEN)])
def test_two_headers_are_refused(serve, first, second):
    lines = f"Authorization: Bearer {first}\r\nAuthorization: Bearer {second}\r\n"
    served = serve(who, plugins=[Auth(tokens=[TOKEN])])
    answer = served.raw(f"POST / HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: 0\r\n\r\n".encode())
    assert 400 <= answer.status < 500


def test_a_header_of_100_kb_is_refused_by_the_server_and_without_it_by_the_plugin(serve):
    large = bearer("x" * 100_000)
    auth = Auth(tokens=[TOKEN])
    assert serve(who, plugins=[auth]).request(headers=large).status == 431
    assert Client(Backend(who, plugins=[auth], only=[])).post("/", headers=large).status_code == 401


def test_a_header_with_control_characters_is_refused(serve):
    served = serve(who, plugins=[Auth(tokens=[TOKEN])])
    for value in (f"Bearer {TOKEN}\0", f"Bearer\0{TOKEN}", f"Bearer {TOKEN}\x7f"):
        head = f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {value}\r\nContent-Length: 0\r\n\r\n"
        assert 400 <= served.raw(head.encode()).status < 500


@pytest.mark.parametrize("credential", ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic YTpi\r\n"])
def test_the_body_of_a_refused_request_is_not_asked_for(serve, every_way, credential):
    served = serve(who, plugins=[Auth(**every_way)])
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\n{credential}Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    with served.connect() as sock:
        sock.sendall(head.encode())
        seen = sock.recv(65536)
        while chunk := sock.recv(65536):
            seen += chunk
    assert seen.startswith(b"HTTP/1.1 401 ")
    assert b" 100 " not in seen.partition(b"\r\n\r\n")[0]


def test_the_body_of_an_accepted_request_is_asked_for(serve):
    served = serve(lambda text, data: text, plugins=[Auth(tokens=[TOKEN])])
    lines = f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    with served.connect() as sock:
        sock.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: 8\r\n\r\n".encode())
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += sock.recv(1)
        assert seen.startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"a": 1}')
        assert read_answer(sock).json == {"a": 1}


class Knocks:
    """Another plugin that identifies: by a header of its own, or by HTTP Digest."""

    @hookimpl
    def izzati_claims(self):
        return Claims(challenges=('Digest realm="knock"',))

    @hookimpl
    def izzati_identify(self, request):
        if not request.headers.get("Authorization", "").startswith("Digest "):
            return None
        if request.headers["Authorization"] != "Digest right":
            raise Problem(401, "Not right.", headers={"WWW-Authenticate": 'Digest realm="knock"'})
        return Identity("the neighbour")


@pytest.mark.parametrize("order", [["auth", "knocks"], ["knocks", "auth"]])
def test_two_plugins_that_identify_work_together_in_any_order(serve, install, order):
    install(Auth, "auth")
    install(Knocks, "knocks")
    served = serve(who, order=order, options={"auth": {"tokens": [TOKEN]}})
    sent = [bearer(TOKEN), {"Authorization": "Digest right"}, bearer("x"), {"Authorization": "Digest x"}, {}]
    assert [served.request(headers=headers).status for headers in sent] == [200, 200, 401, 401, 401]
    assert served.request(headers=sent[1]).json == "the neighbour"
    told = served.request().headers["WWW-Authenticate"]
    assert 'Digest realm="knock"' in told
    assert 'Bearer realm="izzati"' in told


def test_a_scheme_that_is_not_configured_is_left_to_others(serve):
    class Tickets:
        @hookimpl
        def izzati_identify(self, request):
            return Identity("by a ticket") if request.headers.get("Authorization") == "Basic a-ticket" else None

    served = serve(who, plugins=[Auth(tokens=[TOKEN]), Tickets()])
    assert served.request(headers={"Authorization": "Basic a-ticket"}).json == "by a ticket"


def test_where_it_is_broken_and_skipped_nobody_gets_in(serve, install):
    install(Auth, "auth")
    served = serve(who, strict=False)
    assert [served.request(headers=headers).status for headers in ({}, bearer(TOKEN))] == [503, 503]


def test_a_wrong_type_of_an_option_is_told_with_where_it_came_from(install, monkeypatch):
    install(Auth, "auth")
    monkeypatch.setenv("IZZATI_AUTH_JWT_LEEWAY", "soon")
    with pytest.raises(OptionError, match=r"jwt_leeway takes a number.*IZZATI_AUTH_JWT_LEEWAY"):
        Backend(who, only=["auth"])


SECRETS = ["Zm9ydHkgd2lua3M", "an hmac secret of more than 32 characters", "hidden-in-a-uri"]


def test_izzati_plugins_lists_its_options_and_prints_no_secret(tmp_path):
    """As it is installed, by its own distribution."""
    (tmp_path / "app.py").write_text("from izzati import Backend\nbackend = Backend(lambda text, data: None)\n")
    (tmp_path / "izzati.toml").write_text(
        f"""[auth]
tokens = {{ ann = "{SECRETS[0]}" }}
jwt_key = "{SECRETS[1]}"
jwt_algorithms = "HS256"
jwt_audience = "dogs"
jwt_issuer = "x"
realm = "seen"
counters = "nowhere://{SECRETS[2]}"
"""
    )
    for command in (["plugins"], ["plugins", "--json"], ["plugins", "app.py"]):
        done = subprocess.run(
            [sys.executable, "-m", "izzati", *command], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        told = done.stdout + done.stderr
        assert "izzati-auth" in told
        assert "counters takes 'memory://'" in told
        assert not [secret for secret in SECRETS if secret in told]
        if "--json" in command:
            plugin = next(each for each in json.loads(done.stdout) if each["name"] == "auth")
            options = {each["name"]: each for each in plugin["options"]}
            assert (options["realm"]["value"], options["tokens"]["value"]) == ("seen", None)
            assert [name for name, each in options.items() if each["secret"]] == ["tokens", "jwt_key", "counters"]


def test_neither_answers_nor_logs_contain_a_credential(serve, every_way, rsa_key, other_rsa_key, caplog):
    caplog.set_level(logging.DEBUG)
    served = serve(who, plugins=[Auth(**every_way)])
    sent = [bearer(TOKEN), bearer("a-wrong-token"), basic("ann", "a cat"), basic("ann", "a wrong cat")]
    sent += [bearer(rsa_key.token(exp=1)), bearer(other_rsa_key.token()), bearer("e30.e30.c2lnbmF0dXJl")]
    told = "".join(f"{answer.headers}{answer.body}" for answer in (served.request(headers=headers) for headers in sent))
    for headers in sent:
        assert headers["Authorization"].partition(" ")[2] not in told + caplog.text
    for secret in (TOKEN, "a cat", "a wrong cat", "$2y$"):
        assert secret not in told + caplog.text


def test_the_plugin_itself_does_not_show_its_secrets(every_way):
    auth = Auth(**every_way)
    assert TOKEN not in repr(auth) + str(vars(auth))
