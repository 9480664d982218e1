"""Background execution: real processes, ended in every way that a process can end."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers import gone, within

from izzati import Backend, BackgroundError, CallbackError, background
from izzati.builtin.processes import Processes

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these tests look into /proc and send signals")

START = """
import multiprocessing, os, signal, subprocess, sys, threading, time, urllib.request
from izzati import Backend, background

def post(port, query=""):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/?{query}", data=b"", timeout=20).read().decode()

def free_port():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]
"""
METHODS = ["fork", "spawn", "forkserver"]
MISTAKEN = (
    "the background work named 'the worker' runs __main__.worker, not __main__.other: "
    "choose another name, or end that one first"
)


class Program:
    """A script in a process of its own; warnings are errors there, too."""

    def __init__(self, path, method):
        command = [sys.executable, "-W", "error", path, *([method] if method else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        """What it printed, to stdout and stderr, until it ended by itself."""
        return self.process.communicate(timeout=60)


@pytest.fixture
def run(tmp_path):
    """``run(code, method)``: start a script whose start method is the given one, or the default."""
    programs = []

    def start(code, method=None, *, start=START):
        path = tmp_path / f"program{len(programs)}.py"
        setter = "    multiprocessing.set_start_method(sys.argv[1])\n" if method else ""
        code = textwrap.dedent(code).replace('if __name__ == "__main__":\n', f'if __name__ == "__main__":\n{setter}')
        path.write_text(start + code)
        programs.append(Program(path, method))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.communicate()


def output(program):
    out, err = program.end()
    assert program.process.returncode == 0, err
    return out.split("\n")[:-1], err


def can_bind(port):
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


@pytest.mark.parametrize("method", METHODS)
class TestEveryStartMethod:
    def test_a_function_runs_beside_the_program_with_its_queue_first(self, run, method):
        program = run(
            """
            def worker(q, back, greeting, name="nobody"):
                back.put((greeting, name, q.get(), os.getpid()))

            def nothing(q): pass

            if __name__ == "__main__":
                _, back = background(nothing)
                p, q = background(worker, (back, "Hello"), {"name": "Rex"})
                q.put({"nested": [1, None]})
                greeting, name, item, pid = back.get(timeout=20)
                print(greeting, name, item, pid == p.pid, isinstance(p, multiprocessing.process.BaseProcess))
                p.join(20)
                print(p.exitcode, p.is_alive())
            """,
            method,
        )
        assert output(program)[0] == ["Hello Rex {'nested': [1, None]} True True", "0 False"]

    def test_the_server_in_the_background_answers_as_soon_as_run_returns(self, run, method):
        program = run(
            """
            def worker(q, back):
                while True:
                    back.put(("worker", q.get()))

            def callback(webq, text, data, q, extra):
                q.put(text)
                webq.put(("web", os.getpid()))
                return {"status": extra}

            def nothing(q): pass

            if __name__ == "__main__":
                port = free_port()
                _, back = background(nothing)
                _, q = background(worker, args=(back,))
                p, webq = Backend(callback, args=(q,), kwargs={"extra": "OK"}, background=True).run("127.0.0.1", port)
                print(post(port, "a=1"), back.get(timeout=20), webq.get(timeout=20) == ("web", p.pid))
                p.terminate()
                p.join(20)
                print(p.exitcode)
            """,
            method,
        )
        out, err = output(program)
        assert out == ["""{"status":"OK"} ('worker', {'a': '1'}) True""", "0"]
        assert err.startswith("izzati serves / (callback)\n")

    def test_a_port_that_is_taken_is_an_error_for_the_caller_that_names_the_holder(self, run, method):
        program = run(
            """
            def callback(q, text, data): pass

            if __name__ == "__main__":
                import socket
                with socket.create_server(("127.0.0.1", 0)) as sock:
                    port = sock.getsockname()[1]
                    try:
                        Backend(callback, background=True).run("127.0.0.1", port)
                    except OSError as error:
                        print(str(os.getpid()) in str(error), f"such as {port + 1}" in str(error))
            """,
            method,
        )
        assert output(program)[0] == ["True True"]

    @pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL", "exception", "last line", "exit"])
    def test_no_process_is_left_however_the_program_ends(self, run, method, ending):
        program = run(
            """
            def grandchild(q, back):
                back.put(os.getpid())
                while True:
                    time.sleep(60)

            def worker(q, back):
                sleeper = subprocess.Popen(["sleep", "600"])
                background(grandchild, args=(back,))
                back.put(sleeper.pid)
                back.put(os.getpid())
                while True:
                    q.get()

            def supervised(q, back):
                back.put(os.getpid())
                while True:
                    q.get()

            def callback(q, text, data): pass

            def nothing(q): pass

            if __name__ == "__main__":
                port = free_port()
                _, back = background(nothing)
                p, _ = background(worker, args=(back,))
                r, _ = background(supervised, args=(back,), restart=True)
                s, _ = Backend(callback, background=True).run("127.0.0.1", port)
                print(port, p.pid, r.pid, s.pid, *(back.get(timeout=20) for _ in range(4)), flush=True)
                ending = sys.stdin.readline().strip()
                if ending == "exception":
                    raise ZeroDivisionError
                if ending == "exit":
                    sys.exit(3)
                if ending == "last line":
                    print("the last line")
                else:
                    time.sleep(60)
            """,
            method,
        )
        port, *pids = map(int, program.line().split())
        assert len(set(pids)) == 6  # worker and server are named twice
        assert not any(gone(pid) for pid in pids)
        if ending.startswith("SIG"):
            program.process.send_signal(getattr(signal, ending))
        else:
            program.process.stdin.write(f"{ending}\n")
        assert within(3, lambda: all(gone(pid) for pid in pids)), [pid for pid in pids if not gone(pid)]
        assert within(3, lambda: can_bind(port))
        assert (
            program.process.wait(timeout=3)
            == {
                "SIGTERM": -signal.SIGTERM,
                "SIGKILL": -signal.SIGKILL,
                "exception": 1,
                "last line": 0,
                "exit": 3,
            }[ending]
        )

    def test_what_raises_is_logged_with_its_traceback_and_what_is_killed_with_its_signal(self, run, method):
        program = run(
            """
            def raises(q):
                raise ZeroDivisionError("on purpose")

            def sleeps(q):
                time.sleep(60)

            if __name__ == "__main__":
                p, _ = background(raises)
                p.join(20)
                k, _ = background(sleeps)
                os.kill(k.pid, signal.SIGKILL)
                k.join(20)
                asked, _ = background(sleeps)
                asked.kill()
                asked.join(20)
                print(p.exitcode, k.exitcode, asked.exitcode)
            """,
            method,
        )
        out, err = output(program)
        assert out == ["1 -9 -9"]
        assert re.search(r"the background process raises \(\d+\) raised\nTraceback", err)
        assert "ZeroDivisionError: on purpose" in err
        assert len(re.findall(r"the background process sleeps \(\d+\) was killed by SIGKILL", err)) == 1

    def test_restart_starts_it_again_with_its_queue(self, run, method):
        program = run(
            """
            def worker(q, back):
                while True:
                    item = q.get()
                    back.put((item, os.getpid()))
                    if item == "raise":
                        raise ZeroDivisionError
                    if item == "kill":
                        os.kill(os.getpid(), signal.SIGKILL)
                    if item == "return":
                        return

            def nothing(q): pass

            if __name__ == "__main__":
                _, back = background(nothing)
                p, q = background(worker, args=(back,), restart=True)
                for item in ("raise", "kept", "kill", "kept", "return"):
                    q.put(item)
                got = [back.get(timeout=20) for _ in range(5)]
                p.join(20)
                print([item for item, _ in got], len({pid for _, pid in got}), p.exitcode)
            """,
            method,
        )
        out, err = output(program)
        assert out == ["['raise', 'kept', 'kill', 'kept', 'return'] 3 0"]
        assert "starts again in 0.1 s" in err
        assert "starts again in 0.2 s" in err

    def test_one_whose_exit_code_the_program_has_thrown_away_is_known_to_have_ended(self, run, method):
        program = run(
            """
            def worker(q):
                q.get()

            if __name__ == "__main__":
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                p, q = background(worker)
                q.put(None)
                p.join(20)
                print(p.is_alive(), p.exitcode)
            """,
            method,
        )
        assert output(program)[0] == ["False 0" if method == "forkserver" else "False 255"]

    @pytest.mark.parametrize("end", ["terminate", "kill"])
    def test_a_restarting_one_can_be_ended(self, run, method, end):
        program = run(
            f"""
            def worker(q, back):
                back.put(os.getpid())
                time.sleep(60)

            def nothing(q): pass

            if __name__ == "__main__":
                _, back = background(nothing)
                p, q = background(worker, args=(back,), restart=True)
                print(p.pid, back.get(timeout=20), flush=True)
                p.{end}()
                p.join(20)
                print(p.exitcode, flush=True)
                sys.stdin.readline()
            """,
            method,
        )
        pids = program.line().split()
        assert program.line() == str(-getattr(signal, {"terminate": "SIGTERM", "kill": "SIGKILL"}[end]))
        assert within(3, lambda: all(gone(pid) for pid in pids))

    def test_a_name_finds_the_running_one_anywhere_in_the_tree(self, run, method):
        program = run(
            """
            def worker(q, back):
                while True:
                    back.put((q.get(), os.getpid()))

            def asks(q, back):
                p, named = background(worker, args=(back,), name="the worker")
                named.put("from below")
                back.put(("found", p.pid))
                back.put(("alive", p.is_alive()))
                q.get()
                p.terminate()
                p.join(20)
                back.put(("alive", p.is_alive()))

            def other(q): pass

            if __name__ == "__main__":
                _, back = background(other)
                a, aq = background(asks, args=(back,))        # starts it
                first = dict(back.get(timeout=20) for _ in range(3))
                p, q = background(worker, args=(back,), name="the worker")
                q.put("from above")
                print(sorted(first), first["found"] == p.pid, back.get(timeout=20) == ("from above", p.pid))
                b, bq = background(asks, args=(back,))        # finds it from a sibling
                print(dict(back.get(timeout=20) for _ in range(3)) == first)
                try:
                    background(other, name="the worker")
                except ValueError as error:
                    print(error)
                bq.put("end it")
                print(back.get(timeout=20))
                p.join(20)
                again, _ = background(worker, args=(back,), name="the worker")
                same, _ = background(worker, args=(back,), name="the worker")
                print(again.pid != p.pid, same is again)
            """,
            method,
        )
        assert output(program)[0] == [
            "['alive', 'found', 'from below'] True True",
            "True",
            MISTAKEN,
            "('alive', False)",
            "True True",
        ]

    def test_children_reset_the_programs_signal_handlers(self, run, method):
        program = run(
            """
            def worker(q):
                q.put([str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGUSR1)])
                q.put(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

            if __name__ == "__main__":
                for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
                    signal.signal(number, lambda *_: print("the program's handler"))
                p, q = background(worker)
                p.join(20)
                print(q.get(timeout=20), q.get(timeout=20))
            """,
            method,
        )
        assert output(program)[0] == ["['0', '0'] True"] or output(program)[0][0].count("SIG_DFL") == 2

    def test_a_child_started_by_a_callback_keeps_none_of_the_servers_sockets(self, run, method):
        program = run(
            """
            def worker(q):
                import socket
                found = []
                for name in os.listdir("/proc/self/fd"):
                    try:
                        copy = socket.socket(fileno=os.dup(int(name)))
                    except OSError:
                        continue
                    with copy:
                        if copy.family in (socket.AF_INET, socket.AF_INET6):
                            found.append(str(copy))
                q.put(found)

            def callback(webq, text, data):
                p, q = background(worker)
                found = q.get(timeout=20)
                p.join(20)
                return found

            if __name__ == "__main__":
                port = free_port()
                Backend(callback, background=True).run("127.0.0.1", port)
                print(post(port))
            """,
            method,
        )
        assert output(program)[0] == ["[]"]


class TestWhatSpawnNeeds:
    def test_a_callback_that_cannot_be_pickled_is_named(self, run):
        program = run(
            """
            if __name__ == "__main__":
                def inner(q, text, data): pass
                def make():
                    def hidden(q, text, data): pass
                    return hidden
                for callback in (lambda q, text, data: None, make()):
                    try:
                        Backend(callback, background=True).run("127.0.0.1", 0)
                    except RuntimeError as error:
                        print("lambda" in str(error) or "hidden" in str(error), "top of a module" in str(error))
                try:
                    background(make())
                except RuntimeError as error:
                    print("hidden" in str(error), "spawn" in str(error))
            """.replace("def hidden(q, text, data)", "def hidden(q, text=None, data=None)"),
            "spawn",
        )
        assert output(program)[0] == ["True True", "True True", "True True"]

    UNGUARDED = """
        multiprocessing.set_start_method(sys.argv[1], force=True)

        def greeter(q, greeting):
            while True:
                print(greeting + ", " + q.get(), flush=True)

        def callback(text, data, q):
            q.put(text["name"])
            return {"status": "OK"}

        port = int(os.environ["PORT"])
        p, q = background(greeter, args=("Hello",))
        b = Backend(callback, args=(q,))
        b.run("127.0.0.1", port)
        """

    @pytest.mark.parametrize("method", METHODS)
    def test_a_script_without_a_guard_that_ends_with_run_works_as_written(self, run, method, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        program = run(self.UNGUARDED, method)
        until_it_serves(program)
        assert post(port, "/?name=Rex") == (200, b'{"status":"OK"}')
        assert program.line() == "Hello, Rex"
        program.process.send_signal(signal.SIGINT)
        out, err = program.end()
        assert (out, program.process.returncode) == ("", 0)
        assert re.fullmatch(r"[\d:]+ POST / 200 [\d.]+ ms 127\.0\.0\.1\n", err)

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_one_with_lines_after_run_is_told_what_to_change_and_runs_none_of_them_twice(
        self, run, method, monkeypatch
    ):
        monkeypatch.setenv("PORT", "0")
        script = textwrap.dedent(self.UNGUARDED).replace("def callback(text", "def callback(webq, text")
        script = script.replace("args=(q,))", "args=(q,), background=True)") + 'print("after", flush=True)\n'
        out, err = run(script, method).end()
        assert 'if __name__ == "__main__":' in err
        assert out.count("after") <= 1

    def test_the_inert_queue_of_an_imported_script_gives_nothing_and_says_why(self, run):
        program = run(
            """
            multiprocessing.set_start_method(sys.argv[1], force=True)

            def worker(q): pass

            p, q = background(worker)
            q.put(1)
            q.put_nowait(1)
            assert p.pid is None or p.pid > 0
            if p.pid is None:
                assert (p.is_alive(), p.join(), p.terminate(), p.kill(), p.exitcode) == (False, None, None, None, None)
                assert (q.qsize(), q.empty(), q.full()) == (0, True, False)
                q.close(), q.join_thread(), q.cancel_join_thread()
                for get in (q.get, q.get_nowait):
                    try:
                        get()
                    except RuntimeError as error:
                        print(error, file=sys.stderr)
            else:
                p.join(20)
                print(p.exitcode)
            """,
            "spawn",
        )
        out, err = output(program)
        assert out == ["0"]
        assert err.count('if __name__ == "__main__":') == 2


class TestTheDefault:
    def test_with_one_thread_it_forks_so_that_any_function_will_do(self, run):
        program = run(
            """
            if __name__ == "__main__":
                held = []
                p, q = background(lambda q: q.put(held))
                r, s = background(lambda q: q.put(held))
                print(type(p).__name__, type(r).__name__, q.get(timeout=20), s.get(timeout=20))
            """
        )
        assert output(program)[0] == ["ForkBackgroundProcess ForkBackgroundProcess [] []"]

    def test_with_threads_it_asks_the_fork_server_and_forks_what_cannot_be_pickled_with_a_line_in_the_log(self, run):
        program = run(
            """
            import logging

            def worker(q): q.put("ran")

            if __name__ == "__main__":
                logging.basicConfig(level=logging.INFO)
                end = threading.Event()
                threading.Thread(target=end.wait).start()
                p, q = background(worker)
                r, s = background(lambda q: q.put("ran"))
                print(type(p).__name__, q.get(timeout=20), type(r).__name__, s.get(timeout=20))
                end.set()
            """
        )
        out, err = output(program)
        assert out == ["ForkserverBackgroundProcess ran ForkBackgroundProcess ran"]
        assert err.count("is forked although this process has threads") == 1

    def test_a_programs_own_forks_meet_no_thread_of_ours(self, run):
        program = run(
            """
            def sleeps(q): time.sleep(60)

            if __name__ == "__main__":
                p, q = background(sleeps)
                for _ in range(3):
                    pid = os.fork()                   # Python 3.12 and later warn if there is a thread
                    if pid == 0:
                        os._exit(len(os.listdir("/proc/self/task")))
                    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.kill(p.pid, signal.SIGKILL)        # still watched after the forks
                p.join(20)
                print(p.exitcode)
            """
        )
        out, err = output(program)
        assert out == ["1", "1", "1", "-9"]
        assert "was killed by SIGKILL" in err

    def test_children_of_a_server_process_choose_for_themselves(self, run):
        program = run(
            """
            def worker(q): q.put(type(multiprocessing.current_process()).__name__)

            def callback(webq, text, data):
                p, q = background(worker)
                return q.get(timeout=20)

            if __name__ == "__main__":
                port = free_port()
                Backend(callback, background=True).run("127.0.0.1", port)
                print(post(port))
            """
        )
        assert output(program)[0] == ['"ForkserverBackgroundProcess"']


class TestRefusals:
    @pytest.mark.parametrize(
        ("target", "arguments", "sentence"),
        [
            (lambda: None, {}, r"def callback\(q\)"),
            (lambda q: None, {"args": (1,)}, r"def callback\(q, arg1\)"),
            (lambda q, greeting: None, {"kwargs": {"gretting": 1}}, r"def callback\(q, gretting\)"),
            (3, {}, "not 3"),
        ],
    )
    def test_a_function_that_cannot_take_its_arguments_is_told_the_signature(self, target, arguments, sentence):
        with pytest.raises(CallbackError, match=sentence):
            background(target, **arguments)

    def test_an_async_function_is_refused(self):
        async def work(q):
            pass

        with pytest.raises(CallbackError, match="write def, not async def"):
            background(work)

    def test_an_unknown_start_method_is_refused(self):
        with pytest.raises(ValueError, match="start_method='thread' is none of fork, spawn, forkserver"):
            Processes(start_method="thread")

    def test_a_backend_that_blocks_processes_cannot_serve_in_the_background(self):
        with pytest.raises(BackgroundError, match="no plugin runs background work"):
            Backend(lambda q, text, data: {}, background=True, block=["processes"]).run()

    def test_a_backend_with_a_queue_must_be_served_by_run_and_says_what_else_to_do(self):
        backend = Backend(lambda q, text, data: {}, background=True)
        with pytest.raises(
            BackgroundError, match=r"background=True out, and .*: p, q = background\(function\); Backend"
        ):
            backend.listen("127.0.0.1", 0)

    def test_a_server_that_dies_before_it_serves_is_told_to_the_caller(self, run):
        program = run(
            """
            from izzati import hookimpl

            class Dies:
                @hookimpl
                def izzati_serve(self, app, listen):
                    os.kill(os.getpid(), signal.SIGKILL)

            if __name__ == "__main__":
                try:
                    Backend(lambda q, text, data: {}, background=True, plugins=[Dies()]).run()
                except RuntimeError as error:
                    print(error)
            """
        )
        assert output(program)[0] == ["the server ended with exit code -9 before it served: see the log"]


def until_it_serves(program):
    for line in program.process.stderr:
        if line.startswith("Ctrl-C"):
            return
    pytest.fail("the program ended before it served")


def post(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.alone  # since it uses the port 5020
@pytest.mark.parametrize(
    ("example", "printed"),
    [
        ("background_server", ["{'name': 'Rex'}"]),
        ("background_process", ["Hello, Rex"]),
        ("background_both", ["Hello, Rex", "The server passed on {'name': 'Rex'}"]),
    ],
)
def test_an_example_runs_and_leaves_nothing(example, printed):
    command = [sys.executable, "-W", "error", ROOT / "examples" / f"{example}.py"]
    # Unbuffered, a line is written piece by piece, and those of two processes run into each other.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                if line.startswith("Ctrl-C"):
                    break
            assert post(5020, "/?name=Rex") == (200, b'{"status":"OK"}')
            assert sorted(process.stdout.readline().rstrip() for _ in printed) == printed
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert within(3, lambda: can_bind(5020))


def test_two_programs_do_not_share_names(run, monkeypatch):
    monkeypatch.delenv("_IZZATI_TREE", raising=False)
    code = """
        def worker(q): q.get()

        if __name__ == "__main__":
            p, _ = background(worker, name="same")
            print(p.pid, flush=True)
            sys.stdin.readline()
    """
    one, two = run(code), run(code)
    assert one.line() != two.line()
