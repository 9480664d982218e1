"""Lets in only callers who say who they are: by a bearer token, a name and a password, or a JSON Web Token."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

from werkzeug.exceptions import HTTPException

from izzati import Claims, Identity, Problem, Request, Secret, hookimpl
from izzati_auth.credentials import LONGEST, Genuine, Wrong, read_basic, split
from izzati_auth.htpasswd import Htpasswd
from izzati_auth.jwt import Verifier
from izzati_auth.limits import Limit, line_of, open_counters
from izzati_auth.tokens import Tokens

__all__ = ["Auth"]

_UNCONFIGURED = """\
auth is installed, but no way to get in is configured, so nobody could. Configure one, such as a token:
    in the program   Backend(…, options={"auth": {"tokens": ["<token>"]}})
    the environment  IZZATI_AUTH_TOKENS=<token>
    izzati.toml      auth.tokens = ["<token>"]
Make the token by: python3 -c 'import secrets; print(secrets.token_urlsafe())'"""


class Auth:
    """Identifies callers, and refuses all others.

    :param tokens: bearer tokens: a list, or a table of name to token. ``sha256:<hex>`` stands for the token that has
        this SHA-256.
    :param htpasswd: a file of names and bcrypt entries, as ``htpasswd -B`` makes, for HTTP Basic.
    :param jwt_jwks: the address of the keys with which JSON Web Tokens are signed; or else
    :param jwt_key: the key: a secret for HS256, HS384 and HS512, a public key as PEM for other algorithms.
    :param jwt_algorithms: with which a JWT may be signed, such as ``["RS256"]``.
    :param jwt_audience: a JWT is for one of these (``aud``).
    :param jwt_issuer: a JWT is from one of these (``iss``).
    :param jwt_leeway: seconds by which the issuer's clock may differ, up to 300.
    :param jwt_name: the claim of a JWT that is the caller's name.
    :param jwt_timeout: seconds that a fetch of the keys may take.
    :param jwt_interval: seconds from one fetch of the keys to the next, at least.
    :param realm: what a 401 calls that which the credentials are for.
    :param rate: how many requests a caller may make, such as ``"60/minute"`` or ``"60/minute;1000/day"``.
    :param failures: how many wrong credentials an address may send before it has to wait; empty for any number.
    :param counters: where requests are counted: ``memory://``, or ``redis://…`` for several processes together.
    :raises ValueError: if no way to get in is configured, or one is not configured to the end.
    """

    def __init__(
        self,
        tokens: Secret[Mapping[str, str] | Sequence[str]] = (),
        htpasswd: Path | None = None,
        jwt_jwks: str = "",
        jwt_key: Secret[str] = "",
        jwt_algorithms: Sequence[str] = (),
        jwt_audience: Sequence[str] = (),
        jwt_issuer: Sequence[str] = (),
        jwt_leeway: float = 0,
        jwt_name: str = "sub",
        jwt_timeout: float = 5,
        jwt_interval: float = 30,
        realm: str = "izzati",
        rate: str = "",
        failures: str = "10/minute",
        counters: Secret[str] = "memory://",
    ) -> None:
        if not realm.isascii() or not realm.isprintable() or '"' in realm or "\\" in realm:
            raise ValueError(f"auth: realm takes printable ASCII without quotes and backslashes, not {realm!r}")
        self._realm = realm
        self._tokens = Tokens(tokens) if tokens else None
        self._htpasswd = Htpasswd(htpasswd) if htpasswd else None
        self._verifier = None
        if jwt_jwks or jwt_key or jwt_algorithms or jwt_audience or jwt_issuer:
            self._verifier = Verifier(
                jwks=jwt_jwks,
                key=jwt_key,
                algorithms=_list(jwt_algorithms),
                audience=_list(jwt_audience),
                issuer=_list(jwt_issuer),
                leeway=jwt_leeway,
                name=jwt_name,
                seconds=jwt_timeout,
                interval=jwt_interval,
            )
        self._ways: dict[str, Callable[[str, Request], Identity]] = {}
        if self._tokens or self._verifier:
            self._ways["bearer"] = self._bearer
        if self._htpasswd:
            self._ways["basic"] = self._basic
        if not self._ways:
            raise ValueError(_UNCONFIGURED)
        store = open_counters(counters)
        self._rate, self._failures = Limit("rate", rate, store), Limit("failures", failures, store)

    @hookimpl
    def izzati_claims(self) -> Claims:
        return Claims(challenges=self._challenges())

    @hookimpl
    def izzati_identify(self, request: Request) -> Identity | None:
        scheme, credential = split(request.environ.get("HTTP_AUTHORIZATION", ""))
        way = self._ways.get(scheme)
        if way is None:
            return None
        try:
            if len(credential) > LONGEST:
                raise Wrong("This credential is longer than any that is known here.")
            return way(credential, request)
        except Wrong as wrong:
            request.state["auth"] = isinstance(wrong, Genuine)
            challenges = ", ".join(self._challenges(scheme, str(wrong)))
            raise Problem(401, str(wrong), headers={"WWW-Authenticate": challenges}) from None

    @hookimpl(specname="izzati_identify", wrapper=True)
    def limit_requests(self, request: Request) -> Generator[None, Identity | None, Identity | None]:
        """Around all plugins that identify, so that guesses at any of them are counted."""
        line = line_of(request.address)
        self._failures.check(line)
        try:
            identity = yield
        except HTTPException as refused:
            # A program goes on for a while with a token that has expired. That is no guess.
            if refused.code == 401 and not request.state.get("auth"):
                self._failures.spend(line)
            raise
        self._rate.spend(*(("caller", identity.name) if identity else ("line", line)))
        return identity

    def _bearer(self, token: str, request: Request) -> Identity:
        # The owner's own tokens come first: they need no other host, and may look like anything.
        owner = self._tokens.owner(token) if self._tokens else None
        if owner is not None:
            return Identity(owner)
        if self._verifier:
            return self._verifier.identify(token)
        raise Wrong("This token is not known here.")

    def _basic(self, credential: str, request: Request) -> Identity:
        assert self._htpasswd
        name, password = read_basic(credential)
        # Asked again, since many guesses at once may have waited for their turn, and used up what there was.
        self._htpasswd.require(name, password, before=lambda: self._failures.check(line_of(request.address)))
        return Identity(name)

    def _challenges(self, wrong: str = "", why: str = "") -> tuple[str, ...]:
        """One for each way (RFC 6750 §3, RFC 7617 §2), with the reason where a bearer token was wrong."""
        error = f', error="invalid_token", error_description="{why}"' if wrong == "bearer" else ""
        parameters = {"bearer": error, "basic": ', charset="UTF-8"'}
        return tuple(f'{scheme.title()} realm="{self._realm}"{parameters[scheme]}' for scheme in self._ways)


def _list(values: Sequence[str]) -> Sequence[str]:
    """One of them is a list of one: nobody means the characters."""
    return [values] if isinstance(values, str) else values
