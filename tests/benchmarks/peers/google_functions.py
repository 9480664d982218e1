"""functions-framework: one function, which gets Flask's request. It is found by the name of a file that has it."""

import os
from pathlib import Path

import flask
import functions_framework
from jobs import SENT


@functions_framework.http
def answer_json(request):
    return request.get_json()


@functions_framework.http
def answer_form(request):
    return request.form.to_dict()


@functions_framework.http
def answer_upload(request):
    return {**request.form, "size": request.files["file"].seek(0, os.SEEK_END)}


@functions_framework.http
def answer_file(request):
    return flask.send_file(Path(SENT).resolve())


if __name__ == "peers.google_functions":  # under another name it is the file in which functions are looked for
    APPS = {
        job: functions_framework.create_app(f"answer_{job}", __file__) for job in ("json", "form", "upload", "file")
    }
