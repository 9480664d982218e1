"""The example in README works, as its reader would run and call it."""

import re
import shlex
import subprocess
from pathlib import Path

import umsgpack

from izzati import Backend

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def test_the_example_answers_the_call_that_is_shown_with_it(serve, monkeypatch):
    ran = []

    def run(backend):
        ran.append(backend)

    monkeypatch.setattr(Backend, "run", run)
    monkeypatch.setenv("IZZATI_STRICT", "0")  # other plugins may be installed, and not configured
    names = {"__name__": "__main__"}
    exec(compile(re.search(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[1], "README.md", "exec"), names)
    assert len(ran) == 1
    writing, calling = re.search(r"^(printf .*) \| (curl .*)$", README, re.MULTILINE).groups()
    body = subprocess.run(["sh", "-c", writing], capture_output=True, check=True).stdout
    name, _, value = shlex.split(calling)[shlex.split(calling).index("-H") + 1].partition(": ")
    answer = serve(names["callback"], only=["msgpack"]).request(body, {name: value})
    assert umsgpack.unpackb(answer.body) == {"hello": "Rex", "photo": 0}
