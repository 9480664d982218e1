"""Bare Werkzeug: its tutorial's application, a map of rules and a function for each endpoint."""

import json
import os
from pathlib import Path

from jobs import SENT
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response


def as_json(value):
    return Response(json.dumps(value), content_type="application/json")


def answer_json(request):
    return as_json(request.get_json())


def answer_form(request):
    return as_json(request.form)


def answer_upload(request):
    return as_json({**request.form, "size": request.files["file"].seek(0, os.SEEK_END)})


def answer_file(request):
    return send_file(Path(SENT).resolve(), request.environ)


ENDPOINTS = {"json": answer_json, "form": answer_form, "upload": answer_upload, "file": answer_file}
URLS = Map([Rule(f"/{endpoint}", endpoint=endpoint, methods=["POST"]) for endpoint in ENDPOINTS])


def app(environ, start_response):
    request = Request(environ)
    try:
        endpoint, values = URLS.bind_to_environ(environ).match()
        response = ENDPOINTS[endpoint](request, **values)
    except HTTPException as error:
        response = error
    return response(environ, start_response)
