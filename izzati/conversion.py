"""Values of options, by the annotations of the arguments that take them.

Understood are ``str``, ``int``, ``float``, ``bool``, ``Path``, ``None``, ``Literal``, sequences and mappings of these,
and unions. Whatever else an argument takes is passed on as the program gives it.
"""

from __future__ import annotations

import json
import os
import types
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

__all__ = ["accepts_text", "convert", "describe", "parse"]

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "nothing",
    Path: "a path",
}
_PATHS = (Path, PurePath, os.PathLike)
_SEQUENCES = (list, tuple, set, frozenset, Sequence, MutableSequence, AbstractSet, Collection, Iterable)
_MAPPINGS = (dict, Mapping, MutableMapping)


def convert(value: Any, kind: Any) -> Any:  # noqa: PLR0911 - a line for each kind
    """The value as its option takes it; a list as a tuple, say.

    :param kind: the option's annotation.
    :raises ValueError: if it is of another type.
    """
    kind, origin = _plain(kind)
    if origin is Literal:
        return _require(value, any(value == each and type(value) is type(each) for each in get_args(kind)))
    if origin is Union:
        return _first(convert, value, get_args(kind))
    if origin in _PATHS:
        return Path(_require(value, isinstance(value, (str, os.PathLike))))
    if origin in _SEQUENCES:
        # One of them is a list of one: nobody means the characters.
        return _collect([value] if isinstance(value, str) else value, kind, origin)
    if origin in _MAPPINGS:
        _require(value, isinstance(value, Mapping))
        keys, values = get_args(kind) or (Any, Any)
        return {convert(key, keys): convert(each, values) for key, each in value.items()}
    if origin is float:
        return _require(value, isinstance(value, (int, float)) and not isinstance(value, bool))
    if origin is int:
        return _require(value, isinstance(value, int) and not isinstance(value, bool))
    try:
        return _require(value, isinstance(value, origin))
    except TypeError:
        return value  # Any, and what else cannot be checked


def parse(text: str, kind: Any) -> Any:  # noqa: PLR0911 - as convert
    """The value that a variable of the environment stands for.

    Lists are separated by commas, or written as JSON; mappings are written as JSON.

    :raises ValueError: if it stands for none.
    """
    kind, origin = _plain(kind)
    if origin is Literal:
        literals = {str(each): each for each in get_args(kind)}
        return literals[_require(text, text in literals)]
    if origin is Union:
        # Text last, since anything is text.
        return _first(parse, text, sorted(get_args(kind), key=lambda each: _plain(each)[1] is str))
    if origin is bool:
        return _require(text, text.lower() in _TRUE + _FALSE) and text.lower() in _TRUE
    if origin in (int, float):
        return origin(text)
    if origin in _MAPPINGS or (origin in _SEQUENCES and text.lstrip().startswith("[")):
        return convert(json.loads(text), kind)
    if origin in _SEQUENCES:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return _collect(parts, kind, origin, parse)
    if not accepts_text(kind):
        raise ValueError(text)
    return convert(text, kind)


def accepts_text(kind: Any) -> bool:
    """True if a variable of the environment can stand for such a value."""
    kind, origin = _plain(kind)
    if origin is Union:
        return any(accepts_text(each) for each in get_args(kind))
    return origin in (str, int, float, bool, Literal, Any, *_PATHS, *_SEQUENCES, *_MAPPINGS)


def describe(kind: Any) -> str:
    """What kind of value it is, in words."""
    kind, origin = _plain(kind)
    if origin is Literal:
        return f"one of {', '.join(repr(each) for each in get_args(kind))}"
    if origin is Union:
        return " or ".join(dict.fromkeys(describe(each) for each in get_args(kind)))
    if origin in _PATHS:
        return _WORDS[Path]
    if origin in _SEQUENCES:
        member = _member(kind)
        return "a list" if member is Any else f"a list of {describe(member)}"
    if origin in _MAPPINGS:
        return "a table"
    return "any value" if origin is Any else _WORDS.get(origin, str(getattr(origin, "__name__", origin)))


def _plain(kind: Any) -> tuple[Any, Any]:
    """The annotation without its marks, and what it is of: ``list`` of ``list[str]``, itself of a class."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    origin = get_origin(kind) or kind
    return kind, Union if origin is types.UnionType else origin


def _collect(value: Any, kind: Any, origin: type, each_by: Any = convert) -> Any:
    _require(value, isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)))
    make = origin if origin in (list, tuple, set, frozenset) else list
    member = _member(kind)
    return make(each_by(each, member) for each in value)


def _member(kind: Any) -> Any:
    """What the members of a sequence are; anything if they are not all of one kind."""
    kinds = [each for each in get_args(kind) if each is not ...]
    return kinds[0] if len(kinds) == 1 else Any


def _first(read: Any, value: Any, kinds: Iterable[Any]) -> Any:
    for kind in kinds:
        try:
            return read(value, kind)
        except ValueError:
            continue
    raise ValueError(value)


def _require(value: Any, right: bool) -> Any:
    if not right:
        raise ValueError(value)
    return value
