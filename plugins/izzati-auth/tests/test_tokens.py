"""Bearer tokens that the owner hands out."""

from __future__ import annotations

import hashlib
import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from issuing import bearer
from izzati_auth import Auth
from werkzeug.test import Client

from izzati import Backend, PluginError

TOKEN = "Zm9ydHkgd2lua3M"
DIGEST = f"sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}"


def who(text, data, *, request):
    return request.identity.name


def ask(served, token):
    return served.request(headers=bearer(token))


@pytest.mark.parametrize("tokens", [TOKEN, [TOKEN], (TOKEN,), [DIGEST], [DIGEST.replace("sha256:", "SHA256:").lower()]])
def test_a_token_gets_in_under_its_place_in_the_list(serve, tokens):
    assert ask(serve(who, plugins=[Auth(tokens=tokens)]), TOKEN).json == "token 1"


@pytest.mark.parametrize("token", [TOKEN, DIGEST, "sha256:" + DIGEST.removeprefix("sha256:").upper()])
def test_a_token_gets_in_under_the_name_that_it_has(serve, token):
    assert ask(serve(who, plugins=[Auth(tokens={"bob": "another", "ann": token})]), TOKEN).json == "ann"


def test_a_hash_is_no_token(serve):
    served = serve(who, plugins=[Auth(tokens=[DIGEST])])
    assert [ask(served, sent).status for sent in (DIGEST, DIGEST.removeprefix("sha256:"))] == [401, 401]


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"{TOKEN},another",
        f" another , {TOKEN} ",
        json.dumps([TOKEN]),
        json.dumps({"ann": TOKEN}),
        DIGEST,
        "12345",
    ],
)
def test_tokens_come_from_the_environment(serve, install, monkeypatch, text):
    install(Auth, "auth")
    monkeypatch.setenv("IZZATI_AUTH_TOKENS", text)
    answer = ask(serve(who), "12345" if text == "12345" else TOKEN)
    assert answer.json == ("ann" if "ann" in text else "token 2" if text.startswith(" another") else "token 1")


@pytest.mark.parametrize(
    ("toml", "name"), [(f'[auth]\ntokens = ["{TOKEN}"]', "token 1"), (f'[auth.tokens]\nann = "{TOKEN}"', "ann")]
)
def test_tokens_come_from_the_file(serve, install, monkeypatch, tmp_path, toml, name):
    install(Auth, "auth")
    (tmp_path / "izzati.toml").write_text(toml)
    monkeypatch.chdir(tmp_path)
    assert ask(serve(who), TOKEN).json == name


@pytest.mark.parametrize(
    ("tokens", "why"),
    [
        (["a secret"], "can be sent"),
        ([""], "can be sent"),
        (["größe"], "can be sent"),
        (["=="], "can be sent"),
        (["a\n"], "can be sent"),
        (["sha256:abc"], "64 hexadecimal digits"),
        ([DIGEST + "0"], "64 hexadecimal digits"),
        ([None], "can be sent"),
        ([b"bytes"], "can be sent"),
        ({"ann": ["one", "two"]}, "that of 'ann'"),
        ([TOKEN, "other", TOKEN], "'token 1' and 'token 3' are the same"),
        ({"ann": TOKEN, "bob": DIGEST}, "'ann' and 'bob' are the same"),
        ({"": TOKEN}, "printable text"),
        ({"a\nb": TOKEN}, "printable text"),
        ({1: TOKEN}, "printable text"),
    ],
)
def test_what_can_be_no_token_is_refused_at_the_start_and_not_repeated(tokens, why):
    with pytest.raises(ValueError, match=why) as refused:
        Auth(tokens=tokens)
    assert "auth: tokens: " in str(refused.value)
    for token in tokens.values() if isinstance(tokens, dict) else tokens:
        assert not token or str(token) not in str(refused.value).replace("'a secret'", "")


@pytest.mark.parametrize(
    "text", [f'{{"ann": "{TOKEN}"', f'{{"ann": 5, "bob": "{TOKEN}"}}', f'["{TOKEN}", 5]', f"{TOKEN} x"]
)
def test_what_is_malformed_in_the_environment_is_refused_and_not_repeated(install, monkeypatch, text):
    install(Auth, "auth")
    monkeypatch.setenv("IZZATI_AUTH_TOKENS", text)
    with pytest.raises(PluginError) as refused:
        Backend(who, only=["auth"])
    assert "tokens" in str(refused.value)
    assert TOKEN not in str(refused.value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(string.ascii_letters + string.digits + "-._~+/", min_size=1), st.integers(0, 2), st.booleans())
def test_whatever_token_is_taken_gets_in_and_with_one_character_more_it_does_not(token, padding, hashed):
    token += "=" * padding
    given = f"sha256:{hashlib.sha256(token.encode()).hexdigest()}" if hashed else token
    client = Client(Backend(who, plugins=[Auth(tokens=[given])], only=[]))
    assert client.post("/", headers=bearer(token)).status_code == 200
    assert client.post("/", headers=bearer(f"x{token}")).status_code == 401
