"""The suite for plugins that identify callers: right ones pass, and each of its tests fails one that is wrong there."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import Any

import pytest
from test_codec_suite import Meeting, names_of_tests, run_in_another_pytest

from izzati import Claims, Identity, Problem, hookimpl
from izzati.testing.identify import IdentifySuite

ANN = "Ann's secret, which is long"
BOB = "Bob.Has-another_One"


class Token:
    """The plugin of the documentation, for several callers: the name of each by token."""

    def __init__(self, names):
        if not names or not all(names):
            raise ValueError("Token needs the name of each caller by token: Token({'a secret': 'ann'})")
        self.names = names

    @hookimpl
    def izzati_claims(self):
        return Claims(challenges=("Bearer",))

    @hookimpl
    def izzati_identify(self, request):
        return self.identify(request.headers.get("Authorization", ""), request)

    def identify(self, value, request):
        scheme, _, sent = value.partition(" ")
        if scheme.lower() != "bearer":
            return None
        name = self.name(sent)
        if name is None:
            raise Problem(401, "This token is not known.", headers={"WWW-Authenticate": "Bearer"})
        return Identity(name)

    def name(self, sent):
        found = [name for token, name in self.names.items() if hmac.compare_digest(sent.encode(), token.encode())]
        return found[0] if found else None


class Basic:
    """Names and passwords (RFC 7617)."""

    def __init__(self, passwords):
        if not passwords:
            raise ValueError("Basic needs the password of each caller by name: Basic({'ann': 'a secret'})")
        self.passwords = passwords

    @hookimpl
    def izzati_claims(self):
        return Claims(challenges=('Basic realm="izzati", charset="UTF-8"',))

    @hookimpl
    def izzati_identify(self, request):
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(sent.encode(), validate=True).partition(b":")
        except binascii.Error:
            name, password = b"", b""
        known = self.passwords.get(name.decode(errors="replace"), "")
        if not known or not hmac.compare_digest(password, known.encode()):
            raise Problem(401, "The name or the password is wrong.", headers={"WWW-Authenticate": "Basic"})
        return Identity(name.decode())


class Key(Token):
    """A header of its own, without a scheme."""

    @hookimpl
    def izzati_claims(self):
        return Claims(challenges=("Key",))

    @hookimpl
    def izzati_identify(self, request):
        sent = request.headers.get("X-Key")
        return self.identify(f"bearer {sent}", request) if sent else None


def make(kind):
    return kind({ANN: "ann", BOB: "bob"})


def basic(name, password):
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


GOOD = [{"Authorization": f"Bearer {ANN}"}, {"Authorization": f"Bearer {BOB}"}]
BAD = [{"Authorization": "Bearer Cat's secret, which is wrong"}, {"Authorization": "Bearer wrong"}]


class TestToken(IdentifySuite):
    @pytest.fixture
    def plugin(self):
        return make(Token)

    @pytest.fixture
    def good(self):
        return GOOD

    @pytest.fixture
    def bad(self):
        return BAD

    @pytest.fixture
    def unconfigured(self):
        return lambda: Token({})


class TestBasic(IdentifySuite):
    @pytest.fixture
    def plugin(self):
        return Basic({"ann": "a secret", "bøb": "pass:wörd", "c": "1"})

    @pytest.fixture
    def good(self):
        return [basic("ann", "a secret"), basic("bøb", "pass:wörd"), basic("c", "1")]

    @pytest.fixture
    def bad(self):
        return [basic("ann", "wrong"), basic("nobody", ""), basic("", ""), {"Authorization": "Basic ====!"}]

    @pytest.fixture
    def unconfigured(self):
        return lambda: Basic({})


def suite(plugin, **fixtures):
    """A suite for a class of plugins; other fixtures by name."""
    values = {"good": GOOD, "bad": BAD, **fixtures}
    made = {name: pytest.fixture(lambda self, value=value: value) for name, value in values.items()}
    return type("Suite", (IdentifySuite,), {"plugin": pytest.fixture(lambda self: make(plugin)), **made})


RIGHT = {
    "TestKey": (
        suite(Key, good=[{"X-Key": ANN}], bad=[{"X-Key": "a wrong one"}], changed=lambda value: [value[:-1]]),
        {
            "test_the_scheme_is_read_in_any_case",
            "test_callers_at_once_each_have_their_own_name",
            "test_it_refuses_to_start_without_being_configured",
        },
    ),
    "TestWithoutAWrongOne": (
        suite(Token, bad=[{"X-Other": "x"}]),
        {"test_two_credentials_at_once_are_refused", "test_it_refuses_to_start_without_being_configured"},
    ),
}
"""Plugins that pass, and the tests that are skipped for them."""


class ClaimsNothing(Token):
    @hookimpl
    def izzati_claims(self):
        return Claims()

    def identify(self, value, request):
        if not value:
            raise Problem(401, "Who are you?", headers={"WWW-Authenticate": "Bearer"})
        return super().identify(value, request)


class RefusesNobodyWithoutAChallenge(Token):
    def identify(self, value, request):
        if not value:
            raise Problem(401, "Who are you?")
        return super().identify(value, request)


class TellsHalfOfItsChallenges(RefusesNobodyWithoutAChallenge):
    @hookimpl
    def izzati_claims(self):
        return Claims(challenges=("Bearer", "Basic"))

    def identify(self, value, request):
        if not value:
            raise Problem(401, "Who are you?", headers={"WWW-Authenticate": "Bearer"})
        return super().identify(value, request)


class LetsInNobody(Token):
    """It lets in, as a guest, who sends nothing."""

    def identify(self, value, request):
        return super().identify(value, request) if value else Identity("guest")


class LetsInTheWrong(Token):
    def name(self, sent):
        return super().name(sent) or "guest"


class FailsAtTheWrong(Token):
    def name(self, sent):
        return self.names[sent]


class BlamesTheRequest(Token):
    def name(self, sent):
        name = super().name(sent)
        if name is None:
            raise Problem(400, "This token is not known.")
        return name


class HasNoWords(Token):
    def name(self, sent):
        name = super().name(sent)
        if name is None:
            raise Problem(403)
        return name


class ForgetsTheChallenge(Token):
    def name(self, sent):
        name = super().name(sent)
        if name is None:
            raise Problem(401, "This token is not known.")
        return name


class RepeatsWhatWasSent(Token):
    def name(self, sent):
        name = super().name(sent)
        if name is None:
            raise Problem(403, f"The token {sent!r} is not known.")
        return name


class ReadsTheBody(Token):
    def identify(self, value, request):
        request.body.whole()
        return super().identify(value, request)


class GivesANumber(Token):
    def name(self, sent):
        return None if super().name(sent) is None else 7


class GivesNoName(Token):
    def name(self, sent):
        return None if super().name(sent) is None else ""


class GivesADict(Token):
    def identify(self, value, request):
        identity = super().identify(value, request)
        return identity and {"name": identity.name}


class RefusesAll(Token):
    def name(self, sent):
        return None


class WantsACapital(Token):
    def identify(self, value, request):
        return super().identify(value, request) if value.startswith("Bearer ") else None


class LetsInOptions(Token):
    def identify(self, value, request):
        return Identity("a browser") if request.method == "OPTIONS" else super().identify(value, request)


class KnowsOnePath(Token):
    def identify(self, value, request):
        return super().identify(value, request) if request.path == "/" else Identity("anyone")


class SaysThatAPathIsUnknown(Token):
    def identify(self, value, request):
        try:
            return super().identify(value, request)
        except Problem as problem:
            raise Problem(403, f"{problem.description} It is needed for {request.path}.") from None


class LetsInGet(Token):
    def identify(self, value, request):
        return Identity("a reader") if request.method == "GET" else super().identify(value, request)


class AsksInAdmit(Token):
    @hookimpl(tryfirst=True)
    def izzati_admit(self, request):
        if self.izzati_identify(request) is None:
            raise Problem(401, "Who are you?", headers={"WWW-Authenticate": "Bearer"})


class ComparesText(Token):
    def name(self, sent):
        found = [name for token, name in self.names.items() if hmac.compare_digest(sent, token)]
        return found[0] if found else None


class TakesTheSecondWord(Token):
    def identify(self, value, request):
        if not value:
            return None
        assert value.split(" ")[1]
        return super().identify(value, request)


class LooksForTheToken(Token):
    def name(self, sent):
        return next((name for token, name in self.names.items() if token in sent), None)


class LooksAtTheBeginning(Token):
    def name(self, sent):
        return next((name for token, name in self.names.items() if sent and token.startswith(sent)), None)


class IgnoresCase(Token):
    def name(self, sent):
        return next((name for token, name in self.names.items() if token.casefold() == sent.casefold()), None)


class TakesAnEmptyOne(Token):
    def name(self, sent):
        return super().name(sent) if sent else "guest"


class TakesAnyOfSeveral(Token):
    def identify(self, value, request):
        for each in value.split(",Bearer "):
            try:
                return super().identify(each if each.startswith("Bearer") else f"Bearer {each}", request)
            except Problem:
                continue
        return super().identify(value, request)


class Remembers(Token):
    def __init__(self, names):
        super().__init__(names)
        self.seen = {}

    def identify(self, value, request):
        identity = super().identify(value, request) or self.seen.get(request.address)
        self.seen[request.address] = identity
        return identity


class KeepsTheName(Token):
    """It keeps who is calling in itself until another thread has done so, too."""

    def __init__(self, names):
        super().__init__(names)
        self.meeting = Meeting()

    def identify(self, value, request):
        self.identity = super().identify(value, request)
        self.meeting.wait()
        return self.identity


class KnowsOneBackend(Token):
    @hookimpl
    def izzati_routes(self, backend):
        self.backend = backend
        return ()

    def identify(self, value, request):
        if request.codecs is not self.backend.codecs:
            return Identity("nobody of mine")
        return super().identify(value, request)


class StartsOnce(Token):
    started = False

    @hookimpl
    def izzati_startup(self):
        if self.started:
            raise RuntimeError("this plugin has been started already")
        self.started = True


@dataclass
class Wrong:
    """A plugin that is wrong, the test that must fail it, and words with which it must."""

    test: str
    plugin: Any
    words: str
    fixtures: dict[str, Any] = field(default_factory=dict)


def raises_without_words():
    raise ValueError


NOBODY = "test_a_caller_without_credentials_is_told_every_way_to_identify"
REFUSED = "test_a_wrong_credential_is_refused"
GETS_IN = "test_a_good_credential_gets_in_under_a_name"
PATHS = "test_strangers_do_not_learn_which_paths_exist"
HALF = "test_half_a_credential_is_refused"
CHANGED = "test_a_changed_credential_is_refused"
BACKENDS = "test_two_backends_share_nothing"
CONFIGURED = "test_it_refuses_to_start_without_being_configured"

WRONG = [
    Wrong(NOBODY, LetsInNobody, "got a 200, not a 401"),
    Wrong(NOBODY, ClaimsNothing, "it claims no challenge"),
    Wrong(NOBODY, RefusesNobodyWithoutAChallenge, "has no WWW-Authenticate"),
    Wrong(NOBODY, TellsHalfOfItsChallenges, "without the challenge 'Basic'"),
    Wrong(REFUSED, LetsInTheWrong, "got a 200, not a 401 or 403"),
    Wrong(REFUSED, FailsAtTheWrong, "got a 500, not a 401 or 403"),
    Wrong(REFUSED, BlamesTheRequest, "got a 400, not a 401 or 403"),
    Wrong(REFUSED, HasNoWords, "no detail that says why"),
    Wrong(REFUSED, ForgetsTheChallenge, "has no WWW-Authenticate"),
    Wrong(REFUSED, Token, "`bad` is empty", {"bad": []}),
    Wrong("test_a_refusal_does_not_repeat_the_credential", RepeatsWhatWasSent, "is repeated"),
    Wrong("test_a_refusal_does_not_repeat_the_credential", FailsAtTheWrong, "is repeated"),  # in the log
    Wrong("test_the_body_of_a_refused_request_is_not_read", ReadsTheBody, "the body was asked for"),
    Wrong(GETS_IN, GivesANumber, "a name is text"),
    Wrong(GETS_IN, GivesNoName, "name is empty"),
    Wrong(GETS_IN, GivesADict, "got a 500"),
    Wrong(GETS_IN, RefusesAll, "got a 401"),
    Wrong(GETS_IN, Token, "`good` is empty", {"good": []}),
    Wrong("test_the_scheme_is_read_in_any_case", WantsACapital, "and the same as bearer got a 401"),
    Wrong("test_every_method_needs_a_credential", LetsInOptions, "OPTIONS without credentials got a 204"),
    Wrong("test_every_method_needs_a_credential", LetsInGet, "GET without credentials got a 405"),
    Wrong(PATHS, KnowsOnePath, "and another"),
    Wrong(PATHS, SaysThatAPathIsUnknown, "and another"),
    Wrong("test_routes_of_other_plugins_are_behind_it", LetsInGet, "got a 200, not a 401 or 403"),
    Wrong("test_routes_of_other_plugins_are_behind_it", RefusesAll, "got a 401 at a route"),
    Wrong("test_public_routes_need_no_credential", AsksInAdmit, "a public route refused"),
    Wrong("test_a_preflight_needs_no_credential", AsksInAdmit, "a preflight got a 401"),
    Wrong("test_nothing_that_is_made_up_gets_in", ComparesText, "got a 500"),
    Wrong("test_nothing_that_is_made_up_gets_in", LetsInTheWrong, "got a 200"),
    Wrong(HALF, TakesTheSecondWord, "got a 500"),
    Wrong(HALF, TakesAnEmptyOne, "got a 200"),
    Wrong(CHANGED, LooksForTheToken, "got a 200"),
    Wrong(CHANGED, LooksAtTheBeginning, "got a 200"),
    Wrong(CHANGED, IgnoresCase, "got a 200"),
    Wrong(CHANGED, Token, "the fixture `changed` gives nothing", {"changed": lambda value: []}),
    Wrong("test_two_credentials_at_once_are_refused", TakesAnyOfSeveral, "at once got a 200"),
    Wrong("test_a_caller_that_got_in_is_asked_again", Remembers, "without credentials, got a 200"),
    Wrong("test_callers_at_once_each_have_their_own_name", KeepsTheName, "was taken for"),
    Wrong(BACKENDS, KnowsOneBackend, "a stranger got a 200 from one"),
    Wrong(BACKENDS, StartsOnce, "has been started already"),
    Wrong(CONFIGURED, Token, "it starts", {"unconfigured": lambda: make(Token)}),
    Wrong(CONFIGURED, Token, "not what to configure", {"unconfigured": raises_without_words}),
]


def suites():
    """What the other pytest collects."""
    wrong = {f"TestWrong{number}": suite(case.plugin, **case.fixtures) for number, case in enumerate(WRONG)}
    return {**wrong, **{name: kind for name, (kind, _) in RIGHT.items()}, "TestBare": IdentifySuite}


BARE = {
    "test_every_method_needs_a_credential": "override the fixture `plugin`",
    "test_the_scheme_is_read_in_any_case": "override the fixture `",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    wrong = [f"TestWrong{number}::{case.test}" for number, case in enumerate(WRONG)]
    nodes = [*wrong, *RIGHT, *(f"TestBare::{test}" for test in BARE)]
    return run_in_another_pytest(tmp_path_factory.mktemp("suites"), "test_identify_suite", nodes)


@pytest.mark.once
@pytest.mark.parametrize("number", range(len(WRONG)), ids=[case.plugin.__name__ for case in WRONG])
def test_a_wrong_plugin_fails_the_test_for_what_is_wrong_with_it(outcomes, number):
    case = WRONG[number]
    outcome, told = outcomes[f"TestWrong{number}", case.test]
    assert outcome == "failure", told
    assert case.words in told


def test_every_test_of_the_suite_has_a_plugin_that_fails_it():
    assert {case.test for case in WRONG} == names_of_tests(IdentifySuite)


@pytest.mark.once
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_plugin_passes_what_it_can_take(outcomes, name):
    kind, skipped = RIGHT[name]
    became = {test: outcomes[name, test] for test in names_of_tests(kind)}
    assert {test: told for test, (outcome, told) in became.items() if outcome in ("failure", "error")} == {}
    assert {test for test, (outcome, _) in became.items() if outcome == "skipped"} == skipped
    for test in skipped:
        assert "fixture `" in became[test][1]


@pytest.mark.once
@pytest.mark.parametrize("test", BARE)
def test_a_suite_without_its_fixtures_says_what_to_override(outcomes, test):
    outcome, told = outcomes["TestBare", test]
    assert outcome == "error"
    assert BARE[test] in told
