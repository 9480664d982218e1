"""A user's function: whether it can take what it will be given, whether it asks for the request, what it is for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from izzati.errors import CallbackError

__all__ = ["Callback", "name_of", "require_signature"]


class Callback:
    """A function that the Backend calls as ``function(text, data, *args, **kwargs)``; ``backend.callbacks`` has them.

    :param essentials: the names of what comes first: ``("text", "data")``, with a queue ``("q", "text", "data")``.
    :raises CallbackError: if it cannot be called so; the message has the signature that it needs.
    """

    __slots__ = ("function", "name", "wants_request")

    def __init__(
        self,
        function: Callable[..., Any],
        essentials: tuple[str, ...],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        #: what is called
        self.function = function
        #: its own name; ``"callback"`` for a lambda
        self.name = name_of(function)
        #: True if it declares a keyword-only ``request``
        self.wants_request = "request" not in kwargs and _has_keyword_only(function, "request")
        given = {**kwargs, "request": None} if self.wants_request else kwargs
        require_signature(function, essentials, args, given)

    @property
    def description(self) -> str:
        """Its docstring, without indentation; empty if it has none."""
        return inspect.getdoc(_innermost(self.function)) or ""


def require_signature(
    function: Callable[..., Any], essentials: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Refuse a function that cannot be called as ``function(*essentials, *args, **kwargs)``.

    :param essentials: the names of what comes first.
    :raises CallbackError: with the signature that it needs.
    """
    name = name_of(function)
    if not callable(function):
        raise CallbackError(f"a function of ({', '.join(essentials)}) is needed, not {function!r}")
    if inspect.iscoroutinefunction(function):
        raise CallbackError(f"{name} is async; izzati calls plain functions: write def, not async def")
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # some built-in functions have none
    try:
        signature.bind(*essentials, *args, **kwargs)
    except TypeError as error:
        needed = ", ".join([*essentials, *(f"arg{n}" for n in range(1, len(args) + 1)), *map(str, kwargs)])
        raise CallbackError(
            f"{name}{signature} cannot take what it will be given ({error}); "
            f"it needs the signature def {name}({needed})"
        ) from None


def name_of(function: Callable[..., Any]) -> str:
    """What a message calls the function."""
    name: str = getattr(_innermost(function), "__name__", type(function).__name__)
    return "callback" if name == "<lambda>" else name


def _innermost(function: Any) -> Any:
    """What a ``functools.partial`` calls in the end: of itself it has no name, and a docstring about partials."""
    return _innermost(function.func) if isinstance(function, partial) else function


def _has_keyword_only(function: Callable[..., Any], name: str) -> bool:
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):
        return False
    return parameter is not None and parameter.kind is parameter.KEYWORD_ONLY
