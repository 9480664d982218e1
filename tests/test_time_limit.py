"""``Limits.seconds``: a callback that takes longer gives its caller a 503, and others are served."""

from __future__ import annotations

import threading

import pytest
from helpers import within

from izzati import Limits, Problem, file_return

LIMITS = Limits(seconds=0.2)
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def go():
    event = threading.Event()
    yield event
    event.set()


def test_its_caller_gets_a_503_and_others_are_served(serve, go, caplog):
    served = serve({"/": lambda text, data: go.wait(20), "/quick": lambda text, data: {}}, limits=LIMITS)
    answer = served.request()
    assert (answer.status, answer.json["limit"], answer.json["maximum"]) == (503, "seconds", 0.2)
    assert "limits=Limits(seconds=...)" in answer.json["detail"]
    assert served.request(path="/quick").status == 200
    go.set()
    assert within(20, lambda: f"request {answer.headers['X-Request-Id']}: the callback ended after" in caplog.text)


def test_it_keeps_its_uploads_until_it_ends(serve, go, tmp_path):
    read, done = [], threading.Event()

    def callback(text, data):
        assert go.wait(20)
        read.append(data[0].read())
        done.set()

    served = serve(callback, limits=LIMITS, options={"spool": {"folder": str(tmp_path), "memory": 1}})
    assert served.request(b"a photo", PNG).status == 503
    go.set()
    assert done.wait(20)
    assert read == [b"a photo"]
    assert within(20, lambda: list(tmp_path.iterdir()) == [])


def test_what_is_in_time_is_answered_as_ever(serve):
    def refuse(text, data):
        raise Problem(404, "No such dog.")

    def late(text, data):
        raise TimeoutError

    served = serve(
        {
            "/": lambda text, data, *, request: [text, request.path],
            "/file": lambda text, data: data[0],
            "/refuse": refuse,
            "/late": late,
            "/saved": lambda text, data: file_return(data[0].read(), "a.txt"),
        },
        limits=Limits(seconds=20),
    )
    assert served.request(path="/?a=1").json == [{"a": "1"}, "/"]
    assert served.request(b"a photo", PNG, path="/file").body == b"a photo"
    assert served.request(path="/refuse").status == 404
    assert served.request(path="/late").status == 500
    assert served.request(b"x", PNG, path="/saved").body == b"x"


@pytest.mark.parametrize("seconds", [0, -1, "1", float("nan")])
def test_a_limit_that_is_no_time_is_refused(seconds):
    with pytest.raises(ValueError, match="takes a number above 0 or None"):
        Limits(seconds=seconds)
