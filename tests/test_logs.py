"""The log: a line for each request, wherever the program has its log."""

from __future__ import annotations

import http.client
import json
import logging
import re
import signal
import subprocess
import sys

import pytest

from izzati import Identity, Problem, hookimpl


@pytest.fixture
def access(caplog):
    """``access()``: the lines about requests."""
    caplog.set_level(logging.INFO, "izzati.access")
    return lambda: [record for record in caplog.records if record.name == "izzati.access"]


def within(served, count, access):
    """The lines, once the server has written so many: it may write after its caller has read the answer."""
    served.stop()
    assert len(access()) == count
    return access()


def test_each_request_is_one_line(serve, access):
    served = serve({"/": lambda text, data: {}, "/no": lambda text, data: 1 / 0})
    served.request()
    served.request(path="/no?secret=1")
    served.request(method="GET", path="/healthz")
    lines = [record.getMessage() for record in within(served, 3, access)]
    assert re.fullmatch(r"POST / 200 \d+\.\d ms 127\.0\.0\.1", lines[0])
    assert re.fullmatch(r"POST /no 500 \d+\.\d ms 127\.0\.0\.1", lines[1])
    assert re.fullmatch(r"GET /healthz 200 \d+\.\d ms 127\.0\.0\.1", lines[2])


def test_refusals_are_logged_and_so_is_who_called(serve, access):
    class Names:
        @hookimpl
        def izzati_identify(self, request):
            if "ann" not in request.query:
                raise Problem(401, "Who?")
            return Identity("ann")

    served = serve(lambda text, data: {}, plugins=[Names()])
    refused, answered = served.request(), served.request(path="/?ann")
    records = within(served, 2, access)
    assert [(record.request["status"], record.request["identity"]) for record in records] == [(401, None), (200, "ann")]
    assert [record.request["id"] for record in records] == [
        refused.headers["X-Request-Id"],
        answered.headers["X-Request-Id"],
    ]


def test_no_path_makes_a_second_line(serve, access):
    served = serve(lambda text, data: {})
    served.request(path="/%0d%0aGET%20/%20200%1b[31m%E2%80%AE")
    assert within(served, 1, access)[0].getMessage().startswith(r"POST /\r\nGET / 200\x1b[31m\u202e 404")


def test_a_path_is_logged_in_ascii_and_what_it_escapes_is_no_other_path(serve, access):
    served = serve(lambda text, data: {})
    served.request(path="/H%C3%BCtte%5Cn")
    assert within(served, 1, access)[0].getMessage().startswith(r"POST /H\xfctte\\n 404")


def test_lines_about_requests_can_be_left_out(serve, access):
    served = serve(lambda text, data: {}, options={"logs": {"requests": False}})
    served.request()
    within(served, 0, access)


PROGRAM = """
import logging, sys
from izzati import Backend
{setup}
def callback(text, data):
    if "fail" in text:
        raise RuntimeError("a defect" + text["fail"])
    return {{}}

Backend(callback, only=()).run("127.0.0.1", 0)
"""


@pytest.fixture
def stderr_of(tmp_path):
    """``stderr_of(setup, environment, *paths)``: what a program writes to stderr while these are asked for."""

    def run(*paths, setup="", command=(), **environment):
        (tmp_path / "app.py").write_text(PROGRAM.format(setup=setup))
        done = []
        with subprocess.Popen(
            [sys.executable, *command, "app.py"],
            cwd=tmp_path,
            env={"PATH": "", **environment},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                for line in process.stderr:
                    done.append(line.rstrip("\n"))
                    if line.startswith("Ctrl-C"):
                        break
                port = int(re.search(r"127\.0\.0\.1:(\d+)", "\n".join(done))[1])
                for path in paths:
                    ask(port, path)
                process.send_signal(signal.SIGINT)
                rest = process.communicate(timeout=20)[1]
            finally:
                process.kill()
        assert process.returncode == 0
        return rest.splitlines()

    return run


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", path)
    connection.getresponse().read()
    connection.close()


def test_a_program_without_logging_has_the_lines_on_stderr(stderr_of):
    lines = stderr_of("/", "/?fail")
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST / 200 \d+\.\d ms 127\.0\.0\.1", lines[0])
    assert "failed in the callback" in lines[1]
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST / 500 \d+\.\d ms 127\.0\.0\.1", lines[-1])


def test_no_exception_begins_a_line_or_moves_a_cursor(stderr_of):
    sent = "%0A12:00:00%20POST%20/admin%20200%201.0%20ms%20127.0.0.1%1B%5B2J%C2%9B2J%0D"
    lines = stderr_of(f"/?fail={sent}")
    begun = [line for line in lines if not line.startswith("    ")]
    assert len(begun) == 2
    assert "failed in the callback" in begun[0]
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST / 500 \d+\.\d ms 127\.0\.0\.1", begun[1])
    assert r"    12:00:00 POST /admin 200 1.0 ms 127.0.0.1\x1b[2J\x9b2J\x0d" in lines


def test_json_is_an_option_and_then_every_line_is_json(stderr_of):
    lines = [json.loads(line) for line in stderr_of("/", "/?fail", IZZATI_LOGS_FORMAT="json")]
    request, defect, failed = lines
    assert (request["method"], request["path"], request["status"], request["logger"]) == (
        "POST",
        "/",
        200,
        "izzati.access",
    )
    assert (defect["level"], "RuntimeError: a defect" in defect["traceback"]) == ("ERROR", True)
    assert (failed["status"], failed["id"] in defect["message"]) == (500, True)


def test_a_program_that_has_set_logging_up_decides_itself(stderr_of):
    assert stderr_of("/", setup="logging.basicConfig(level=logging.WARNING)") == []
    lines = stderr_of("/", setup="logging.basicConfig(level=logging.INFO, format='mine: %(message)s')")
    assert [line.split()[:4] for line in lines] == [["mine:", "POST", "/", "200"]]
    quiet = "logging.getLogger('izzati.access').setLevel(logging.WARNING)"
    assert stderr_of("/", setup=quiet) == []


def test_the_command_can_be_quiet(stderr_of):
    assert stderr_of("/", command=["-m", "izzati", "run", "--quiet"]) == []
    assert "failed in the callback" in stderr_of("/?fail", command=["-m", "izzati", "run", "-q"])[0]
