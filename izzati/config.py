"""Options of plugins: what their classes take, and where each value comes from.

A value comes from the program, else from the environment (``IZZATI_SPOOL_FOLDER``), else from the file ``izzati.toml``.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from izzati.arguments import expect
from izzati.conversion import accepts_text, convert, describe, parse
from izzati.errors import OptionError, did_you_mean

__all__ = ["FILE", "Option", "Secret", "Settings"]

FILE = "izzati.toml"
_OWN_VARIABLES = ("IZZATI_BLOCK", "IZZATI_CONFIG", "IZZATI_STRICT")
_NEAR = 0.8
"""How much alike two names must be for the one to be taken for the other, from 0 to 1."""
_REQUIRED = inspect.Parameter.empty
_SECRET = "izzati.Secret"  # noqa: S105 - it marks secrets, and is none

T = TypeVar("T")

Secret = Annotated[T, _SECRET]
"""Marks an option whose value is never printed: ``def __init__(self, token: Secret[str])``."""


class Option(NamedTuple):
    """An option of a plugin, the value that it has, and where that came from.

    :param takes: what kind of value it takes, in words.
    :param value: in the plugin's own type; None if it is required and was not given.
    :param source: ``"default"``, ``"the program"``, the name of a variable of the environment, or that of the file.
    """

    name: str
    takes: str
    value: Any
    source: str
    secret: bool = False

    @property
    def hidden(self) -> bool:
        """True if its value must not be printed."""
        return self.secret and bool(self.value)


class _Given(NamedTuple):
    """A value as it was given, not yet of its option's type."""

    value: Any
    source: str
    text: bool = False


class _Taken(NamedTuple):
    """What a class takes: its constructor's arguments, by name."""

    kinds: Mapping[str, Any]
    defaults: Mapping[str, Any]
    secret: Collection[str]


class Settings:
    """The values of options that were given, from all sources.

    :param program: for each plugin by name, its options.
    :raises TypeError: if they are not a dict of dicts.
    :raises OptionError: if ``izzati.toml`` is not valid TOML, or is not made of tables.
    """

    def __init__(self, program: Mapping[str, Mapping[str, Any]]) -> None:
        expect(Mapping, program, "options takes a dict of dicts, as in options={'spool': {'memory': 0}}")
        for name, its in program.items():
            expect(Mapping, its, f"options for {name!r} are a dict, as in options={{{name!r}: {{…}}}}")
        file, path = _read_file()
        #: names of plugins that the environment or the file leave out, and which of the two
        self.block = dict.fromkeys(_block_of(file, path), path)
        self.block |= dict.fromkeys(_names(os.environ.get("IZZATI_BLOCK", "")), "IZZATI_BLOCK")
        #: False if the environment says that broken plugins are skipped
        self.strict = _strict(os.environ.get("IZZATI_STRICT", "1"))
        self._sources = [
            {name: {key: _Given(value, "the program") for key, value in its.items()} for name, its in program.items()},
            {},
            {name: {key: _Given(value, path) for key, value in its.items()} for name, its in file.items()},
        ]

    def assign(self, names: Iterable[str], made: Collection[str]) -> list[str]:
        """Find out which variables of the environment belong to which plugin, and what belongs to none.

        :param names: of all plugins that there are.
        :param made: of those that the program has made, which take no options.
        :returns: a sentence for each name that no plugin has, and each that may be meant for several.
        """
        names = set(names)
        owners: dict[str, list[str]] = {}
        for name in sorted(names, key=lambda name: (name in made, name)):
            if name not in made or _variable(name, "") not in owners:
                owners.setdefault(_variable(name, ""), []).append(name)
        unknown = []
        for variable, text in os.environ.items():
            if not variable.startswith("IZZATI_") or variable in _OWN_VARIABLES:
                continue
            prefix = max((known for known in owners if variable.startswith(known)), key=len, default=None)
            if prefix is None:
                unknown.append(f"{variable} in the environment: no plugin has this name{_meant(variable, owners)}")
            elif len(owners[prefix]) > 1:
                several = " and ".join(map(repr, owners[prefix]))
                unknown.append(
                    f"{variable} in the environment may be meant for the plugins {several}: unset it, and give their "
                    f"options by the program or in {FILE}, where each has its own name"
                )
            else:
                of_plugin = self._sources[1].setdefault(owners[prefix][0], {})
                of_plugin[variable.removeprefix(prefix).lower()] = _Given(text, variable, text=True)
        for source in self._sources:
            for name in source.keys() - names:
                where = next((given.source for given in source[name].values()), "the program")
                unknown.append(
                    f"options for {name!r} (from {where}): there is no such plugin{did_you_mean(name, names)}"
                )
        return unknown

    def source_of(self, name: str) -> str | None:
        """What gave options for this plugin, if anything did."""
        for source in self._sources:
            if name in source:
                return next((given.source for given in source[name].values()), "the program")
        return None

    def options(self, name: str, make: Callable[..., Any]) -> list[Option]:
        """Every option of a plugin, with its value.

        :param name: the plugin's name.
        :param make: its class.
        :raises OptionError: with all that is wrong: unknown names, wrong types, and what is missing.
        """
        taken = _taken_by(make)
        given: dict[str, _Given] = {}
        for source in reversed(self._sources):
            given |= source.get(name, {})
        faults = [
            f"{name!r} has no option {key!r} (from {its.source}); it has {', '.join(taken.kinds) or 'none'}"
            f"{did_you_mean(key, taken.kinds)}"
            for key, its in given.items()
            if key not in taken.kinds
        ]
        found = []
        for key, kind in taken.kinds.items():
            secret = key in taken.secret
            value, source = taken.defaults.get(key), "default"
            if key in given:
                source = given[key].source
                try:
                    value = parse(given[key].value, kind) if given[key].text else convert(given[key].value, kind)
                except ValueError:
                    arrived = "what was given" if secret else repr(given[key].value)
                    faults.append(f"{name}.{key} takes {describe(kind)}, not {arrived} (from {source})")
            elif key not in taken.defaults:
                faults.append(_missing(name, key, kind))
            found.append(Option(key, describe(kind), value, source, secret))
        if faults:
            raise OptionError("; ".join(faults))
        return found


def _variable(plugin: str, option: str) -> str:
    """The variable of the environment for an option; with none, how those of all of them begin."""
    return f"IZZATI_{plugin}_{option}".replace("-", "_").upper()


def _meant(variable: str, prefixes: Iterable[str]) -> str:
    """The end of a sentence about an unknown variable: the one that was probably meant, if any.

    What stands where a plugin's name would is compared alone: all variables begin alike, and many end alike.
    """
    known = [name.removeprefix("IZZATI_").removesuffix("_") for name in (*prefixes, *_OWN_VARIABLES)]
    words = variable.removeprefix("IZZATI_").split("_")
    matcher = import_module("difflib").SequenceMatcher
    near, name, count = max(
        (matcher(None, "_".join(words[:count]), name).ratio(), name, count)
        for name in known
        for count in range(1, len(words) + 1)
    )
    return f"; did you mean {'_'.join(['IZZATI', name, *words[count:]])!r}?" if near >= _NEAR else ""


def _missing(name: str, key: str, kind: Any) -> str:
    variable = _variable(name, key)
    ways = [f"options={{{name!r}: {{{key!r}: …}}}}", *([variable] if accepts_text(kind) else []), f"[{name}] in {FILE}"]
    return f"{name} needs the option {key!r}, {describe(kind)}; give it by {', '.join(ways[:-1])} or {ways[-1]}"


def _taken_by(make: Callable[..., Any]) -> _Taken:
    """What a class takes.

    :raises OptionError: if its annotations cannot be resolved.
    """
    if inspect.isclass(make) and make.__init__ is object.__init__ and make.__new__ is object.__new__:
        return _Taken({}, {}, ())  # which inspect finds out, too, from a text that it compiles
    parameters = inspect.signature(make).parameters.values()
    try:
        makers = (make.__new__, make.__init__) if inspect.isclass(make) else (make,)
        hints = {name: kind for maker in makers for name, kind in get_type_hints(maker, include_extras=True).items()}
    except NameError as error:
        raise OptionError(
            f"the types of its options cannot be found ({error}): import them where the module is run, too, not only "
            "under TYPE_CHECKING"
        ) from None
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    kinds = {each.name: hints.get(each.name, Any) for each in named}
    secret = {name for name, kind in kinds.items() if _is_secret(kind)}
    return _Taken(kinds, {each.name: each.default for each in named if each.default is not _REQUIRED}, secret)


def _is_secret(kind: Any) -> bool:
    """True if it is marked, or a part of it is: Python 3.10 makes an Optional of ``x: Secret[str] = None``."""
    marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return _SECRET in marks or any(_is_secret(part) for part in get_args(kind))


def _read_file() -> tuple[dict[str, Any], str]:
    """The file's content, and its path; empty if there is none."""
    path = os.environ.get("IZZATI_CONFIG", FILE)
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        if "IZZATI_CONFIG" in os.environ:
            raise OptionError(f"IZZATI_CONFIG names {path!r}, and there is no such file") from None
        return {}, path
    except OSError as error:
        raise OptionError(f"{path!r} cannot be read: {error.strerror}") from None
    # By name, and only where there is a file: few programs have one, and all would wait for it.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return toml.loads(text.decode("utf-8-sig")), path
    except ValueError as error:
        raise OptionError(f"{path} is not valid TOML: {error}") from None


def _block_of(file: dict[str, Any], path: str) -> list[str]:
    """Take the names to block out of the file; what is left must be tables."""
    block = file.pop("block", [])
    if not isinstance(block, list) or not all(isinstance(name, str) for name in block):
        raise OptionError(f"{path}: block takes a list of names")
    for name, table in file.items():
        if not isinstance(table, dict):
            # Without its value, which may be a secret.
            raise OptionError(
                f"{path}: {name} stands alone, and belongs to no plugin; write it below a plugin's [name]"
            )
    return block


def _strict(text: str) -> bool:
    try:
        return bool(parse(text, bool))
    except ValueError:
        raise OptionError(f"IZZATI_STRICT takes {describe(bool)}, not {text!r}") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
