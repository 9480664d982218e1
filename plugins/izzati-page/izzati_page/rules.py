"""Werkzeug's rules (``/dogs/<int:number>``) as OpenAPI's path templates (``/dogs/{number}``) with parameters."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any
from urllib.parse import quote

__all__ = ["template"]

_VARIABLE = re.compile(r"<(?:(?P<converter>\w+)(?:\((?P<arguments>[^)]*)\))?:)?(?P<name>\w+)>")
_ARGUMENT = re.compile(r"(?:(\w+)\s*=\s*)?(?:\"([^\"]*)\"|'([^']*)'|([^,\s]+))")
_PLAIN = "/!$&'()*+,;=:@"
"""What stands for itself in a path (RFC 3986 §3.3). A percent sign in a rule does, so in a path it is ``%25``."""


def template(rule: str, taken: Container[str]) -> tuple[str, list[dict[str, Any]]]:
    """The template of a rule, and a parameter for each variable.

    :param taken: templates that there are already; rules that differ only by converters get other names there.
    """
    suffix = ""
    while (path := _fill(rule, suffix)) in taken:
        suffix += "_"
    parameters = [
        {"name": match["name"] + suffix, "in": "path", "required": True, "schema": _schema(match)}
        for match in _VARIABLE.finditer(rule)
    ]
    return path, parameters


def _fill(rule: str, suffix: str) -> str:
    literals = [quote(part, _PLAIN) for part in _VARIABLE.sub("\0", rule).split("\0")]
    names = [f"{{{match['name']}{suffix}}}" for match in _VARIABLE.finditer(rule)]
    return "".join(part for pair in zip(literals, [*names, ""], strict=True) for part in pair)


def _schema(variable: re.Match[str]) -> dict[str, Any]:
    """The JSON schema of what a converter takes (https://werkzeug.palletsprojects.com/routing/#built-in-converters)."""
    converter = variable["converter"] or "string"
    arguments = [
        (match[1] or "", next(value for value in match.groups()[1:] if value is not None))
        for match in _ARGUMENT.finditer(variable["arguments"] or "")
    ]
    named = dict(arguments)
    if converter == "any":
        return {"type": "string", "enum": [value for _, value in arguments]}
    if converter == "uuid":
        return {"type": "string", "format": "uuid"}
    if converter in ("int", "float"):
        kind = {"int": "integer", "float": "number"}[converter]
        lowest = {} if named.get("signed") == "True" else {"minimum": 0}
        bounds = {key: float(named[word]) for word, key in (("min", "minimum"), ("max", "maximum")) if word in named}
        return {"type": kind, **lowest, **bounds}
    if converter == "path":
        return {"type": "string", "format": "path", "minLength": 1}
    lengths = {"minLength": named.get("length") or named.get("minlength") or 1}
    if "length" in named or "maxlength" in named:
        lengths["maxLength"] = named.get("length") or named["maxlength"]
    # A converter of the program's own takes some text, and says no more about it.
    return {"type": "string", **{key: int(value) for key, value in lengths.items()}}
