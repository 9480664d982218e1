"""Which plugins there are: installed ones, found by their entry points, and the built-in ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from izzati.errors import did_you_mean

__all__ = ["DEFAULTS", "GROUP", "Selection", "installed", "origin"]

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


@cache
def installed() -> tuple[EntryPoint, ...]:
    """Entry points of installed distributions, by name. The scan happens once a process."""
    return tuple(sorted(set(entry_points(group=GROUP)), key=lambda entry: entry.name))


def origin(entry: EntryPoint) -> str:
    """What a message calls a plugin: by its name, and the distribution that brought it."""
    return f"plugin {entry.name!r} ({entry.dist.name} {entry.dist.version})" if entry.dist else f"plugin {entry.name!r}"


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
        return cls(
            **{  # type: ignore[arg-type]
                argument: given if given is None else (given,) if isinstance(given, str) else tuple(given)
                for argument, given in names.items()
            }
        )

    def unknown(self, names: Collection[str]) -> list[str]:
        """A sentence for each name that no plugin has."""
        return [
            f"{argument}={name!r}: there is no such plugin{did_you_mean(name, names)}"
            for argument, given in (("block", self.block), ("only", self.only or ()), ("order", self.order))
            for name in given
            if name not in names
        ]

    def leaves_out(self, entry: EntryPoint) -> str:
        """Why a plugin is not used; empty if it is."""
        if entry.name in self.block:
            return "blocked"
        return "not among only=[…]" if self.only is not None and entry.dist and entry.name not in self.only else ""

    def sort(self, names: Iterable[str]) -> list[str]:
        """The names as plugins are asked, from those in the order in which they would be otherwise."""
        place = {name: number for number, name in enumerate(self.order)}
        return sorted(names, key=lambda name: place.get(name, len(place)))
