"""Falcon: a resource for each path; ``get_media`` and ``media``; parts are piped to where the application says."""

import os
from pathlib import Path
from tempfile import SpooledTemporaryFile

import falcon
from jobs import SENT

MEMORY = 500 * 1024
"""Bytes of a file that stay in memory, as many as with Werkzeug."""


class Echo:
    def on_post(self, req, resp):
        resp.media = req.get_media()


class Upload:
    def on_post(self, req, resp):
        answer = {}
        for part in req.get_media():
            if part.filename:
                with SpooledTemporaryFile(MEMORY) as file:
                    part.stream.pipe(file)
                    answer["size"] = file.tell()
            else:
                answer[part.name] = part.text
        resp.media = answer


class File:
    def on_post(self, req, resp):
        path = Path(SENT)
        resp.content_type = "application/octet-stream"
        resp.set_stream(path.open("rb"), os.path.getsize(path))


app = falcon.App()
app.add_route("/json", Echo())
app.add_route("/form", Echo())
app.add_route("/upload", Upload())
app.add_route("/file", File())
