"""A body that is one file, under its own media type."""

from __future__ import annotations

from izzati import Content, Problem, Request, hookimpl, parse_disposition
from izzati.builtin.media_types import require_one

__all__ = ["RawBody"]


class RawBody:
    """Reads every body that no other plugin read, unless its media type stands for data that a codec should read."""

    @hookimpl
    def izzati_read(self, request: Request) -> Content | None:
        media_type = request.media_type
        require_one(media_type, request, "The Content-Type")
        if media_type.startswith("multipart/") or request.codecs.carries_data(media_type):
            return None
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
