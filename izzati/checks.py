"""What is wrong with a plugin, as far as can be told before it is used."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pluggy

from izzati import hookspecs
from izzati.errors import closest, did_you_mean

__all__ = ["SPECS", "Implementation", "Manager", "faults", "guards"]

_IDENTIFY, _ADMIT = "izzati_identify", "izzati_admit"

SPECS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "izzati_spec")}
"""Every hook by name, and the function that specifies it."""


Implementation = tuple[str, str, Any]
"""What implements a hook, or was meant to: its name, the hook's, and pluggy's options; None if it is not marked."""


class Manager(pluggy.PluginManager):
    """pluggy's, with izzati's hooks."""

    def __init__(self) -> None:
        super().__init__("izzati")
        self.add_hookspecs(hookspecs)

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """How a function of a plugin is marked; None if it is not.

        What every object has is none: to look at it all would take most of a Backend's start.
        """
        return None if name.startswith("__") else super().parse_hookimpl_opts(plugin, name)

    def implementations(self, plugin: Any) -> list[Implementation]:
        """All of a plugin, or of its class, by name."""
        return [
            (name, (marked and marked["specname"]) or name, marked)
            for name in dir(plugin)
            if (marked := self.parse_hookimpl_opts(plugin, name)) or name.startswith("izzati_")
        ]


def faults(plugin: Any, implementations: Sequence[Implementation]) -> Iterator[str]:
    """A sentence for each thing that would keep a hook of the plugin from being asked as its author meant."""
    if inspect.isclass(plugin):
        yield f"it is a class; give an instance: {plugin.__name__}()"
        return
    for name, hook, marked in implementations:
        function = getattr(plugin, name)
        if hook not in SPECS:
            yield f"{name} is no hook{did_you_mean(hook, SPECS)}"
        elif marked is None:
            yield f"{name} is not marked: put @izzati.hookimpl above it"
        elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            yield f"{name} is async; hooks are plain functions: write def, not async def"
        else:
            yield from _wrong_yield(name, hook, function, marked)
            yield from _wrong_parameters(name, function, inspect.signature(SPECS[hook]).parameters)
    if not implementations:
        yield "it implements no hook"


def guards(implementations: Iterable[Implementation]) -> bool:
    """True if a plugin decides who may call, or was meant to, as far as the names of its hooks tell."""
    meant = [hook if hook in SPECS else closest(hook, SPECS) for _, hook, _ in implementations]
    return _IDENTIFY in meant or _ADMIT in meant


def _wrong_yield(name: str, hook: str, function: Any, marked: Mapping[str, Any]) -> Iterator[str]:
    yields, wrapper = inspect.isgeneratorfunction(function), marked["wrapper"]
    if marked["hookwrapper"]:  # which hides its answer from who checks it
        yield f"{name} is marked in pluggy's old way: write @hookimpl(wrapper=True), and return the answer"
    elif yields and not wrapper and hook != "izzati_routes":  # whose answer is something to go through
        yield f"{name} has a yield, so it would never run: return the answer, or write @hookimpl(wrapper=True)"
    elif wrapper and not yields:
        yield f"{name} is marked as a wrapper and has no yield: write yield where the others are to be asked"


def _wrong_parameters(name: str, function: Any, known: Mapping[str, Any]) -> Iterator[str]:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            yield f"{name}({parameter}): hooks take plain parameters; write {parameter.name} without a star before it"
        elif parameter.name not in known:
            close = did_you_mean(parameter.name, known)
            yield f"{name} has no parameter {parameter.name!r}{close}; it has {', '.join(known) or 'none'}"
