"""Hooks as chains of functions, which a request calls directly; and whose fault an exception is.

pluggy makes up its mind anew at each call, since plugins may come and go; a Backend's do not. What is left is to call
one function after the other, and each wrapper around the others. Wrappers are nested, although a loop takes less time
from six of them on: so that each has a frame, which says whose fault an exception is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from traceback import walk_tb
from typing import Any

from pluggy import HookCaller, HookImpl

from izzati.answers import expected, wrong
from izzati.request import Call

__all__ = ["Chains", "culprit"]

_Function = Callable[..., Any]
_Plain = list[tuple[_Function, str]]
"""Functions that are asked in turn, each with the hook and the plugin that it is of."""


class Chains:
    """The hooks of a plugin manager; each is compiled when it is first called.

    They are called by position, with all arguments that their specification has, in its order.

    :param relay: the manager's ``hook``. Plugins must have been registered before.
    """

    def __init__(self, relay: Any) -> None:
        self._relay = relay

    def __getattr__(self, hook: str) -> _Function:
        chain = _compiled(getattr(self._relay, hook))
        setattr(self, hook, chain)  # found without __getattr__ from now on
        return chain

    def implementations(self, hook: str) -> list[Any]:
        """pluggy's :class:`~pluggy.HookImpl` for each of all plugins."""
        found: list[Any] = getattr(self._relay, hook).get_hookimpls()
        return found

    def change(self, hook: str, change: Callable[[HookImpl], _Function]) -> None:
        """Put another function in the place of each implementation.

        :param change: gives that function; it is called with all arguments of the hook, by position.
        """
        parameters = tuple(getattr(self._relay, hook).spec.argnames)
        for each in self.implementations(hook):
            each.function = _taking_all(each, parameters)
            each.argnames, each.kwargnames = parameters, ()
            each.function = change(each)
        vars(self).pop(hook, None)


def _taking_all(implementation: HookImpl, parameters: Sequence[str]) -> _Function:
    """An implementation's function, as one that takes all parameters of its hook, and gives on those that it needs."""
    function: _Function = implementation.function
    # A parameter with a default is given like any other, not left at it.
    taken = (*implementation.argnames, *implementation.kwargnames)
    if taken == tuple(parameters):
        return function
    places = [parameters.index(name) for name in taken]
    return lambda *arguments: function(*[arguments[place] for place in places])


def culprit(error: BaseException) -> str | None:
    """Where an exception came from, by its innermost frame: a plugin's hook, or the callback; None if neither."""
    found = None
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is Call.__call__.__code__:
            found = "the callback"
        elif frame.f_globals is globals():
            found = frame.f_locals.get("where", found)
    return found


def _compiled(caller: HookCaller) -> _Function:
    """One function for all implementations; its frame says by ``where`` which of them is asked.

    An answer that does not fit is refused here: who handles it does not know whose it is, and would be blamed.
    """
    assert caller.spec is not None
    kind, words = expected(caller.name)
    implementations = [
        (_taking_all(each, caller.spec.argnames), f"{caller.name} of the plugin {each.plugin_name!r}", each.wrapper)
        for each in caller.get_hookimpls()
    ]
    routes = caller.name == "izzati_routes"
    # The last one is asked first, and the last wrapper is the outermost.
    asked = reversed(implementations)
    plain = [(_listed(each) if routes else each, where) for each, where, wrapper in asked if not wrapper]
    chain = (_first if caller.spec.opts.get("firstresult") else _every)(plain, kind, words)
    for function, where, wrapper in implementations:
        if wrapper:
            # Around the routes of all there is a list of lists.
            chain = _around(chain, function, where, list if routes else kind, words)
    return chain


def _listed(function: _Function) -> _Function:
    """The same, with its answer gone through: a generator tells only then what is wrong with it."""

    def listed(*arguments: Any) -> Any:
        answer = function(*arguments)
        return list(answer) if isinstance(answer, Iterable) and not isinstance(answer, str) else answer

    return listed


def _first(plain: _Plain, kind: Any, words: str) -> _Function:
    def first(*arguments: Any) -> Any:
        for function, where in plain:
            answer = function(*arguments)
            if answer is not None:
                if isinstance(answer, kind):
                    return answer
                raise wrong(answer, where, words)
        return None

    return first


def _every(plain: _Plain, kind: Any, words: str) -> _Function:
    def every(*arguments: Any) -> list[Any]:
        answers = []
        for function, where in plain:
            answer = function(*arguments)
            if answer is not None:
                if not isinstance(answer, kind):
                    raise wrong(answer, where, words)
                answers.append(answer)
        return answers

    return every


def _around(inner: _Function, wrapper: _Function, where: str, kind: Any, words: str) -> _Function:
    """A chain with one more wrapper around it."""

    def wrapped(*arguments: Any) -> Any:
        generator = wrapper(*arguments)
        try:
            next(generator)
        except StopIteration:
            raise RuntimeError(f"{where} did not yield, so that the others were not asked") from None
        try:
            answer = inner(*arguments)
        except BaseException as error:
            answer = _ended(generator.throw, error, generator, where)
        else:
            answer = _ended(generator.send, answer, generator, where)
        if answer is None or isinstance(answer, kind):
            return answer
        raise wrong(answer, where, words)

    return wrapped


def _ended(resume: Callable[[Any], Any], value: Any, generator: Generator[Any, Any, Any], where: str) -> Any:
    """What a wrapper returns, once it has got what the others gave or raised."""
    try:
        resume(value)
    except StopIteration as end:
        return end.value
    except RuntimeError as changed:
        if isinstance(value, StopIteration) and changed.__cause__ is value:
            raise value from None  # which Python lets through no generator
        raise
    generator.close()
    raise RuntimeError(f"{where} yields a second time")
