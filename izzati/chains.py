"""Hooks as chains of functions, which a request calls directly.

pluggy makes up its mind anew at each call, since plugins may come and go; a Backend's do not. What is left is to call
one function after the other, or the only one, and each wrapper around the others, which costs a third of what it does
with pluggy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
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
    parameters = caller.spec.argnames
    plain: list[Callable[..., Any]] = []
    wrappers: list[Callable[..., Any]] = []
    for each in caller.get_hookimpls():
        # The last one is asked first, and the last wrapper is the outermost.
        wrappers.append(_taking_all(each, parameters)) if each.wrapper else plain.insert(
            0, _taking_all(each, parameters)
        )

    def first(*arguments: Any) -> Any:
        for function in plain:
            answer = function(*arguments)
            if answer is not None:
                return answer
        return None

    def every(*arguments: Any) -> list[Any]:
        return [answer for function in plain if (answer := function(*arguments)) is not None]

    chain = every if not caller.spec.opts.get("firstresult") else plain[0] if len(plain) == 1 else first
    return reduce(_around, wrappers, chain)


def _around(inner: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """A chain with one more wrapper around it."""

    def wrapped(*arguments: Any) -> Any:
        generator = wrapper(*arguments)
        try:
            next(generator)
        except StopIteration:
            raise RuntimeError("a wrapper did not yield, so that the others were not asked") from None
        try:
            answer = inner(*arguments)
        except BaseException as error:
            try:
                generator.throw(error)
            except StopIteration as end:
                return end.value
            except RuntimeError as changed:
                if isinstance(error, StopIteration) and changed.__cause__ is error:
                    raise error from None  # which Python lets through no generator
                raise
        else:
            try:
                generator.send(answer)
            except StopIteration as end:
                return end.value
        generator.close()
        raise RuntimeError("a wrapper has a second yield")

    return wrapped
