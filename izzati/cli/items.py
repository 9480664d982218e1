"""What is sent, as it is written in a shell: ``name=Rex age:=3 owner.name=Ann photo=@rex.jpg``."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NoReturn

from izzati.errors import IzzatiError

__all__ = ["UsageError", "collect", "read_json"]

_ITEM = re.compile(r"(?!:=)(?P<key>(?:\\.|[^\\=])+?)(?P<json>:)?=(?P<value>.*)", re.DOTALL)
_LETTER = re.compile(r"\\.|.", re.DOTALL)

File = str | tuple[str, IO[bytes]]


class UsageError(IzzatiError):
    """What the command was given makes no call."""


def collect(items: Iterable[str], base: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[File]]]:
    """The values to send, and the files by their keys.

    :param items: each ``key=text``, ``key:=JSON``, ``key:=@path`` (JSON in a file) or ``key=@path``; the path ``-`` is
        stdin. Dots in a key nest; a key that comes twice has a list of values. A backslash takes its meaning from a dot
        or an equals sign in a key, and from an @ before a value.
    :param base: values among which these are put; they replace those of the same key.
    :raises UsageError: for an item that is none of these.
    :raises OSError: if a file with JSON cannot be read.
    """
    values: dict[tuple[str, ...], list[Any]] = {}
    files: dict[str, list[File]] = {}
    for item in items:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise UsageError(f"{item!r} is none of key=text, key:=JSON and key=@path")
        key, value = match["key"], match["value"]
        path = _path(key)
        if match["json"]:
            values.setdefault(path, []).append(read_json(value, f"{key}:=", "; text is written key=text"))
        elif value == "@":
            raise UsageError(f"{item!r} names no file; text that begins with an @ is written {key}='\\@'")
        elif value.startswith("@"):
            file: File = ("stdin", sys.stdin.buffer) if value == "@-" else value[1:]
            files.setdefault(".".join(path), []).append(file)
        else:
            values.setdefault(path, []).append(re.sub(r"\A\\(?=\\*@)", "", value))
    for path, its in values.items():
        _put(base, path, its[0] if len(its) == 1 else its)
    return base, files


def read_json(text: str, where: str, otherwise: str = "") -> Any:
    """The value that JSON stands for.

    :param text: JSON; or ``@path`` of a file that has it, ``@-`` for stdin.
    :param where: what has it, for a message.
    :param otherwise: what may have been meant, for its end.
    :raises UsageError: if it is not valid.
    :raises OSError: if the file cannot be read.
    """
    if text.startswith("@"):
        where, text = f"{where} {text}", (sys.stdin.read() if text == "@-" else Path(text[1:]).read_text("utf-8"))
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not valid JSON: {error}{otherwise}") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON")


def _finite(digits: str) -> float:
    return float(digits) if math.isfinite(float(digits)) else _refuse(digits)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return values


def _path(key: str) -> tuple[str, ...]:
    """The names that a key nests, one within the other."""
    names = [""]
    for letter in _LETTER.findall(key):
        if letter == ".":
            names.append("")
        else:
            names[-1] += letter[-1]
    return tuple(names)


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *outer, last = path
    for name in outer:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise UsageError(f"{'.'.join(path)} is to be within {name}, which has a value of its own")
    values[last] = value
