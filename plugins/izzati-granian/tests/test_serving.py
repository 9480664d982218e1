"""What a program gets by installing the plugin."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import time

import pytest
from programs import SECONDS

RUN = '.run("127.0.0.1", 0)\n'
LAMBDA = f"from izzati import Backend\nBackend(lambda text, data: text){RUN}"


def is_by_granian(answer):
    return answer.headers["Server"] == "granian"


def test_a_lambda_is_served_without_a_word_about_it(start):
    answer = start(LAMBDA).request(b'{"name": "Rex"}', {"Content-Type": "application/json"})
    assert (answer.status, json.loads(answer.body)) == (200, {"name": "Rex"})
    assert is_by_granian(answer)


def test_a_post_without_a_body_reaches_the_callback(start):
    answer = start(LAMBDA).request(path="/?name=Rex")
    assert (answer.status, json.loads(answer.body)) == (200, {"name": "Rex"})


def test_in_the_background_the_program_goes_on_and_has_the_queue(start):
    program = start(
        "from izzati import Backend\n"
        "p, q = Backend(lambda q, text, data: q.put(text) or {}, background=True)" + RUN + "print(q.get())\n"
        "p.terminate()\n"
        "p.join()\n"
        "print(p.exitcode)\n"
    )
    assert is_by_granian(program.request(path="/?name=Rex"))
    assert program.ended() == 0, program.log
    assert program.process.stdout.read() == "{'name': 'Rex'}\n0\n"


def test_a_taken_port_is_raised_in_the_caller_of_a_server_in_the_background(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start(f"from izzati import Backend\nBackend(print, background=True).run('127.0.0.1', {port})\n")
        assert program.ended() == 1
    assert f"OSError: [Errno 98] port {port} is in use by another program" in program.log


def test_a_program_that_is_started_twice_does_not_share_its_port(start):
    first = start(LAMBDA)
    second = start(LAMBDA.replace("0)", f"{first.port})"))
    assert second.ended() == 1
    assert f"port {first.port} is in use" in second.log


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid"])
def test_a_host_that_is_not_this_machines_is_an_oserror_that_names_it(start, host):
    program = start(LAMBDA.replace("127.0.0.1", host))
    assert program.ended() == 1
    assert f"'{host}' is no address of this machine" in program.log


def test_every_interface_is_ipv4_and_ipv6_and_callers_have_their_usual_addresses(start):
    program = start("from izzati import Backend\nBackend(lambda text, data, *, request: request.address).run(port=0)\n")
    assert json.loads(program.request().body) == "127.0.0.1"
    assert json.loads(program.request(host="::1").body) == "::1"


def test_the_health_check_answers(start):
    assert start(LAMBDA).request(method="GET", path="/healthz").status == 200


def test_several_workers_answer(start):
    program = start(
        "import os\n"
        "from izzati import Backend\n"
        "def callback(text, data, *, request):\n"
        "    return [os.getpid(), request.environ['wsgi.multiprocess']]\n"
        "Backend(callback, options={'granian': {'workers': 2}})" + RUN
    )
    deadline, seen = time.monotonic() + SECONDS, set()
    while len(seen) < 2 and time.monotonic() < deadline:
        process, several = json.loads(program.request().body)
        assert several
        seen.add(process)
    assert len(seen) == 2
    assert program.process.pid not in seen
    program.process.terminate()
    assert program.ended() == 0


def test_a_worker_that_dies_is_replaced(start):
    program = start(
        "import os\n"
        "from izzati import Backend\n"
        "Backend({'/': lambda text, data: os.getpid(), '/die': lambda text, data: os._exit(7)})" + RUN
    )
    before = program.request().body
    with pytest.raises(OSError, match=r"without response|reset"):
        program.request(path="/die")
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            assert program.request().body != before
            break
        except ConnectionError:
            continue  # nobody listens yet
    else:
        pytest.fail("no other worker came")
    program.process.terminate()
    assert program.ended() == 0


def test_a_signal_of_a_forked_child_does_not_reach_the_worker(start):
    program = start(
        "import os, signal\n"
        "from izzati import Backend\n"
        "def callback(text, data):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    return os.getpid()\n"
        "Backend(callback)" + RUN,
        PYTHONWARNINGS="ignore:This process:DeprecationWarning",
    )
    first = program.request().body
    time.sleep(0.5)  # for what the signal must not do
    assert program.request().body == first


def test_workers_that_cannot_live_end_the_program_with_a_reason(start):
    program = start(
        "import os\n"
        "from izzati import Backend\n"
        "os.register_at_fork(after_in_child=lambda: os._exit(7))\n"
        "Backend(print)" + RUN
    )
    assert program.ended() == 1
    assert "end as soon as they have started" in program.log


def test_nothing_outlives_a_program_that_is_killed(start):
    program = start(LAMBDA.replace("text)", "text, options={'granian': {'workers': 2}})"))
    assert program.request().status == 200
    program.process.kill()
    assert program.ended() == -signal.SIGKILL


WAITING = (
    "import os, socket, sys\n"
    "from izzati import Backend\n"
    "def callback(text, data):\n"
    "    with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as test:\n"
    "        test.recv(1)\n"
    "Backend(callback, options={'granian': {'grace_seconds': float(sys.argv[2])}})" + RUN
)


@pytest.fixture
def in_flight(start):
    """A program of which a request is in flight, and the number of seconds that it may take at the end."""
    with socket.create_server(("127.0.0.1", 0)) as meeting, socket.socket() as caller:
        meeting.settimeout(SECONDS)

        def begin(grace):
            program = start(WAITING, str(meeting.getsockname()[1]), str(grace))
            caller.connect(("127.0.0.1", program.port))
            caller.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            begin.callback = meeting.accept()[0]
            return program

        yield begin
        begin.callback.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_another_thread_than_the_main_one_gets_ends_it_too(start, number):
    """The system may give it to any: to the first that wakes up, after the program was stopped and goes on."""
    program = start(LAMBDA)
    assert program.request().status == 200
    main = program.process.pid
    threads = map(int, os.listdir(f"/proc/{main}/task"))
    ctypes.CDLL(None).tgkill(main, next(thread for thread in threads if thread != main), number)
    assert program.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_wait_for_requests_in_flight(in_flight, number):
    program = in_flight(300)
    deadline = time.monotonic() + SECONDS
    program.process.send_signal(number)
    while time.monotonic() < deadline:  # until it has taken notice
        try:
            socket.create_connection(("127.0.0.1", program.port), SECONDS).close()
        except ConnectionError:
            break
    program.process.send_signal(number)
    assert program.ended() != 0


def test_a_request_that_takes_longer_than_its_grace_is_cut_off_and_the_log_says_so(in_flight):
    program = in_flight(0.2)
    program.process.terminate()
    assert program.ended() == 0
    assert "a request was still under way after 0.2 seconds, and was cut off" in program.log


def test_ctrl_c_reaches_all_processes_of_a_terminal_and_ends_them_with_code_0(start):
    program = start(LAMBDA)
    assert program.request().status == 200
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.ended() == 0


def test_a_start_method_that_the_program_chose_is_what_its_callbacks_get(start):
    program = start(
        "import multiprocessing\n"
        "from izzati import Backend\n"
        "multiprocessing.set_start_method('spawn')\n"
        "Backend(lambda text, data: multiprocessing.get_start_method())"
        + RUN
        + "print(multiprocessing.get_start_method())"
    )
    assert json.loads(program.request().body) == "spawn"
    program.process.terminate()
    assert program.ended() == 0
    assert program.process.stdout.read() == "spawn\n"


def test_a_programs_logging_stays_as_it_has_set_it_up(start, tmp_path):
    log = tmp_path / "log"
    program = start(
        "import logging, sys\n"
        "from izzati import Backend\n"
        "logging.basicConfig(filename=sys.argv[1], filemode='w')\n"
        "Backend(lambda text, data: logging.warning('hello') or {})" + RUN,
        str(log),
    )
    assert program.request().status == 200
    program.process.terminate()
    assert program.ended() == 0
    assert log.read_text() == "WARNING:root:hello\n"
    assert program.process.stdout.read() == ""


def test_variables_of_the_environment_are_not_taken_for_headers(start):
    program = start(
        "from izzati import Backend\nBackend(lambda text, data, *, request: dict(request.headers))" + RUN,
        HTTP_PROXY="http://proxy.example",
        CONTENT_TYPE="text/plain",
    )
    assert "Proxy" not in json.loads(program.request().body)
    assert "Content-Type" not in json.loads(program.request().body)
    assert json.loads(program.request(headers={"Proxy": "sent"}).body)["Proxy"] == "sent"


def test_what_a_caller_sends_arrives_byte_by_byte_line_by_line_and_in_one_piece(start):
    program = start(
        "from izzati import Backend, Route, hookimpl\n"
        "from werkzeug.wrappers import Response\n"
        "def answer(request):\n"
        "    body = request.environ['wsgi.input']\n"
        "    parts = [body.read(3), body.readline(), next(body), body.read(0), body.read(), body.read(-1)]\n"
        "    return Response(repr(parts))\n"
        "class Lines:\n"
        "    @hookimpl\n"
        "    def izzati_routes(self, backend):\n"
        "        return [Route('/lines', answer, methods=('POST',))]\n"
        "Backend(print, plugins=[Lines()])" + RUN
    )
    answer = program.request(b"abcd\nefg\n\nrest\nx", path="/lines")
    assert answer.body == repr([b"abc", b"d\n", b"efg\n", b"", b"\nrest\nx", b""]).encode()


LIMITED = (
    "from izzati import Backend, Limits\nBackend(lambda text, data: data[0].size, limits=Limits(body=100_000){})" + RUN
)


def test_a_body_without_a_declared_length_is_refused_unless_it_was_asked_for(start):
    answer = start(LIMITED.format("")).request(iter([b"abc"]), {"Content-Type": "image/png"}, chunked=True)
    assert answer.status == 411
    assert "Content-Length" in json.loads(answer.body)["detail"]


def test_the_backends_limit_holds_while_a_body_streams(start):
    program = start(LIMITED.format(", options={'granian': {'chunked': True}}"))
    headers = {"Content-Type": "image/png", "Transfer-Encoding": "chunked"}
    assert program.request(iter([bytes(100_000)]), headers, chunked=True).body == b"100000"
    answer = program.request(iter([bytes(1000)] * 200), headers, chunked=True)
    assert (answer.status, json.loads(answer.body)["limit"]) == (413, "body")


def test_a_declared_length_beyond_the_backends_limit_is_refused(start):
    answer = start(LIMITED.format("")).request(bytes(100_001), {"Content-Type": "image/png"})
    assert (answer.status, json.loads(answer.body)["limit"]) == (413, "body")


def test_after_a_refusal_the_connection_is_not_kept_busy_by_a_caller_who_sends_no_body(start):
    program = start(LIMITED.format(", options={'granian': {'blocking_threads': 1}}"))
    with socket.create_connection(("127.0.0.1", program.port), SECONDS) as caller:
        caller.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert caller.recv(12) == b"HTTP/1.1 404"
        assert program.request(b"abc", {"Content-Type": "image/png"}).status == 200
