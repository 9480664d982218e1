"""A page where a person tries the functions, a module for calling them from JavaScript, and an OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from izzati import Problem, Request, Route, hookimpl
from izzati_page.openapi import describe

if TYPE_CHECKING:
    from izzati import Backend

__all__ = ["Page"]

_READING = ("GET", "HEAD")
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    # Pictures, sound and video that a person has chosen or a function has answered; drawings (SVG) as data, so that
    # they are of no origin even when opened by themselves.
    "img-src": "'self' blob: data:",
    "media-src": "blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    # No text becomes markup, whatever the page's own code does.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


class Page:
    """``GET /`` is a page to try the functions, ``/izzati.js`` calls them, ``/openapi.json`` describes them.

    The page and the module are public: they are the same for every program, and whoever has to say who they are is
    asked there. The description tells what a program does, so it is behind the same door as the functions.

    :param title: what the page and the description call the whole; ``izzati`` unless given.
    :param version: the version of the functions, for the description.
    """

    def __init__(self, title: str = "izzati", version: str = "1") -> None:
        self._title = title
        self._version = version
        self._files = {path.name: path.read_bytes() for path in files(__package__).joinpath("static").iterdir()}

    @hookimpl
    def izzati_routes(self, backend: Backend) -> Iterator[Route]:
        description = json.dumps(describe(backend, self._title, self._version)).encode()
        yield Route("/openapi.json", partial(_answer, description, "application/json"), _READING)
        yield Route("/", self._page, _READING, public=True)
        yield Route("/izzati.js", partial(self._file, "izzati.js"), _READING, public=True)
        yield Route("/favicon.ico", self._icon, _READING, public=True)
        yield Route("/izzati-page/<name>", self._part, _READING, public=True)

    def _page(self, request: Request) -> Response:
        if not request.environ.get("PATH_INFO"):
            # Below a path of another application, without the slash that what the page needs is relative to.
            return Response(status=308, headers={"Location": f"{request.environ.get('SCRIPT_NAME', '')}/"})
        return self._file("page.html", request)

    def _icon(self, request: Request) -> Response:
        response = self._file("icon.svg", request)
        response.headers["Cache-Control"] = "max-age=86400"  # or browsers ask again with every page
        return response

    def _part(self, request: Request) -> Response:
        return self._file(request.variables["name"], request)

    def _file(self, name: str, request: Request) -> Response:
        if name not in self._files:
            raise Problem(404, "The page has no such file.")
        return _answer(self._files[name], f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8", request)


def _answer(body: bytes, content_type: str, request: Request) -> Response:
    """A file that a browser keeps, and asks each time whether it is still the same."""
    response = Response(body, content_type=content_type)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in _POLICY.items())
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.add_etag()
    # All that is asked is whether it is still the same, by its tag. Dates beyond all calendars Werkzeug cannot take.
    others = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_MATCH")
    asked = {name: value for name, value in request.environ.items() if name not in others}
    return response.make_conditional(asked)
