"""Who is responsible for what: the claims of plugins, and their conflicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Claims", "owners"]


@dataclass(frozen=True)
class Claims:
    """What a plugin is responsible for. Two plugins with the same claim are refused when the Backend is made.

    :param reads: media types that its ``izzati_decode`` takes; ``*+json`` stands for every type with that suffix.
    :param writes: media types that its ``izzati_encode`` gives, the preferred one first.
    :param schemes: location schemes that it opens and saves (``s3``); the empty one is a local path.
    :param challenges: a ``WWW-Authenticate`` value for each way to identify (RFC 9110 §11.6.1).
    :param replaces: names of plugins from which it takes what both claim.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


def owners(
    claims: Mapping[str, Claims], kind: str, pick: Callable[[Claims], Iterable[str]], problems: list[str]
) -> dict[str, str]:
    """Each claim of one kind, and the name of the plugin that has it.

    :param claims: plugin name to what it claims, in the order in which plugins are asked.
    :param kind: what is claimed, for the sentence about a conflict.
    :param pick: takes the claims of that kind.
    :param problems: gets a sentence for each conflict.
    """
    found: dict[str, str] = {}
    for plugin, its in claims.items():
        for claim in pick(its):
            other = found.setdefault(claim, plugin)
            if other == plugin or plugin in claims[other].replaces:
                continue
            if other in its.replaces:
                found[claim] = plugin
                continue
            problems.append(
                f"the plugins {other!r} and {plugin!r} both claim the {kind} {claim!r}: block one of them, or let "
                f"one say that it replaces the other, as in Claims(replaces=({plugin!r},))"
            )
    return found
