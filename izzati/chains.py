"""Hooks as chains of functions, which a request calls directly.

pluggy makes up its mind anew at each call, since plugins may come and go; a Backend's do not. What is left is to call
one function after the other, or the only one. Hooks that a plugin wraps stay with pluggy, which knows how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pluggy import HookCaller, HookImpl

__all__ = ["Chains"]


class Chains:
    """The hooks of a plugin manager; each is compiled when it is first called.

    They are called by position, with all arguments that their specification has, in its order.

    :param relay: the manager's ``hook``. Plugins must have been registered before.
    """

    def __init__(self, relay: Any) -> None:
        self._relay = relay

    def __getattr__(self, hook: str) -> Callable[..., Any]:
        chain = _compiled(getattr(self._relay, hook))
        setattr(self, hook, chain)  # found without __getattr__ from now on
        return chain

    def implementations(self, hook: str) -> list[Any]:
        """pluggy's :class:`~pluggy.HookImpl` for each of all plugins."""
        found: list[Any] = getattr(self._relay, hook).get_hookimpls()
        return found

    def change(self, hook: str, change: Callable[[HookImpl], Callable[..., Any]]) -> None:
        """Put another function in the place of each implementation.

        :param change: gives that function; it is called with all arguments of the hook, by position.
        """
        parameters = tuple(getattr(self._relay, hook).spec.argnames)
        for each in self.implementations(hook):
            each.function = _taking_all(each, parameters)
            each.argnames, each.kwargnames = parameters, ()
            each.function = change(each)
        vars(self).pop(hook, None)


def _taking_all(implementation: HookImpl, parameters: Sequence[str]) -> Callable[..., Any]:
    """An implementation's function, as one that takes all parameters of its hook, and gives on those that it needs."""
    function: Callable[..., Any] = implementation.function
    # A parameter with a default is given like any other, not left at it.
    taken = (*implementation.argnames, *implementation.kwargnames)
    if taken == tuple(parameters):
        return function
    places = [parameters.index(name) for name in taken]
    return lambda *arguments: function(*[arguments[place] for place in places])


def _compiled(caller: HookCaller) -> Callable[..., Any]:
    assert caller.spec is not None
    implementations = caller.get_hookimpls()[::-1]  # the last one is asked first
    parameters = caller.spec.argnames
    functions = [_taking_all(each, parameters) for each in implementations]

    def wrapped(*arguments: Any) -> Any:
        return caller(**dict(zip(parameters, arguments, strict=True)))

    def first(*arguments: Any) -> Any:
        for function in functions:
            answer = function(*arguments)
            if answer is not None:
                return answer
        return None

    def every(*arguments: Any) -> list[Any]:
        return [answer for function in functions if (answer := function(*arguments)) is not None]

    if any(each.wrapper for each in implementations):
        return wrapped
    if not caller.spec.opts.get("firstresult"):
        return every
    return functions[0] if len(functions) == 1 else first
