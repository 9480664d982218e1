"""Who is responsible for what: the claims of plugins, and their conflicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

__all__ = ["Claims", "Conflict", "conflicts", "owners"]


@dataclass(frozen=True)
class Claims:
    """What a plugin is responsible for. Two plugins with the same claim are refused when the Backend is made.

    :param reads: media types that its ``izzati_decode`` takes; ``*+json`` stands for every type with that suffix.
    :param writes: media types that its ``izzati_encode`` gives, the preferred one first.
    :param schemes: location schemes that it opens and saves (``s3``); the empty one is a local path.
    :param challenges: a ``WWW-Authenticate`` value for each way to identify (RFC 9110 §11.6.1).
    :param replaces: names of plugins from which it takes what both claim.
    :raises TypeError: for text in place of a tuple of it.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str) or not all(isinstance(each, str) for each in value):
                raise TypeError(f"Claims({name}=…) takes a tuple of text, such as ('…',), not {value!r}")


class Conflict(NamedTuple):
    """Two plugins claim the same, and nothing says which of them has it.

    :param first: the name of the one that is asked first.
    :param claims: each in words.
    """

    first: str
    second: str
    claims: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"the plugins {self.first!r} and {self.second!r} both claim {' and '.join(self.claims)}: block one of "
            f"them, let one say that it replaces the other, as in Claims(replaces=({self.second!r},)), or say which "
            f"of them has it by Backend(…, order=[{self.first!r}, {self.second!r}])"
        )


_KINDS: tuple[tuple[str, Callable[[Claims], Iterable[str]]], ...] = (
    ("media type to read", lambda its: its.reads),
    ("media type to write", lambda its: its.writes),
    ("location scheme", lambda its: its.schemes),
)


def conflicts(claims: Mapping[str, Claims], order: Sequence[str] = ()) -> list[Conflict]:
    """All conflicts.

    :param claims: plugin name to what it claims, in the order in which plugins are asked.
    :param order: names whose order was given on purpose: between two of them the first has what both claim.
    """
    found = []
    for (first, its), (second, others) in combinations(claims.items(), 2):
        if first in others.replaces or second in its.replaces or {first, second} <= set(order):
            continue
        both = [f"the {kind} {claim!r}" for kind, pick in _KINDS for claim in pick(others) if claim in pick(its)]
        if both:
            found.append(Conflict(first, second, tuple(both)))
    return found


def owners(claims: Mapping[str, Claims], pick: Callable[[Claims], Iterable[str]]) -> dict[str, str]:
    """Each claim of one kind, and the name of the plugin that has it.

    :param claims: plugin name to what it claims, in the order in which plugins are asked.
    :param pick: takes the claims of that kind.
    """
    found: dict[str, str] = {}
    for plugin, its in claims.items():
        for claim in pick(its):
            if found.setdefault(claim, plugin) in its.replaces:
                found[claim] = plugin
    return found
