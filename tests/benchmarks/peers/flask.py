"""Flask: ``request``'s ``get_json``, ``form`` and ``files``; a dict is JSON; ``send_file``."""

import os
from pathlib import Path

from flask import Flask, request, send_file
from jobs import SENT

app = Flask(__name__)


@app.post("/json")
def answer_json():
    return request.get_json()


@app.post("/form")
def answer_form():
    return request.form.to_dict()


@app.post("/upload")
def answer_upload():
    return {**request.form, "size": request.files["file"].seek(0, os.SEEK_END)}


@app.post("/file")
def answer_file():
    return send_file(Path(SENT).resolve())
