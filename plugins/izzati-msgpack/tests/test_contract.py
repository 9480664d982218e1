"""What every codec does, and what comes back from msgpack beyond that: bytes, moments, all floats, 64 bits unsigned."""

from datetime import timezone

import pytest
from hypothesis import strategies as st
from izzati_msgpack import MessagePack

from izzati.testing import CodecSuite

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.datetimes(timezones=st.just(timezone.utc))
)
VALUES = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


class TestMessagePack(CodecSuite):
    @pytest.fixture
    def plugin(self):
        return MessagePack()

    @pytest.fixture
    def values(self):
        return VALUES

    @pytest.fixture
    def bad_bodies(self):
        return [
            b"",
            b"\xc1",
            b"\x81\xa1a",
            b"\x81\xa1a\xc0\xc0",
            b"\x81\xa1a\xa1\xff",
            b"\x81\xa1a\xa3\xed\xa0\x80",
            b"\x81\x01\xc0",
            b"\x81\xc4\x01a\xc0",
            b"\x81\x90\xc0",
            b"\x82\xa1a\xc0\xa1a\xc0",
            b"\x81\xa1a\xd4\x05\0",
            b"\x81\xa1a\xc7\x0c\xff\0\0\0\0\x7f" + b"\xff" * 7,
            b"\x81\xa1a\xd7\xff" + b"\xff" * 8,
            b"\x81\xa1a\xdb\xff\xff\xff\xff",
        ]
