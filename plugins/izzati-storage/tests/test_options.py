"""Options: where they come from, what is refused, and that secrets stay secret. And other processes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
from helpers import RAW, locations
from izzati_storage import Store

from izzati import Backend, PluginError


def test_once_it_is_installed_two_variables_send_uploads_to_a_bucket(serve, bucket, monkeypatch):
    monkeypatch.setenv("IZZATI_STORAGE_URL", f"s3://{bucket.name}")
    monkeypatch.setenv("IZZATI_STORAGE_OPTIONS", json.dumps(bucket.options))
    served = serve(locations, only=["storage"])
    (location,) = served.request(b"x", RAW).json
    assert bucket.kept() == [location.removeprefix(f"s3://{bucket.name}/")]


def test_credentials_are_found_where_the_library_finds_them(serve, bucket, monkeypatch):
    access = bucket.options["s3"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", access["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", access["endpoint_url"])
    served = serve(locations, plugins=[Store(f"s3://{bucket.name}/a")])
    assert served.request(b"x", RAW).status == 200
    assert len(bucket.kept()) == 1


def test_without_a_url_uploads_are_left_to_the_next_plugin(serve, bucket):
    def callback(text, data):
        return type(data[0].sink).__module__

    answer = serve(callback, plugins=[Store(options=bucket.options)]).request(b"x", RAW)
    assert answer.json == "izzati.builtin.sinks"
    assert bucket.kept() == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "/srv/uploads"}, "has no scheme.*file:///srv/uploads"),
        ({"url": ""}, "has no scheme"),
        ({"url": "http://host/x"}, "no store that takes uploads"),
        ({"url": "data://x"}, "no store that takes uploads"),
        ({"url": "s4://bucket"}, "no store that takes uploads"),
        ({"url": "simplecache::s3://bucket/x"}, "no store|::"),
        ({"url": "s3://bucket/x::file:///etc"}, "::"),
        ({"url": "s3://bucket/x?versionId=1"}, r"\?"),
        ({"url": "s3://bucket/x\0"}, "control character"),
        ({"url": "s3://"}, "bucket"),
        ({"block": 1 << 20}, "5242880"),
        ({"schemes": ["S3"]}, "'S3'.*lower case"),
        ({"schemes": ["nothing"]}, "'nothing'"),
        ({"schemes": ["file"]}, "'file'.*spool"),
        ({"schemes": [""]}, "spool"),
        ({"schemes": ["https"]}, "'https'"),
        ({"options": {"s3": "secret"}}, r"options\['s3'\] takes a table, not str"),
        ({"options": {"key": "secret"}}, "'key'.*a table for each scheme"),
        ({"options": {"ftp": {}}}, "'ftp'.*there are abfs, .*sftp"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_what_to_write(options, told):
    with pytest.raises(ValueError, match=told) as raised:
        Store(**options)
    assert str(raised.value).startswith("storage: ")
    assert "secret" not in str(raised.value).replace("secret,", "")


def test_a_password_in_the_url_is_refused_without_printing_it():
    with pytest.raises(ValueError, match="has a password") as raised:
        Store("sftp://ann:hunter2@host/uploads")
    assert "hunter2" not in str(raised.value)


def test_what_is_wrong_stops_the_start_and_secrets_are_not_in_the_message():
    options = {"storage": {"url": "/x", "options": {"s3": {"secret": "hunter2"}}}}
    with pytest.raises(PluginError, match="has no scheme") as raised:
        Backend(lambda text, data: None, only=["storage"], options=options)
    assert "hunter2" not in str(raised.value)


def test_a_copy_for_another_process_has_the_same_options(bucket, serve):
    store = Store(f"s3://{bucket.name}/a", "{id}", options=bucket.options)
    serve(locations, plugins=[store]).request(b"x", RAW)  # now it is connected
    served = serve(locations, plugins=[pickle.loads(pickle.dumps(store))])
    assert served.request(b"x", RAW).json[0].startswith(f"s3://{bucket.name}/a/")
    assert len(bucket.kept()) == 2


FORK = """
import json, os, sys, threading, warnings
from werkzeug.test import Client
from izzati import Backend
from izzati_storage import Store
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and newer warn of a fork where there are threads
url, options = json.loads(sys.argv[1])
backend = Backend(lambda text, data: None, plugins=[Store(url, options=options)], only=())
def send():
    return Client(backend).post("/", data=b"x" * 6_000_000, content_type="image/png").status_code
assert send() == 200  # the loop's thread, or the connection, is there
child = os.fork()
if child == 0:
    status = 1
    try:
        status = 0 if send() == send() == 200 else 2
    finally:
        os._exit(status)
assert os.waitpid(child, 0)[1] == 0
assert send() == 200
"""


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_a_process_that_was_forked_from_one_that_has_used_the_store_uses_it_too(kind, bucket, ssh, tmp_path):
    """As gunicorn does with ``--preload``, and ``Backend(background=True)``."""
    given = {
        "s3": (f"s3://{bucket.name}/a", bucket.options),
        "sftp": (f"{ssh.url}{tmp_path}/a", {"sftp": ssh.options}),
    }[kind]
    done = subprocess.run(
        [sys.executable, "-c", FORK, json.dumps(given)], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    kept = bucket.kept() if kind == "s3" else [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 4
