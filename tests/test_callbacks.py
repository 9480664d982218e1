"""Callbacks: what cannot be called is refused when the Backend is made."""

from __future__ import annotations

import functools
import sys

import pytest

from izzati import Backend, CallbackError, PluginError, Route, background, hookimpl


def only_text(text):
    return text


@pytest.mark.parametrize(
    ("callback", "arguments", "sentence"),
    [
        (only_text, {}, r"only_text\(text\) cannot .* def only_text\(text, data\)"),
        (lambda text: text, {}, r"def callback\(text, data\)"),
        (lambda text, data: text, {"args": ("q",)}, r"def callback\(text, data, arg1\)"),
        (lambda text, data: text, {"kwargs": {"q": 1}}, r"def callback\(text, data, q\)"),
        (lambda text, data, *, other: text, {}, "missing a required .*argument: 'other'"),
        (lambda text, data: text, {"kwargs": {5: 1}}, r"def callback\(text, data, 5\)"),
        (3, {}, r"a function of \(text, data\) is needed, not 3"),
        (None, {}, "not None"),
    ],
)
def test_one_that_cannot_take_its_arguments_is_told_the_signature_it_needs(callback, arguments, sentence):
    with pytest.raises(CallbackError, match=sentence) as caught:
        Backend(callback, **arguments)
    assert isinstance(caught.value, TypeError)


def test_an_async_one_is_refused():
    async def callback(text, data):
        return {}

    with pytest.raises(CallbackError, match="write def, not async def"):
        Backend({"/": callback})


@pytest.mark.parametrize(
    "callback",
    [
        lambda *args: {},
        lambda text, data, **kwargs: {},
        lambda text, data, request=None: {"request": request is not None},
        functools.partial(lambda q, text, data: {}, "q"),
        type("Callable", (), {"__call__": lambda self, text, data: {}})(),
        max,
    ],
)
def test_anything_that_can_be_called_so_is_a_callback(callback):
    Backend(callback)


def test_a_positional_request_is_an_argument_like_another(serve):
    assert serve(lambda text, data, request="default": request).request().json == "default"


def test_a_request_among_the_keyword_arguments_is_the_users(serve):
    def callback(text, data, *, request):
        return request

    assert serve(callback, kwargs={"request": "mine"}).request().json == "mine"


def test_a_path_begins_with_a_slash():
    with pytest.raises(ValueError, match="write '/caption'"):
        Backend({"caption": lambda text, data: {}})


def test_two_answers_at_one_path_are_refused():
    class Same:
        @hookimpl
        def izzati_routes(self, backend):
            return [Route("/", lambda request: None, methods=("POST",))]

    with pytest.raises(ValueError, match="two routes answer POST /"):
        Backend(lambda text, data: {}, plugins=[Same()])


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a/<x>", "/a/<y>"), ("/a/<x>", "/a/<string:y>"), ("/<int(min=1):x>/b", "/<int(min=1):y>/b")],
)
def test_paths_that_cannot_be_told_apart_are_refused_by_name(one, other):
    with pytest.raises(ValueError, match="two routes answer POST at the same paths") as caught:
        Backend({one: lambda text, data: {}, other: lambda text, data: {}})
    assert f"{one} and {other}; give one of them another path" in str(caught.value)


def test_paths_that_differ_in_more_than_a_name_stand_side_by_side(serve):
    paths = ["/a/<x>", "/a/<int:x>", "/a/<x>/", "/a/<path:x>/b"]
    served = serve({path: lambda text, data, path=path: path for path in paths})
    assert [served.request(path=path).json for path in ("/a/z", "/a/1", "/a/z/", "/a/z/z/b")] == paths


@pytest.mark.parametrize("path", ["/a/<", "/a/<nosuch:x>", "/a/<x>/<x>"])
def test_a_path_that_is_no_rule_is_told(path):
    with pytest.raises(ValueError, match=f"the path '{path}' is no Werkzeug rule: "):
        Backend({path: lambda text, data: {}})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"callback": {5: lambda text, data: {}}},
            "a path is text that begins with a slash, such as '/caption', not 5",
        ),
        ({"args": 5}, r"args takes a list or tuple, as in args=\(model,\), not int"),
        ({"args": "Hello"}, r"args takes a list or tuple, as in args=\(model,\), not str"),
        ({"kwargs": 5}, "kwargs takes a dict, as in kwargs={'model': model}, not int"),
        ({"plugins": 5}, r"plugins takes a list, as in plugins=\[Served\(\)\], not int"),
        ({"plugins": "auth"}, r"plugins takes a list, as in plugins=\[Served\(\)\], not str"),
        ({"options": 5}, "options takes a dict of dicts, as in options={'spool': {'memory': 0}}, not int"),
        ({"options": {"spool": 5}}, "options for 'spool' are a dict, as in options={'spool': {…}}, not int"),
        ({"limits": 5}, r"limits takes an izzati.Limits, as in limits=Limits\(body=2 << 30\), not int"),
        ({"strict": "no"}, "strict takes True or False, as in strict=False, not str"),
        ({"block": 5}, r"block takes a list of names, as in block=\['served'\], not int"),
        ({"require": 5}, r"require takes a list of names, as in require=\['served'\], not int"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_told_with_how_it_is_written(arguments, sentence):
    with pytest.raises(TypeError, match=f"^{sentence}$"):
        Backend(**{"callback": lambda text, data: {}, **arguments})


def test_background_work_is_told_so_too():
    with pytest.raises(TypeError, match=r"^args takes a list or tuple, as in args=\('Hello',\), not str$"):
        background(print, args="Hello")
    with pytest.raises(TypeError, match=r"^kwargs takes a dict, as in kwargs={'greeting': 'Hello'}, not int$"):
        background(print, kwargs=5)


def test_a_route_of_the_wrong_kind_is_told_with_its_plugin():
    class Text:
        @hookimpl
        def izzati_routes(self):
            return [Route("/x", lambda request: None, methods="GET")]

    with pytest.raises(PluginError, match=r"izzati_routes of the plugin 'Text' failed: TypeError: .*such as .'GET',."):
        Backend(lambda text, data: {}, plugins=[Text()])


def test_arguments_that_can_be_read_once_reach_another_process_as_well():
    def callback(text, data, one, two):
        return {}

    make, given = Backend(callback, args=iter([1, 2]), plugins=iter([])).__reduce__()
    assert make(*given).callbacks["/"].function is callback


def test_a_backend_can_be_made_while_a_debugger_looks_at_every_line():
    def look(frame, event, argument):
        return look if frame.f_code is Backend.__init__.__code__ and "self" in frame.f_locals else None

    before = sys.gettrace()
    sys.settrace(look)
    try:
        Backend(lambda text, data: {}, only=())
    finally:
        sys.settrace(before)
