"""Uploads: where their bytes go, how they are saved, and that nothing of them is left behind."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import SECONDS, within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from izzati import Backend, Content, Reply, Sink, Storage, UnknownScheme, file_return, hookimpl, safe_filename
from izzati.builtin import sinks
from izzati.builtin.spool import Spool
from izzati.builtin.temporary import DiskFile

PNG = {"Content-Type": "image/png"}
LARGE = bytes(range(256)) * 12_000  # about 3 MB: more than stays in memory
SMALL = b"\x89PNG small"

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a second file system at /dev/shm")


def named(filename):
    return {"Content-Type": "image/png", "Content-Disposition": f"attachment; filename*=UTF-8''{filename}"}


@pytest.fixture
def spool(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture(params=["anonymous", "named"])
def kind_of_file(request, monkeypatch):
    """Temporary files with and without a name: Linux has both, other systems only the second."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return request.param


@pytest.fixture
def saver(serve, spool, kind_of_file):
    """Serve a callback that saves the upload at ``saver.location`` and answers what ``save`` returned."""

    def callback(text, data):
        saved = [file.save(served.location) for file in data]
        return [saved, [file.read().hex()[:20] for file in data]]

    served = serve(callback, options={"spool": {"folder": spool}})
    return served


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
class TestSave:
    def test_a_saved_file_is_whole_and_can_still_be_read(self, saver, tmp_path, spool, body):
        saver.location = tmp_path / "kept.png"
        answer = saver.request(body, PNG)
        assert answer.json == [[str(tmp_path / "kept.png")], [body.hex()[:20]]]
        assert (tmp_path / "kept.png").read_bytes() == body
        assert list(spool.iterdir()) == []

    def test_it_has_the_permissions_of_any_new_file(self, saver, tmp_path, body):
        saver.location = tmp_path / "kept.png"
        saver.request(body, PNG)
        ordinary = tmp_path / "ordinary"
        ordinary.touch()
        assert stat.S_IMODE((tmp_path / "kept.png").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)

    def test_a_file_that_exists_is_replaced(self, saver, tmp_path, body):
        saver.location = tmp_path / "kept.png"
        saver.location.write_bytes(b"older")
        saver.request(body, PNG)
        assert saver.location.read_bytes() == body

    def test_a_symbolic_link_is_replaced_never_followed(self, saver, tmp_path, body):
        victim = tmp_path / "victim"
        victim.write_bytes(b"precious")
        saver.location = tmp_path / "link.png"
        saver.location.symlink_to(victim)
        saver.request(body, PNG)
        assert victim.read_bytes() == b"precious"
        assert not saver.location.is_symlink()
        assert saver.location.read_bytes() == body

    def test_in_a_folder_it_gets_its_own_name_made_safe_and_a_number_if_taken(self, saver, tmp_path, body):
        saver.location = tmp_path / "photos"
        saver.location.mkdir()
        for _ in range(3):
            assert saver.request(body, named("..%2F..%2Fd%C3%B6g%3A.png")).status == 200
        assert sorted(path.name for path in saver.location.iterdir()) == ["dög_ (2).png", "dög_ (3).png", "dög_.png"]
        assert {path.read_bytes() for path in saver.location.iterdir()} == {body}

    def test_a_file_url_is_a_path(self, saver, tmp_path, body):
        saver.location = (tmp_path / "a b.png").as_uri()
        assert saver.request(body, PNG).status == 200
        assert (tmp_path / "a b.png").read_bytes() == body

    def test_it_can_be_saved_twice(self, serve, tmp_path, body, spool):
        def callback(text, data):
            return [data[0].save(tmp_path / "one"), data[0].save(str(tmp_path / "two"))]

        serve(callback, options={"spool": {"folder": spool}}).request(body, PNG)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == body

    def test_a_folder_that_does_not_exist_is_a_defect_that_leaves_nothing(self, saver, tmp_path, spool, body, caplog):
        saver.location = tmp_path / "nowhere" / "kept.png"
        assert saver.request(body, PNG).status == 500
        assert "FileNotFoundError" in caplog.text
        assert list(spool.iterdir()) == []

    def test_a_name_of_any_length_finds_a_place_many_times(self, saver, tmp_path, body):
        saver.location = tmp_path / "photos"
        saver.location.mkdir()
        for _ in range(12):
            assert saver.request(body, named("x" * 4000)).status == 200
        assert len(list(saver.location.iterdir())) == 12

    def test_callers_that_save_one_name_at_once_get_a_file_each(self, saver, tmp_path, body):
        target = tmp_path / "photos"
        target.mkdir()
        saver.location = target
        bodies = [body + bytes([number]) for number in range(12)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda sent: saver.request(sent, named("rex.jpg")).json[0], bodies))
        assert [Path(path).read_bytes() for (path,) in answers] == bodies
        assert len(list(target.iterdir())) == 12

    def test_an_empty_location_is_refused(self, saver, body, caplog):
        saver.location = ""
        assert saver.request(body, PNG).status == 500
        assert "save() needs a path" in caplog.text

    def test_two_files_saved_of_one_upload_are_two(self, serve, tmp_path, body):
        def callback(text, data):
            for name in ("one", "two"):
                data[0].save(tmp_path / name)
            return [(tmp_path / name).stat().st_nlink for name in ("one", "two")]

        assert serve(callback).request(body, PNG).json == [1, 1]

    def test_a_location_that_ends_as_a_folder_is_no_file(self, saver, tmp_path, body, caplog):
        saver.location = f"{tmp_path}/nowhere/"
        assert saver.request(body, PNG).status == 500
        assert "the folder to save in does not exist" in caplog.text
        assert not (tmp_path / "nowhere").exists()

    @linux
    def test_another_file_system_gets_a_copy(self, saver, body):
        shared = Path("/dev/shm")
        saver.location = shared / f"izzati-test-{os.getpid()}"
        try:
            assert saver.request(body, PNG).status == 200
            assert saver.location.read_bytes() == body
        finally:
            saver.location.unlink(missing_ok=True)


def test_saving_a_large_upload_copies_nothing(serve, tmp_path, spool):
    """On one file system the saved file is the very file that was spooled."""
    seen = []

    def callback(text, data):
        with data[0] as file:
            seen.append(os.fstat(file.fileno()).st_ino)
            file.save(tmp_path / "kept")
        return {}

    serve(callback, options={"spool": {"folder": spool}}).request(LARGE, PNG)
    assert (tmp_path / "kept").stat().st_ino == seen[0]


@pytest.mark.skipif(not hasattr(sys, "getunicodeinternedsize"), reason="told by Python 3.12 and newer")
def test_saving_interns_no_name_since_python_3_12_keeps_it_for_ever(serve, tmp_path):
    def callback(text, data):
        for number in range(100):
            data[0].save(tmp_path)
            data[0].save(tmp_path / f"{number}.jpg")
        return sys.getunicodeinternedsize()

    served = serve(callback)
    first = served.request(b"x", {"Content-Type": "image/jpeg"}).json
    assert served.request(b"x", {"Content-Type": "image/jpeg"}).json - first < 50


def test_a_save_that_fails_gives_back_the_name_it_had_reserved(serve, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert serve(lambda text, data: data[0].save(photos)).request(SMALL, PNG).status == 500
    assert list(photos.iterdir()) == []


def test_small_uploads_stay_in_memory_and_large_ones_go_to_disk(serve, spool):
    def callback(text, data):
        def on_disk(file):
            try:
                return file.fileno() >= 0
            except OSError:
                return False

        return [on_disk(file) for file in data]

    served = serve(callback, options={"spool": {"folder": spool, "memory": 100_000}})
    assert served.request(b"x" * 100_000, PNG).json == [False]
    assert served.request(b"x" * 100_001, PNG).json == [True]
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 60_000 + b"\r\n"
    assert served.request(part * 3 + b"--b--\r\n", form).json == [False, True, True]
    tiny, large = (part.replace(b"x" * 60_000, b"x" * size) for size in (1_000, 300_000))
    assert served.request(large + part + b"--b--\r\n", form).json == [True, False]  # the memory is given back
    # What would be as quick to copy takes no file of its own from what would not.
    tinies = tiny.replace(b"x" * 1_000, b"x" * 100_000) + tiny * 6
    assert served.request(tinies + large + b"--b--\r\n", form).json == [False] * 7 + [True]


def before_the_beginning(file):
    try:
        file.seek(-1)
    except (ValueError, OSError):
        return "nothing is there"


def test_an_upload_reads_like_a_binary_file(serve, spool, monkeypatch):
    def callback(text, data):
        file = data[0]
        found = [
            file.read(2).decode(),
            file.tell(),
            file.readline().decode(),
            [line.decode() for line in file],
            file.seek(0),
            file.read().decode(),
            file.seek(-1, os.SEEK_END),
            before_the_beginning(file),
            file.read1().decode(),
            bytearray(4) and file.readinto(bytearray(4)),
            [file.readable(), file.seekable(), file.writable(), file.closed],
            [file.size, file.name, file.filename, file.content_type],
        ]
        with file:
            pass
        try:
            file.read()
        except ValueError as error:
            found.append(str(error))
        return found

    for memory, own in ((1000, 4), (0, 4), (0, 0)):
        monkeypatch.setattr(sinks, "_OWN", own)
        monkeypatch.setattr(sinks, "_SMALL", 0)
        answer = serve(callback, options={"spool": {"folder": spool, "memory": memory}}).request(b"ab\ncd\nef", PNG)
        assert answer.json == [
            *["ab", 2, "\n", ["cd\n", "ef"], 0, "ab\ncd\nef", 7, "nothing is there", "f", 0],
            [True, True, False, False],
            [8, "", "", "image/png"],
            "I/O operation on closed file.",
        ]


class Mixed:
    """A plugin whose bodies write to several uploads in turn: ``[[2, "text"], …]`` to the third one."""

    @hookimpl
    def izzati_read(self, request):
        if request.media_type != "application/x-mixed":
            return None
        writes = json.loads(b"".join(request.body.blocks()))
        uploads = [request.receive(str(number)) for number in range(1 + max(number for number, _ in writes))]
        for number, text in writes:
            uploads[number].write(text.encode())
            if "c" in text:  # as a plugin might that looks at uploads while they arrive
                uploads[0].sink.commit()
                uploads[0].sink.open().read()
        return Content({}, uploads)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.text("abc", max_size=30)), min_size=1),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=3),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_uploads_that_share_a_file_hold_what_was_written_to_each(writes, memory, looks):
    """They may be written in any order, and read at any place."""

    def callback(text, data):
        def look(file, offset, size):
            file.seek(offset)
            return file.read(size).decode()

        return [[file.read().decode(), *(look(file, *each) for each in looks)] for file in data]

    backend = Backend(callback, plugins=[Mixed()], options={"spool": {"memory": memory}})
    answer = Client(backend).post("/", data=json.dumps(writes), content_type="application/x-mixed")
    whole = ["".join(text for to, text in writes if to == number) for number in range(1 + max(writes)[0])]
    assert answer.json == [[each, *(each[offset:][:size] for offset, size in looks)] for each in whole]


def test_of_many_large_uploads_each_can_be_saved_and_sent_back(serve, tmp_path, spool, kind_of_file):
    """The first have a file of their own, and the others share one."""

    def callback(text, data):
        for file in data:
            file.save(tmp_path / file.filename)
        return data[int(text["which"])]

    photos = [os.urandom(50_000) for _ in range(7)]
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="%d"\r\n\r\n%s\r\n' % each
        for each in enumerate(photos)
    )
    served = serve(callback, options={"spool": {"folder": spool, "memory": 0}})
    for which, photo in enumerate(photos):
        form = {"Content-Type": "multipart/form-data; boundary=b"}
        assert served.request(body + b"--b--\r\n", form, path=f"/?which={which}").body == photo
        assert [(tmp_path / str(number)).read_bytes() for number in range(7)] == photos
    assert within(SECONDS, lambda: list(spool.iterdir()) == [])


def test_uploads_that_share_a_file_can_be_read_at_the_same_time(serve):
    def callback(text, data):
        def read(file):
            return b"".join(iter(lambda: file.read(9_000), b"")) == file.filename.encode() * 300_000

        with ThreadPoolExecutor() as threads:
            return list(threads.map(read, data))

    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="%d"\r\n\r\n' % number
        + b"%d" % number * 300_000
        + b"\r\n"
        for number in range(10)
    )
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    served = serve(callback, options={"spool": {"memory": 0}})
    assert served.request(body + b"--b--\r\n", form).json == [True] * 10


def test_an_upload_ends_with_its_request(serve):
    kept = []
    serve(lambda text, data: kept.extend(data)).request(SMALL, PNG)
    with pytest.raises(ValueError, match="ended with its request"):
        kept[0].read()
    with pytest.raises(ValueError, match="ended with its request"):
        kept[0].save("anywhere")
    with pytest.raises(TypeError, match="cannot go to another process"):
        pickle.dumps(kept[0])
    assert "image/png, 10 bytes" in repr(kept[0])


def test_an_unknown_scheme_is_told_to_the_callback(serve):
    def callback(text, data):
        try:
            data[0].save("s3://bucket/key")
        except UnknownScheme as error:
            return str(error)

    assert serve(callback).request(SMALL, PNG).json == "no installed plugin saves at 's3://bucket/key'"


class Recorded(Sink):
    """A sink for tests that notes what happens to it."""

    def __init__(self, log, fail_at=""):
        self.log = log
        self.fail_at = fail_at
        self.data = b""

    def _note(self, what):
        self.log.append(what)
        if what == self.fail_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write(self, data):
        self._note("write")
        self.data += data

    def commit(self):
        self._note("commit")

    def abort(self):
        self._note("abort")

    def open(self):
        return io.BytesIO(self.data)

    def close(self):
        self._note("close")


class Store:
    """A storage plugin for tests."""

    def __init__(self, fail_at="", on=0):
        self.log = []
        self.fail_at, self.on, self.count = fail_at, on, 0

    @hookimpl
    def izzati_store(self, upload, request):
        if upload.filename == "local":
            return None
        self.count += 1
        return Recorded(self.log, self.fail_at if self.count == self.on else "")


def form_of(*filenames, ending=b"--b--\r\n"):
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\nx\r\n'
    return b"".join(part % name.encode() for name in filenames) + ending


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


class TestSinks:
    def test_all_commit_before_the_callback_and_close_after_it(self, serve):
        store = Store()
        served = serve(lambda text, data: store.log.append("call"), plugins=[store])
        served.request(form_of("a", "b"), FORM)
        assert store.log == ["write", "write", "commit", "commit", "call", "close", "close"]

    def test_all_abort_if_the_body_fails(self, serve):
        store = Store()
        served = serve(lambda text, data: store.log.append("call"), plugins=[store])
        assert served.request(form_of("a", "b", ending=b"--b\r\n"), FORM).status == 400
        assert store.log == ["write", "write", "abort", "abort"]

    @pytest.mark.parametrize(
        ("fail_at", "log"),
        [("write", ["write", "write", "abort", "abort"]), ("commit", ["write"] * 2 + ["commit"] * 2 + ["abort"] * 2)],
    )
    def test_no_room_is_a_507_and_all_is_given_back(self, serve, fail_at, log):
        store = Store(fail_at, on=2)
        answer = serve(lambda text, data: {}, plugins=[store]).request(form_of("a", "b"), FORM)
        assert answer.status == 507
        assert "no room" in answer.json["detail"]
        assert store.log == log

    def test_one_that_cannot_be_released_does_not_keep_the_others(self, serve, caplog):
        store = Store("close", on=2)
        assert serve(lambda text, data: {}, plugins=[store]).request(form_of("a", "b", "c"), FORM).status == 200
        assert store.log.count("close") == 3
        assert "could not be released" in caplog.text

    def test_a_plugin_that_declines_leaves_the_upload_to_the_next(self, serve):
        store = Store()
        served = serve(lambda text, data: [file.read().decode() for file in data], plugins=[store])
        assert served.request(form_of("a", "local"), FORM).json == ["x", "x"]
        assert store.count == 1

    def test_they_are_closed_when_the_callback_raises(self, serve, caplog):
        store = Store()
        assert serve(lambda text, data: 1 / 0, plugins=[store]).request(form_of("a"), FORM).status == 500
        assert store.log == ["write", "commit", "close"]

    def test_another_error_than_want_of_space_is_a_defect(self, serve, caplog, spool):
        served = serve(lambda text, data: {}, options={"spool": {"folder": spool, "memory": 0}})
        spool.rmdir()
        assert served.request(LARGE, PNG).status == 500
        assert "FileNotFoundError" in caplog.text

    def test_a_backend_without_storage_says_so_in_the_log(self, serve, caplog):
        assert serve(lambda text, data: {}, block=["spool"]).request(SMALL, PNG).status == 500
        assert "no plugin stores uploads" in caplog.text


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_full_disk_is_a_507_and_the_space_is_given_back(serve, tmp_path, kind_of_file, caplog):
    """A real file system of one megabyte. The log has a line, and nothing about what could not be released."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        served = serve(lambda text, data: {}, options={"spool": {"folder": small, "memory": 0}})
        free = os.statvfs(small).f_bavail
        assert served.request(LARGE, PNG).status == 507
        assert os.statvfs(small).f_bavail == free
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
            f"there is no room for an upload: {OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))}"
        ]
        assert served.request(SMALL, PNG).status == 200
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_store_without_room_for_another_upload_is_a_507(serve):
    class Full:
        @hookimpl
        def izzati_store(self):
            raise OSError(errno.ENOSPC, "no room")

    served = serve(lambda text, data: {}, plugins=[Full()])
    assert served.request(b"x", PNG).status == 507


def test_want_of_descriptors_is_a_503_and_leaves_nothing(serve, spool, kind_of_file, monkeypatch):
    real = os.open

    def none_left(path, *args, **kwargs):
        if str(path).startswith(str(spool)):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *args, **kwargs)

    served = serve(
        lambda text, data: data[0] if text else len(data[0].read()), options={"spool": {"folder": spool, "memory": 1}}
    )
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", none_left)
        assert served.request(LARGE, PNG).status == 503
    monkeypatch.setattr(DiskFile, "open", lambda self: none_left(spool))  # when it is read, or sent back
    assert served.request(LARGE, PNG).status == 503
    assert served.request(LARGE, PNG, path="/?back=1").status == 503
    assert within(SECONDS, lambda: list(spool.iterdir()) == [])


def test_a_file_that_cannot_be_opened_for_want_of_descriptors_is_a_503(serve, caplog):
    class Used(Storage):
        schemes = ("used",)

        def open(self, location):
            raise OSError(errno.EMFILE, "Too many open files")

    served = serve(lambda text, data: file_return("used://up"), plugins=[Used()])
    answer = served.request()
    assert answer.status == 503
    assert "as many files open as it may" in answer.json["detail"]
    assert "no more files can be opened" in caplog.text


def test_a_name_with_line_ends_writes_no_header_no_second_line_of_the_log_and_no_odd_file(serve, tmp_path, caplog):
    def callback(text, data):
        data[0].save(tmp_path)
        return data[0]

    caplog.set_level("INFO")
    form = (
        b'--b\r\nContent-Disposition: form-data; name="k%0D%0Ak"; filename="a%0D%0AX-Injected: 1%0Ab%22.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nx\r\n--b--\r\n"
    )
    answer = serve(callback).request(form, {"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.body == b"x"
    assert answer.headers["Content-Disposition"] == 'inline; filename="a__X-Injected: 1_b\\".txt"'
    assert answer.headers["X-Injected"] is None
    assert os.listdir(tmp_path) == ["a__X-Injected_ 1_b_.txt"]
    assert [line for line in caplog.text.splitlines() if "X-Injected" in line] == []


@linux
def test_what_is_no_file_is_not_replaced(serve, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    served = serve(lambda text, data: data[0].save(tmp_path / "pipe"))
    assert served.request(b"x", PNG).status == 500
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


@linux
def test_two_hundred_uploads_aborted_midway_leave_nothing(serve, spool, kind_of_file):
    served = serve(lambda text, data: {}, options={"spool": {"folder": spool, "memory": 1000}})
    assert served.request(LARGE, PNG).status == 200
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 20_000
    for number in range(200):
        with served.connect() as sock:
            head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nContent-Type: "
            kind = "image/png" if number % 2 else "multipart/form-data; boundary=b"
            sock.sendall(f"{head}{kind}\r\n\r\n".encode() + part)
    served.stop()  # returns when the last connection is done
    assert list(spool.iterdir()) == []
    assert threading.active_count() < threads  # the server's own has ended, too
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_the_folder_must_exist():
    with pytest.raises(ValueError, match="is not a folder"):
        Spool(folder="/no/such/folder")


class TestSafeNames:
    @pytest.mark.parametrize(
        ("sent", "safe"),
        [
            ("dog.jpg", "dog.jpg"),
            ("../../etc/passwd", "passwd"),
            (r"C:\x\y.jpg", "y.jpg"),
            ("日本 (1), ü.png", "日本 (1), ü.png"),
            ("x" * 229 + " y", "x" * 229),
            (".bashrc", "bashrc"),
            ("..", "upload"),
            ("", "upload"),
            ("a\x00b\r\n.txt", "a_b__.txt"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("console.txt", "console.txt"),
            ("ends. ", "ends"),
            ('<>:"|?*', "_______"),
            ("evil\u202egpj.exe", "evil_gpj.exe"),
            ("x" * 300 + ".jpeg", "x" * 225 + ".jpeg"),
            ("é" * 200, "é" * 115),
            ("con .txt", "_con .txt"),
            ("a\x9b\u2028b", "a__b"),
            ("CON" + " " * 240 + "x", "_CON"),
            ("nul." + "x" * 240, "_nul." + "x" * 225),
        ],
    )
    def test_examples(self, sent, safe):
        assert safe_filename(sent) == safe

    @given(st.text(st.characters(), max_size=400) | st.text("CON. x", max_size=400))
    def test_any_name_stays_in_its_folder_and_is_short_enough(self, sent):
        name = safe_filename(sent)
        assert name
        assert name not in (".", "..")
        assert not set(name) & set("/\\\x00:")
        assert len(name.encode()) <= 230
        assert safe_filename(name) == name


@linux
@pytest.mark.once
def test_a_two_gigabyte_upload_is_written_once_and_needs_little_memory(tmp_path):
    """In a process of its own, whose peak memory and disk writes the system counts."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import http.client, os, resource, sys, threading
from izzati import Backend, Limits
from izzati.builtin.spool import Spool

def callback(text, data):
    size = data[0].size
    data[0].save(sys.argv[1] + "/kept")
    return size

backend = Backend(callback, limits=Limits(body=3 << 30), plugins=[Spool(folder=sys.argv[1])])
server = backend.listen("127.0.0.1", 0)
threading.Thread(target=server.serve, daemon=True).start()

def send(size):
    connection = http.client.HTTPConnection("127.0.0.1", server.address[1])
    block = bytes(1 << 20)
    body = (block for _ in range(size >> 20))
    connection.request("POST", "/", body, {"Content-Type": "image/png", "Content-Length": str(size)})
    answer = connection.getresponse()
    assert int(answer.read()) == size
    connection.close()

def written():
    with open("/proc/self/io") as io:
        return int(dict(line.split(": ") for line in io)["wchar"])

send(1 << 20)
peak, before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, written()
send(2 << 30)
# The sender is in this process, too, and its bytes to the socket count as written.
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak, (written() - before) / (2 << 30))
server.stop()
"""
    )
    done = subprocess.run([sys.executable, program, tmp_path], capture_output=True, text=True, check=True, timeout=200)
    kilobytes, times = done.stdout.split()
    assert int(kilobytes) < 50_000
    assert float(times) < 2.1  # once to the socket, once to the disk
    assert (tmp_path / "kept").stat().st_size == 2 << 30
    (tmp_path / "kept").unlink()


def test_an_answer_may_be_sent_while_other_uploads_wait(serve, spool):
    """A file reply lets go of the uploads before it is sent."""
    held = []

    def callback(text, data):
        held.append(data[0])
        path = spool / "reply"
        path.write_bytes(b"reply")
        return Reply(path)

    answer = serve(callback, options={"spool": {"folder": spool, "memory": 0}}).request(SMALL, PNG)
    assert answer.body == b"reply"
    assert held[0].closed
