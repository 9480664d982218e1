"""Where granian cannot serve, it leaves that to another server, and says why."""

from __future__ import annotations

import threading

import pytest
from izzati_granian import Granian

from izzati import Backend, Listen


def in_a_thread(function):
    """What it returns in a thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(20)
    return results[0]


def test_a_thread_has_the_built_in_server_and_the_log_says_why(caplog):
    backend = Backend(print, plugins=[Granian()], only=())
    server = in_a_thread(lambda: backend.listen("127.0.0.1", 0))
    assert type(server).__name__ == "Reactor"
    server.stop()
    server.serve()
    (said,) = [record.getMessage() for record in caplog.records if record.name == "izzati.granian"]
    assert said.startswith("granian does not serve, since this is not the main thread, and only that one can handle")


def test_a_daemonic_process_has_the_built_in_server_and_the_log_says_why(start):
    program = start(
        "import multiprocessing\n"
        "from izzati import Backend\n"
        "def serve():\n"
        "    Backend(lambda text, data: {}).run('127.0.0.1', 0)\n"
        "process = multiprocessing.get_context('fork').Process(target=serve, daemon=True)\n"
        "process.start()\n"
        "process.join()\n"
    )
    answer = program.request()
    assert (answer.status, answer.headers["Server"]) == (200, None)
    assert "granian does not serve, since this process is a daemonic one" in program.log


def test_a_server_that_is_made_in_the_main_thread_and_told_to_serve_in_another_says_what_to_do():
    server = Granian().izzati_serve(print, Listen("127.0.0.1", 0))

    def serve():
        with pytest.raises(RuntimeError, match="call serve\\(\\) there, or leave it to the built-in server"):
            server.serve()
        return True

    assert in_a_thread(serve)


def test_a_server_that_is_stopped_before_it_serves_does_not_serve():
    server = Granian().izzati_serve(print, Listen("127.0.0.1", 0))
    called = []
    server.stop()
    server.serve(lambda: called.append(True))
    assert called == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("workers", 0),
        ("workers", 1.5),
        ("workers", "2"),
        ("blocking_threads", 0),
        ("backlog", 127),
        ("grace_seconds", 0),
        ("grace_seconds", float("inf")),
        ("grace_seconds", float("nan")),
        ("grace_seconds", None),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_name(option, value):
    with pytest.raises(ValueError, match=f"^granian: {option} is a "):
        Granian(**{option: value})


def test_a_backend_takes_the_options_from_the_environment(monkeypatch):
    monkeypatch.setenv("IZZATI_GRANIAN_WORKERS", "0")
    with pytest.raises(Exception, match="granian: workers is a whole number from 1, not 0"):
        Backend(print, only=["granian"])
