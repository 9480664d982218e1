"""The contract of plugins that identify callers: who has no right credential gets nothing, and learns nothing."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client
from werkzeug.wrappers import Response

from izzati.backend import Backend
from izzati.claims import Claims
from izzati.markers import hookimpl
from izzati.message import Identity
from izzati.request import Request
from izzati.routes import Route
from izzati.testing.served import SECONDS, Answer, Served, read_answer, serving

__all__ = ["IdentifySuite"]

Headers = Mapping[str, str]

_JSON = {"Content-Type": "application/json"}
_TOO_SHORT = 12
"""Credentials with fewer characters may stand in an answer by chance: a word such as "another"."""


class IdentifySuite:
    """What every plugin does that identifies callers. Subclass it, and say with fixtures what is to be tested::

        class TestToken(IdentifySuite):
            @pytest.fixture
            def plugin(self):
                return Token("a secret")

            @pytest.fixture
            def good(self):
                return [{"Authorization": "Bearer a secret"}]

            @pytest.fixture
            def bad(self):
                return [{"Authorization": "Bearer another"}]

            @pytest.fixture
            def unconfigured(self):
                return lambda: Token("")

    ``plugin``, ``good`` and ``bad`` must be overridden.
    """

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the plugin to test, configured, as it would be given to a Backend."""
        raise NotImplementedError("override the fixture `plugin` of your IdentifySuite: return the plugin to test")

    @pytest.fixture
    def good(self) -> list[dict[str, str]]:
        """Return headers with which callers are let in, a dict for each caller; best of two callers or more."""
        raise NotImplementedError("override the fixture `good` of your IdentifySuite: return headers that are let in")

    @pytest.fixture
    def bad(self) -> list[dict[str, str]]:
        """Return headers that carry a credential of the plugin's kind which is wrong, a dict for each."""
        raise NotImplementedError("override the fixture `bad` of your IdentifySuite: return headers that are refused")

    @pytest.fixture
    def unconfigured(self) -> Callable[[], Any] | None:
        """Return what makes the plugin with nothing configured, which must raise: ``lambda: Token("")``.

        None, unless overridden: the test is skipped.
        """
        return None

    @pytest.fixture
    def changed(self) -> Callable[[str], Iterable[str]]:
        """Return a function from a header's value, out of ``good``, to values like it that are other credentials.

        Unless overridden: whatever follows the scheme with one character changed, its case too, one more or one fewer.
        Those are left out that give the same bytes in base64. Override it if your credentials have other characters
        that do not count, such as hexadecimal digits of either case.
        """
        return _changed

    def test_a_caller_without_credentials_is_told_every_way_to_identify(self, plugin: Any) -> None:
        """A 401 without a challenge is none (RFC 9110 §15.5.2), and the core knows only those that are claimed."""
        with _served(plugin) as served:
            answer = served.request(b"{}", _JSON)
            assert answer.status == 401, f"a caller without credentials got a {answer.status}, not a 401"
            _require_refused(answer)
            claims: Claims | None = plugin.izzati_claims() if hasattr(plugin, "izzati_claims") else None
            assert claims is not None, "it claims no challenge: implement izzati_claims"
            assert claims.challenges, "it claims no challenge: return Claims(challenges=…) with one, such as 'Bearer'"
            for challenge in claims.challenges:
                told = answer.headers.get("WWW-Authenticate", "")
                assert challenge in told, f"WWW-Authenticate is {told!r}, without the challenge {challenge!r}"

    def test_a_wrong_credential_is_refused(self, plugin: Any, bad: list[dict[str, str]]) -> None:
        """With a 401 or 403, as a problem that says why."""
        assert bad, "the fixture `bad` is empty"
        with _served(plugin) as served:
            for headers in bad:
                _require_refused(served.request(b"{}", {**_JSON, **headers}), headers)

    def test_a_refusal_does_not_repeat_the_credential(
        self, plugin: Any, bad: list[dict[str, str]], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Answers and logs are kept and passed on, and a wrong password is often a right one with a slip."""
        caplog.set_level("DEBUG")
        with _served(plugin) as served:
            for headers in bad:
                for sent in (headers, {name: value + secrets.token_hex(8) for name, value in headers.items()}):
                    answer = served.request(b"{}", {**_JSON, **sent})
                    told = f"{answer.headers}{answer.body.decode(errors='replace')}{caplog.text}"
                    for value in sent.values():
                        secret = value.partition(" ")[2].strip() or value
                        assert len(secret) < _TOO_SHORT or secret not in told, f"what was sent, {secret!r}, is repeated"

    def test_the_body_of_a_refused_request_is_not_read(self, plugin: Any, bad: list[dict[str, str]]) -> None:
        """A stranger could otherwise keep the server busy with gigabytes, before anyone has asked who it is."""
        with _served(plugin) as served:
            for headers in ({}, *bad):
                head = _head({**_JSON, **headers, "Content-Length": "1000000", "Expect": "100-continue"})
                with served.connect() as sock:
                    sock.sendall(head)
                    first = sock.recv(16)
                    assert b" 100" not in first, f"the body was asked for before {headers} was refused"
                    assert re.search(rb" 40[13]", first), f"{headers} got {first!r}, not a 401 or 403"
                head = _head({**_JSON, **headers, "Content-Length": "1000000"})
                with served.connect() as sock:
                    sock.sendall(head + b'{"a": ')
                    _require_refused(read_answer(sock), headers)

    def test_a_good_credential_gets_in_under_a_name(self, plugin: Any, good: list[dict[str, str]]) -> None:
        """The callback finds an Identity whose name is text, for a log or a list of rights to hold on to."""
        seen: list[Any] = []

        def callback(text: Any, data: Any, *, request: Request) -> str:
            seen.append((text, request.identity))
            return "in"

        with serving(_backend(callback, plugin)) as served:
            assert good, "the fixture `good` is empty"
            for headers in good:
                answer = served.request(b'{"a": 1}', {**_JSON, **headers})
                assert answer.status == 200, f"{headers} of the fixture `good` got a {answer.status}: {_told(answer)}"
                text, identity = seen.pop()
                assert isinstance(identity, Identity), f"request.identity is {identity!r}; answer an Identity"
                assert isinstance(identity.name, str), f"the caller's name is {identity.name!r}; a name is text"
                assert identity.name.strip(), "the caller's name is empty"
                assert text == {"a": 1}, f"the callback got {text!r} where the caller sent {{'a': 1}}"

    def test_the_scheme_is_read_in_any_case(self, plugin: Any, good: list[dict[str, str]]) -> None:
        """``bearer`` is ``Bearer`` (RFC 9110 §11.1), and there are callers that write either."""
        values = [headers["Authorization"] for headers in good if " " in headers.get("Authorization", "")]
        if not values:
            pytest.skip("no header of the fixture `good` is an Authorization with a scheme")
        with _served(plugin) as served:
            for value in values:
                scheme, _, credential = value.partition(" ")
                for written in (scheme.lower(), scheme.upper(), scheme.swapcase()):
                    answer = served.request(headers={"Authorization": f"{written} {credential}"})
                    assert answer.status == 200, f"{scheme} gets in, and the same as {written} got a {answer.status}"

    def test_every_method_needs_a_credential(self, plugin: Any) -> None:
        """OPTIONS, too: a browser's preflight has been answered before."""
        with _served(plugin) as served:
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
                answer = served.request(method=method)
                assert answer.status == 401, f"{method} without credentials got a {answer.status}, not a 401"

    def test_strangers_do_not_learn_which_paths_exist(self, plugin: Any, bad: list[dict[str, str]]) -> None:
        """A path that exists and one that does not are refused in the same words."""
        with _served(plugin) as served:
            for headers in ({}, *bad):
                known, *others = (
                    served.request(b"{}", {**_JSON, **headers}, path=path) for path in ("/", "/no", "/no/such", "//")
                )
                for other in others:
                    assert (other.status, other.body) == (known.status, known.body), (
                        f"with {headers}, a path that exists got {_told(known)}, and another {_told(other)}"
                    )

    def test_routes_of_other_plugins_are_behind_it(
        self, plugin: Any, good: list[dict[str, str]], bad: list[dict[str, str]]
    ) -> None:
        """Not only callbacks: whatever is not public."""
        with _served(plugin) as served:
            for headers in ({}, *bad):
                _require_refused(served.request(None, headers, method="GET", path="/private"), headers)
            for headers in good:
                answer = served.request(None, headers, method="GET", path="/private")
                assert answer.status == 200, f"{headers} of the fixture `good` got a {answer.status} at a route"

    def test_public_routes_need_no_credential(self, plugin: Any, bad: list[dict[str, str]]) -> None:
        """A probe that asks whether the server is alive has none, so who is calling is asked in ``izzati_identify``,
        which public routes go around."""
        with _served(plugin) as served:
            for headers in ({}, *bad):
                answer = served.request(None, headers, method="GET", path="/public")
                assert (answer.status, answer.body) == (200, b"public"), f"a public route refused: {_told(answer)}"

    def test_a_preflight_needs_no_credential(self, plugin: Any) -> None:
        """Browsers send none with it, and would then never send the request that has them."""
        origin = "https://app.example"
        with _served(plugin, options={"browsers": {"allow_origins": [origin]}}) as served:
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            answer = served.request(headers={"Origin": origin, **asked}, method="OPTIONS")
            assert 200 <= answer.status <= 299, f"a preflight got a {answer.status}: {_told(answer)}"
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            refused = served.request(headers={"Origin": origin})
            assert refused.status == 401, f"a page without credentials got a {refused.status}, not a 401"

    def test_nothing_that_is_made_up_gets_in(
        self, plugin: Any, good: list[dict[str, str]], bad: list[dict[str, str]]
    ) -> None:
        """Whatever the header is, the answer is a refusal: it is not let in, and it is no defect of the server."""
        right = {value for headers in good for value in headers.values()}
        schemes = sorted({value.partition(" ")[0] for headers in (*good, *bad) for value in headers.values()})
        names = sorted({name for headers in (*good, *bad) for name in headers})
        client = Client(_backend(lambda text, data: "in", plugin))

        @_searching(200)
        @given(st.sampled_from(names), _made_up(schemes))
        def check(name: str, value: str) -> None:
            if value not in right:
                _require_not_in(client, {name: value})

        check()

    def test_half_a_credential_is_refused(self, plugin: Any, good: list[dict[str, str]]) -> None:
        """The scheme alone, the credential alone, and what else a program sends that lost a part of it."""
        client = Client(_backend(lambda text, data: "in", plugin))
        for headers in good:
            for name, value in headers.items():
                scheme, space, credential = value.partition(" ")
                pieces = ["", " ", ",", "=", ":"]
                if space:
                    swapped = [f"{credential} {scheme}", f"{scheme}={credential}", f"{scheme}{credential}"]
                    pieces += [scheme, f"{scheme} ", f"{scheme}  ", f"{scheme},", credential, *swapped]
                for piece in pieces:
                    if {**headers, name: piece} not in good:
                        _require_not_in(client, {**headers, name: piece})

    def test_a_changed_credential_is_refused(
        self, plugin: Any, good: list[dict[str, str]], changed: Callable[[str], Iterable[str]]
    ) -> None:
        """One character more, fewer or other: nothing is compared by its beginning, or without its case."""
        client = Client(_backend(lambda text, data: "in", plugin))
        for headers in good:
            for name, value in headers.items():
                variants = list(changed(value))
                assert variants, f"the fixture `changed` gives nothing for the header {name}"
                for variant in variants:
                    if {**headers, name: variant} not in good:
                        _require_not_in(client, {**headers, name: variant})

    def test_two_credentials_at_once_are_refused(
        self, plugin: Any, good: list[dict[str, str]], bad: list[dict[str, str]]
    ) -> None:
        """A proxy in front may have looked at one of two headers, and the plugin at the other."""
        pairs = [(right, wrong) for right in good for wrong in bad if right.keys() & wrong.keys()]
        if not pairs:
            pytest.skip("no header of the fixture `good` is in the fixture `bad`, too")
        with _served(plugin) as served:
            for right, wrong in pairs:
                for both in ((right, wrong), (wrong, right)):
                    answer = served.raw(_head({"Content-Length": "0"}, *both))
                    assert 400 <= answer.status <= 499, f"the headers {both} at once got a {answer.status}"

    def test_a_caller_that_got_in_is_asked_again(self, plugin: Any, good: list[dict[str, str]]) -> None:
        """Many callers share a connection behind a proxy, and an address behind a router."""
        with _served(plugin) as served:
            connection = HTTPConnection("127.0.0.1", served.port, timeout=SECONDS)
            try:
                for headers in good:
                    statuses = []
                    for sent in (headers, {}):
                        connection.request("POST", "/", headers=sent)
                        response = connection.getresponse()
                        response.read()
                        statuses.append(response.status)
                    assert statuses[0] == 200, f"{headers} of the fixture `good` got a {statuses[0]}"
                    assert statuses[1] == 401, f"the next request, without credentials, got a {statuses[1]}"
            finally:
                connection.close()

    def test_callers_at_once_each_have_their_own_name(self, plugin: Any, good: list[dict[str, str]]) -> None:
        """One plugin is asked by all requests at once, so nothing of a caller may wait in the plugin itself."""
        if len(good) < 2:
            pytest.skip("the fixture `good` has one caller; this needs two")
        client = Client(_backend(_name_of_caller, plugin))
        names = [client.post("/", headers=headers).json for headers in good]
        begin = threading.Barrier(8)

        def call(number: int) -> None:
            # Werkzeug's client keeps cookies, and so is not for several threads.
            own = Client(client.application)
            begin.wait(SECONDS)
            for turn in range(20):
                which = (number + turn) % len(good)
                name = own.post("/", headers=good[which]).json
                assert name == names[which], f"{good[which]} was taken for {name!r} instead of {names[which]!r}"

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, range(8)))

    def test_two_backends_share_nothing(self, plugin: Any, good: list[dict[str, str]]) -> None:
        """One plugin may be given to two Backends, and one Backend with it makes no other ask for credentials."""
        with _served(plugin) as first, _served(plugin) as second, _served() as without:
            for headers in good:
                for served in (first, second, first):
                    status = served.request(headers=headers).status
                    assert status == 200, f"with the plugin in two Backends, {headers} got a {status} from one"
                    status = served.request().status
                    assert status == 401, f"with the plugin in two Backends, a stranger got a {status} from one"
            answer = without.request()
            assert (answer.status, answer.json) == (200, None), "a Backend without the plugin asks for credentials, too"

    def test_it_refuses_to_start_without_being_configured(self, unconfigured: Callable[[], Any] | None) -> None:
        """Where a token is forgotten, nothing is served: neither to all nor, unnoticed, to nobody."""
        if unconfigured is None:
            pytest.skip("the fixture `unconfigured` is None")
        words = _words_of_failure(lambda: _backend(lambda text, data: "in", unconfigured()))
        assert words is not None, "with nothing configured it starts; raise a ValueError that says what to configure"
        assert " " in words, f"with nothing configured it says {words!r}, which is not what to configure"


class _Routes:
    """A public route, and one that is not."""

    @hookimpl
    def izzati_routes(self) -> list[Route]:
        return [
            Route("/public", lambda request: Response("public"), public=True),
            Route("/private", lambda request: Response("private")),
        ]


def _backend(callback: Callable[..., Any], *plugins: Any, **kwargs: Any) -> Backend:
    return Backend(callback, plugins=[*plugins, _Routes()], only=(), **kwargs)


def _name_of_caller(text: Any, data: Any, *, request: Request) -> str | None:
    return request.identity.name if request.identity else None


@contextmanager
def _served(*plugins: Any, **kwargs: Any) -> Iterator[Served]:
    with serving(_backend(_name_of_caller, *plugins, **kwargs)) as served:
        yield served


def _searching(examples: int) -> settings:
    """How hypothesis searches: no further than the author's profile says, and whatever the machine's speed, since it
    may be busy with other tests."""
    few = min(examples, settings().max_examples)
    return settings(max_examples=few, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _made_up(schemes: list[str]) -> st.SearchStrategy[str]:
    """Values of a header: Latin-1, as WSGI hands them on, without control characters, which no server does."""
    text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=40)
    packed = st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode())
    pair = st.tuples(text, text).map(lambda both: base64.b64encode(":".join(both).encode("latin-1")).decode())
    return text | st.builds("{} {}".format, st.sampled_from(schemes), text | packed | pair)


def _changed(value: str) -> Iterator[str]:
    scheme, space, credential = value.partition(" ")
    if not space:
        scheme, credential = "", value
    variants = [f"{credential}A", credential[:-1], f"{credential[:-1]} ", credential * 2]
    for at, character in enumerate(credential):
        others = ("A" if character != "A" else "B", character.swapcase())
        variants += [credential[:at] + other + credential[at + 1 :] for other in others]
    for variant in variants:
        # Spaces around a value do not count (RFC 9110 §5.5), and a header without any is another test's question.
        if variant.strip() not in ("", credential) and _bytes_of(variant) != _bytes_of(credential):
            yield f"{scheme}{space}{variant}"


def _bytes_of(credential: str) -> list[bytes | str]:
    """What a credential stands for if it is base64, as the pieces of a JWT are; each piece itself if it is not.

    The last character of base64 may have bits that nobody reads, and what follows the padding is read by few.
    """
    return [_unpacked(piece) for piece in credential.split(".")]


def _unpacked(piece: str) -> bytes | str:
    digits = piece.partition("=")[0].replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return piece


def _head(*several: Headers) -> bytes:
    """A request's line and headers, in this order, several of one name too."""
    lines = [f"{name}: {value}" for headers in several for name, value in headers.items()]
    return "\r\n".join(["POST / HTTP/1.1", "Host: localhost", *lines, "", ""]).encode("latin-1")


def _require_refused(answer: Answer, headers: Headers | None = None) -> None:
    """It is a 401 or 403, and a problem that explains itself."""
    who = f"a caller with {dict(headers)}" if headers else "a caller without credentials"
    assert answer.status in (401, 403), f"{who} got a {answer.status}, not a 401 or 403: {_told(answer)}"
    got = answer.headers["Content-Type"]
    assert got == "application/problem+json", f"a refusal's Content-Type is {got!r}; raise a Problem"
    assert answer.json.get("detail"), f"the {answer.status} for {who} has no detail that says why"
    assert answer.status == 403 or answer.headers.get("WWW-Authenticate"), (
        f"the 401 for {who} has no WWW-Authenticate (RFC 9110 §15.5.2): Problem(401, …, headers={{…}})"
    )


def _require_not_in(client: Client, headers: Headers) -> None:
    status = client.post("/", headers=dict(headers)).status_code
    assert 400 <= status <= 499, f"the headers {dict(headers)} got a {status}, not a 401 or 403"


def _words_of_failure(act: Callable[[], object]) -> str | None:
    """What the act's exception says; None if it raises none."""
    try:
        act()
    except Exception as error:
        return str(error)
    return None


def _told(answer: Answer) -> str:
    return answer.body[:300].decode(errors="replace")
