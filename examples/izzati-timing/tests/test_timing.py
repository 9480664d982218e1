"""What the plugin does, over real connections."""

import re

from izzati_timing import Timing


def callback(text, data):
    if "fail" in text:
        raise ValueError("a defect")
    return {}


def test_every_answer_of_a_callback_says_how_long_it_took(serve):
    served = serve(callback, plugins=[Timing("dogs")])
    for path, status in (("/", 200), ("/?fail=1", 500)):
        answer = served.request(path=path)
        assert answer.status == status
        assert re.fullmatch(r"dogs;dur=\d+\.\d", answer.headers["Server-Timing"])


def test_an_answer_that_no_callback_gave_says_nothing(serve):
    assert "Server-Timing" not in serve(callback, plugins=[Timing()]).request(path="/no/such/path").headers


def test_its_option_comes_from_the_environment_once_it_is_installed(serve, monkeypatch):
    monkeypatch.setenv("IZZATI_TIMING_NAME", "given")
    assert serve(callback, only=["timing"]).request().headers["Server-Timing"].startswith("given;")
