"""The contract of storage plugins, with four kinds of store."""

from __future__ import annotations

import fsspec
import pytest
from izzati_storage import Store

from izzati.testing import StorageSuite


def files_below(folder):
    return [str(path) for path in folder.rglob("*") if path.is_file()]


class S3Suite(StorageSuite):
    memory = 36 << 20  # of which the description of S3 that botocore loads takes 13

    @pytest.fixture
    def kept(self, bucket):
        return bucket.kept

    @pytest.fixture
    def location(self, bucket):
        return lambda name: f"s3://{bucket.name}/saved/{name}"

    @pytest.fixture
    def folder(self, bucket):
        return f"s3://{bucket.name}/photos/"


class TestUploadsToS3(S3Suite):
    temporary = False

    @pytest.fixture
    def plugin(self, bucket):
        return Store(f"s3://{bucket.name}/uploads", options=bucket.options, block=5 << 20)


class TestSavesAtS3(S3Suite):
    @pytest.fixture
    def plugin(self, bucket):
        return Store(options=bucket.options)


class SftpSuite(StorageSuite):
    @pytest.fixture
    def kept(self, tmp_path):
        return lambda: files_below(tmp_path)

    @pytest.fixture
    def place(self, ssh, tmp_path):
        for name in ("saved", "photos"):
            (tmp_path / name).mkdir()
        return f"{ssh.url}{tmp_path}"

    @pytest.fixture
    def location(self, place):
        return lambda name: f"{place}/saved/{name}"

    @pytest.fixture
    def folder(self, place):
        return f"{place}/photos/"


class TestUploadsToSftp(SftpSuite):
    temporary = False

    @pytest.fixture
    def plugin(self, ssh, place):
        return Store(f"{place}/uploads", options={"sftp": ssh.options})


class TestSavesAtSftp(SftpSuite):
    @pytest.fixture
    def plugin(self, ssh):
        return Store(options={"sftp": ssh.options})


class TestUploadsToAFolder(StorageSuite):
    """Whose files the built-in spool opens, and saves elsewhere."""

    temporary = False

    @pytest.fixture
    def plugin(self, tmp_path):
        return Store((tmp_path / "uploads").as_uri(), schemes=())

    @pytest.fixture
    def kept(self, tmp_path):
        return lambda: files_below(tmp_path)

    @pytest.fixture
    def location(self, tmp_path):
        (tmp_path / "saved").mkdir()
        return lambda name: str(tmp_path / "saved" / name)


class TestMemory(StorageSuite):
    temporary = False
    memory = None

    @pytest.fixture
    def plugin(self, empty_memory):
        return Store("memory://uploads")

    @pytest.fixture
    def empty_memory(self):
        store = fsspec.filesystem("memory").store
        store.clear()
        yield store
        store.clear()

    @pytest.fixture
    def kept(self, empty_memory):
        return lambda: list(empty_memory)

    @pytest.fixture
    def location(self):
        return "memory://saved/{}".format

    @pytest.fixture
    def folder(self):
        return "memory://photos/"
