"""Uploads that go straight to a store: what is there when, what stays, and what is left when something fails."""

from __future__ import annotations

import gc
import hashlib
import io
import logging
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import tracemalloc
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec
import pytest
from helpers import MEBIBYTE, RAW, SECONDS, Noting, form, locations, named, pattern, wait_for
from izzati_storage import Store

from izzati import Problem, Reply, hookimpl

SMALL = 5 * MEBIBYTE


@pytest.fixture
def store(bucket):
    """``store(…)`` makes a plugin that sends uploads to the bucket."""

    def make(**options):
        return Store(f"s3://{bucket.name}/uploads", options=bucket.options, **{"block": SMALL, **options})

    return make


@contextmanager
def begun(served, size):
    """A connection over which half of an upload of this size has been sent, and what is left to send."""
    content = pattern(1, size)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % size
    with served.connect() as sock:
        sock.sendall(head + content[: size // 2])
        yield sock, content[size // 2 :]


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL, 3 * SMALL + 7])
def test_an_upload_of_any_size_is_one_object_under_its_key(serve, bucket, store, size):
    served = serve(locations, plugins=[store(key="{date}/{field}/{id}-{name}")])
    content = pattern(2, size)
    answer = served.request(*form(("Rex & co.png", content), field="photo"))
    (key,) = bucket.kept()
    assert answer.json == [f"s3://{bucket.name}/{key}"]
    assert re.fullmatch(r"uploads/\d{4}-\d\d-\d\d/photo/[0-9a-f]{32}-Rex & co\.png", key)
    assert bucket.content(key) == content


def test_nothing_is_written_to_the_local_disk(serve, bucket, store):
    served = serve(locations, plugins=[store()], block=["spool"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_oublock
    assert served.request(pattern(3, 3 * SMALL), RAW).status == 200
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_oublock - before) * 512 < MEBIBYTE


def test_an_object_appears_when_the_last_byte_of_the_request_has_arrived_and_not_before(serve, bucket, store):
    served = serve(lambda text, data: bucket.keys(), plugins=[store()])
    with begun(served, 4 * SMALL) as (sock, rest):
        (key,) = wait_for(bucket.parts)
        assert bucket.keys() == []
        sock.sendall(rest)
        assert b"200" in sock.recv(100)
    assert bucket.kept() == [key]


def test_a_request_and_its_uploads_need_no_garbage_collector_to_be_gone(serve, tmp_path):
    requests = weakref.WeakSet()

    def callback(text, data, *, request):
        requests.add(request)
        return [file.sink.location for file in data]

    served = serve(callback, plugins=[Store(tmp_path.as_uri())])
    gc.collect()
    gc.disable()
    try:
        assert len(served.request(*form(("rex.png", b"rex"), ("max.png", b"max"))).json) == 2
        served.stop()
        assert wait_for(lambda: not requests)
    finally:
        gc.enable()


def test_a_cut_upload_leaves_no_object_and_no_part(serve, bucket, store):
    served = serve(locations, plugins=[store()])
    with begun(served, 4 * SMALL):
        wait_for(bucket.parts)
    served.stop()
    assert bucket.kept() == []


def test_of_two_uploads_none_stays_if_the_second_cannot_be_committed(serve, bucket, store, caplog):
    called = threading.Event()
    served = serve(lambda text, data: called.set(), plugins=[store()])
    body, headers = form(("one.bin", pattern(4, 2 * SMALL)), ("two.bin", pattern(5, 2 * SMALL)))
    with served.connect() as sock:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sock.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode())
        sock.sendall(body[:-20])
        wait_for(lambda: len(bucket.parts()) == 2)
        uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
        second = next(each for each in uploads if each["Key"].endswith("two.bin"))
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=second["Key"], UploadId=second["UploadId"])
        sock.sendall(body[-20:])
        assert b"503" in sock.recv(100)
    served.stop()
    assert bucket.kept() == []
    assert not called.is_set()


def test_twenty_uploads_at_once_are_twenty_objects(serve, bucket, store):
    served = serve(locations, plugins=[store()])
    contents = [pattern(seed, SMALL + seed) for seed in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda content: served.request(content, named("same.bin")), contents))
    keys = [answer.json[0].removeprefix(f"s3://{bucket.name}/") for answer in answers]
    assert sorted(bucket.kept()) == sorted(keys)
    found = [hashlib.sha256(bucket.content(key)).digest() for key in keys]
    assert found == [hashlib.sha256(content).digest() for content in contents]


def test_many_files_in_one_request_take_no_more_memory_than_one(serve, bucket, store):
    served = serve(lambda text, data: len(data), plugins=[store()])
    served.request(b"loads what every request needs", RAW)
    body, headers = form(*((f"{number}.bin", bytes(MEBIBYTE)) for number in range(40)))

    def send():
        for start in range(0, len(body), 1 << 18):
            yield body[start : start + (1 << 18)]

    tracemalloc.start()
    try:
        answer = served.request(send(), {**headers, "Content-Length": str(len(body))})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.json == 40
    assert len(bucket.kept()) == 41
    assert peak < 25 * MEBIBYTE


def test_an_upload_leaves_no_open_file_of_its_library_behind(serve, store):
    served = serve(locations, plugins=[store()])
    for content in (b"small", pattern(6, 2 * SMALL)):
        served.request(content, RAW)
    served.stop()
    gc.collect()
    assert [each for each in gc.get_objects() if type(each).__name__ == "S3File"] == []


# The callback's result decides ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Problem(409, "No."), ZeroDivisionError("a defect")], ids=["a refusal", "a defect"])
@pytest.mark.parametrize("keep_failed", [False, True])
@pytest.mark.parametrize("size", [10, 2 * SMALL], ids=["small", "large"])
def test_uploads_of_a_callback_that_raises_go_unless_told_otherwise(serve, bucket, store, error, keep_failed, size):
    def callback(text, data):
        raise error

    served = serve(callback, plugins=[store(keep_failed=keep_failed)])
    assert served.request(pattern(7, size), RAW).status in (409, 500)
    assert len(bucket.kept()) == keep_failed


def test_uploads_of_a_callback_that_answers_with_an_error_of_its_own_stay(serve, bucket, store):
    served = serve(lambda text, data: Reply("later", 503), plugins=[store()])
    assert served.request(b"x", RAW).status == 503
    assert len(bucket.kept()) == 1


@pytest.mark.parametrize("raises", [False, True])
def test_uploads_of_a_callback_that_runs_after_its_answer_stay_or_go_by_its_end(serve, bucket, store, raises):
    done = threading.Event()

    class Later:
        @hookimpl
        def izzati_call(self, call):
            release = call.keep()
            threading.Thread(target=self.run, args=(call, release)).start()
            return "accepted"

        def run(self, call, release):
            try:
                call()
            except ZeroDivisionError:
                pass
            finally:
                release()
                done.set()

    def callback(text, data):
        assert data[0].read() == b"x"
        if raises:
            raise ZeroDivisionError

    served = serve(callback, plugins=[Later(), store()])
    assert served.request(b"x", RAW).json == "accepted"
    assert done.wait(SECONDS)
    assert len(bucket.kept()) == (not raises)


# What the callback can do with an upload ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100_000, 2 * SMALL])
def test_a_callback_reads_its_upload_as_it_reads_any_file(serve, store, size):
    lines = b"".join(b"line %d\n" % number for number in range(size // 12))

    def callback(text, data):
        file = data[0]
        head = [file.readline(), file.readline(3), file.read(4), file.tell()]
        file.seek(-20, io.SEEK_END)
        tail = [*file]
        file.seek(0)
        assert file.read() == lines
        return [each.decode() if isinstance(each, bytes) else each for each in (*head, *tail)]

    *found, last = serve(callback, plugins=[store()]).request(lines, RAW).json
    assert found[:4] == ["line 0\n", "lin", "e 1\n", 14]
    assert f"{last}".encode() == lines.splitlines(keepends=True)[-1]


def test_an_upload_can_be_opened_as_an_archive(serve, store):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("large.bin", pattern(8, 2 * SMALL))
        packed.writestr("hello.txt", "Hello")

    def callback(text, data):
        with zipfile.ZipFile(data[0]) as packed:
            return packed.read("hello.txt").decode()

    assert serve(callback, plugins=[store()]).request(archive.getvalue(), RAW).json == "Hello"


def test_an_upload_is_the_answer(serve, store):
    content = pattern(9, 2 * SMALL)
    answer = serve(lambda text, data: data[0], plugins=[store()]).request(content, {"Content-Type": "image/png"})
    assert (answer.headers["Content-Type"], answer.body == content) == ("image/png", True)


def test_an_upload_is_saved_in_its_own_store_without_its_bytes_coming_back(serve, bucket, store, moto):
    def callback(text, data):
        return [data[0].sink.location, data[0].save(f"s3://{bucket.name}/saved/copy.bin")]

    content = pattern(10, 2 * SMALL)
    answer = serve(callback, plugins=[store()]).request(content, RAW)
    first, second = (location.removeprefix(f"s3://{bucket.name}/") for location in answer.json)
    assert (second, sorted(bucket.kept())) == ("saved/copy.bin", sorted([first, second]))
    assert not moto.saw(f"GET /{bucket.name}/")
    assert bucket.content(second) == content
    assert moto.saw(f"GET /{bucket.name}/")


def test_an_upload_that_is_saved_where_it_is_stays_even_if_the_callback_then_raises(serve, bucket, store):
    def callback(text, data):
        assert data[0].save(data[0].sink.location) == data[0].sink.location
        raise Problem(409, "No.")

    assert serve(callback, plugins=[store()]).request(b"x", RAW).status == 409
    assert len(bucket.kept()) == 1


# When the store fails -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 2 * SMALL], ids=["small", "large"])
def test_a_bucket_that_does_not_exist_is_a_503_without_its_name_and_the_log_has_the_reason(serve, bucket, caplog, size):
    plugin = Store("s3://no-such-bucket/secret-folder", options=bucket.options, block=SMALL)
    served = serve(locations, plugins=[plugin])
    with caplog.at_level(logging.ERROR, "izzati"):
        answer = served.request(pattern(11, size), RAW)
    assert answer.status == 503
    assert answer.headers["X-Request-Id"] in answer.json["detail"]
    assert not re.search("bucket|secret|s3|botocore|Error", answer.body.decode())
    (told,) = (record for record in caplog.records if record.name == "izzati.storage")
    assert answer.headers["X-Request-Id"] in told.getMessage()
    assert "no-such-bucket" in told.getMessage()
    assert "does not exist" in str(told.exc_info[1])


def test_wrong_credentials_are_a_503_and_are_not_in_the_answer(serve, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    served = serve(locations, plugins=[Store("s3://bucket/folder", options={"s3": {"endpoint_url": "http://[::1]:9"}})])
    answer = served.request(b"x", RAW)
    assert (answer.status, "redentials" in answer.body.decode()) == (503, False)
    assert "Unable to locate credentials" in caplog.text


@pytest.mark.parametrize("sizes", [[MEBIBYTE], [100], [100, 100]], ids=["large", "small", "the first of two"])
def test_a_folder_that_is_full_is_a_507_and_leaves_nothing(serve, tmp_path, sizes):
    served = serve(locations, plugins=[Store(tmp_path.as_uri())])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        answer = served.request(*form(*(("a.bin", bytes(size)) for size in sizes)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.status == 507
    assert files_below(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_a_503_without_its_path(serve, tmp_path, caplog):
    (tmp_path / "uploads").write_text("a file")
    served = serve(locations, plugins=[Store((tmp_path / "uploads").as_uri())])
    answer = served.request(b"x", RAW)
    assert (answer.status, str(tmp_path) in answer.body.decode(), str(tmp_path) in caplog.text) == (503, False, True)


# A folder on this machine ---------------------------------------------------------------------------------------------


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def nameless_below(folder, process="self"):
    """Descriptors of files in the folder that have no name."""
    found = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # it has been closed meanwhile
            found.append(os.readlink(descriptor))
    return [path for path in found if path.startswith(str(folder)) and path.endswith("(deleted)")]


NAMELESS = pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without a name")


def umask():
    os.umask(mask := os.umask(0))
    return mask


@pytest.mark.parametrize(
    ("named", "flag"),
    [
        pytest.param(False, getattr(os, "O_TMPFILE", None), marks=NAMELESS, id="nameless"),
        pytest.param(True, None, id="where a system has none without a name"),
        pytest.param(True, getattr(os, "O_DIRECTORY", None), marks=NAMELESS, id="where a kernel takes it for a folder"),
    ],
)
def test_an_upload_in_a_folder_is_hidden_until_it_is_whole(serve, tmp_path, monkeypatch, named, flag):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if flag is not None:
        monkeypatch.setattr(os, "O_TMPFILE", flag, raising=False)
    served = serve(locations, plugins=[Store(f"{tmp_path.as_uri()}/uploads", key="{id}-{name}")])
    with begun(served, 2 * MEBIBYTE) as (sock, rest):
        if named:
            (part,) = wait_for(lambda: files_below(tmp_path))
            assert re.fullmatch(r"\.[0-9a-f]{16}\.part", part.name)
        else:
            wait_for(lambda: nameless_below(tmp_path))
            assert files_below(tmp_path) == []
        sock.sendall(rest)
        assert b"200" in sock.recv(100)
    (path,) = files_below(tmp_path)
    assert (path.name[-7:], path.read_bytes() == pattern(1, 2 * MEBIBYTE)) == ("-upload", True)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def test_a_file_system_made_of_that_of_folders_opens_its_own_files_and_replaces_them(serve, tmp_path, monkeypatch):
    fsspec.register_implementation("noting", "helpers.Noting", clobber=True)
    monkeypatch.setattr(Noting, "opened", opened := [])
    (tmp_path / "there.txt").write_bytes(b"before")

    def callback(text, data):
        data[0].save(f"noting://{tmp_path}/there.txt")

    assert serve(callback, plugins=[Store(schemes=["noting"])]).request(b"content", named("a.txt")).status == 200
    assert (tmp_path / "there.txt").read_bytes() == b"content"
    assert "wb" in opened


PROGRAM = """
import sys
from izzati import Backend
from izzati_storage import Store
server = Backend(lambda text, data: {}, plugins=[Store(sys.argv[1])], only=["server", "forms"]).listen("127.0.0.1", 0)
print(server.address[1], flush=True)
server.serve()
"""


@NAMELESS
def test_when_the_server_is_killed_nothing_is_left_in_a_folder_of_uploads_that_were_on_their_way(tmp_path):
    contents = [b"", *(pattern(number, MEBIBYTE) for number in range(5))]
    body, headers = form(*((f"{number}.bin", content) for number, content in enumerate(contents)))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    command = [sys.executable, "-c", PROGRAM, tmp_path.as_uri()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            port = int(process.stdout.readline())
            with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
                sock.sendall(
                    f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode()
                )
                sock.sendall(body[:-20])
                wait_for(lambda: len([*nameless_below(tmp_path, process.pid), *files_below(tmp_path)]) == 5)
                process.kill()
                process.wait(SECONDS)
        finally:
            process.kill()
    assert files_below(tmp_path) == []


@NAMELESS
def test_many_uploads_of_one_request_to_a_folder_hold_few_files_open(serve, tmp_path):
    contents = [*(pattern(number, 100) for number in range(39)), pattern(39, MEBIBYTE)]
    body, headers = form(*((f"{number}.bin", content) for number, content in enumerate(contents)))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    served = serve(locations, plugins=[Store(tmp_path.as_uri(), key="{name}-{id}")])
    for whole in (False, True):
        with served.connect() as sock:
            sock.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode())
            sock.sendall(body[:-20])
            wait_for(lambda: (len(nameless_below(tmp_path)), len(files_below(tmp_path))) == (5, 35))
            if whole:
                sock.sendall(body[-20:])
                assert b"200" in sock.recv(100)
        if not whole:
            wait_for(lambda: not (nameless_below(tmp_path) or files_below(tmp_path)))
    kept = sorted(files_below(tmp_path), key=lambda path: int(path.name.partition(".")[0]))
    assert [path.read_bytes() for path in kept] == contents
    assert nameless_below(tmp_path) == []


def test_the_location_of_an_upload_in_a_folder_is_its_path(serve, tmp_path):
    served = serve(locations, plugins=[Store(tmp_path.as_uri())])
    (path,) = served.request(b"content", named("100%25 a;b.txt")).json
    assert path.startswith(str(tmp_path))
    assert Path(path).read_bytes() == b"content"
