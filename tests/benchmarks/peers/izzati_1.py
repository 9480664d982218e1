"""izzati 1.2.3: one function a Backend, and its Flask application. It reads no JSON."""

import os

from jobs import SENT

from izzati import Backend, file_return


def answer_form(text, data):
    return text


def answer_upload(text, data):
    return {**text, "size": data[0].seek(0, os.SEEK_END)}


def answer_file(text, data):
    return file_return(os.path.abspath(SENT))


APPS = {
    "form": Backend(answer_form).app,
    "upload": Backend(answer_upload).app,
    "file": Backend(answer_file).app,
}
