"""``GET /healthz``: whether the server answers, for whatever restarts it if not."""

from __future__ import annotations

from werkzeug.wrappers import Response

from izzati import Request, Route, hookimpl

__all__ = ["Health"]


class Health:
    """Answers ``GET /healthz`` with a 200, without the callback and without credentials.

    :param path: where.
    """

    def __init__(self, path: str = "/healthz") -> None:
        self._path = path

    @hookimpl
    def izzati_routes(self) -> list[Route]:
        return [Route(self._path, _answer, methods=("GET", "HEAD"), public=True)]


def _answer(request: Request) -> Response:
    return Response("OK\n", content_type="text/plain", headers={"Cache-Control": "no-store"})
