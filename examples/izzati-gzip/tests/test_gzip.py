"""The suite for storages tests it; what only this one promises is tested below."""

import gzip

import pytest
from izzati_gzip import Gzip

from izzati.testing import StorageSuite

TABLE = b"number,dog\n" + b"1,Rex\n" * 10_000


class TestGzip(StorageSuite):
    @pytest.fixture
    def plugin(self, tmp_path):
        return Gzip(str(tmp_path / "files"), level=1)

    @pytest.fixture
    def kept(self, tmp_path):
        return lambda: (tmp_path / "files").rglob("*")

    @pytest.fixture
    def location(self):
        return lambda name: f"gz://{name}"


def save(text, data):
    return data[0].save("gz://dogs.csv")


def test_what_it_saves_is_gzip_and_small(serve, tmp_path):
    served = serve(save, only=["gzip"], options={"gzip": {"folder": str(tmp_path)}})
    assert served.request(TABLE, {"Content-Type": "text/csv"}).json == "gz://dogs.csv"
    (saved,) = tmp_path.iterdir()
    assert gzip.decompress(saved.read_bytes()) == TABLE
    assert saved.stat().st_size < len(TABLE) / 10
