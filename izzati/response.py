"""The response that most requests get: an encoded value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["ValueResponse"]

_DETOURS = {"location", "content-location", "content-length", "x-request-id"}
"""Headers that Werkzeug looks after, and the one that is added to all others."""


@lru_cache(maxsize=16)
def _blank(media_type: str) -> dict[str, Any]:
    return vars(Response(content_type=media_type))


class ValueResponse(Response):
    """A Werkzeug response that holds bytes, and is sent without the detours that others need.

    Hooks may change it like any other; what makes a detour necessary is looked for. Werkzeug's own way of sending costs
    more than all hooks together.

    :param body: all bytes of it.
    :param media_type: what they are.
    """

    def __init__(self, body: bytes, media_type: str) -> None:
        # What Werkzeug would set, from one that it has made, since to let it do so each time costs half a microsecond.
        vars(self).update(_blank(media_type))
        self.headers = Headers()
        self.headers.add("Content-Type", media_type)
        self.response = [body]
        self._closes = False
        #: what it carries as ``X-Request-Id``, whatever its headers say
        self.request_id = ""

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        if not self._closes:
            self._on_close = []  # one of its own
            self._closes = True
        return super().call_on_close(func)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        blocks = self.response
        headers = self.headers.to_wsgi_list()
        if (
            self._closes
            or type(blocks) is not list
            or len(blocks) != 1
            or type(blocks[0]) is not bytes
            or self.status_code in (204, 304)
            or environ["REQUEST_METHOD"] == "HEAD"
            or not _DETOURS.isdisjoint([name.lower() for name, _ in headers])
        ):
            self.headers["X-Request-Id"] = self.request_id
            return super().__call__(environ, start_response)
        headers += (("X-Request-Id", self.request_id), ("Content-Length", str(len(blocks[0]))))
        start_response(self.status, headers)
        return blocks
