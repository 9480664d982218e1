"""A compiled chain does what pluggy does: the same result, the same calls in the same order, the same exception."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import pluggy
from hypothesis import example, given
from hypothesis import strategies as st

from izzati import hookimpl
from izzati.chains import Chains
from izzati.markers import hookspec

PARAMETERS = ("a", "b", "c")
ARGUMENTS = (1, None, "three")


class Raised(Exception):
    """What an implementation raises; it says which one, and when."""


class Plain(NamedTuple):
    """An implementation: what it takes, when it is asked, and what it does."""

    taken: tuple[str, ...]
    order: str | None
    act: str

    def function(self, number, calls):
        def asked(*arguments):
            calls.append((number, arguments))
            if self.act == "raise":
                raise Raised(number)
            if self.act == "stop":
                raise StopIteration
            return {"decline": None, "answer": number, "answer with nothing": {}}[self.act]

        return taking(self.taken, asked)


class Wrapper(NamedTuple):
    """One around all others: what it does before and after them."""

    taken: tuple[str, ...]
    order: str | None
    before: str
    after: str

    def function(self, number, calls):
        def around(*arguments):
            calls.append((number, "before", arguments))
            if self.before == "raise":
                raise Raised(number, "before")
            if self.before == "return":
                return number
            try:
                result = yield
            except Raised as error:
                calls.append((number, "caught", error.args))
                if self.after == "answer":
                    return number
                if self.after == "raise":
                    raise Raised(number, "after") from error
                raise
            calls.append((number, "after", result))
            if self.after == "raise":
                raise Raised(number, "after")
            if self.after == "yield":
                yield number
            return {"pass on": result, "answer": number, "decline": None}.get(self.after)

        return taking(self.taken, around, "yield from ")


def taking(parameters, function, how=""):
    """A function of these parameters, by whose names pluggy decides what it is given."""
    names = ", ".join(parameters)
    return eval(f"lambda {names}: ({how}function({names}))", {"function": function})


taken = st.permutations(PARAMETERS).flatmap(lambda names: st.integers(0, 3).map(lambda count: tuple(names[:count])))
order = st.sampled_from([None, "tryfirst", "trylast"])
plain = st.builds(Plain, taken, order, st.sampled_from(["decline", "answer", "answer with nothing", "raise", "stop"]))
wrapper = st.builds(
    Wrapper,
    taken,
    order,
    st.sampled_from(["go on", "go on", "raise", "return"]),
    st.sampled_from(["pass on", "answer", "decline", "raise", "yield"]),
)


def manager(implementations, firstresult, calls):
    specification = hookspec(firstresult=firstresult)(taking(PARAMETERS, lambda *arguments: None))
    made = pluggy.PluginManager("izzati")
    made.add_hookspecs(SimpleNamespace(izzati_tried=specification))
    for number, each in enumerate(implementations):
        options = {each.order: True} if each.order else {}
        marked = hookimpl(wrapper=isinstance(each, Wrapper), **options)(each.function(number, calls))
        made.register(SimpleNamespace(izzati_tried=marked), f"plugin {number}")
    return made


def outcome(call):
    """What it returned, or raised, with what led to that."""
    try:
        return "returned", call()
    except Raised as error:
        return "raised", error.args, error.__cause__ and error.__cause__.args
    except (RuntimeError, StopIteration) as error:
        return "raised", type(error)


@given(st.lists(st.one_of(plain, plain, wrapper), max_size=6), st.booleans())
@example([Plain((), None, "answer"), Wrapper(("b",), "trylast", "go on", "raise")], True)
@example([Plain(("c", "a"), "trylast", "answer with nothing"), Plain((), "tryfirst", "decline")], True)
def test_a_compiled_chain_does_what_pluggy_does(implementations, firstresult):
    plainly, compiled = [], []
    hook = manager(implementations, firstresult, plainly).hook
    expected = outcome(lambda: hook.izzati_tried(**dict(zip(PARAMETERS, ARGUMENTS, strict=True))))
    chains = Chains(manager(implementations, firstresult, compiled).hook)
    assert outcome(lambda: chains.izzati_tried(*ARGUMENTS)) == expected
    assert compiled == plainly
    # The second call is of what the first has compiled.
    assert outcome(lambda: chains.izzati_tried(*ARGUMENTS)) == expected
    assert compiled == plainly * 2


@given(st.lists(st.one_of(plain, wrapper), max_size=4), st.booleans())
def test_a_function_put_in_the_place_of_an_implementation_gets_every_argument(implementations, firstresult):
    calls, seen = [], []
    chains = Chains(manager(implementations, firstresult, calls).hook)
    expected = outcome(lambda: chains.izzati_tried(*ARGUMENTS))
    asked = [number for number, *_ in calls if number not in seen and not seen.append(number)]
    seen.clear()

    def noted(implementation):
        function = implementation.function

        def asked_instead(*arguments):
            seen.append((int(implementation.plugin_name.split()[1]), arguments))
            return function(*arguments)

        def around_instead(*arguments):
            seen.append((int(implementation.plugin_name.split()[1]), arguments))
            return (yield from function(*arguments))

        return around_instead if implementation.wrapper else asked_instead

    chains.change("izzati_tried", noted)
    assert outcome(lambda: chains.izzati_tried(*ARGUMENTS)) == expected
    assert seen == [(number, ARGUMENTS) for number in asked]
