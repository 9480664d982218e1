"""JSON Web Tokens: what an issuer says about a caller, and signs (RFC 7519, as RFC 8725 says how)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms

from izzati import Identity
from izzati_auth.credentials import Genuine, Wrong
from izzati_auth.jwks import KeySet

__all__ = ["Verifier"]

_KNOWN = {name: how for name, how in get_default_algorithms().items() if name != "none"}
_LARGEST_LEEWAY, _LONGEST_FETCH, _LONGEST_INTERVAL = 300, 60, 300

FindKey = Callable[[str | None, str], Any]


class Verifier:
    """Tells who is calling by a signed token. Signature, issuer, audience and expiry are always checked.

    :param jwks: the address of the issuer's keys; or else
    :param key: a secret for HS256, HS384 or HS512, or a public key as PEM for the others.
    :param algorithms: with which a token may be signed (RFC 7518 §3.1).
    :param audience: a token is for one of them.
    :param issuer: a token is from one of them.
    :param leeway: seconds by which clocks may differ.
    :param name: the claim that is the caller's name.
    :param seconds: how long a fetch of the keys may take.
    :param interval: seconds from one fetch to the next, at least.
    :raises ValueError: if one of them is missing, or does not go with another.
    """

    def __init__(
        self,
        *,
        jwks: str,
        key: str,
        algorithms: Sequence[str],
        audience: Sequence[str],
        issuer: Sequence[str],
        leeway: float,
        name: str,
        seconds: float,
        interval: float,
    ) -> None:
        needed = {"algorithms": algorithms, "audience": audience, "issuer": issuer, "name": [name]}
        for option, values in needed.items():
            if not values or not all(isinstance(value, str) and value for value in values):
                raise ValueError(f"auth: a JWT is never believed without a check of its {option}: give jwt_{option}")
        if bool(jwks) == bool(key):
            raise ValueError("auth: give either jwt_jwks, the address of the issuer's keys, or jwt_key, a key")
        if not 0 <= leeway <= _LARGEST_LEEWAY:
            raise ValueError(f"auth: jwt_leeway takes 0 to {_LARGEST_LEEWAY} seconds, not {leeway}")
        if not 0 < seconds <= _LONGEST_FETCH or not 0 <= interval <= _LONGEST_INTERVAL:
            raise ValueError(
                f"auth: jwt_timeout takes up to {_LONGEST_FETCH} seconds, and jwt_interval up to {_LONGEST_INTERVAL}"
            )
        _require_algorithms(algorithms, symmetric=bool(key) and not _is_pem(key))
        self._find: FindKey
        self._find = (
            KeySet(jwks, algorithms, seconds=seconds, interval=interval).find if jwks else _fixed(key, algorithms)
        )
        self._algorithms, self._audience, self._issuer = tuple(algorithms), tuple(audience), tuple(issuer)
        self._leeway, self._name = leeway, name

    def identify(self, token: str) -> Identity:
        """Who is calling: the claims are the attributes.

        :raises Wrong: if the token is not valid.
        :raises Problem: 503 if that cannot be told now.
        """
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in self._algorithms:
                raise Wrong("This is not a token that is known here, nor one signed as is expected here.")
            claims = jwt.decode(
                token,
                self._find(header.get("kid"), algorithm),
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", "iss", "aud", self._name], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise _refusal(error) from None
        name = claims[self._name]
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise Genuine("The claim of this token that is the caller's name is not printable text.")
        return Identity(name, claims)


def _refusal(error: Exception) -> Wrong:
    """What to say. Claims are looked at after the signature, so whoever hears about them has them from the issuer."""
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return Genuine(words)
    return Wrong("This token is not known here, and it is no JWT with a signature that is right.")


_WORDS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "This token has expired. Get a new one.",
    jwt.ImmatureSignatureError: "This token is not valid yet. Compare the clocks.",
    jwt.InvalidAudienceError: "This token is meant for another audience.",
    jwt.InvalidIssuerError: "This token is from another issuer.",
    jwt.MissingRequiredClaimError: "This token lacks a claim: exp, iss, aud and the caller's name are needed.",
}


def _is_pem(key: str) -> bool:
    return "-----BEGIN" in key


def _require_algorithms(algorithms: Sequence[str], *, symmetric: bool) -> None:
    """Raise unless all of them are known, and for that kind of key (RFC 8725 §3.1)."""
    fitting = [name for name in _KNOWN if name.startswith("HS") == symmetric]
    unfit = [name for name in algorithms if name not in fitting]
    if unfit:
        kind = "a secret" if symmetric else "public keys"
        raise ValueError(
            f"auth: jwt_algorithms: with {kind} there are {', '.join(fitting)}, but not {', '.join(unfit)}"
        )


def _fixed(key: str, algorithms: Sequence[str]) -> FindKey:
    """A key that is always the same.

    :raises ValueError: if it is none for one of the algorithms, is weak, or is a private one. It never repeats the key.
    """
    if "PRIVATE KEY-----" in key:
        raise ValueError("auth: jwt_key: this is a private key, which only the issuer has; give the public one")
    for algorithm in algorithms:
        try:
            prepared = _KNOWN[algorithm].prepare_key(key)
            weak = _KNOWN[algorithm].check_key_length(prepared)
        except Exception:
            raise ValueError(
                f"auth: jwt_key is no key for {algorithm}: give a secret for HS256, HS384 and HS512, and for others a "
                "public key as PEM, with its line ends and its first line, -----BEGIN PUBLIC KEY-----"
            ) from None
        if weak:
            raise ValueError(f"auth: jwt_key is too short for {algorithm}: {weak}")
    return lambda kid, algorithm: prepared
