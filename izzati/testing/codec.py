"""The contract of codecs: what every plugin does that turns bytes into values, or values into bytes."""

from __future__ import annotations

import copy
import re
import secrets
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pluggy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from werkzeug.exceptions import HTTPException
from werkzeug.test import Client

from izzati import hookspecs
from izzati.backend import Backend
from izzati.claims import Claims
from izzati.limits import Limits
from izzati.message import NULL
from izzati.negotiation import covers
from izzati.request import Request
from izzati.testing.served import SECONDS, Answer, Served, serving

__all__ = ["CodecSuite"]

_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]*"
_MEDIA_TYPE = re.compile(f"{_NAME}/{_NAME}")
_PATTERN = re.compile(r"\*\+[a-z0-9][a-z0-9!#$&^_.-]*")

_FREE = 16 << 20
_FOR_EACH_BYTE = 64
"""Memory that decoding may take, and more for each byte of the body: a byte of JSON can become a small object."""

_VERY_DEEP = 100_000
"""Levels of nesting beyond what any interpreter's stack has room for."""

# The largest lengths, in the ways in which msgpack, CBOR and others declare them.
_LENGTHS = (
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff" * 8,
    *(bytes([mark]) + b"\x7f\xff\xff\xff" for mark in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF, 0x5A, 0x7A, 0x9A, 0xBA)),
    *(bytes([mark]) + b"\0\0\0\x01\0\0\0\0" for mark in (0x5B, 0x7B, 0x9B, 0xBB)),
)

_JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class CodecSuite:
    """What every codec does. Subclass it, and say with fixtures what is to be tested::

        class TestPairs(CodecSuite):
            @pytest.fixture
            def plugin(self):
                return Pairs()

            @pytest.fixture
            def values(self):
                return st.dictionaries(st.text("abc", min_size=1), st.text("xyz"))

            @pytest.fixture
            def bad_bodies(self):
                return [b"no equals sign", b"\\xff=not UTF-8"]

    Only ``plugin`` must be overridden. Tests that a codec cannot take are skipped: one that only writes decodes
    nothing, and of one that only reads the suite knows no body but those of the fixture ``examples``.
    """

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the codec to test, as it would be given to a Backend."""
        raise NotImplementedError("override the fixture `plugin` of your CodecSuite: return the codec to test")

    @pytest.fixture
    def values(self) -> SearchStrategy[Any]:
        """Return a hypothesis strategy of dicts that come back from a round trip as they were.

        What JSON carries, unless overridden: text, integers of 64 bits, finite floats, truth values and None, in lists
        and in dicts whose keys are text.
        """
        return st.dictionaries(st.text(max_size=8), _JSON_LIKE, max_size=4)

    @pytest.fixture
    def examples(self) -> list[tuple[bytes, dict[str, Any]]]:
        """Return bodies in ``media_type`` that are valid, each with the dict that it stands for.

        None unless overridden, which is enough for a codec that writes what it reads.
        """
        return []

    @pytest.fixture
    def bad_bodies(self) -> list[bytes]:
        """Return bodies in ``media_type`` that stand for no value, and must be refused with a 400.

        ``b""`` may be among them. It is sent as a part of a form, since a request without a body has no document.
        """
        return []

    @pytest.fixture
    def media_type(self, plugin: Any) -> str:
        """Return the media type in which bodies are sent: the first that the codec reads, unless overridden.

        What the codec writes in this type, or else in the first that it writes, must be readable as this type.
        """
        claims = _claims(plugin)
        return next(iter((*claims.reads, *claims.writes))).replace("*+", "application/x-izzati+")

    @pytest.fixture
    def codec(
        self,
        plugin: Any,
        media_type: str,
        values: SearchStrategy[Any],
        examples: list[tuple[bytes, dict[str, Any]]],
    ) -> _Tested:
        """What the tests ask the other fixtures for; leave it as it is."""
        return _Tested(plugin, media_type, values, examples)

    def test_it_claims_media_types_in_lower_case_and_nothing_else(self, plugin: Any) -> None:
        """Media types are compared as they are claimed, so a capital letter or a parameter would never be found; and a
        codec that also claims a scheme or a challenge says that it does what it does not."""
        claims = _claims(plugin)
        assert claims.reads or claims.writes, "it claims no media type: set `reads`, `writes` or both"
        for claimed in claims.reads:
            assert _MEDIA_TYPE.fullmatch(claimed) or _PATTERN.fullmatch(claimed), (
                f"it reads {claimed!r}; write a media type as type/subtype or *+suffix, in lower case, in a tuple"
            )
        for claimed in claims.writes:
            assert _MEDIA_TYPE.fullmatch(claimed), (
                f"it writes {claimed!r}; write a media type as type/subtype, in lower case, in a tuple"
            )
        for kind in (claims.reads, claims.writes):
            assert len(set(kind)) == len(kind), f"it claims a media type twice: {kind}"
        assert (claims.schemes, claims.challenges) == ((), ()), "a codec claims media types and nothing else"

    def test_a_value_comes_back_from_its_bytes_as_it_was(self, codec: _Tested) -> None:
        """To the type: a codec that gives 1 for True, or 1.0 for 1, changes what callers meant."""
        pairs = codec.pairs()

        @_searching(100)
        @given(pairs)
        def check(pair: tuple[bytes, Any]) -> None:
            body, value = pair
            _compare(value, codec.decode(body))

        check()

    def test_encoding_leaves_the_value_as_it_was(self, codec: _Tested) -> None:
        """A result belongs to its callback, which may return the same object to every caller."""
        written = codec.require_written()

        @_searching(50)
        @given(codec.values)
        def check(value: Any) -> None:
            before = copy.deepcopy(value)
            codec.encode(value, written)
            assert _same(before, value), f"encoding changed the value {before!r} to {value!r}"

        check()

    def test_a_value_sent_in_its_media_type_reaches_the_callback(self, codec: _Tested) -> None:
        """Over a real connection, as a caller would send it."""
        pairs = codec.pairs()
        with _recording(codec) as (served, calls):

            @_searching(50)
            @given(pairs)
            def check(pair: tuple[bytes, Any]) -> None:
                body, value = pair
                answer = served.request(body, {"Content-Type": codec.media_type})
                assert answer.status == 200, _told(answer)
                if body:  # no bytes are no document, whatever they stand for elsewhere
                    _compare(value, calls.pop())

            check()

    def test_a_result_that_is_asked_for_by_accept_comes_back_in_its_media_type(self, codec: _Tested) -> None:
        """In every type that it claims to write, told by its Content-Type, and readable again where it claims so."""
        codec.require_written()
        results: list[Any] = []
        with serving(codec.backend(lambda text, data: results.pop())) as served:

            @_searching(50)
            @given(codec.values, st.sampled_from(codec.claims.writes))
            def check(value: Any, written: str) -> None:
                results[:] = [value]
                answer = served.request(headers={"Accept": written})
                assert answer.status == 200, _told(answer)
                got = answer.headers["Content-Type"]
                assert got == written, f"the answer's Content-Type is {got!r}, but {written!r} was asked for"
                if covers(codec.claims.reads, written):
                    _compare(value, codec.decode(answer.body, written))
                else:
                    assert answer.body == codec.encode(value, written), "the answer is not what it encoded"

            check()

    def test_a_part_of_a_form_in_its_media_type_is_decoded(self, codec: _Tested) -> None:
        """A part has the codec's media type, and the request that of the form: a codec that looks at
        ``request.media_type`` to know what the bytes are does not know it here."""
        pairs = codec.pairs()
        with _recording(codec) as (served, calls):

            @_searching(50)
            @given(pairs)
            def check(pair: tuple[bytes, Any]) -> None:
                body, value = pair
                answer = _send_part(codec, served, body)
                assert answer.status == 200, f"a part of a form was refused: {_told(answer)}"
                _compare(value, calls.pop()["part"])

            check()

    def test_it_declines_media_types_that_are_not_its_own(self, codec: _Tested) -> None:
        """Codecs are asked in turn, so one that takes what is another's keeps that from ever being asked."""
        main = codec.media_type.partition("/")[0]
        others = ("", "*/*", f"{main}/*", f"{codec.media_type}x", f"x{codec.media_type}", f"{codec.media_type}+x-other")
        foreign = (*others, "text/plain", "application/octet-stream", "application/x-izzati-other")
        reads = [other for other in foreign if not covers(codec.claims.reads, other)]
        writes = [other for other in (*foreign, codec.media_type) if other not in codec.claims.writes]

        @_searching(10)
        @given(codec.values, st.just(b"") | codec.pairs_if_any().map(lambda pair: pair[0]))
        def check(value: Any, body: bytes) -> None:
            for other in reads:
                got = codec.ask_to_decode(body, other)
                assert got is None, f"it does not read {other!r}, and decodes it to {got!r}; return None to decline"
            for other in writes:
                got = codec.ask_to_encode(value, other)
                assert got is None, f"it does not write {other!r}, and encodes it to {got!r}; return None to decline"

        check()

    def test_a_none_is_null(self, codec: _Tested) -> None:
        """None declines, so a body that stands for None would be refused as one that nobody reads."""
        codec.require_read()
        written = codec.require_written()
        try:
            body = codec.encode(None, written)
        except (TypeError, ValueError):
            pytest.skip(f"{written}, of the codec's `writes`, cannot carry None")
        got = codec.ask_to_decode(body, codec.media_type)
        assert got is not None, "it decodes None to None, which declines; return izzati.NULL"
        if got is not NULL:
            pytest.skip(f"{written}, of the codec's `writes`, carries {got!r} in place of None")

    def test_any_bytes_at_all_are_a_dict_or_a_refusal(self, codec: _Tested) -> None:
        """Anybody may send anything, and none of it is the server's defect."""
        codec.require_read()
        with _recording(codec) as (served, calls):

            @_searching(100)
            @given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
            def check(body: bytes) -> None:
                _send_anything(codec, served, calls, body)

            check()

    def test_a_damaged_body_is_a_dict_or_a_refusal(self, codec: _Tested) -> None:
        """Bodies that break off, or have other bytes in some places, get further into a decoder than noise does."""
        pairs = codec.pairs()
        with _recording(codec) as (served, calls):

            @_searching(100)
            @given(_damaged(pairs))
            def check(body: bytes) -> None:
                _send_anything(codec, served, calls, body)

            check()

    def test_every_bad_body_is_refused_in_a_sentence(self, codec: _Tested, bad_bodies: list[bytes]) -> None:
        """With a 400, and words that say what is wrong and nothing of the program that found it."""
        codec.require_read()
        if not bad_bodies:
            pytest.skip("the fixture `bad_bodies` is empty")
        with _recording(codec) as (served, calls):
            for body in bad_bodies:
                # As a whole body, no bytes are no document.
                headers = {"Content-Type": codec.media_type}
                answer = served.request(body, headers) if body else _send_part(codec, served, body)
                assert answer.status == 400, f"{body[:60]!r} got a {answer.status}: {_told(answer)}"
                detail = _detail(answer)
                assert not re.search(r":\s*\.?$", detail), f"{body[:60]!r}: {detail!r} does not say why"
                assert "Traceback" not in detail, f"{body[:60]!r}: {detail!r} shows the program"
            assert calls == []

    def test_values_nested_deeper_than_the_limit_are_refused(self, codec: _Tested) -> None:
        """``Limits.depth`` binds codecs: whatever a callback does with a value may recurse into it."""
        nested = codec.nesting()
        with _recording(codec, Limits(depth=10)) as (served, calls):
            answer = served.request(nested(10), {"Content-Type": codec.media_type})
            assert answer.status == 200, f"10 levels are within Limits(depth=10): {_told(answer)}"
            for levels in (11, 12, 50):
                answer = served.request(nested(levels), {"Content-Type": codec.media_type})
                assert answer.status == 400, f"{levels} levels are beyond Limits(depth=10), and got a {answer.status}"
                assert answer.json.get("limit") == "depth", f"the refusal names no limit: {_told(answer)}"
            assert len(calls) == 1

    def test_nesting_beyond_any_stack_is_refused(self, codec: _Tested) -> None:
        """A short body can nest a hundred thousand times, which a decoder that recurses does not survive."""
        nested = codec.nesting()
        body = _deep(nested(3), nested(4), nested(6))
        if body is None:
            pytest.skip(f"{codec.media_type}, the fixture `media_type`, does not nest by repeating bytes")
        with _recording(codec) as (served, calls):
            answer = served.request(body, {"Content-Type": codec.media_type})
            assert 400 <= answer.status <= 499, f"{_VERY_DEEP} levels got a {answer.status}: {_told(answer)}"
            _detail(answer)
            assert calls == []

    def test_what_it_cannot_carry_is_a_type_error_or_a_value_error(self, codec: _Tested) -> None:
        """A result that quietly becomes something else, such as its repr, is found out by no one but the caller."""
        codec.require_written()
        for written in codec.claims.writes:
            try:
                body = codec.ask_to_encode({"a": object()}, written)
            except (TypeError, ValueError):
                continue
            pytest.fail(f"an object() became {body!r} in {written}; raise a TypeError for what cannot be carried")

    def test_threads_do_not_mix_up_their_values(self, codec: _Tested) -> None:
        """One codec serves all requests at once, so nothing of a value may wait in the codec itself."""
        pairs = codec.pairs()
        written = codec.written if codec.claims.writes else ""

        @_searching(5)
        @given(st.lists(pairs, min_size=2, max_size=8, unique_by=lambda pair: pair[0]))
        def check(chosen: list[tuple[bytes, Any]]) -> None:
            requests = [codec.new_request() for _ in range(8)]

            def work(number: int) -> None:
                for turn in range(20):
                    body, value = chosen[(number + turn) % len(chosen)]
                    if written:
                        body = codec.encode(value, written)
                    if codec.claims.reads:
                        _compare(value, codec.decode(body, request=requests[number]))

            _at_once(work, len(requests))

        check()

    def test_a_short_body_takes_little_memory(self, codec: _Tested, bad_bodies: list[bytes]) -> None:
        """A body that declares a length of gigabytes is refused before there is room made for them.

        What Python allocates is measured; what a library gets from the system by itself is not seen here.
        """
        codec.require_read()
        pairs = codec.pairs_if_any()

        def check(bodies: list[bytes]) -> None:
            for body, taken in _memory_of(lambda body: codec.ask_to_decode(body, codec.media_type), bodies):
                assert taken <= _FREE + _FOR_EACH_BYTE * len(body), (
                    f"{body[:60]!r} took {taken >> 20} MiB to decode; bound what a length may ask for"
                )

        @_searching(10)
        @given(st.binary(max_size=20) if pairs.is_empty else pairs.map(lambda pair: pair[0]))
        def check_with_lengths(body: bytes) -> None:
            check(_with_lengths(body[:100]))

        check(bad_bodies)
        check_with_lengths()


@dataclass
class _Tested:
    """A codec behind the hooks, asked alone and with those parameters that it takes, as pluggy does: a plugin need not
    extend ``Codec``."""

    plugin: Any
    media_type: str
    values: SearchStrategy[Any]
    examples: list[tuple[bytes, dict[str, Any]]]
    _hooks: Any = field(init=False)

    def __post_init__(self) -> None:
        self._hooks = _hooks(self.plugin)

    @cached_property
    def claims(self) -> Claims:
        return _claims(self.plugin)

    @cached_property
    def request(self) -> Request:
        return self.new_request()

    @property
    def written(self) -> str:
        """The type in which values are encoded that ``media_type`` reads."""
        return self.media_type if self.media_type in self.claims.writes else self.claims.writes[0]

    def backend(self, callback: Callable[..., Any], limits: Limits | None = None) -> Backend:
        """A Backend with this codec."""
        return Backend(callback, plugins=[self.plugin], only=(), limits=limits)

    def new_request(self) -> Request:
        """A request in ``media_type``, as a Backend makes it."""
        made: list[Request] = []

        def callback(text: Any, data: Any, *, request: Request) -> bytes:
            made.append(request)
            return b""

        Client(self.backend(callback)).post("/", content_type=self.media_type)
        return made[0]

    def ask_to_encode(self, value: Any, media_type: str) -> Any:
        """What the hook gives: None if it declines."""
        return self._hooks.izzati_encode(value=value, media_type=media_type)

    def ask_to_decode(self, body: bytes, media_type: str, request: Request | None = None) -> Any:
        """What the hook gives: None if it declines, NULL for None."""
        return self._hooks.izzati_decode(body=body, media_type=media_type, request=request or self.request)

    def encode(self, value: Any, media_type: str) -> bytes:
        """The bytes for a value."""
        body = self.ask_to_encode(value, media_type)
        assert body is not None, f"it claims to write {media_type}, and declined to encode {value!r}"
        assert isinstance(body, bytes), f"it encodes {value!r} to {type(body).__name__}; a codec gives bytes"
        return body

    def decode(self, body: bytes, media_type: str | None = None, request: Request | None = None) -> Any:
        """The value in these bytes."""
        media_type = media_type or self.media_type
        value = self.ask_to_decode(body, media_type, request)
        assert value is not None, f"it claims to read {media_type}, and declined to decode {body!r}"
        return None if value is NULL else value

    def require_read(self) -> None:
        """Skip the test if the codec reads nothing."""
        if not self.claims.reads:
            pytest.skip("the codec's `reads` is empty: it only writes")

    def require_written(self) -> str:
        """The type in which values are encoded; skip the test if there is none."""
        if not self.claims.writes:
            pytest.skip("the codec's `writes` is empty: it only reads")
        return self.written

    def pairs(self) -> SearchStrategy[tuple[bytes, Any]]:
        """Bodies that are valid, and their values; skip the test if none are known."""
        self.require_read()
        pairs = self.pairs_if_any()
        if pairs.is_empty:
            pytest.skip("the codec's `writes` is empty, and so is the fixture `examples`: no body is known")
        return pairs

    def pairs_if_any(self) -> SearchStrategy[tuple[bytes, Any]]:
        """Bodies that are valid, and their values; the strategy is empty if none are known."""
        known: list[SearchStrategy[tuple[bytes, Any]]] = []
        if self.claims.writes and self.claims.reads:
            known.append(self.values.map(lambda value: (self.encode(value, self.written), value)))
        if self.examples:
            known.append(st.sampled_from(self.examples))
        return st.one_of(known)

    def nesting(self) -> Callable[[int], bytes]:
        """What gives a body with a value of so many levels; skip the test if values do not nest."""
        self.require_read()
        written = self.require_written()

        def nested(levels: int, wrap: Callable[[Any], Any]) -> dict[str, Any]:
            value: Any = "a"
            for _ in range(levels - 1):
                value = wrap(value)
            return {"a": value}

        for wrap in (lambda inner: [inner], lambda inner: {"a": inner}):
            try:
                nests = _same(nested(4, wrap), self.decode(self.encode(nested(4, wrap), written)))
            except (TypeError, ValueError, HTTPException):
                continue
            if nests:
                return lambda levels, wrap=wrap: self.encode(nested(levels, wrap), written)  # type: ignore[misc]
        pytest.skip(f"{written}, of the codec's `writes`, carries neither lists in lists nor dicts in dicts")


def _hooks(plugin: Any) -> Any:
    manager = pluggy.PluginManager("izzati")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    return manager.hook


def _claims(plugin: Any) -> Claims:
    claims: list[Claims] = _hooks(plugin).izzati_claims()
    assert len(claims) == 1, "the plugin says nothing of what it reads and writes: implement izzati_claims"
    return claims[0]


def _searching(examples: int) -> settings:
    """How hypothesis searches: no further than the author's profile says, and whatever the machine's speed, since it
    may be busy with other tests."""
    few = min(examples, settings().max_examples)
    return settings(max_examples=few, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def _recording(codec: _Tested, limits: Limits | None = None) -> Iterator[tuple[Served, list[Any]]]:
    """Serve a callback that keeps the text that it gets."""
    calls: list[Any] = []

    def callback(text: Any, data: Any) -> bytes:
        calls.append(text)
        return b""

    with serving(codec.backend(callback, limits)) as served:
        yield served, calls


def _send_part(codec: _Tested, served: Served, body: bytes) -> Answer:
    """Send a form with one part, whose media type is the codec's."""
    boundary = secrets.token_hex(16)
    head = f'Content-Disposition: form-data; name="part"\r\nContent-Type: {codec.media_type}'
    form = f"--{boundary}\r\n{head}\r\n\r\n".encode() + body + f"\r\n--{boundary}--\r\n".encode()
    return served.request(form, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def _send_anything(codec: _Tested, served: Served, calls: list[Any], body: bytes) -> None:
    """Send a body that may or may not be valid."""
    calls.clear()
    answer = served.request(body, {"Content-Type": codec.media_type})
    if answer.status == 200:
        assert isinstance(calls.pop(), dict), f"the callback got what is no dict for {body!r}"
        return
    assert 400 <= answer.status <= 499, f"{body!r} got a {answer.status}; raise a ValueError for what is not valid"
    assert answer.status != 415, f"it claims to read {codec.media_type}, and declined {body!r}"
    _detail(answer)
    assert calls == [], f"the callback was called for {body!r}, which was refused"


@st.composite
def _damaged(draw: Callable[[SearchStrategy[Any]], Any], pairs: SearchStrategy[tuple[bytes, Any]]) -> bytes:
    """Valid bodies, with other bytes in a few places or without their end; noise if no valid ones are known."""
    body = bytearray(draw(st.binary(max_size=20) if pairs.is_empty else pairs.map(lambda pair: pair[0])))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 8)))
        body[start:end] = draw(st.sampled_from(_LENGTHS) | st.binary(max_size=8))
    if draw(st.booleans()):
        del body[draw(st.integers(0, len(body))) :]
    return bytes(body)


def _deep(three: bytes, four: bytes, six: bytes) -> bytes | None:
    """A body of very many levels, by doing again and again what makes four levels of three; None if that is not how
    the format nests. An encoder would have to recurse for it."""
    prefix = four[: _common(three, four)]
    end = _common(three[len(prefix) :][::-1], four[len(prefix) :][::-1])
    core = three[len(prefix) : len(three) - end]
    suffix = three[len(three) - end :]
    added = four[len(prefix) : len(four) - end]
    opening, _, closing = added.partition(core) if core else (added, b"", b"")

    def repeated(times: int) -> bytes:
        return prefix + opening * times + core + closing * times + suffix

    return repeated(_VERY_DEEP) if (repeated(1), repeated(3)) == (four, six) else None


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both have in common at their beginning."""
    differ = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))


def _at_once(work: Callable[[int], None], count: int) -> None:
    """Run ``work(0)``, ``work(1)``, … in threads that begin together and take turns far more often than usual."""
    begin = threading.Barrier(count)

    def run(number: int) -> None:
        begin.wait(SECONDS)
        work(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(run, range(count)))
    finally:
        sys.setswitchinterval(interval)


def _with_lengths(body: bytes) -> list[bytes]:
    """The body with each of the lengths at each of its places, over what is there."""
    return [body[:at] + length + body[at + len(length) :] for at in range(len(body) + 1) for length in _LENGTHS]


def _memory_of(act: Callable[[bytes], object], bodies: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """For each body, the bytes that Python allocated at most until the act answered or refused."""
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        for body in bodies:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            try:
                act(body)
            except HTTPException:
                pass  # a refusal; whether it is a good one is another test's question
            yield body, tracemalloc.get_traced_memory()[1] - before
    finally:
        if not running:
            tracemalloc.stop()


def _detail(answer: Answer) -> str:
    """What a refusal says."""
    got = answer.headers["Content-Type"]
    assert got == "application/problem+json", f"a refusal's Content-Type is {got!r}, not application/problem+json"
    detail = answer.json.get("detail", "")
    assert isinstance(detail, str), f"a refusal's detail is {detail!r}, which is no text"
    assert detail, "a refusal has no detail: say what arrived and what was expected"
    return detail


def _told(answer: Answer) -> str:
    return answer.body[:300].decode(errors="replace")


def _compare(sent: Any, got: Any) -> None:
    assert _same(sent, got), f"{sent!r} came back as {got!r}"


def _same(one: Any, other: Any) -> bool:
    """True if both are equal in all their members, and True is not 1, nor 1 1.0, nor 0.0 -0.0."""
    if isinstance(one, bool) is not isinstance(other, bool) or not isinstance(other, type(one)):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float):
        return repr(one) == repr(float(other))
    return bool(one == other)
