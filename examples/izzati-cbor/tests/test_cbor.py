"""The suite for codecs tests it; what only this one promises is tested below."""

from datetime import datetime, timezone

import cbor2
import pytest
from izzati_cbor import CBOR

from izzati.testing import CodecSuite

CYCLE = bytes.fromhex("a16161d81c81d81d00")  # {"a": [itself]}, by the tags 28 and 29


class TestCBOR(CodecSuite):
    @pytest.fixture
    def plugin(self):
        return CBOR()

    @pytest.fixture
    def bad_bodies(self):
        return [b"", b"\xa1", b"\xa0\xa0", b"\xa2aa\x01aa\x02", b"\xa1\x01\x02", b"\xa1aa\x7f", CYCLE]


def echo(text, data):
    return text


def test_it_is_active_once_it_is_installed(serve):
    served = serve(echo, only=["cbor"])
    sent = {"photo": b"\xff\xd8", "at": datetime(2026, 1, 31, 12, tzinfo=timezone.utc)}
    answer = served.request(cbor2.dumps(sent), {"Content-Type": "application/cbor"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/cbor")
    assert cbor2.loads(answer.body) == sent


def test_json_still_answers_who_asks_for_json(serve):
    served = serve(echo, only=["cbor"])
    headers = {"Content-Type": "application/cbor", "Accept": "application/json"}
    assert served.request(cbor2.dumps({"name": "Rex"}), headers).json == {"name": "Rex"}
