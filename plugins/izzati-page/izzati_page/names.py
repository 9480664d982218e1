"""What functions are called: unique names for programs, and words for people."""

from __future__ import annotations

import re
from collections.abc import Container

__all__ = ["operation_id", "own_name", "summary_and_rest"]

_NAMELESS = "callback"
"""What izzati calls a lambda, and what the documentation calls every function."""
_LONGEST = 90
"""Characters of a summary, which is a heading."""


def own_name(name: str, rule: str) -> str:
    """The name of a function, or that of its path where its own says nothing (``_``).

    :param rule: its path.
    """
    return name if name != _NAMELESS and name.strip("_") else _words(rule) or "send_text_and_files"


def operation_id(name: str, rule: str, taken: Container[str]) -> str:
    """A name that no other function has: its own, with its path's where that is taken.

    :param rule: its path.
    """
    number = 1
    found = name if name not in taken else f"{name}_{_words(rule)}".rstrip("_")
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _words(rule: str) -> str:
    return "_".join(re.findall(r"\w+", re.sub(r"<[^>]*>", " ", rule))).strip("_")


def summary_and_rest(docstring: str, name: str) -> tuple[str, str]:
    """A heading, and what else the docstring says.

    :param name: stands in for a docstring that is missing, or does not begin with a short paragraph.
    """
    first, _, rest = docstring.partition("\n\n")
    summary = " ".join(first.split()).removesuffix(".")
    if not summary or len(summary) > _LONGEST:
        words = name.replace("_", " ").strip()
        return words[:1].upper() + words[1:], docstring.strip()
    return summary, rest.strip("\n")
