"""What a Backend serves, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from izzati import Callback
from izzati_page.names import operation_id, own_name, summary_and_rest
from izzati_page.rules import template

if TYPE_CHECKING:
    from izzati import Backend

__all__ = ["describe"]

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_OBJECT = {"type": "object", "additionalProperties": True}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_FORM = {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, _TEXTS]}}
_ANYTHING: dict[str, Any] = {}
# Files, if they are many; without a type, since a part of any name may as well be text.
_PARTS = {**_OBJECT, "properties": {"file": {"items": _FILE}}}
_FILE_TYPES = ("application/octet-stream", "image/*", "audio/*", "video/*")
"""Of files that are a whole body. There are more, but ``*/*`` would have those that stand for values as well."""

_SENT = (
    "Text and files. The members of an object, the fields of a form and its parts without a filename are the text; "
    "parts with a filename are the files, whatever their name. A part of another media type than text, such as "
    "application/json, is decoded, so that nested values and files travel together. A body of any other media type is "
    "one file."
)

_REFUSALS = {
    "400": "What arrived cannot be decoded.",
    "413": "What arrived is more than the server takes.",
    "415": "Nothing reads this media type.",
    "4XX": "Refused; `detail` says why, and what to change.",
    "5XX": "The server failed, or has no room or time.",
}
_PAGE = {
    "operationId": "page",
    "summary": "A page where a person tries the functions",
    "responses": {"200": {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}}},
    "security": [],
}
_UNKNOWN = "The caller did not say who it is, or not rightly."

_PROBLEM = {
    "description": "A refusal (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What arrived, what was expected, what to change."},
        "hint": {"type": "string"},
        "line": {"type": "integer", "minimum": 1},
        "column": {"type": "integer", "minimum": 1},
        "limit": {"type": "string", "description": "The name of the limit that it comes from."},
        "maximum": {"type": "number"},
        "readable": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": True,
}


def describe(backend: Backend, title: str, version: str) -> dict[str, Any]:
    """The description of all functions of a Backend.

    :param title: what the whole is called.
    :param version: that of the functions.
    """
    schemes = _security(backend.challenges)
    paths: dict[str, Any] = {"/": {"get": _PAGE}}
    taken = {"page"}
    for rule, callback in backend.callbacks.items():
        path, parameters = ("/", []) if rule == "/" else template(rule, paths)
        name = own_name(callback.name, rule)
        operation = _operation(callback, name, operation_id(name, rule, taken), backend)
        taken.add(operation["operationId"])
        paths.setdefault(path, {})["post"] = {**operation, "parameters": parameters} if parameters else operation
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        # Relative, so that it holds behind a proxy that serves this under a path of its own.
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": {"Problem": _PROBLEM}},
    }
    if schemes:
        document["components"]["securitySchemes"] = schemes
        document["security"] = [{name: []} for name in schemes]
    return document


def _operation(callback: Callback, name: str, unique: str, backend: Backend) -> dict[str, Any]:
    summary, rest = summary_and_rest(callback.description, name)
    refusals = {**_REFUSALS, "401": _UNKNOWN} if backend.challenges else _REFUSALS
    operation = {
        "operationId": unique,
        "summary": summary,
        "requestBody": {"description": _SENT, "content": _bodies(backend.codecs.readers)},
        "responses": {
            "200": {
                "description": "What the function returns: a value, or a file.",
                "content": {media_type: {"schema": _ANYTHING} for media_type in (*backend.codecs.writers, "*/*")},
            },
            **{status: _refusal(why) for status, why in sorted(refusals.items())},
        },
    }
    return {**operation, "description": rest} if rest else operation


def _bodies(readers: Mapping[str, str]) -> dict[str, Any]:
    """Each media type that is read; ``*+json``, which is no range that OpenAPI knows, goes without saying."""
    schemas: dict[str, Any] = {media_type: _OBJECT for media_type in readers if "*" not in media_type}
    for form, schema in ((URLENCODED, _FORM), (MULTIPART, _PARTS)):
        if form in schemas:
            schemas[form] = schema
    schemas |= dict.fromkeys(_FILE_TYPES, _FILE)
    return {media_type: {"schema": schema} for media_type, schema in schemas.items()}


def _refusal(why: str) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": why, "content": {"application/problem+json": problem}}


def _security(challenges: tuple[str, ...]) -> dict[str, Any]:
    """A scheme for each way to say who one is: OpenAPI names them as ``WWW-Authenticate`` does."""
    names = dict.fromkeys(challenge.partition(" ")[0].lower() for challenge in challenges)
    return {name: {"type": "http", "scheme": name} for name in names}
