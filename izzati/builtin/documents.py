"""A body that is one document, such as JSON: the codec that reads its media type decodes it."""

from __future__ import annotations

from izzati import Content, Problem, Request, hookimpl

__all__ = ["Documents"]


class Documents:
    """Reads every whole body whose media type a codec claims."""

    @hookimpl
    def izzati_read(self, request: Request) -> Content | None:
        media_type = request.media_type
        if not request.codecs.reads(media_type):
            return None
        body = request.body.whole(f"The {media_type} body")
        if not body:
            return Content()
        value = request.decode(body, media_type)
        if not isinstance(value, dict):
            raise Problem(
                400,
                f"The {media_type} that arrived is {_KINDS.get(type(value), 'a value')}; "
                'send an object of names and values, such as {"name": "value"}.',
            )
        return Content(value)


_KINDS = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a truth value",
    type(None): "null",
}
