"""A body that is one file, under its own media type."""

from __future__ import annotations

import re

from izzati import Content, Problem, Request, hookimpl, parse_disposition

__all__ = ["RawBody"]


_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")
"""As RFC 9110 §8.3.1 has it. What is none is a file like any other, unless it may have been meant for a codec."""

_WORD = re.compile(r"[a-z0-9.+/-]+")


class RawBody:
    """Reads every body that no other plugin read, unless its media type stands for data that a codec should read."""

    @hookimpl
    def izzati_read(self, request: Request) -> Content | None:
        media_type = request.media_type
        if media_type.startswith("multipart/") or request.codecs.carries_data(media_type):
            return None
        if not _MEDIA_TYPE.fullmatch(media_type) and any(map(request.codecs.reads, _WORD.findall(media_type))):
            raise Problem(400, "The Content-Type names a media type, and more than that. Send the media type alone.")
        # Clients write UTF-8 into a header that WSGI hands on as Latin-1 (PEP 3333).
        header = request.environ.get("HTTP_CONTENT_DISPOSITION", "").encode("latin-1")
        try:
            filename = parse_disposition(header.decode()).get("filename", "")
        except UnicodeDecodeError:
            raise Problem(400, "The request's Content-Disposition is not UTF-8. Encode the filename as that.") from None
        except ValueError as error:
            raise Problem(400, f"The request's Content-Disposition has {error}.") from error
        upload = None
        for block in request.body.blocks():
            # An empty chunked body is no file, so the first byte announces it.
            upload = upload or request.receive(filename, content_type=request.environ.get("CONTENT_TYPE", ""))
            upload.write(block)
        return Content(uploads=[upload] if upload else [])
