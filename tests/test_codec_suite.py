"""The suite for codecs: the built-in one passes, and each of its tests fails a codec that is wrong in just that."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from izzati import NULL, Claims, Codec, Problem, hookimpl
from izzati.builtin.json import JSON
from izzati.testing.codec import CodecSuite

MINE = "application/x-mine"
SECONDS = 600
"""An upper bound for the other pytest, on a machine that has much else to do."""


class TestJSON(CodecSuite):
    @pytest.fixture
    def plugin(self):
        return JSON()

    @pytest.fixture
    def bad_bodies(self):
        bodies = [b"", b"{", b'{"a": NaN}', b"{} {}", b"\xff", b'{"a": 1, "a": 2}', rb'{"a": "\ud800"}', b"[]", b"null"]
        return [*bodies, b'{"a": 1e999}', b'{"a": ' + b"9" * 5000 + b"}", b"[" * 100_000]


class Mine(Codec):
    """A codec that is right: the wrong ones below differ from it in one thing each."""

    reads = writes = (MINE,)

    def decode(self, body, request):
        return json.loads(body)

    def encode(self, value, media_type):
        return json.dumps(value).encode()


class Pairs(Codec):
    """One that carries text only, in no depth; and not None."""

    reads = ("text/x-pairs", "*+pairs")
    writes = ("text/x-pairs",)

    def decode(self, body, request):
        return dict(line.split("=", 1) for line in body.decode().splitlines())

    def encode(self, value, media_type):
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise TypeError("pairs are of text and text")
        return "".join(f"{name}={each}\n" for name, each in value.items()).encode()


class OnlyWrites(Mine):
    reads = ()


class OnlyReads(Mine):
    writes = ()


class Packed(Codec):
    """A binary format: text after its length, and levels that nest by one byte each."""

    reads = writes = (MINE,)

    def decode(self, body, request):
        value, rest = self._take(body)
        if rest:
            raise ValueError("there are bytes after the value")
        return value

    def _take(self, body):
        mark, rest = body[:1], body[1:]
        if mark == b"[":
            inner, rest = self._take(rest)
            return [inner], rest
        if mark == b"{":
            return self._take_dict(rest)
        if mark == b"s" and len(rest) >= 4:
            (length,) = struct.unpack(">I", rest[:4])
            text, rest = rest[4 : 4 + length], rest[4 + length :]
            if len(text) == length:
                return text.decode(), rest
        raise ValueError("it ended early, or has another byte where a value begins")

    def _take_dict(self, rest):
        found = {}
        while rest[:1] != b"}":
            key, rest = self._take(rest)
            found[str(key)], rest = self._take(rest)
        return found, rest[1:]

    def encode(self, value, media_type):
        if isinstance(value, list) and len(value) == 1:
            return b"[" + self.encode(value[0], media_type)
        if isinstance(value, dict):
            return b"{%b}" % b"".join(self.encode(member, media_type) for pair in value.items() for member in pair)
        if isinstance(value, str):
            return b"s%b%b" % (struct.pack(">I", len(value.encode())), value.encode())
        raise TypeError("this carries text, dicts, and lists of one")


class OwnHooks:
    """One that does not extend Codec, and takes of each hook what it needs."""

    @hookimpl
    def izzati_claims(self):
        return Claims(reads=(MINE,), writes=(MINE,))

    @hookimpl
    def izzati_encode(self, value, media_type):
        return json.dumps(value).encode() if media_type == MINE else None

    @hookimpl
    def izzati_decode(self, body, media_type, request):
        if media_type != MINE:
            return None
        try:
            value = json.loads(body)
            assert self.fits(value, request.limits.depth)
        except (ValueError, RecursionError, AssertionError) as error:
            limit = {"limit": "depth"} if isinstance(error, AssertionError) else {}
            raise Problem(400, "This is not what was expected.", **limit) from error
        return NULL if value is None else value

    def fits(self, value, depth):
        members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return members is None or (depth > 0 and all(self.fits(member, depth - 1) for member in members))


def suite(plugin, **fixtures):
    """A suite for what the factory ``plugin`` makes; other fixtures by name."""
    made = {name: pytest.fixture(lambda self, value=value: value) for name, value in fixtures.items()}
    return type("Suite", (CodecSuite,), {"plugin": pytest.fixture(lambda self: plugin()), **made})


TEXTS = st.text("abc", min_size=1)
RIGHT = {
    "TestOwnHooks": (suite(OwnHooks, bad_bodies=[b"{"]), set()),
    "TestPacked": (
        suite(Packed, values=st.dictionaries(st.text(), st.text()), bad_bodies=[b"s\0\0\0\1", b"dx"]),
        {"test_a_none_is_null"},
    ),
    "TestPairs": (
        suite(Pairs, values=st.dictionaries(TEXTS, TEXTS), media_type="application/dog+pairs"),
        {
            "test_a_none_is_null",
            "test_every_bad_body_is_refused_in_a_sentence",
            "test_values_nested_deeper_than_the_limit_are_refused",
            "test_nesting_beyond_any_stack_is_refused",
        },
    ),
    "TestOnlyWrites": (
        suite(OnlyWrites, bad_bodies=[b"{"]),
        {
            "test_a_none_is_null",
            "test_a_value_comes_back_from_its_bytes_as_it_was",
            "test_a_value_sent_in_its_media_type_reaches_the_callback",
            "test_a_part_of_a_form_in_its_media_type_is_decoded",
            "test_any_bytes_at_all_are_a_dict_or_a_refusal",
            "test_a_damaged_body_is_a_dict_or_a_refusal",
            "test_every_bad_body_is_refused_in_a_sentence",
            "test_values_nested_deeper_than_the_limit_are_refused",
            "test_nesting_beyond_any_stack_is_refused",
            "test_threads_do_not_mix_up_their_values",
            "test_a_short_body_takes_little_memory",
        },
    ),
    "TestOnlyReads": (
        suite(OnlyReads, examples=[(b"{}", {}), (b'{"a":1}', {"a": 1})], bad_bodies=[b"{"]),
        {
            "test_a_none_is_null",
            "test_encoding_leaves_the_value_as_it_was",
            "test_a_result_that_is_asked_for_by_accept_comes_back_in_its_media_type",
            "test_values_nested_deeper_than_the_limit_are_refused",
            "test_nesting_beyond_any_stack_is_refused",
            "test_what_it_cannot_carry_is_a_type_error_or_a_value_error",
        },
    ),
    "TestOnlyReadsWithoutExamples": (
        suite(OnlyReads),
        {
            "test_a_none_is_null",
            "test_encoding_leaves_the_value_as_it_was",
            "test_a_value_comes_back_from_its_bytes_as_it_was",
            "test_a_value_sent_in_its_media_type_reaches_the_callback",
            "test_a_result_that_is_asked_for_by_accept_comes_back_in_its_media_type",
            "test_a_part_of_a_form_in_its_media_type_is_decoded",
            "test_a_damaged_body_is_a_dict_or_a_refusal",
            "test_every_bad_body_is_refused_in_a_sentence",
            "test_values_nested_deeper_than_the_limit_are_refused",
            "test_nesting_beyond_any_stack_is_refused",
            "test_threads_do_not_mix_up_their_values",
            "test_what_it_cannot_carry_is_a_type_error_or_a_value_error",
        },
    ),
}
"""Codecs that pass, and the tests that are skipped for them."""


class ClaimsCapitals(Mine):
    reads = ("Application/X-Mine",)


class ClaimsAString(Mine):
    reads = MINE


class ClaimsAPatternToWrite(Mine):
    writes = ("*+mine",)


class ClaimsTwice(Mine):
    writes = (MINE, MINE)


class ClaimsNothing(Mine):
    reads = writes = ()


class ClaimsAScheme(Mine):
    @hookimpl
    def izzati_claims(self):
        return Claims(reads=self.reads, writes=self.writes, schemes=("mine",))


class WithoutTruth(Mine):
    def encode(self, value, media_type):
        return re.sub(r"\btrue\b", "1", json.dumps(value)).encode()


class WithoutIntegers(Mine):
    def decode(self, body, request):
        return json.loads(body, parse_int=float)


class GivesText(Mine):
    def encode(self, value, media_type):
        return json.dumps(value)


class DeclinesEmptyDicts(OwnHooks):
    @hookimpl
    def izzati_decode(self, body, media_type, request):
        return super().izzati_decode(body, media_type, request) or None


class EmptiesValues(Mine):
    def encode(self, value, media_type):
        return json.dumps(dict([value.popitem()] if value else ())).encode()


class LooksAtTheMethod(Mine):
    def decode(self, body, request):
        return json.loads(body) if request.body.empty else {"body": json.loads(body)}


class RendersByItself(Mine):
    @hookimpl
    def izzati_render(self, result, request):
        return Response(json.dumps(result), content_type=f"{MINE}; charset=utf-8") if isinstance(result, dict) else None


class WritesOneTypeOnly(Mine):
    reads = writes = (MINE, "application/x-other")

    def encode(self, value, media_type):
        return super().encode(value if media_type == MINE else {"value": value}, media_type)


class WritesWhatItDoesNotRead(Mine):
    writes = (MINE, "text/x-mine")
    times = 0

    def encode(self, value, media_type):
        self.times += media_type != MINE
        return super().encode([self.times, value] if media_type != MINE else value, media_type)


class LooksAtTheRequestsType(Mine):
    def decode(self, body, request):
        if request.media_type != MINE:
            raise ValueError("this is of another type")
        return json.loads(body)


class DecodesEverything(Mine):
    @hookimpl
    def izzati_decode(self, body, media_type, request):
        return {"body": len(body)}


class EncodesEverything(Mine):
    @hookimpl
    def izzati_encode(self, value, media_type):
        return self.encode(value, media_type)


class DecodesToNone(OwnHooks):
    @hookimpl
    def izzati_decode(self, body, media_type, request):
        value = super().izzati_decode(body, media_type, request)
        return None if value is NULL else value


class TrustsItsCallers(Mine):
    def decode(self, body, request):
        assert body.lstrip().startswith(b"{")
        return json.loads(body)


class TrustsTheEnd(Mine):
    def decode(self, body, request):
        if body[:1] == b"{" and body.rstrip()[-1:] != b"}":
            raise IndexError
        return json.loads(body)


class DeclinesDamage(OwnHooks):
    @hookimpl
    def izzati_decode(self, body, media_type, request):
        try:
            return super().izzati_decode(body, media_type, request)
        except Problem:
            return None


class Forgives(Mine):
    def decode(self, body, request):
        try:
            return json.loads(body)
        except ValueError:
            return {}


class RefusesWithoutWords(Mine):
    def decode(self, body, request):
        try:
            return json.loads(body)
        except ValueError:
            raise Problem(400) from None


class RefusesWithItsTraceback(Mine):
    def decode(self, body, request):
        try:
            return json.loads(body)
        except ValueError as error:
            raise ValueError(f"Traceback (most recent call last): {error!r}") from None


class RefusesWithTheWrongStatus(Mine):
    def decode(self, body, request):
        try:
            return json.loads(body)
        except ValueError:
            raise Problem(422, "It makes no sense.") from None


class ForgetsTheLimit(OwnHooks):
    def fits(self, value, depth):
        return True


class LimitsTooEarly(OwnHooks):
    def fits(self, value, depth):
        return super().fits(value, depth - 1)


class HidesTheLimit(OwnHooks):
    @hookimpl
    def izzati_decode(self, body, media_type, request):
        try:
            return super().izzati_decode(body, media_type, request)
        except Problem as problem:
            raise Problem(400, problem.description) from None


class FallsFromTheStack(Mine):
    def decode(self, body, request):
        try:
            return json.loads(body)
        except RecursionError:
            raise RuntimeError from None


class BytesThatFallFromTheStack(Packed):
    def decode(self, body, request):
        try:
            return super().decode(body, request)
        except RecursionError:
            raise RuntimeError from None


class CarriesAnything(Mine):
    def encode(self, value, media_type):
        return json.dumps(value, default=str).encode()


class FailsOtherwise(Mine):
    def encode(self, value, media_type):
        try:
            return super().encode(value, media_type)
        except TypeError:
            raise KeyError from None


class Meeting:
    """Where threads wait for another one: two that are here at once do meet, and one that is alone goes on soon."""

    def __init__(self):
        self._both = threading.Barrier(2)

    def wait(self):
        try:
            self._both.wait(0.02)
        except threading.BrokenBarrierError:
            self._both.reset()


class KeepsTheBody(Mine):
    """It keeps what it decodes in itself until another thread has done so, too."""

    def __init__(self):
        self.meeting = Meeting()

    def decode(self, body, request):
        self.value = json.loads(body)
        self.meeting.wait()
        return self.value


class KeepsTheBytes(KeepsTheBody):
    def encode(self, value, media_type):
        self.body = super().encode(value, media_type)
        self.meeting.wait()
        return self.body

    def decode(self, body, request):
        return json.loads(body)


class MakesRoom(Packed):
    """It believes a length, though not so much that this test takes the machine with it."""

    def _take(self, body):
        if body[:1] == b"s" and len(body) >= 5:
            (length,) = struct.unpack(">I", body[1:5])
            bytearray(min(length, 64 << 20))
        return super()._take(body)


@dataclass
class Wrong:
    """A codec that is wrong, the test that must fail it, and words with which it must."""

    test: str
    plugin: Any
    words: str
    fixtures: dict[str, Any] = field(default_factory=dict)


BAD = {"bad_bodies": [b"{"]}
CLAIMS = "test_it_claims_media_types_in_lower_case_and_nothing_else"
BACK = "test_a_value_comes_back_from_its_bytes_as_it_was"
ACCEPT = "test_a_result_that_is_asked_for_by_accept_comes_back_in_its_media_type"
DECLINES = "test_it_declines_media_types_that_are_not_its_own"
BAD_BODY = "test_every_bad_body_is_refused_in_a_sentence"
LIMIT = "test_values_nested_deeper_than_the_limit_are_refused"
STACK = "test_nesting_beyond_any_stack_is_refused"
CANNOT = "test_what_it_cannot_carry_is_a_type_error_or_a_value_error"
THREADS = "test_threads_do_not_mix_up_their_values"
DAMAGED = "test_a_damaged_body_is_a_dict_or_a_refusal"

WRONG = [
    Wrong(CLAIMS, ClaimsCapitals, "in lower case"),
    Wrong(CLAIMS, ClaimsAString, "takes a tuple of text"),
    Wrong(CLAIMS, ClaimsAPatternToWrite, "it writes '*+mine'"),
    Wrong(CLAIMS, ClaimsTwice, "a media type twice"),
    Wrong(CLAIMS, ClaimsNothing, "claims no media type"),
    Wrong(CLAIMS, ClaimsAScheme, "nothing else"),
    Wrong(BACK, WithoutTruth, "came back as"),
    Wrong(BACK, WithoutIntegers, "came back as"),
    Wrong(BACK, GivesText, "a codec gives bytes"),
    Wrong(BACK, DeclinesEmptyDicts, "declined to decode"),
    Wrong(BACK, OnlyReads, "came back as", {"examples": [(b'{"a":1}', {"a": 2})]}),
    Wrong("test_encoding_leaves_the_value_as_it_was", EmptiesValues, "encoding changed the value"),
    Wrong("test_a_value_sent_in_its_media_type_reaches_the_callback", LooksAtTheMethod, "came back as"),
    Wrong(ACCEPT, RendersByItself, "was asked for"),
    Wrong(ACCEPT, WritesOneTypeOnly, "came back as"),
    Wrong(ACCEPT, WritesWhatItDoesNotRead, "not what it encoded"),
    Wrong("test_a_part_of_a_form_in_its_media_type_is_decoded", LooksAtTheRequestsType, "a part of a form was refused"),
    Wrong(DECLINES, DecodesEverything, "it does not read"),
    Wrong(DECLINES, EncodesEverything, "it does not write"),
    Wrong("test_a_none_is_null", DecodesToNone, "return izzati.NULL"),
    Wrong("test_any_bytes_at_all_are_a_dict_or_a_refusal", TrustsItsCallers, "got a 500"),
    Wrong(DAMAGED, TrustsTheEnd, "got a 500"),
    Wrong(DAMAGED, DeclinesDamage, "and declined"),
    Wrong(BAD_BODY, Forgives, "got a 200", BAD),
    Wrong(BAD_BODY, Forgives, "b'' got a 200", {"bad_bodies": [b""]}),
    Wrong(BAD_BODY, RefusesWithoutWords, "has no detail", BAD),
    Wrong(BAD_BODY, RefusesWithItsTraceback, "shows the program", BAD),
    Wrong(BAD_BODY, RefusesWithTheWrongStatus, "got a 422", BAD),
    Wrong(LIMIT, ForgetsTheLimit, "are beyond Limits(depth=10)"),
    Wrong(LIMIT, LimitsTooEarly, "are within Limits(depth=10)"),
    Wrong(LIMIT, HidesTheLimit, "names no limit"),
    Wrong(STACK, FallsFromTheStack, "levels got a 500"),
    Wrong(STACK, BytesThatFallFromTheStack, "levels got a 500"),
    Wrong(CANNOT, CarriesAnything, "raise a TypeError"),
    Wrong(CANNOT, FailsOtherwise, "KeyError"),
    Wrong(THREADS, KeepsTheBody, "came back as"),
    Wrong(THREADS, KeepsTheBytes, "came back as"),
    Wrong(
        "test_a_short_body_takes_little_memory",
        MakesRoom,
        "bound what a length may ask for",
        {"values": st.dictionaries(st.text(), st.text())},
    ),
]


def names_of_tests(kind):
    return {name for name in dir(kind) if name.startswith("test_")}


def suites():
    """What the other pytest collects."""
    wrong = {f"TestWrong{number}": suite(case.plugin, **case.fixtures) for number, case in enumerate(WRONG)}
    return {**wrong, **{name: kind for name, (kind, _) in RIGHT.items()}, "TestBare": CodecSuite}


PROFILE = """
from hypothesis import Phase, settings

settings.register_profile("bite", max_examples=30, phases=[Phase.generate], database=None, derandomize=True)
settings.load_profile("bite")
"""


def run_in_another_pytest(folder, module, nodes):
    """Run these tests of the suites of a module as its author's pytest would, without izzati's fixtures.

    :returns: (class, test) to what became of it and the words that tell.
    """
    # A smaller example, or another one than the last time, would not fail better.
    (folder / "conftest.py").write_text(PROFILE)
    (folder / "test_suites.py").write_text(f"import {module}\n\nglobals().update({module}.suites())\n")
    report = folder / "report.xml"
    command = ["pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", f"--junitxml={report}"]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", *command, *(f"test_suites.py::{node}" for node in nodes)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert report.exists(), done.stdout
    outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        what = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        told = ("passed", "") if what is None else (what.tag, f"{what.get('message')}\n{what.text}")
        outcomes[case.get("classname").rpartition(".")[2], case.get("name")] = told
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    wrong = [f"TestWrong{number}::{case.test}" for number, case in enumerate(WRONG)]
    bare = ["TestBare::test_a_none_is_null"]
    return run_in_another_pytest(tmp_path_factory.mktemp("suites"), "test_codec_suite", [*wrong, *RIGHT, *bare])


@pytest.mark.once
@pytest.mark.parametrize("number", range(len(WRONG)), ids=[case.plugin.__name__ for case in WRONG])
def test_a_wrong_codec_fails_the_test_for_what_is_wrong_with_it(outcomes, number):
    case = WRONG[number]
    outcome, told = outcomes[f"TestWrong{number}", case.test]
    assert outcome == "failure", told
    assert case.words in told


def test_every_test_of_the_suite_has_a_codec_that_fails_it():
    assert {case.test for case in WRONG} == names_of_tests(CodecSuite)


@pytest.mark.once
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_codec_passes_what_it_can_take(outcomes, name):
    kind, skipped = RIGHT[name]
    became = {test: outcomes[name, test] for test in names_of_tests(kind)}
    assert {test: told for test, (outcome, told) in became.items() if outcome in ("failure", "error")} == {}
    assert {test for test, (outcome, _) in became.items() if outcome == "skipped"} == skipped
    for test in skipped:
        assert "`" in became[test][1]  # the reason names the fixture or the attribute


@pytest.mark.once
def test_a_suite_without_its_plugin_says_what_to_override(outcomes):
    outcome, told = outcomes["TestBare", "test_a_none_is_null"]
    assert outcome == "error"
    assert "override the fixture `plugin`" in told
