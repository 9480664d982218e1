"""Bottle: ``request.json``, ``forms`` and ``files``; ``static_file``."""

import os

from bottle import Bottle, request, static_file
from jobs import SENT

app = Bottle()


@app.post("/json")
def answer_json():
    return request.json


@app.post("/form")
def answer_form():
    return dict(request.forms.decode())


@app.post("/upload")
def answer_upload():
    return {**request.forms.decode(), "size": request.files["file"].file.seek(0, os.SEEK_END)}


@app.post("/file")
def answer_file():
    return static_file(SENT, root=".")
