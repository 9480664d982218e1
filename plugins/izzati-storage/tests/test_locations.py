"""Locations that a callback saves at, and returns."""

from __future__ import annotations

import email.utils
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import MEBIBYTE, RAW, form, named, pattern
from izzati_storage import Store

from izzati import Problem, UnknownScheme, file_return


def test_an_object_is_sent_with_its_length_age_and_tag(serve, bucket):
    bucket.client.put_object(Bucket=bucket.name, Key="a/photo.png", Body=pattern(1, 9 * MEBIBYTE))
    served = serve(
        lambda text, data: file_return(f"s3://{bucket.name}/a/photo.png"), plugins=[Store(options=bucket.options)]
    )
    answer = served.request()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["Content-Length"] == str(9 * MEBIBYTE)
    assert abs(email.utils.parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp() - time.time()) < 3600
    assert answer.headers["ETag"]
    assert "filename=photo.png" in answer.headers["Content-Disposition"]
    assert answer.body == pattern(1, 9 * MEBIBYTE)


def test_what_has_been_replaced_in_between_is_found(serve, bucket):
    """A list of objects that a library keeps would hide it."""
    served = serve(lambda text, data: file_return(f"s3://{bucket.name}/a.txt"), plugins=[Store(options=bucket.options)])
    for body in (b"first", b"and second"):
        bucket.client.put_object(Bucket=bucket.name, Key="a.txt", Body=body)
        assert served.request().body == body


@pytest.mark.parametrize("key", ["missing.png", "a", "a/"])
def test_an_object_that_is_missing_is_a_500_that_names_nothing_and_the_log_does(serve, bucket, key, caplog):
    bucket.client.put_object(Bucket=bucket.name, Key="a/photo.png", Body=b"x")
    served = serve(lambda text, data: file_return(f"s3://{bucket.name}/{key}"), plugins=[Store(options=bucket.options)])
    answer = served.request()
    assert (answer.status, bucket.name in answer.body.decode()) == (500, False)
    assert "FileNotFoundError" in caplog.text


def test_where_an_upload_goes_is_not_for_its_sender_to_say(serve, bucket):
    served = serve(
        lambda text, data: [file.save(f"s3://{bucket.name}/in/") for file in data],
        plugins=[Store(options=bucket.options)],
    )
    names = ("s3://evil/x", "../../x", "s3:x", "..", "a#1", "/x/y")
    served.request(*form(*((name, b"x") for name in names)))
    assert sorted(bucket.kept()) == ["in/a_1", "in/s3_x", "in/upload", "in/x", "in/x (2)", "in/y"]


@pytest.mark.parametrize(("callers", "size"), [(15, 10), (4, 9 * MEBIBYTE)], ids=["small", "in parts"])
def test_callers_who_send_one_name_at_once_do_not_overwrite_each_other(serve, bucket, callers, size):
    served = serve(lambda text, data: data[0].save(f"s3://{bucket.name}/in/"), plugins=[Store(options=bucket.options)])
    contents = [pattern(number, size) for number in range(callers)]
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(lambda content: served.request(content, named("photo.png")), contents))
    assert sorted(map(bucket.content, bucket.kept())) == sorted(contents)


@pytest.mark.parametrize("location", ["s3://", "s3:///", "s3://bucket", "sftp://host"])
def test_a_location_that_names_no_file_is_said_to_name_none(serve, location, bucket):
    def callback(text, data):
        with pytest.raises(ValueError, match=r"names no file|no folder"):
            data[0].save(location)
        return "told"

    assert serve(callback, plugins=[Store(options=bucket.options)]).request(b"x", RAW).json == "told"


def test_a_save_to_a_bucket_that_does_not_exist_is_an_oserror_for_the_callback(serve, bucket):
    def callback(text, data):
        for location in ("s3://no-such-bucket/x", "s3://no-such-bucket/", "s3://Not_A_Bucket!/x"):
            with pytest.raises(OSError, match=r"."):
                data[0].save(location)
        return "told"

    assert serve(callback, plugins=[Store(options=bucket.options)]).request(b"x", RAW).json == "told"


# Schemes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["memory://x", "http://localhost/x", "https://localhost/x", "zip://x", "data://x"])
def test_schemes_that_nobody_asked_for_are_not_opened(serve, location):
    def callback(text, data):
        with pytest.raises(UnknownScheme, match="no installed plugin"):
            data[0].save(location)
        return file_return(location)

    assert serve(callback, plugins=[Store()]).request(b"x", RAW).status == 500


def test_a_chain_of_file_systems_is_one_strange_name(serve, bucket, tmp_path):
    """fsspec opens ``simplecache::file:///etc/passwd``, and whatever else follows ``::``."""
    (tmp_path / "secret").write_text("secret")

    def callback(text, data):
        return file_return(f"s3://{bucket.name}/x::file://{tmp_path}/secret")

    answer = serve(callback, plugins=[Store(options=bucket.options)]).request()
    assert (answer.status, b"secret" in answer.body) == (500, False)


def test_memory_is_a_store_when_asked_for(serve):
    def callback(text, data):
        return file_return(data[0].save("memory://test-locations/x.txt"))

    assert serve(callback, plugins=[Store(schemes=["memory"])]).request(b"content", RAW).body == b"content"


@pytest.mark.parametrize(("scheme", "module", "package"), [("gs", "gcsfs", "gcsfs"), ("abfs", "adlfs", "adlfs")])
def test_a_library_that_is_missing_is_named(serve, monkeypatch, scheme, module, package):
    monkeypatch.setitem(sys.modules, module, None)

    def callback(text, data):
        with pytest.raises(UnknownScheme, match=f"{scheme}:// needs the package {package}: pip install {package}"):
            data[0].save(f"{scheme}://bucket/key")
        raise Problem(404, "told")

    assert serve(callback, plugins=[Store()]).request(b"x", RAW).status == 404
    with pytest.raises(UnknownScheme, match=f"pip install {package}"):
        Store(f"{scheme}://bucket/uploads")


def test_no_library_of_a_store_is_imported_before_it_is_used():
    code = """
import sys
from izzati import Backend
from izzati_storage import Store
Backend(lambda text, data: None, plugins=[Store()], only=())
print([name for name in ("s3fs", "aiobotocore", "gcsfs", "adlfs", "paramiko", "aiohttp") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "[]\n"
