"""JSON Web Tokens, by a key that is always the same."""

from __future__ import annotations

import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from issuing import AUDIENCE, ISSUER, Key, bearer, part, signed
from izzati_auth import Auth
from werkzeug.test import Client

from izzati import Backend

SECRET = "a secret of thirty-two characters"
CHECKED = {"jwt_audience": AUDIENCE, "jwt_issuer": ISSUER}
NOW = int(time.time())


def who(text, data, *, request):
    return {"name": request.identity.name, **request.identity.attributes}


def with_secret(**options):
    return Auth(**{"jwt_key": SECRET, "jwt_algorithms": "HS256", **CHECKED, "failures": "", **options})


def with_public_key(key, **options):
    return Auth(**{"jwt_key": key.pem, "jwt_algorithms": key.algorithm, **CHECKED, "failures": "", **options})


@pytest.fixture
def ask(serve, rsa_key):
    served = serve(who, plugins=[with_public_key(rsa_key)])
    return lambda token: served.request(headers=bearer(token))


def test_the_callback_learns_the_subject_and_all_claims(ask, rsa_key):
    answer = ask(rsa_key.token(roles=["vet"], aud=["cats", AUDIENCE]))
    assert answer.status == 200
    assert answer.json == {
        "name": "ann",
        "sub": "ann",
        "iss": ISSUER,
        "aud": ["cats", AUDIENCE],
        "exp": answer.json["exp"],
        "roles": ["vet"],
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": NOW - 1}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": None}, "lacks a claim"),
        ({"nbf": NOW + 86_400}, "not valid yet"),
        ({"iat": NOW + 86_400}, "not valid yet"),
        ({"aud": "cats"}, "another audience"),
        ({"aud": [AUDIENCE + "s", ""]}, "another audience"),
        ({"aud": []}, "lacks a claim"),
        ({"aud": None}, "lacks a claim"),
        ({"aud": {AUDIENCE: 1}}, "another audience"),
        ({"iss": None}, "lacks a claim"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": ""}, "printable text"),
        ({"sub": " "}, "printable text"),
        ({"sub": "a\nb"}, "printable text"),
        ({"sub": "\ud800"}, "printable text"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused_with_which_it_is(ask, rsa_key, changes, why):
    answer = ask(rsa_key.token(**changes))
    assert (answer.status, why in answer.json["detail"]) == (401, True), answer.body
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="izzati", error="invalid_token", error_description="{answer.json["detail"]}"'
    )


def with_claims(key, **changes):
    """A token with whatever claims, even such as PyJWT would not sign."""
    claims = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 86_400, **changes}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key.private, "RS256")


@pytest.mark.parametrize("value", ["soon", "", [], {}, [[]], 1e400, "1" * 5000])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_time_that_is_none_is_refused(ask, rsa_key, claim, value):
    assert ask(with_claims(rsa_key)).status == 200
    assert ask(with_claims(rsa_key, **{claim: value})).status == 401


@pytest.mark.parametrize("value", [None, True, False, -1, -1e300, 1e9])
def test_an_expiry_long_ago_is_refused_however_it_is_written(ask, rsa_key, value):
    assert ask(with_claims(rsa_key, exp=value)).status == 401


@pytest.mark.parametrize("claim", ["iss", "aud", "sub"])
@pytest.mark.parametrize("value", [5, True, None, [], {}, [5], [[AUDIENCE]]])
def test_a_claim_that_is_no_text_is_refused(ask, rsa_key, claim, value):
    assert ask(with_claims(rsa_key, **{claim: value})).status == 401


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"null", b"\xff", b'{"a":', b"[" * 10000, b'{"exp":' + b"1" * 5000 + b"}"]
)
def test_claims_that_are_no_object_are_refused(ask, rsa_key, payload):
    assert ask(jwt.PyJWS().encode(payload, rsa_key.private, "RS256")).status == 401


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", None, [], ["RS256"], {"RS256": 1}, 5, True, "HS256"]
)
@pytest.mark.parametrize("signature", [b"", b"x"])
def test_a_token_may_not_choose_how_it_is_checked(ask, rsa_key, algorithm, signature):
    _, claims, right = rsa_key.token().split(".")
    header = part({"alg": algorithm, "typ": "JWT"})
    assert ask(f"{header}.{claims}.{part(signature)}").status == 401
    assert ask(f"{header}.{claims}.{right}").status == 401
    assert ask(f"{header}.{claims}.").status == 401


@pytest.mark.parametrize("ending", ["", "\n"])
@pytest.mark.parametrize("algorithms", [["RS256"], ["RS256", "RS384"]])
def test_a_public_key_is_no_secret(serve, rsa_key, algorithms, ending):
    """HS256 with the published key as its secret: everyone could sign (RFC 8725 §2.1)."""
    served = serve(who, plugins=[with_public_key(rsa_key, jwt_algorithms=algorithms)])
    _, claims, _ = rsa_key.token().split(".")
    for alg, digest in (("HS256", "sha256"), ("HS384", "sha384")):
        signing = f"{part({'alg': alg})}.{claims}"
        forged = hmac.digest((rsa_key.pem.strip() + ending).encode(), signing.encode(), digest)
        assert served.request(headers=bearer(f"{signing}.{part(forged)}")).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"kid": 5},
        {"kid": []},
        {"kid": None},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
    ],
)
def test_a_header_that_is_malformed_or_not_understood_is_refused(ask, rsa_key, headers):
    def forged(headers):
        signing = f"{part({'alg': 'RS256', **headers})}.{rsa_key.token().split('.')[1]}"
        return f"{signing}.{part(rsa_key.private.sign(signing.encode(), PKCS1v15(), SHA256()))}"

    assert ask(forged({})).status == 200
    assert ask(forged(headers)).status == 401


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_key_that_the_token_brings_itself_is_not_used(ask, rsa_key, other_rsa_key, name, issuer):
    issuer.publish(other_rsa_key)
    value = other_rsa_key.published if name == "jwk" else [issuer.url] if name == "x5c" else issuer.url
    assert ask(other_rsa_key.token(headers={name: value})).status == 401
    assert issuer.asked == 0


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30", "....", "W10.W10.W10", "x" * 5000, ".".join("a" * 1000)],
)
def test_what_is_no_token_at_all_is_refused(ask, token):
    answer = ask(token)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_huge_token_is_refused_before_it_is_looked_at(rsa_key):
    client = Client(Backend(who, plugins=[with_public_key(rsa_key)], only=[]))
    answer = client.post("/", headers=bearer(rsa_key.token(much="x" * 20000)))
    assert (answer.status_code, "longer than any" in answer.json["detail"]) == (401, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_whatever_is_in_a_token_signed_or_not_it_neither_gets_in_nor_breaks_the_server():
    client = Client(Backend(who, plugins=[with_secret()], only=[]))

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.dictionaries(st.sampled_from(["kid", "typ", "crit", "b64", "jwk", "zip"]), JSON, max_size=3),
        st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "iss", "aud", "sub", "jti"]), JSON, max_size=4) | JSON,
        st.none() | st.binary(max_size=40),
    )
    def check(header, claims, signature):
        signing = f"{part({'alg': 'HS256', **header})}.{part(claims)}"
        right = hmac.digest(SECRET.encode(), signing.encode(), "sha256")
        answer = client.post("/", headers=bearer(f"{signing}.{part(right if signature is None else signature)}"))
        assert answer.status_code == 401

    check()


def test_clocks_may_differ_by_the_leeway(serve, rsa_key):
    served = serve(who, plugins=[with_public_key(rsa_key, jwt_leeway=120)])
    early, late = rsa_key.token(nbf=int(time.time()) + 60), rsa_key.token(exp=int(time.time()) - 60)
    assert [served.request(headers=bearer(token)).status for token in (early, late)] == [200, 200]
    assert served.request(headers=bearer(rsa_key.token(exp=NOW - 600))).status == 401


def test_one_of_several_issuers_and_audiences_is_enough(serve, rsa_key):
    several = {"jwt_issuer": ["https://a.example", ISSUER], "jwt_audience": ["cats", AUDIENCE]}
    served = serve(who, plugins=[with_public_key(rsa_key, **several)])
    assert served.request(headers=bearer(rsa_key.token())).status == 200
    assert served.request(headers=bearer(rsa_key.token(iss="https://a.example", aud="cats"))).status == 200
    assert served.request(headers=bearer(rsa_key.token(iss="https://a.example, https://issuer.example"))).status == 401


def test_the_name_may_be_another_claim(serve, rsa_key):
    served = serve(who, plugins=[with_public_key(rsa_key, jwt_name="email")])
    assert served.request(headers=bearer(rsa_key.token(email="ann@dogs.example"))).json["name"] == "ann@dogs.example"
    assert served.request(headers=bearer(rsa_key.token())).status == 401
    assert served.request(headers=bearer(rsa_key.token(email=["ann"]))).status == 401


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_checks_what_was_signed_with_it(serve, algorithm):
    secret = SECRET * 2
    served = serve(who, plugins=[with_secret(jwt_key=secret, jwt_algorithms=[algorithm])])
    assert served.request(headers=bearer(signed(secret, algorithm))).json["name"] == "ann"
    other = "HS256" if algorithm != "HS256" else "HS512"
    assert served.request(headers=bearer(signed(secret, other))).status == 401


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256"])
def test_an_rsa_key_checks_by_the_algorithms_that_are_named(serve, rsa_key, algorithm):
    served = serve(who, plugins=[with_public_key(rsa_key, jwt_algorithms=[algorithm])])
    assert served.request(headers=bearer(rsa_key.token(algorithm=algorithm))).json["name"] == "ann"
    assert served.request(headers=bearer(rsa_key.token(algorithm="RS384"))).status == 401


def test_the_key_comes_from_the_environment_with_its_lines(serve, install, monkeypatch, ec_key):
    install(Auth, "auth")
    given = {
        "KEY": ec_key.pem,
        "ALGORITHMS": "ES256",
        "AUDIENCE": f"cats,{AUDIENCE}",
        "ISSUER": ISSUER,
        "LEEWAY": "1.5",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"IZZATI_AUTH_JWT_{name}", value)
    assert serve(who).request(headers=bearer(ec_key.token())).json["name"] == "ann"


def test_tokens_of_the_owner_and_of_an_issuer_live_side_by_side(serve, rsa_key):
    """The owner's are looked at first, so one that looks like a JWT is no worse."""
    served = serve(who, plugins=[with_public_key(rsa_key, tokens={"bob": "plain", "eve": "a.b.c"})])
    names = [served.request(headers=bearer(token)).json["name"] for token in ("plain", "a.b.c", rsa_key.token())]
    assert names == ["bob", "eve", "ann"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"jwt_algorithms": []}, "check of its algorithms: give jwt_algorithms"),
        ({"jwt_audience": []}, "check of its audience: give jwt_audience"),
        ({"jwt_audience": [""]}, "give jwt_audience"),
        ({"jwt_issuer": ""}, "check of its issuer: give jwt_issuer"),
        ({"jwt_issuer": [None]}, "give jwt_issuer"),
        ({"jwt_name": ""}, "give jwt_name"),
        ({"jwt_key": ""}, "either jwt_jwks, .* or jwt_key"),
        ({"jwt_jwks": "https://issuer.example/jwks"}, "either jwt_jwks, .* or jwt_key"),
        ({"jwt_algorithms": ["none"]}, "not none"),
        ({"jwt_algorithms": ["HS256", "none"]}, "not none"),
        ({"jwt_algorithms": ["HS256", "RS256"]}, "with a secret there are HS256, HS384, HS512, but not RS256"),
        ({"jwt_algorithms": ["RS256"]}, "not RS256"),
        ({"jwt_algorithms": ["hs256"]}, "not hs256"),
        ({"jwt_key": "too short"}, "too short for HS256"),
        ({"jwt_key": SECRET, "jwt_algorithms": ["HS256", "HS512"]}, "too short for HS512"),
        ({"jwt_key": '{"kty": "oct", "k": "' + "x" * 40 + '"}'}, "no key for HS256"),
        ({"jwt_leeway": -1}, "0 to 300 seconds"),
        ({"jwt_leeway": 3600}, "0 to 300 seconds"),
        ({"jwt_leeway": float("nan")}, "0 to 300 seconds"),
        ({"jwt_timeout": 0}, "up to 60 seconds"),
        ({"jwt_timeout": 61}, "up to 60 seconds"),
        ({"jwt_interval": -1}, "jwt_interval up to 300"),
        ({"jwt_interval": 301}, "jwt_interval up to 300"),
    ],
)
def test_what_is_not_configured_to_the_end_is_refused_at_the_start(changes, why):
    with pytest.raises(ValueError, match=why) as refused:
        with_secret(**changes)
    assert str(refused.value).startswith("auth: ")
    assert SECRET not in str(refused.value)


def test_a_key_that_does_not_fit_is_refused_at_the_start_and_not_repeated(rsa_key, ec_key):
    def refused(key, *algorithms):
        with pytest.raises(ValueError, match="auth: jwt_") as error:
            Auth(jwt_key=key, jwt_algorithms=algorithms, **CHECKED)
        assert key[40:80] not in str(error.value)
        return str(error.value)

    assert "not HS256" in refused(rsa_key.pem, "HS256")
    assert "not HS256" in refused(rsa_key.pem, "RS256", "HS256")
    assert "no key for ES256" in refused(rsa_key.pem, "ES256")
    assert "no key for ES256" in refused(Key.ec("large", ec.SECP384R1()).pem, "ES256")
    assert "no key for RS256" in refused(ec_key.pem, "RS256", "ES256")
    assert "private key" in refused(rsa_key.private_pem, "RS256")
    assert "no key for RS256" in refused(rsa_key.pem[:200] + rsa_key.pem[220:], "RS256")
    assert "too short for RS256" in refused(Key.rsa("short", 1024).pem, "RS256")
