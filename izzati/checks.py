"""What is wrong with a plugin, as far as can be told before it is used."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pluggy

from izzati import hookspecs
from izzati.errors import closest, did_you_mean

__all__ = ["SPECS", "faults", "guards", "implementations"]

_IDENTIFY, _ADMIT = "izzati_identify", "izzati_admit"

SPECS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "izzati_spec")}
"""Every hook by name, and the function that specifies it."""


def implementations(plugin: Any, manager: pluggy.PluginManager) -> Iterator[tuple[str, str, Any]]:
    """What implements a hook, or was meant to: its name, the hook's, and pluggy's options; None if it is not marked.

    :param plugin: an object, or its class.
    :param manager: knows how implementations are marked.
    """
    for name in dir(plugin):
        if name.startswith("__"):
            continue  # what every object has; to look at it all would take most of a Backend's start
        marked = manager.parse_hookimpl_opts(plugin, name)
        if marked or name.startswith("izzati_"):
            yield name, (marked and marked["specname"]) or name, marked


def faults(plugin: Any, manager: pluggy.PluginManager) -> Iterator[str]:
    """A sentence for each thing that would keep a hook of the plugin from being asked as its author meant.

    :param manager: knows how implementations are marked.
    """
    implemented = 0
    if inspect.isclass(plugin):
        yield f"it is a class; give an instance: {plugin.__name__}()"
        return
    for name, hook, marked in implementations(plugin, manager):
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
        implemented += 1
    if not implemented:
        yield "it implements no hook"


def guards(plugin: Any, manager: pluggy.PluginManager) -> bool:
    """True if it decides who may call, or was meant to, as far as the names of its hooks tell."""
    hooks = [hook for _, hook, _ in implementations(plugin, manager)]
    meant = [hook if hook in SPECS else closest(hook, SPECS) for hook in hooks]
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
