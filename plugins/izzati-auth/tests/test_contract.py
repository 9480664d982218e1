"""Each way in, and all of them together, keep the contract of plugins that identify callers."""

from __future__ import annotations

import hashlib

import pytest
from issuing import AUDIENCE, ISSUER, basic, bearer, signed
from izzati_auth import Auth

from izzati.testing import IdentifySuite

CHECKED = {"jwt_audience": AUDIENCE, "jwt_issuer": ISSUER}
SECRET = "a secret of thirty-two characters"
# The suite guesses far more often than a caller may.
UNLIMITED = {"failures": ""}


class OneWay(IdentifySuite):
    @pytest.fixture
    def unconfigured(self):
        return Auth


class TestTokens(OneWay):
    @pytest.fixture
    def plugin(self):
        return Auth(tokens=["Zm9ydHkgd2lua3M", "dHdvIGRvZ3Mu"], **UNLIMITED)

    @pytest.fixture
    def good(self):
        return [bearer("Zm9ydHkgd2lua3M"), bearer("dHdvIGRvZ3Mu")]

    @pytest.fixture
    def bad(self):
        return [bearer("b25lIGNhdCwgbm8gZG9n"), bearer("sha256:1"), {"Authorization": "Bearer"}]


class TestHashedTokensWithNames(OneWay):
    @pytest.fixture
    def plugin(self):
        digest = hashlib.sha256(b"dHdvIGRvZ3Mu").hexdigest()
        return Auth(tokens={"ann": "Zm9ydHkgd2lua3M", "bob": f"sha256:{digest}"}, **UNLIMITED)

    @pytest.fixture
    def good(self):
        return [bearer("Zm9ydHkgd2lua3M"), bearer("dHdvIGRvZ3Mu")]

    @pytest.fixture
    def bad(self):
        return [bearer(f"sha256:{hashlib.sha256(b'dHdvIGRvZ3Mu').hexdigest()}"), bearer("ann")]


class TestPasswords(OneWay):
    @pytest.fixture
    def plugin(self, passwords):
        return Auth(htpasswd=passwords, **UNLIMITED)

    @pytest.fixture
    def good(self):
        return [basic("ann", "a cat"), basic("jürgen", "größe: 1")]

    @pytest.fixture
    def bad(self):
        return [basic("ann", "a cat with a hat"), basic("nobody at all", "a cat"), {"Authorization": "Basic !"}]


class TestJWTWithASecret(OneWay):
    @pytest.fixture
    def plugin(self):
        return Auth(jwt_key=SECRET, jwt_algorithms=["HS256"], **CHECKED, **UNLIMITED)

    @pytest.fixture
    def good(self):
        return [bearer(signed(SECRET, "HS256")), bearer(signed(SECRET, "HS256", sub="bob"))]

    @pytest.fixture
    def bad(self):
        return [bearer(signed(SECRET[::-1], "HS256")), bearer(signed(SECRET, "HS256", exp=1))]


class TestJWTWithAPublicKey(OneWay):
    @pytest.fixture
    def plugin(self, ec_key):
        return Auth(jwt_key=ec_key.pem, jwt_algorithms=["ES256"], **CHECKED, **UNLIMITED)

    @pytest.fixture
    def good(self, ec_key):
        return [bearer(ec_key.token()), bearer(ec_key.token(sub="bob"))]

    @pytest.fixture
    def bad(self, ec_key, rsa_key):
        return [bearer(rsa_key.token()), bearer(ec_key.token(aud="cats")), bearer(ec_key.token(exp=None))]


class TestJWTWithPublishedKeys(OneWay):
    @pytest.fixture
    def plugin(self, issuer):
        return Auth(jwt_jwks=issuer.url, jwt_algorithms=["RS256"], **CHECKED, **UNLIMITED)

    @pytest.fixture
    def good(self, rsa_key):
        return [bearer(rsa_key.token()), bearer(rsa_key.token(sub="bob"))]

    @pytest.fixture
    def bad(self, rsa_key, other_rsa_key):
        return [
            bearer(other_rsa_key.token()),
            bearer(other_rsa_key.token(headers={"kid": "first"})),
            bearer(rsa_key.token(iss="https://other.example")),
        ]


class TestAllWaysTogether(OneWay):
    @pytest.fixture
    def plugin(self, issuer, passwords):
        jwt = {"jwt_jwks": issuer.url, "jwt_algorithms": ["RS256"], **CHECKED}
        return Auth(tokens={"bob": "dHdvIGRvZ3Mu"}, htpasswd=passwords, **jwt, **UNLIMITED)

    @pytest.fixture
    def good(self, rsa_key):
        return [bearer("dHdvIGRvZ3Mu"), basic("ann", "a cat"), bearer(rsa_key.token(sub="eve"))]

    @pytest.fixture
    def bad(self, rsa_key):
        return [bearer("b25lIGNhdCwgbm8gZG9n"), basic("bob", "dHdvIGRvZ3Mu"), bearer(rsa_key.token(exp=1))]
