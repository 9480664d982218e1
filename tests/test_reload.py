"""``izzati run --reload``: a program that is started again when its files change, and ends with its supervisor."""

from __future__ import annotations

import contextlib
import http.client
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import SECONDS, gone, within

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these tests send signals, and use named pipes")

HELLO = "def callback(text, data):\n    return 1\n"
# Tells which start this is, and whether work of another one is still there.
BACKGROUND = """
import os, signal
from izzati import background

def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False

def work(q, handler):
    signal.signal(signal.SIGTERM, handler)
    with open("pids.txt", "a+") as file:
        file.seek(0)
        others = file.read().split()
        print(os.getpid(), file=file)
    says = "not alone" if any(map(is_there, others)) else "alone"
    os.write(1, f"{len(others) + 1} {says}\\n".encode())  # in one piece, beside what others print
    while True:
        q.get()

def go_on(number, frame):
    pass

background(work, (signal.SIG_DFL,))
"""
# Does not end when it is told to, so whoever does not wait for its end finds it.
STUBBORN = BACKGROUND.replace("SIG_DFL", "SIG_IGN").replace("signal.SIG_IGN,", "go_on,")
# Whoever can open the pipe for writing knows that a request is under way; it ends when the pipe is closed.
IN_FLIGHT = 'def callback(text, data):\n    with open("pipe") as pipe:\n        return pipe.read() or "done"\n'

# Is not loaded before a signal comes.
SLOW_PLUGIN = """
import signal
from izzati import Backend, Claims, hookimpl

class Slow:
    @hookimpl
    def izzati_claims(self):
        print("begun", flush=True)
        signal.pause()
        return Claims()

backend = Backend(lambda text, data: 1, plugins=[Slow()], strict=False)
"""


class Program:
    """``izzati run --reload app.py``, and what it says."""

    def __init__(self, folder, *options, wrapper=(), file="app.py", **more):
        command = [sys.executable, "-W", "error", "-m", "izzati", "run", *options]
        if "--host" not in options:
            command += ["--host", "127.0.0.1"]
        if "--port" not in options:
            command += ["--port", "0"]
        environment = {**os.environ, **more.pop("environment", {})}
        self.folder = folder
        self.process = subprocess.Popen(
            [*wrapper, *command, file],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            **more,
        )
        self._deadline = threading.Timer(3 * SECONDS, self.process.kill)
        self._deadline.start()
        self.port = None

    def until(self, pattern):
        """Read what it says up to the first line that matches, and give all of it; ``port`` is known from then on."""
        said = ""
        for line in self.process.stderr:
            said += line
            told = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if told:
                self.port = int(told[1])
            if re.search(pattern, line):
                return said
        raise AssertionError(f"it never said {pattern!r}, but: {said}")

    def line(self):
        """The next line of its stdout."""
        line = self.process.stdout.readline()
        assert line, f"it ended before it printed a line: {self.process.wait(SECONDS)}, {self.process.stderr.read()}"
        return line

    def until_it_serves(self):
        return self.until(r"^Ctrl-C stops it\.$")

    def until_it_serves_again(self):
        return self.until(r"^izzati serves again: http://127\.0\.0\.1:\d+$")

    def post(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3 * SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", "/")
            return connection.getresponse().read().decode()

    def accepts(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def end(self, number=None):
        """Its exit code and the rest of what it says, once nothing that it has started holds its pipes any more."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=3 * SECONDS)
        self._deadline.cancel()
        return self.process.returncode, out, re.sub(r"(?m)^\d\d:\d\d:\d\d POST .*\n", "", err)

    def close(self):
        self._deadline.cancel()
        self.process.kill()
        self.process.communicate()  # its program ends with it


@pytest.fixture
def start(tmp_path):
    """``start()``: run the file app.py of the test's folder with ``--reload``."""
    programs = []

    def run(*options, **more):
        programs.append(Program(tmp_path, "--reload", *options, **more))
        return programs[-1]

    yield run
    for program in programs:
        program.close()


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_text(content)
        new.replace(path)  # in one step, as editors do, so that it is one change

    return write


class TestChanges:
    def test_a_changed_file_is_served_anew_and_told_in_two_lines(self, start, write):
        write("app.py", HELLO)
        program = start()
        assert program.until_it_serves().startswith("izzati serves / (callback)\n")
        assert program.post() == "1"
        write("app.py", HELLO.replace("1", "2"))
        said = program.until_it_serves_again().splitlines()
        assert said[-2:] == ["izzati: app.py has changed", f"izzati serves again: http://127.0.0.1:{program.port}"]
        assert program.post() == "2"
        assert program.end(signal.SIGINT) == (0, "", "")

    def test_that_the_door_is_open_is_said_each_time(self, start, write):
        write("app.py", HELLO)
        program = start("--host", "")
        assert "Anyone on the network may call it" in program.until_it_serves()
        write("app.py", HELLO.replace("1", "2"))
        program.until(r"^izzati serves again: http://127\.0\.0\.1:\d+\b")
        program.until(r"^Anyone on the network may call it")

    def test_modules_and_the_options_count_and_other_files_do_not(self, start, write):
        write("lib/greet.py", "WORD = 1")
        write("app.py", "from lib.greet import WORD\n\n\ndef callback(text, data):\n    return WORD\n")
        program = start()
        program.until_it_serves()
        write("notes.txt", "x")
        write(".venv/lib/x.py", "x")
        write("lib/__pycache__/x.py", "x")
        write("lib/greet.py", "WORD = 23")
        assert program.until_it_serves_again().splitlines()[0] == "izzati: lib/greet.py has changed"
        assert program.post() == "23"
        write("izzati.toml", "[logs]\nrequests = false\n")
        program.until(r"^izzati: izzati\.toml has changed$")
        program.until_it_serves_again()
        (program.folder / "lib/greet.py").unlink()
        program.until(r"^izzati: lib/greet\.py has changed$")
        program.until("ModuleNotFoundError")

    def test_the_file_that_izzati_config_names_counts(self, start, write):
        write("app.py", HELLO)
        write("our.toml", "")
        program = start(environment={"IZZATI_CONFIG": "our.toml"})
        program.until_it_serves()
        write("izzati.toml", "")
        write("our.toml", "[logs]\nrequests = false\n")
        assert program.until_it_serves_again().splitlines()[0] == "izzati: our.toml has changed"

    def test_a_program_in_a_folder_that_is_usually_left_out_is_watched(self, start, write, tmp_path):
        write(".venv/naïve 写真", HELLO)
        program = start(file=".venv/naïve 写真:callback")
        program.until_it_serves()
        write(".venv/naïve 写真", HELLO.replace("1", "2"))
        assert program.until_it_serves_again().splitlines()[0] == "izzati: naïve 写真 has changed"
        assert program.post() == "2"

    def test_a_file_whose_name_is_no_utf_8_stops_nothing(self, start, write):
        write("app.py", HELLO)
        program = start()
        program.until_it_serves()
        with open(os.path.join(os.fsencode(program.folder), b"\xff.txt"), "wb"):
            pass

        def serves_anew():
            write("app.py", HELLO.replace("1", "2"))  # more than once, since one may come while it looks away
            return program.post() == "2"

        with contextlib.suppress(OSError):  # the program may end between an answer and the next
            assert within(SECONDS, serves_anew)
        program.until("app.py has changed")

    def test_a_program_that_serves_in_the_background_starts_again(self, start, write):
        text = "from izzati import Backend\n\nbackend = Backend(lambda q, text, data: 1, background=True)\n"
        write("app.py", text)
        program = start()
        program.until_it_serves()
        write("app.py", text.replace("1", "2"))
        program.until_it_serves_again()
        assert program.post() == "2"
        assert program.end(signal.SIGTERM) == (0, "", "")

    def test_without_the_flag_the_program_is_the_process_that_was_started(self, tmp_path, write):
        write("app.py", "import os\n\n\ndef callback(text, data):\n    return os.getppid()\n")
        program = Program(tmp_path)
        try:
            program.until_it_serves()
            assert program.post() == str(os.getpid())
            assert program.end(signal.SIGINT) == (0, "", "")
        finally:
            program.close()


class TestFailures:
    def test_a_broken_file_is_told_as_always_and_served_when_it_is_mended(self, start, write):
        failed = r"^izzati: app\.py has failed; it starts again when a file changes$"
        write("app.py", "def callback(:\n")
        program = start()
        assert "SyntaxError: " in program.until(failed)
        write("app.py", "1 / 0\n")
        assert "ZeroDivisionError: " in program.until(failed)
        write("app.py", "x = 1\n")
        assert "izzati: app.py defines no Backend, and no function" in program.until(failed)
        write("app.py", HELLO)
        assert "izzati serves / (callback)" in program.until_it_serves()  # all of it: nobody has read it yet
        assert program.post() == "1"
        write("app.py", "def callback(:\n")
        assert "SyntaxError: " in program.until(failed)
        write("app.py", HELLO)
        program.until_it_serves_again()
        assert program.end(signal.SIGTERM) == (0, "", "")

    def test_a_port_that_is_taken_is_told_and_tried_again_after_the_next_change(self, start, write):
        write("app.py", HELLO)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            program = start("--port", str(sock.getsockname()[1]))
            assert f"izzati: port {sock.getsockname()[1]} is in use" in program.until("has failed")
        write("app.py", HELLO)
        program.until_it_serves()
        assert program.post() == "1"

    def test_a_file_that_is_not_there_is_refused_at_once(self, start):
        assert start().end() == (1, "", "izzati: app.py: No such file or directory\n")

    def test_without_watchfiles_it_says_what_to_install(self, start, write, tmp_path):
        write("app.py", HELLO)
        write("site/watchfiles.py", "raise ModuleNotFoundError")
        code, out, err = start(environment={"PYTHONPATH": str(tmp_path / "site")}).end()
        assert (code, out) == (1, "")
        assert re.fullmatch(r"izzati: [^\n]*pip install '\.\[reload\]'\n", err)


class TestBackground:
    def test_work_is_started_once_a_start_and_the_old_is_gone_before(self, start, write):
        write("app.py", BACKGROUND + HELLO)
        program = start()
        program.until_it_serves()
        assert program.line() == "1 alone\n"
        write("app.py", BACKGROUND + HELLO + "\n")
        program.until_it_serves_again()
        assert program.line() == "2 alone\n"
        assert program.end(signal.SIGINT) == (0, "", "")

    @pytest.mark.parametrize("code", ["signal.pause()", "os.abort()"], ids=["not yet serving", "crashed"])
    def test_the_old_is_gone_even_if_the_program_did_not_end_as_it_should(self, start, write, code):
        write("app.py", STUBBORN + code)
        program = start()
        assert program.line() == "1 alone\n"
        write("app.py", BACKGROUND + HELLO)
        assert "busy" not in program.until("serves")
        assert program.line() == "2 alone\n"

    @pytest.mark.parametrize("code", [HELLO, "signal.pause()"], ids=["serving", "not yet serving"])
    def test_a_killed_supervisor_leaves_nothing_behind(self, start, write, code):
        write("app.py", f"{BACKGROUND}\n{code}")
        program = start()
        assert program.line() == "1 alone\n"
        assert program.end(signal.SIGKILL)[:2] == (-signal.SIGKILL, "")
        pid = int((program.folder / "pids.txt").read_text())
        assert within(SECONDS, lambda: gone(pid))


@pytest.fixture
def request_in_flight(tmp_path, pool):
    """``with request_in_flight(program) as (answer, finish)``: a request whose callback goes on until it is told."""
    os.mkfifo(tmp_path / "pipe")

    @contextlib.contextmanager
    def send(program):
        ends = []

        def reader_is_there():
            with contextlib.suppress(OSError):
                ends.append(os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK))
            return ends

        answer = pool.submit(program.post)
        assert within(SECONDS, reader_is_there)
        try:
            yield answer, lambda: os.close(ends.pop())
        finally:
            for end in ends:
                os.close(end)

    return send


@pytest.fixture
def pool():
    with ThreadPoolExecutor() as pool:
        yield pool


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_both_once_the_requests_in_flight_are_answered(self, start, write, request_in_flight, number):
        write("app.py", IN_FLIGHT)
        program = start()
        program.until_it_serves()
        with request_in_flight(program) as (answer, finish):
            program.process.send_signal(number)
            assert within(SECONDS, lambda: not program.accepts())
            finish()
        assert answer.result() == '"done"'
        assert program.end() == (0, "", "")

    def test_ctrl_c_at_a_terminal_does_not_count_twice(self, start, write, request_in_flight):
        write("app.py", IN_FLIGHT)
        terminal, of_program = pty.openpty()
        # The first terminal that the leader of a session opens is the one whose Ctrl-C it gets.
        code = "import os, sys; os.open(sys.argv[1], os.O_RDWR); os.execv(sys.argv[2], sys.argv[2:])"
        wrapper = [sys.executable, "-c", code, os.ttyname(of_program)]
        try:
            program = start(wrapper=wrapper, start_new_session=True)
            program.until_it_serves()
            with request_in_flight(program) as (answer, finish):
                os.write(terminal, termios.tcgetattr(terminal)[6][termios.VINTR])
                assert within(SECONDS, lambda: not program.accepts())
                finish()
            assert answer.result() == '"done"'
            assert program.end() == (0, "", "")
        finally:
            os.close(terminal)
            os.close(of_program)

    def test_a_change_waits_for_the_requests_in_flight(self, start, write, request_in_flight):
        write("app.py", IN_FLIGHT)
        program = start()
        program.until_it_serves()
        with request_in_flight(program) as (answer, finish):
            write("app.py", HELLO)
            assert within(SECONDS, lambda: not program.accepts())
            finish()
        assert answer.result() == '"done"'
        program.until_it_serves_again()
        assert program.post() == "1"

    def test_but_not_for_ever_and_not_for_a_program_that_will_not_end(self, start, write, request_in_flight):
        write("app.py", IN_FLIGHT)
        ignores = "for number in (signal.SIGINT, signal.SIGTERM):\n    signal.signal(number, signal.SIG_IGN)\n"
        write("stubborn/app.py", f"{STUBBORN}\n{ignores}\nos.write(1, b'now\\n')\nsignal.pause()")
        stubborn = start(file="stubborn/app.py")
        assert {stubborn.line() for _ in range(2)} == {"1 alone\n", "now\n"}
        write("stubborn/app.py", f"{BACKGROUND}\n{HELLO}")
        program = start()
        program.until_it_serves()
        with request_in_flight(program) as (answer, _):
            write("app.py", HELLO)
            program.until(r"^izzati: the program is still busy after 5 seconds, and is cut off$")
            program.until_it_serves_again()
            assert program.post() == "1"
        with pytest.raises((OSError, http.client.HTTPException)):
            answer.result()
        stubborn.until_it_serves_again()
        assert stubborn.line() == "2 alone\n"

    def test_a_program_that_ends_by_itself_with_success_ends_the_supervisor(self, start, write):
        write("app.py", "print('done')\nraise SystemExit\n")
        assert start().end() == (0, "done\n", "")

    def test_a_program_that_has_failed_already_is_not_waited_for(self, start, write):
        write("app.py", "raise SystemExit(3)\n")
        program = start()
        program.until("has failed")
        assert program.end(signal.SIGINT) == (3, "", "")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_program_that_does_not_serve_yet_ends_as_without_reload(self, start, write, number):
        write("app.py", "import signal\n\nprint('begun', flush=True)\nsignal.pause()\n")
        program = start()
        assert program.line() == "begun\n"
        assert program.end(number) == (128 + number, "", "")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_while_plugins_are_loaded_is_no_fault_of_a_plugin(self, start, write, number):
        write("app.py", SLOW_PLUGIN)
        program = start()
        assert program.line() == "begun\n"
        assert program.end(number) == (128 + number, "", "")
