"""What a value becomes, and what bytes stand for, by the word of another implementation."""

import array
import logging
import math
from collections import OrderedDict, namedtuple
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum

import msgpack
import pytest
import umsgpack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from izzati_msgpack import MessagePack
from werkzeug.test import Client

from izzati import Backend

MOMENT = datetime(2017, 5, 27, 9, 30, 15, 250000, tzinfo=timezone.utc)
VALUES = st.dictionaries(
    st.text(),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 63), (1 << 64) - 1)
        | st.floats()
        | st.text()
        | st.binary()
        | st.datetimes(timezones=st.just(timezone.utc)).map(lambda moment: moment.replace(fold=0)),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
)
searching = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


class Caller:
    """Sends bodies to a Backend that keeps what it got."""

    def __init__(self):
        self._got = None
        self._client = Client(Backend(self._keep, plugins=[MessagePack()], only=()))

    def _keep(self, text, data):
        self._got = text
        return b""

    def send(self, body):
        """The status, and the text that reached the callback."""
        self._got = None
        return self._client.post("/", data=body, content_type="application/msgpack").status_code, self._got


def encode(value):
    return MessagePack().encode(value, "application/msgpack")


def same(one, other):
    """True if both are equal; a NaN is the same as another, which a comparison denies."""
    return repr(one) == repr(other)


def test_what_another_implementation_writes_is_read_as_it_was():
    caller = Caller()

    @searching
    @given(VALUES)
    def check(value):
        status, text = caller.send(umsgpack.packb(value))
        assert status == 200
        assert same(text, value)

    check()


def test_what_it_writes_another_implementation_reads_as_it_was():
    @searching
    @given(VALUES)
    def check(value):
        assert same(umsgpack.unpackb(encode(value)), value)

    check()


def test_a_damaged_body_is_refused_or_is_what_another_implementation_finds_in_it():
    """Accepting is the one mistake that a decoder can make unseen, so what it accepts is compared."""
    caller = Caller()
    accepted = []

    @searching
    @given(VALUES, st.data())
    def check(value, data):
        body = bytearray(umsgpack.packb(value))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        status, text = caller.send(bytes(body))
        if status == 200:
            accepted.append(text)
            assert same(text, umsgpack.unpackb(body))
        else:
            assert status == 400

    check()
    assert accepted


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({}, b"\x80"),
        ({"a": (1 << 64) - 1}, b"\x81\xa1a\xcf" + b"\xff" * 8),
        ({"a": -(1 << 63)}, b"\x81\xa1a\xd3\x80" + b"\0" * 7),
        ({"a": math.inf}, b"\x81\xa1a\xcb\x7f\xf0" + b"\0" * 6),
        ({"a": -0.0}, b"\x81\xa1a\xcb\x80" + b"\0" * 7),
        ({"a": datetime(1970, 1, 1, tzinfo=timezone.utc)}, b"\x81\xa1a\xd6\xff\0\0\0\0"),
        (
            {"a": datetime(1969, 12, 31, 23, 59, 59, 500000, timezone.utc)},
            b"\x81\xa1a\xc7\x0c\xff\x1d\xcd\x65\0" + b"\xff" * 8,
        ),
    ],
)
def test_the_bytes_are_those_of_the_specification(value, body):
    assert encode(value) == body
    assert same(Caller().send(body)[1], value)


def test_longer_forms_than_needed_are_read():
    body = b"\xdf\0\0\0\x01\xdb\0\0\0\x01a\xdd\0\0\0\x02\xd3" + b"\0" * 7 + b"\x01\xca\x3f\xc0\0\0"
    assert Caller().send(body) == (200, {"a": [1, 1.5]})


def test_a_nan_is_a_value():
    _, text = Caller().send(encode({"a": math.nan}))
    assert math.isnan(text["a"])


def test_a_moment_keeps_its_instant_and_comes_back_in_utc():
    there = timezone(timedelta(hours=5, minutes=30))
    _, text = Caller().send(encode({"a": MOMENT.astimezone(there)}))
    assert text == {"a": MOMENT}
    assert text["a"].tzinfo is timezone.utc


def test_nanoseconds_are_cut_to_microseconds():
    _, text = Caller().send(b"\x81\xa1a\xd7\xff" + ((1_999 << 34) | 1).to_bytes(8, "big"))
    assert text == {"a": datetime(1970, 1, 1, 0, 0, 1, 1, timezone.utc)}


class Colour(str, Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


class Moment(datetime):
    pass


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is meant, too


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        ((1, 2), [1, 2]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (Colour.RED, "red"),
        (Size.LARGE, 3),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (Moment.fromtimestamp(0.5, timezone.utc), datetime(1970, 1, 1, 0, 0, 0, 500000, timezone.utc)),
        (msgpack.Timestamp(1, 0), datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)),
    ],
)
def test_a_kind_of_a_kind_that_is_known_is_carried_as_that(value, carried):
    assert umsgpack.unpackb(encode({"a": value})) == {"a": carried}


def test_keys_of_a_result_are_written_as_they_are():
    written = encode({1: "a", None: "b"})
    assert umsgpack.unpackb(written) == {1: "a", None: "b"}


def test_an_extension_that_a_callback_makes_is_written():
    assert encode(msgpack.ExtType(5, b"x")) == b"\xd4\x05x"


class NoZone(tzinfo):
    """A time zone that does not know its offset, which makes a datetime as good as naive."""

    def utcoffset(self, moment):
        return None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (MOMENT.replace(tzinfo=None), "a datetime without a time zone, which names no moment"),
        (MOMENT.replace(tzinfo=NoZone()), "offset-naive"),
        (Moment(2017, 5, 27), "a datetime without a time zone, which names no moment"),
        (date(2017, 5, 27), "a date, which msgpack cannot carry"),
        ({1, 2}, "a set, which msgpack cannot carry"),
        (Decimal("1.5"), "a Decimal, which msgpack cannot carry"),
        (1j, "a complex, which msgpack cannot carry"),
        (object(), "a object, which msgpack cannot carry"),
        (range(3), "a range, which msgpack cannot carry"),
        (encode, "a function, which msgpack cannot carry"),
    ],
)
def test_what_msgpack_cannot_carry_is_a_type_error_that_names_it(value, says):
    for result in (value, {"a": value}, [value]):
        with pytest.raises(TypeError, match=says):
            encode(result)


def endless():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1 << 64, "an integer is beyond 64 bits"),
        (-(1 << 63) - 1, "an integer is beyond 64 bits"),
        (10**30, "return it as text"),
        ("\ud83d", "surrogates not allowed"),
        ({"\udc00": 1}, "surrogates not allowed"),
        (endless(), "recursion"),
        (memoryview(b"abcd")[::2], "contiguous"),
    ],
    ids=["2^64", "-2^63-1", "10^30", "surrogate", "surrogate in a key", "endless", "every other byte"],
)
def test_what_is_beyond_its_bounds_is_a_value_error(value, says):
    with pytest.raises(ValueError, match=f"^a result cannot be written as msgpack: .*{says}"):
        encode({"a": value})


def test_the_items_of_an_array_are_carried_as_the_bytes_that_a_view_of_them_has():
    assert encode(memoryview(array.array("H", [1]))) == b"\xc4\x02" + array.array("H", [1]).tobytes()


def test_a_result_that_cannot_be_carried_is_a_defect_that_only_the_log_describes(serve, caplog):
    served = serve(lambda text, data: {"secret-of-the-server": {1, 2}}, only=["msgpack"])
    with caplog.at_level(logging.ERROR, "izzati"):
        answer = served.request(headers={"Accept": "application/msgpack"})
    assert answer.status == 500
    assert b"set" not in answer.body
    assert b"secret" not in answer.body
    assert "which msgpack cannot carry" in caplog.text
