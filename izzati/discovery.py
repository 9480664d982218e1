"""Which plugins there are: installed ones, found by their entry points, and the built-in ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache, reduce
from importlib import import_module
from typing import Any, NamedTuple

from izzati.arguments import expect
from izzati.errors import did_you_mean

__all__ = ["DEFAULTS", "GROUP", "Entry", "Selection", "installed"]

GROUP = "izzati"


class Entry(NamedTuple):
    """Where a plugin is found.

    :param value: ``module:object``, or ``module``.
    :param distribution: the name of what it was installed with; None for the built-in ones.
    """

    name: str
    value: str
    distribution: str | None = None
    version: str | None = None

    @property
    def origin(self) -> str:
        """What a message calls the plugin."""
        brought = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"plugin {self.name!r}{brought}"

    def load(self) -> Any:
        """Import it."""
        module, _, path = self.value.partition(":")
        return reduce(getattr, path.split(".") if path else (), import_module(module))


_BUILT_IN = (
    "forms:Forms json:JSON documents:Documents raw_body:RawBody spool:Spool callback:RunCallback replies:Replies "
    "browsers:Browsers health:Health logs:Logs server:ThreadServer processes:Processes"
)
DEFAULTS = tuple(Entry(each.partition(":")[0], f"izzati.builtin.{each}") for each in _BUILT_IN.split())
"""The built-in plugins. They are loaded like installed ones, and any of them can be blocked or replaced by name."""


@cache
def installed() -> tuple[Entry, ...]:
    """What installed distributions declare as entry points, by name. The scan happens once a process."""
    # By name: it costs as much as half of izzati, and a program that only imports izzati needs none of it.
    metadata = import_module("importlib.metadata")
    found = {
        Entry(entry.name, f"{entry.module}:{entry.attr}" if entry.attr else entry.module, dist.name, dist.version)
        for entry in metadata.entry_points(group=GROUP)
        if (dist := entry.dist)
    }
    return tuple(sorted(found))


class Selection(NamedTuple):
    """Which plugins a Backend uses, and in which order they are asked; decided by name, before any is imported.

    :param block: installed or built-in plugins to leave out.
    :param only: the installed plugins to use; None for all. Built-in ones are left out by ``block`` alone.
    :param require: plugins without which the Backend must not start.
    :param order: plugins to ask first, in this order.
    """

    block: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    require: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @classmethod
    def of(cls, **names: Iterable[str] | None) -> Selection:
        """The same, from any iterables. One name is taken for a list of one: nobody means its characters."""
        several = {name: (its,) if isinstance(its, str) else its for name, its in names.items() if its is not None}
        for name, its in several.items():
            expect(Iterable, its, f"{name} takes a list of names, as in {name}=['served']")
        return cls(**{name: tuple(its) for name, its in several.items()})

    def unknown(self, names: Collection[str], blocked: Mapping[str, str]) -> list[str]:
        """A sentence for each name that no plugin has.

        :param blocked: names that are blocked where the program runs, and what says so.
        """
        named = (("block", self.block), ("only", self.only or ()), ("order", self.order))
        given = [(f"{argument}={name!r}", name) for argument, its in named for name in its]
        given += [(f"{source} blocks {name!r}", name) for name, source in blocked.items()]
        return [
            f"{where}: there is no such plugin{did_you_mean(name, names)}" for where, name in given if name not in names
        ]

    def leaves_out(self, entry: Entry) -> str:
        """Why a plugin is not used; empty if it is."""
        if entry.name in self.block:
            return "blocked"
        return (
            "not among only=[…]" if self.only is not None and entry.distribution and entry.name not in self.only else ""
        )

    def sort(self, names: Iterable[str]) -> list[str]:
        """The names as plugins are asked, from those in the order in which they would be otherwise."""
        place = {name: number for number, name in reversed(list(enumerate(self.order)))}
        return sorted(names, key=lambda name: place.get(name, len(place)))
