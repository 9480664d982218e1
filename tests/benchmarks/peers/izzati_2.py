"""izzati as it comes."""

from pathlib import Path

from jobs import SENT

from izzati import Backend


def echo(text, data):
    return text


def upload(text, data):
    return {**text, "size": data[0].size}


def file(text, data):
    return Path(SENT)


CALLBACKS = {"/json": echo, "/form": echo, "/upload": upload, "/file": file}

app = Backend(CALLBACKS, only=[])
