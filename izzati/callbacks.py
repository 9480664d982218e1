"""A user's function: whether it can take what it will be given, and whether it asks for the request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from izzati.errors import CallbackError

__all__ = ["Callback"]


class Callback:
    """A function that the Backend calls as ``function(text, data, *args, **kwargs)``.

    :raises CallbackError: if it cannot be called so; the message has the signature that it needs.
    """

    __slots__ = ("function", "name", "wants_request")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if not callable(function):
            raise CallbackError(f"a callback is a function of (text, data), not {function!r}")
        if inspect.iscoroutinefunction(function):
            raise CallbackError(f"{_name(function)} is async; izzati calls plain functions: write def, not async def")
        self.function = function
        self.name = _name(function)
        self.wants_request = False
        try:
            signature = inspect.signature(function)
        except ValueError:
            return  # some built-in functions have none
        parameter = signature.parameters.get("request")
        self.wants_request = (
            parameter is not None and parameter.kind is parameter.KEYWORD_ONLY and "request" not in kwargs
        )
        try:
            signature.bind({}, [], *args, **kwargs, **({"request": None} if self.wants_request else {}))
        except TypeError as error:
            needed = ["text", "data", *(f"arg{n}" for n in range(1, len(args) + 1)), *kwargs]
            raise CallbackError(
                f"{_name(function)}{signature} cannot take what it will be given ({error}); "
                f"it needs the signature def {_name(function)}({', '.join(needed)})"
            ) from None


def _name(function: Callable[..., Any]) -> str:
    name: str = getattr(function, "__name__", type(function).__name__)
    return "callback" if name == "<lambda>" else name
