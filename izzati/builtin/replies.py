"""Answers: files, paths, bytes and ready responses; and problems, for everything that failed."""

from __future__ import annotations

import errno
import io
import mimetypes
import os
import re
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

from werkzeug.exceptions import HTTPException
from werkzeug.http import dump_options_header, http_date, quote_etag
from werkzeug.wrappers import Response
from werkzeug.wsgi import FileWrapper

from izzati import BLOCK, FileReply, Problem, Request, StoredFile, UploadedFile, file_return, hookimpl

__all__ = ["Replies"]


class Replies:
    """Renders files, paths, bytes and Werkzeug responses; tells errors as problems (RFC 9457)."""

    @hookimpl
    def izzati_render(self, result: Any, request: Request) -> Response | None:
        if type(result) in _VALUES:
            return None  # as nearly always, and the last of the questions below takes long
        if isinstance(result, Response):
            return result
        if isinstance(result, (bytes, bytearray, memoryview)):
            return Response(bytes(result), content_type="application/octet-stream")
        if isinstance(result, (Path, UploadedFile)):
            result = file_return(result)
        if isinstance(result, FileReply):
            return _file_response(result, request)
        return None

    @hookimpl
    def izzati_error(self, error: BaseException, request: Request) -> Response:
        if isinstance(error, HTTPException):
            return cast("Response", error.response) if error.response else Problem.of(error).get_response()
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return Problem(503, "The server has as many files open as it may. Try again later.").get_response()
        return Problem(
            500,
            f"The server failed to answer this request. Its log has the reason under the request's id, {request.id}.",
        ).get_response()


_VALUES = frozenset({dict, list, str, int, float, bool, type(None)})


def _file_response(reply: FileReply, request: Request) -> Response:
    file = _opened(reply.source, request)
    name = reply.filename if reply.filename is not None else file.name
    content_type = reply.content_type or _guess(reply.source, name)
    wrap = request.environ.get("wsgi.file_wrapper", FileWrapper)
    # Werkzeug's send_file reads 8 KiB at a time and declares *.gz files to be encoded, so that they arrive unpacked.
    headers = {"Content-Type": content_type}
    disposition = _disposition(name, reply.download)
    if disposition:
        headers["Content-Disposition"] = disposition
    if isinstance(reply.source, UploadedFile):
        # A page that a stranger sent would otherwise run as one of this server.
        headers["Content-Security-Policy"] = "sandbox"
    if file.size is not None:
        headers["Content-Length"] = str(file.size)
    if file.modified is not None:
        headers["Last-Modified"] = http_date(file.modified)
        if file.size is not None:
            headers["ETag"] = quote_etag(f"{file.modified:.6f}-{file.size}")
    return Response(wrap(file.stream, BLOCK), headers=headers, direct_passthrough=True)


def _opened(source: str | bytes | IO[bytes] | io.BufferedIOBase, request: Request) -> StoredFile:
    if isinstance(source, UploadedFile):
        # From its beginning, wherever the callback has read to.
        return StoredFile(source.reader(), source.filename, source.size)
    file = request.open(source) if isinstance(source, str) else _measured(source)
    # The answer holds a file of its own. Without uploads to wait for, the server may send it by sendfile.
    request.release()
    return file


def _measured(source: bytes | IO[bytes] | io.BufferedIOBase) -> StoredFile:
    if isinstance(source, bytes):
        return StoredFile(io.BytesIO(source), "", len(source))
    name = getattr(source, "name", "")
    size = None
    if source.seekable():
        here = source.tell()
        size = source.seek(0, os.SEEK_END) - here
        source.seek(here)
    return StoredFile(source, os.path.basename(name) if isinstance(name, str) else "", size)


def _guess(source: object, name: str) -> str:
    if isinstance(source, UploadedFile):
        sent = source.content_type
        return sent if sent.isascii() and sent.isprintable() else "application/octet-stream"
    kind, encoding = mimetypes.guess_type(f"/{name}")  # a slash, since it takes a name with a colon for a URL
    return _PACKED.get(encoding, "application/octet-stream") if encoding else kind or "application/octet-stream"


_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def _disposition(name: str, download: bool) -> str:
    """RFC 6266: an ASCII name for old clients, and the real one (RFC 8187) where they differ."""
    kind = "attachment" if download else "inline"
    name = _CONTROL.sub("_", name).encode(errors="replace").decode()
    if not name:
        return kind if download else ""
    plain = name.encode("ascii", "replace").decode().replace("?", "_") if not name.isascii() else name
    names = {"filename": plain}
    if plain != name:
        names["filename*"] = f"UTF-8''{quote(name, safe='')}"
    return dump_options_header(kind, names)


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
