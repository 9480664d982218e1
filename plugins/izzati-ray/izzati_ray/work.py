"""Background work as it is described to the cluster, and whether two descriptions mean the same."""

from __future__ import annotations

import hashlib
import pickle
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType
from typing import Any

import cloudpickle

from izzati import BackgroundError, BackgroundOptions

__all__ = ["LINGER", "UNKNOWN", "Gone", "Key", "Work", "describe"]

UNKNOWN = 255
"""The exit code of what ended without a word: Ray does not tell by which signal."""
LINGER = 600.0
"""Seconds in which the exit code and the queue of work with a name are there after its end."""


class Gone(BackgroundError):
    """The inbox that was asked is no more, or its name belongs to other work by now."""


@dataclass(frozen=True)
class Key:
    """Where the inbox of a work is found, from anywhere in the cluster.

    :param actor: the name of its actor; that of the work, if it has one.
    :param token: tells one work from a later one of the same name.
    """

    actor: str
    token: str


@dataclass(frozen=True)
class Work:
    """What an inbox is made with.

    :param title: what messages call it.
    :param named: True if it is there for others as well, and outlives the program.
    :param linger: seconds that the inbox stays if it has a name, the function has ended, and nobody asks it anything.
    :param call: the function and its arguments, pickled. Only the process that runs the function loads it.
    :param function: the function's name, and a digest of its code.
    :param values: what else makes it the same work, pickled: arguments, defaults, the values that a closure holds.
    """

    key: Key
    title: str
    named: bool
    linger: float
    restart: bool
    maxsize: int
    resources: Mapping[str, Any]
    call: bytes = field(repr=False)
    function: tuple[str, str]
    values: bytes = field(repr=False)

    def difference(self, other: Work) -> str | None:
        """How this differs from what runs under its name already; None if it is the same work."""
        if self.function[0] != other.function[0]:
            return f"runs {other.function[0]}, not {self.function[0]}"
        if self.function[1] != other.function[1]:
            return f"runs {other.function[0]} with another code"
        return None if _equal(self.values, other.values) else f"runs {other.function[0]} with other arguments"


def describe(
    target: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: BackgroundOptions
) -> Work:
    """Describe work for the cluster.

    :raises BackgroundError: if the function or an argument cannot be pickled.
    """
    title = options.name or str(getattr(target, "__name__", type(target).__name__))
    token = uuid.uuid4().hex
    digest, values = _fingerprint(target)
    try:
        call = cloudpickle.dumps((target, args, kwargs))
        compared = cloudpickle.dumps((args, kwargs, values))
    except Exception as error:
        raise BackgroundError(
            f"{title}, or an argument of it, cannot be sent to the cluster: {type(error).__name__}: {error}. "
            "Give arguments that can be pickled, and let the function open connections and files itself."
        ) from error
    return Work(
        key=Key(options.name or f"{title}-{token}", token),
        title=title,
        named=options.name is not None,
        linger=LINGER,
        restart=options.restart,
        maxsize=options.maxsize,
        resources=dict(options.resources),
        call=call,
        function=(_name_of(target), digest),
        values=compared,
    )


def _name_of(target: Callable[..., object]) -> str:
    module = getattr(target, "__module__", "").replace("__mp_main__", "__main__")
    return f"{module}.{getattr(target, '__qualname__', type(target).__qualname__)}"


def _fingerprint(target: Any) -> tuple[str, list[Any]]:
    """A digest of a function's code, and the values that belong to it; pickles of functions differ from run to run."""
    if not isinstance(target, FunctionType):
        return "", [target]
    codes, values, left, seen = [], [], [target], {id(target)}
    while left:
        function = left.pop()
        codes.append(_plain(function.__code__))
        held = [cell.cell_contents for cell in function.__closure__ or () if cell != CellType()]
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *held):
            if not isinstance(value, FunctionType):
                values.append(value)
            elif id(value) not in seen:
                seen.add(id(value))
                left.append(value)
    return hashlib.sha256(repr(codes).encode()).hexdigest(), values


def _plain(code: CodeType) -> tuple[Any, ...]:
    """What a code does, without where it stands."""
    constants = [
        _plain(each)
        if isinstance(each, CodeType)
        else sorted(map(repr, each))
        if isinstance(each, frozenset)
        else repr(each)
        for each in code.co_consts
    ]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants


def _equal(one: bytes, other: bytes) -> bool:
    """True if two pickles are of equal values; they may differ themselves, as those of sets do."""
    if one == other:
        return True
    try:
        return bool(pickle.loads(one) == pickle.loads(other))  # noqa: S301 - this program's own, and the cluster's
    except Exception:
        return False  # what cannot be loaded or compared is not known to be equal
