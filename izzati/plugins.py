"""A Backend's plugins: chosen, loaded one by one, checked, put in order, asked for their claims."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import pluggy

from izzati import hookspecs
from izzati.claims import Claims, owners
from izzati.errors import OptionError, PluginError
from izzati.request import Call

__all__ = ["DEFAULTS", "Plugins"]

GROUP = "izzati"

DEFAULTS = tuple(
    EntryPoint(name, f"izzati.builtin.{value}", GROUP)
    for name, value in (
        ("forms", "forms:Forms"),
        ("json", "json:JSON"),
        ("documents", "documents:Documents"),
        ("raw_body", "raw_body:RawBody"),
        ("spool", "spool:Spool"),
        ("callback", "callback:RunCallback"),
        ("replies", "replies:Replies"),
        ("browsers", "browsers:Browsers"),
        ("server", "server:ThreadServer"),
        ("processes", "processes:Processes"),
    )
)
"""The built-in plugins. They are loaded like installed ones, and any of them can be blocked or replaced by name."""


class Plugins:
    """The plugins of one Backend, with a pluggy manager of their own.

    :param given: plugins made by the user; asked first, in this order. One whose class is that of an installed or
        built-in plugin takes its place.
    :param options: for each plugin by name, arguments for its class.
    :param block: names of installed or built-in plugins to leave out.
    :param implementing: use only plugins that implement this hook; the others are not made.
    :raises PluginError: with everything that is wrong with any of them.
    :raises OptionError: if an option names no plugin, or is not one of its plugin's.
    """

    def __init__(
        self,
        given: Sequence[Any],
        options: Mapping[str, Mapping[str, Any]],
        block: Iterable[str] = (),
        implementing: str | None = None,
    ) -> None:
        self._manager = pluggy.PluginManager("izzati")
        self._manager.add_hookspecs(hookspecs)
        self.hooks: Any = self._manager.hook
        problems: list[str] = []
        #: name to plugin, in the order in which they are asked
        self.by_name: dict[str, Any] = {}
        for name, origin, load in _chosen(given, options, block, problems):
            try:
                plugin = load(implementing)
                if plugin is None:
                    continue
                problems += [f"{origin}: {problem}" for problem in self._faults(plugin)]
                self.by_name[name] = plugin
            except OptionError:
                raise
            except Exception as error:
                problems.append(f"{origin}: {type(error).__name__}: {error}")
        _raise_all(problems)
        for name, plugin in reversed(self.by_name.items()):  # pluggy asks the last registered first
            self._manager.register(plugin, name)
        claims: dict[str, Claims] = {
            implementation.plugin_name: cast("Claims", implementation.function())
            for implementation in reversed(self.hooks.izzati_claims.get_hookimpls())
        }
        #: media type (or pattern) to the name of the plugin that reads it
        self.readers = owners(claims, "media type to read", lambda its: its.reads, problems)
        #: media type to the name of the plugin that writes it
        self.writers = owners(claims, "media type to write", lambda its: its.writes, problems)
        owners(claims, "location scheme", lambda its: its.schemes, problems)
        #: a WWW-Authenticate value for each way to identify
        self.challenges = [challenge for its in claims.values() for challenge in its.challenges]
        _raise_all(problems)

    @property
    def identify(self) -> bool:
        """True if any plugin identifies callers."""
        return bool(self.hooks.izzati_identify.get_hookimpls())

    def culprit(self, error: BaseException) -> str | None:
        """Where an exception came from, by its innermost frame: a plugin's hook, or the callback; None if neither."""
        found = None
        trace = error.__traceback__
        while trace is not None:
            for name, plugin in self.by_name.items():
                hook = trace.tb_frame.f_code.co_name
                function = getattr(plugin, hook, None) if hook.startswith("izzati_") else None
                if getattr(function, "__code__", None) is trace.tb_frame.f_code and (
                    inspect.ismodule(plugin) or trace.tb_frame.f_locals.get("self") is plugin
                ):
                    found = f"{hook} of the plugin {name!r}"
            if trace.tb_frame.f_code is Call.__call__.__code__:
                found = "the callback"
            trace = trace.tb_next
        return found

    def _faults(self, plugin: Any) -> Iterator[str]:
        known = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "izzati_spec")}
        implemented = 0
        if inspect.isclass(plugin):
            yield f"it is a class; give an instance: {plugin.__name__}()"
            return
        for name in dir(plugin):
            marked = self._manager.parse_hookimpl_opts(plugin, name)
            if marked is None and not name.startswith("izzati_"):
                continue
            hook = (marked["specname"] if marked else None) or name
            function = getattr(plugin, name)
            if hook not in known:
                yield f"{name} is no hook{_did_you_mean(hook, known)}"
            elif marked is None:
                yield f"{name} is not marked: put @izzati.hookimpl above it"
            elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                yield f"{name} is async; hooks are plain functions: write def, not async def"
            else:
                yield from _wrong_parameters(name, function, inspect.signature(known[hook]).parameters)
            implemented += 1
        if not implemented:
            yield "it implements no hook"


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """Entry points of installed distributions, by name; the scan happens once a process."""
    return tuple(sorted(set(entry_points(group=GROUP)), key=lambda entry: entry.name))


def _chosen(
    given: Sequence[Any], options: Mapping[str, Mapping[str, Any]], block: Iterable[str], problems: list[str]
) -> Iterator[tuple[str, str, Callable[[str | None], Any]]]:
    """Name, origin and loader of every plugin to load, in the order in which they will be asked."""
    entries = (*_installed(), *DEFAULTS)
    known = {entry.name for entry in entries}
    unknown = [name for name in block if name not in known]
    problems += [f"block={name!r}: there is no such plugin{_did_you_mean(name, known)}" for name in unknown]
    seen = set(block)
    for plugin in given:
        name = _name(plugin, entries)
        if name in seen:
            problems.append(f"the plugin {name!r} is given twice, or blocked as well")
        seen.add(name)
        if name in options:
            raise OptionError(f"options for {name!r}: it was given as an object, so its options are its arguments")
        yield name, f"plugin {name!r}, given to the Backend", partial(_given, plugin)
    loaded: dict[str, str] = {}
    for entry in entries:
        origin = f"plugin {entry.name!r} ({entry.dist.name} {entry.dist.version})" if entry.dist else entry.name
        if entry.name in loaded:
            problems.append(f"{origin}: {loaded[entry.name]} has the same name")
        elif entry.name not in seen:
            loaded[entry.name] = origin
            yield entry.name, origin, partial(_make, entry, options.get(entry.name, {}))
    for name in options.keys() - loaded.keys():
        raise OptionError(f"options for {name!r}: there is no such plugin{_did_you_mean(name, loaded)}")


def _given(plugin: Any, implementing: str | None) -> Any:
    return plugin


def _make(entry: EntryPoint, options: Mapping[str, Any], implementing: str | None) -> Any:
    plugin = entry.load()
    if implementing is not None and not hasattr(plugin, implementing):
        return None
    valid = list(inspect.signature(plugin).parameters) if inspect.isclass(plugin) else []
    for option in options:
        if option not in valid:
            raise OptionError(
                f"{entry.name!r} has no option {option!r}{_did_you_mean(option, valid)}; "
                f"it has {', '.join(valid) or 'none'}"
            )
    return plugin(**options) if inspect.isclass(plugin) else plugin


def _name(plugin: Any, entries: Iterable[EntryPoint]) -> str:
    if inspect.ismodule(plugin):
        return plugin.__name__
    kind = type(plugin)
    for entry in entries:
        if entry.value == f"{kind.__module__}:{kind.__qualname__}":
            return entry.name
    return kind.__name__


def _wrong_parameters(name: str, function: Any, known: Mapping[str, Any]) -> Iterator[str]:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            yield f"{name}({parameter}): hooks take plain parameters; write {parameter.name} without a star before it"
        elif parameter.name not in known:
            close = _did_you_mean(parameter.name, known)
            yield f"{name} has no parameter {parameter.name!r}{close}; it has {', '.join(known) or 'none'}"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _raise_all(problems: Sequence[str]) -> None:
    if problems:
        raise PluginError("\n  ".join(["the Backend cannot start with these plugins:", *problems]))
