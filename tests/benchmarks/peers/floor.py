"""Bare WSGI: no framework, no check, no refusal. What is left is what any framework has to do, too."""

import json
import os
from pathlib import Path
from urllib.parse import parse_qsl
from wsgiref.util import FileWrapper

from jobs import SENT
from werkzeug.formparser import parse_form_data


def answer_json(environ):
    return json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def answer_form(environ):
    return dict(parse_qsl(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()))


def answer_upload(environ):
    # Python has no parser of multipart. This one is what most frameworks for WSGI build upon.
    _, form, files = parse_form_data(environ, silent=False)
    return {**form, "size": files["file"].seek(0, os.SEEK_END)}


VALUES = {"/json": answer_json, "/form": answer_form, "/upload": answer_upload}


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/file":
        file = Path(SENT).open("rb")  # noqa: SIM115 - who iterates over the wrapper closes it
        size = os.fstat(file.fileno()).st_size
        head = [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))]
        start_response("200 OK", head)
        return FileWrapper(file, 256 * 1024)
    body = json.dumps(VALUES[path](environ)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
