"""Callbacks: what cannot be called is refused when the Backend is made."""

from __future__ import annotations

import functools

import pytest

from izzati import Backend, CallbackError, Route, hookimpl


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
