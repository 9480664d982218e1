"""The contract of storage plugins: the built-in one keeps it, and each of its tests catches a plugin that does not."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from izzati import Sink, Storage, StoredFile, hookimpl, safe_filename
from izzati.builtin.spool import Spool
from izzati.testing.storage import StorageSuite


class SpoolSuite(StorageSuite):
    """What both kinds of spool have in common: the folder for uploads, and the one to save in."""

    @pytest.fixture
    def place(self, tmp_path):
        for name in ("spool", "store"):
            (tmp_path / name).mkdir()
        (tmp_path / "store" / "photos").mkdir()
        return tmp_path

    @pytest.fixture
    def kept(self, place):
        return lambda: place.rglob("*")

    @pytest.fixture
    def location(self, place):
        return lambda name: str(place / "store" / name)

    @pytest.fixture
    def folder(self, place):
        return str(place / "store" / "photos")


class TestSpoolInMemory(SpoolSuite):
    @pytest.fixture
    def plugin(self, place):
        return Spool(folder=place / "spool", memory=64 << 20)

    memory = None


class TestSpoolOnDisk(SpoolSuite):
    @pytest.fixture
    def plugin(self, place):
        return Spool(folder=place / "spool", memory=1)

    @pytest.fixture
    def location(self, place):
        return lambda name: (place / "store" / name).as_uri()


class ShelfSink(Sink):
    def __init__(self, shelf, key):
        self.shelf, self.key = shelf, key
        self.begin()

    def begin(self):
        self.shelf.under_way[self.key] = bytearray()

    def write(self, data):
        self.shelf.under_way[self.key] += data

    def commit(self):
        """All of it is there already."""

    def abort(self):
        self.shelf.under_way.pop(self.key, None)

    def open(self):
        return io.BytesIO(self.shelf.under_way[self.key])

    def close(self):
        self.shelf.under_way.pop(self.key, None)


class Shelf(Storage):
    """Keeps everything in memory, and is right: what the suite asks is nothing that only a disk can do."""

    schemes = ("shelf",)
    sink_class = ShelfSink

    def __init__(self):
        self.numbers = count()
        self.under_way = {}
        self.files = {}

    def kept(self):
        return [*self.under_way, *self.files]

    def sink(self, upload, request):
        return self.sink_class(self, self.key_of(upload, request))

    def key_of(self, upload, request):
        return f"upload {next(self.numbers)}"

    def open(self, location):
        key = self.path(location)
        if key not in self.files:
            raise FileNotFoundError(errno.ENOENT, "there is no such file on the shelf", location)
        return StoredFile(self.stream(key), key.rpartition("/")[2], len(self.files[key]), self.time())

    def stream(self, key):
        return io.BytesIO(self.files[key])

    def time(self):
        return time.time()

    def path(self, location):
        return location.partition("://")[2]

    def save(self, file, location):
        key = self.path(location)
        if key.endswith("/"):
            key = self.free(key, self.safe(file.filename))
        self.put(key, file.sink)
        return f"shelf://{key}"

    def safe(self, name):
        return safe_filename(name)

    def free(self, folder, name):
        return next(key for n in count() if (key := f"{folder}{n or ''}{name}") not in self.files)

    def put(self, key, sink):
        with sink.open() as source:
            self.files[key] = source.read()


class Keeper(Shelf):
    """Keeps every upload."""

    class sink_class(ShelfSink):  # noqa: N801 - takes the place of an attribute
        def close(self):
            """It stays."""


class ShelfSuite(StorageSuite):
    memory = None

    @pytest.fixture
    def plugin(self):
        return Shelf()

    @pytest.fixture
    def kept(self, plugin):
        return plugin.kept

    @pytest.fixture
    def location(self):
        return "shelf://{}".format

    @pytest.fixture
    def folder(self):
        return "shelf://photos/"


class TestShelf(ShelfSuite):
    pass


class TestKeeper(ShelfSuite):
    temporary = False

    @pytest.fixture
    def plugin(self):
        return Keeper()


class SinkOnly:
    """A plugin that extends no base class, and takes uploads but saves nothing."""

    def __init__(self):
        self.numbers, self.under_way = count(), {}

    @hookimpl
    def izzati_store(self):
        return ShelfSink(self, next(self.numbers))


class TestSinkOnly(StorageSuite):
    memory = None

    @pytest.fixture
    def plugin(self):
        return SinkOnly()

    @pytest.fixture
    def kept(self, plugin):
        return lambda: plugin.under_way


WRONG = {}
"""The name of a test to a plugin that must fail it."""


def fails(test, **attributes):
    """What is decorated is a plugin, or the sink of one, that fails this test of the suite."""

    def note(wrong):
        assert test not in WRONG
        plugin = type(wrong.__name__, (Shelf,), {"sink_class": wrong}) if issubclass(wrong, Sink) else wrong
        WRONG[test] = type(
            f"Test{wrong.__name__}", (ShelfSuite,), {"plugin": pytest.fixture(lambda self: plugin()), **attributes}
        )
        return wrong

    return note


@fails("test_its_schemes_are_valid_and_in_lower_case")
class Shouts(Shelf):
    schemes = ("Shelf",)


@fails("test_locations_of_other_schemes_are_declined")
class TakesTooMuch(Shelf):
    @hookimpl
    def izzati_open(self, location):
        return self.open(location) if location.startswith("shelf") else None

    @hookimpl
    def izzati_save(self, file, location):
        return self.save(file, location) if location.startswith("shelf") else None


@fails("test_blocks_come_back_whole_and_in_order")
class Reverses(ShelfSink):
    def write(self, data):
        self.shelf.under_way[self.key] = data + self.shelf.under_way[self.key]


@fails("test_an_upload_of_no_bytes_is_an_empty_file")
class BeginsLate(ShelfSink):
    def begin(self):
        """Nothing is there before the first byte."""

    def write(self, data):
        if data:
            self.shelf.under_way.setdefault(self.key, bytearray()).extend(data)


@fails("test_a_reader_begins_at_the_beginning_and_is_seekable")
class Streams(ShelfSink):
    def open(self):
        stream = super().open()

        class OneWay(io.RawIOBase):
            def readable(self):
                return True

            def readinto(self, buffer):
                return stream.readinto(buffer)

        return io.BufferedReader(OneWay())


class KeptOpen(io.BytesIO):
    def close(self):
        self.seek(0)


@fails("test_two_readers_of_an_upload_are_independent")
class SharesItsReader(ShelfSink):
    reader = None

    def open(self):
        self.reader = self.reader or KeptOpen(self.shelf.under_way[self.key])
        return self.reader


@fails("test_an_upload_is_sent_back_after_the_callback_has_read_it")
class ReadsOnce(ShelfSink):
    opened = False

    def open(self):
        stream = io.BytesIO() if self.opened else super().open()
        self.opened = True
        return stream


@fails("test_two_uploads_of_one_name_do_not_mix")
class NamedByUpload(Shelf):
    def key_of(self, upload, request):
        return f"{id(request)} {upload.filename}"


@fails("test_many_uploads_at_once_do_not_mix")
class NumbersPerRequest(Shelf):
    def key_of(self, upload, request):
        return f"{upload.filename} {next(request.state.setdefault('shelf', count()))}"


@fails("test_an_upload_of_any_name_is_taken")
class PathOfName(Shelf):
    def key_of(self, upload, request):
        if len(upload.filename.encode()) > 255:
            raise OSError(errno.ENAMETOOLONG, "File name too long")
        return super().key_of(upload, request)


@fails("test_a_large_upload_arrives_whole")
class Stops(ShelfSink):
    def write(self, data):
        if len(self.shelf.under_way[self.key]) < 5 << 20:
            super().write(data)


@fails("test_a_large_upload_takes_little_memory", memory=16 << 20)
class Hoards(Shelf):
    pass


@fails("test_an_aborted_upload_leaves_nothing")
class DoesNotAbort(ShelfSink):
    def abort(self):
        """Forgotten."""


@fails("test_an_upload_aborted_after_its_commit_leaves_nothing")
class CommitsForGood(ShelfSink):
    committed = False

    def commit(self):
        self.committed = True

    def abort(self):
        if not self.committed:
            super().abort()


@fails("test_all_uploads_of_a_request_fail_with_one")
class AbortsTheLast(Shelf):
    class sink_class(ShelfSink):  # noqa: N801 - takes the place of an attribute
        def abort(self):
            self.shelf.under_way.pop(self.shelf.last, None)

    def key_of(self, upload, request):
        self.last = super().key_of(upload, request)
        return self.last


@fails("test_an_upload_that_is_broken_off_leaves_nothing")
class KeepsHalves(ShelfSink):
    def abort(self):
        if len(self.shelf.under_way[self.key]) < 100_000:
            super().abort()


@fails("test_a_request_leaves_nothing_that_was_not_saved")
class DoesNotClose(ShelfSink):
    def close(self):
        """Forgotten."""


@fails("test_a_store_that_keeps_uploads_keeps_each", temporary=False)
class KeepsTheLast(Keeper):
    def key_of(self, upload, request):
        return upload.filename


@fails("test_requests_leave_no_file_open")
class LeavesFilesOpen(ShelfSink):
    def begin(self):
        super().begin()
        os.open(os.devnull, os.O_RDONLY)


@fails("test_a_saved_file_opens_with_the_same_bytes")
class SavesTheBeginning(Shelf):
    def put(self, key, sink):
        with sink.open() as source:
            self.files[key] = source.read(65_536)


@fails("test_an_opened_file_knows_its_name_size_and_age")
class CountsMilliseconds(Shelf):
    def time(self):
        return time.time() * 1000


@fails("test_a_file_is_sent_by_its_location")
class SendsTheBeginning(Shelf):
    def stream(self, key):
        return io.BytesIO(self.files[key][: 1 << 20])


@fails("test_a_file_can_be_opened_twice_at_once")
class OpensOnce(Shelf):
    def stream(self, key):
        self.streams = getattr(self, "streams", {})
        return self.streams.setdefault(key, KeptOpen(self.files[key]))


@fails("test_a_scheme_may_be_written_in_capitals")
class LowerCaseOnly(Shelf):
    def path(self, location):
        return location.removeprefix("shelf://")


@fails("test_opening_what_does_not_exist_is_file_not_found")
class RaisesItsOwn(Shelf):
    def open(self, location):
        return StoredFile(self.stream(self.path(location)), "name")


@fails("test_a_saved_file_stays_and_its_upload_can_still_be_read")
class Moves(Shelf):
    def put(self, key, sink):
        super().put(key, sink)
        sink.close()


@fails("test_an_upload_saved_twice_is_two_files")
class Links(Shelf):
    def put(self, key, sink):
        if key in self.files:
            self.files[key][:] = sink.open().read()
        elif isinstance(sink, ShelfSink):
            self.files[key] = self.under_way[sink.key]
        else:
            self.files[key] = bytearray(sink.open().read())


@fails("test_saving_again_replaces_the_whole_file")
class Overwrites(Shelf):
    def put(self, key, sink):
        new = sink.open().read()
        self.files[key] = new + self.files.get(key, b"")[len(new) :]


@fails("test_who_reads_a_file_while_it_is_replaced_gets_no_mix")
class ReadsOnTheWay(Shelf):
    def stream(self, key):
        shelf = self

        class Live(io.BytesIO):
            def read(self, size=-1):
                content = shelf.files[key][self.tell() :]
                content = content if size < 0 else content[:size]
                self.seek(len(content), io.SEEK_CUR)
                return content

        return Live()


@fails("test_an_upload_that_another_plugin_holds_is_saved_too")
class KnowsOnlyItsOwn(Shelf):
    def put(self, key, sink):
        self.files[key] = bytes(self.under_way[sink.key])


@fails("test_a_save_that_fails_leaves_what_was_there")
class WritesInPlace(Shelf):
    def put(self, key, sink):
        self.files[key] = b""
        with sink.open() as source:
            while block := source.read(65_536):
                self.files[key] += block


@fails("test_no_name_leads_out_of_the_folder")
class TakesTheName(Shelf):
    def safe(self, name):
        return name


@fails("test_a_name_that_is_taken_gets_a_number")
class ReplacesInFolders(Shelf):
    def free(self, folder, name):
        return folder + name


class Unset(StorageSuite):
    """Says nothing but its plugin."""

    @pytest.fixture
    def plugin(self):
        return Shelf()


TESTS = {name for name in dir(StorageSuite) if name.startswith("test_")}


def test_every_test_of_the_suite_has_a_plugin_that_fails_it():
    assert set(WRONG) == TESTS


NEEDS = {
    "kept": "test_all_uploads_of_a_request_fail_with_one",
    "location": "test_opening_what_does_not_exist_is_file_not_found",
    "folder": "test_a_name_that_is_taken_gets_a_number",
}
"""Fixtures to tests that need them."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run every wrong plugin's own test, in one process: the name of each test to its outcomes, what pytest said."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "test_wrong.py").write_text(
        "from izzati.testing.storage import StorageSuite\n"
        "from test_storage_suite import WRONG, Unset as TestUnset\n"
        "globals().update({wrong.__name__: wrong for wrong in WRONG.values()})\n"
        "class TestNothing(StorageSuite): pass\n"
    )
    (folder / "pytest.ini").write_text("[pytest]\n")
    # To find a failure is enough here; to make it small takes most of the time.
    (folder / "conftest.py").write_text(
        "from hypothesis import Phase, settings\n"
        "settings.register_profile('quick', phases=[Phase.explicit, Phase.generate], database=None)\n"
        "settings.load_profile('quick')\n"
    )
    chosen = [f"test_wrong.py::{suite.__name__}::{test}" for test, suite in WRONG.items()]
    chosen += [f"test_wrong.py::TestUnset::{name}" for name in NEEDS.values()]
    chosen += ["test_wrong.py::TestNothing::test_its_schemes_are_valid_and_in_lower_case"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--tb=no", "-q", "-p", "no:cacheprovider", "--color=no", *chosen],
        check=False,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
            "COLUMNS": "400",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    found = {test: set() for test in WRONG}
    for outcome, test in re.findall(
        r"^([A-Z]+) test_wrong\.py::Test(?!Unset|Nothing)\w+::(\w+)", run.stdout, re.MULTILINE
    ):
        found.setdefault(test, set()).add(outcome)
    return found, run.stdout


@pytest.mark.once
@pytest.mark.parametrize("test", sorted(WRONG))
def test_a_wrong_plugin_fails_its_test(outcomes, test):
    found, said = outcomes
    assert "FAILED" in found[test], said
    assert "ERROR" not in found[test], said


@pytest.mark.once
@pytest.mark.parametrize("fixture", ["plugin", "kept", "location"])
def test_a_fixture_that_is_not_overridden_says_what_to_do(outcomes, fixture):
    assert f"NotImplementedError: override the fixture `{fixture}` of this StorageSuite" in outcomes[1]


@pytest.mark.once
def test_a_store_without_folders_is_spared_the_tests_of_them(outcomes):
    assert re.search(r"^SKIPPED .*override the fixture `folder`", outcomes[1], re.MULTILINE)
