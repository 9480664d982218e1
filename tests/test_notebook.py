"""Where an event loop runs already: in a coroutine, and in a notebook that Jupyter's own client executes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import socket
import subprocess
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path

import nbclient
import nbformat
import pytest
from helpers import SECONDS, gone, within

from izzati import Backend, BackgroundError, Problem, RunningServer, hookimpl

EXAMPLE = Path(__file__).parent.parent / "examples" / "notebook.ipynb"
HOST = "127.0.0.1"


def ask(port, path="/"):
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS)
    try:
        connection.request("POST", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


def free_port():
    with socket.create_server((HOST, 0)) as free:
        return free.getsockname()[1]


def serving(answer, **options):
    """A Backend that answers with this text, or of these functions."""
    return Backend((lambda text, data: answer) if isinstance(answer, str) else answer, only=(), **options)


@pytest.fixture
def in_a_loop():
    """``in_a_loop(function)`` calls it where an event loop runs; servers that it has started end with the test."""
    with contextlib.ExitStack() as stack:

        def call(function, *args):
            async def coroutine():
                return function(*args)

            result = asyncio.run(coroutine())
            if isinstance(result, RunningServer):
                stack.callback(result.stop)
            return result

        yield call


@pytest.fixture
def run(in_a_loop):
    """``run(backend, port)``: the server that ``Backend.run()`` gives where an event loop runs."""

    def start(backend, port=0, host=HOST):
        return in_a_loop(backend.run, host, port)

    return start


def named(text, data):
    return "first"


first = named


def named(text, data):  # as where a cell runs again
    return "second"


class TestInACoroutine:
    def test_run_returns_a_server_that_answers_beside_the_loop(self):
        async def main():
            server = serving("an answer").run(HOST, 0)
            try:
                return server, await asyncio.get_running_loop().run_in_executor(None, ask, server.address[1])
            finally:
                server.stop()

        server, answer = asyncio.run(main())
        assert (type(server), answer) == (RunningServer, '"an answer"')
        assert server.url == f"http://{HOST}:{server.address[1]}"
        assert refuses(server.address[1])

    def test_no_loop_runs_in_a_thread_of_its_own_so_run_waits_there(self, in_a_loop):
        class Server:
            address = (HOST, 1)

            def serve(self, ready):
                served.append(threading.current_thread())

            def stop(self):
                """It has."""

        class Serves:
            @hookimpl
            def izzati_serve(self):
                return Server()

        served = []

        def other_thread():
            thread = threading.Thread(target=serving("", plugins=[Serves()]).run)
            thread.start()
            thread.join(SECONDS)
            return thread

        assert served == [in_a_loop(other_thread)]

    def test_it_greets_on_stderr_and_says_how_to_stop_it(self, run, capsys):
        server = run(serving(named))
        greeting = capsys.readouterr().err
        assert greeting == f"{server!r}\n"
        assert greeting.startswith(f"izzati serves / (named)\n  this machine  {server.url}\n  plugins ")
        assert greeting.endswith("\nIts stop() stops it, and running this again replaces it.\n")

    def test_what_a_notebook_shows_has_links_and_nothing_that_is_not_escaped(self, run):
        server = run(serving({"/": named, "/<who>": named}))
        shown = server._repr_html_()
        assert shown.startswith("<pre>izzati serves / (named), /&lt;who&gt; (named)\n")
        assert f'<a href="{server.url}" target="_blank">{server.url}</a>\n' in shown

    def test_stop_waits_for_a_request_in_flight_and_frees_the_port(self, run):
        called, go = threading.Event(), threading.Event()

        def slow(text, data):
            called.set()
            assert go.wait(SECONDS)
            return "in time"

        server = run(serving(slow))
        answers = []
        caller = threading.Thread(target=lambda: answers.append(ask(server.address[1])))
        caller.start()
        assert called.wait(SECONDS)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert within(SECONDS, lambda: refuses(server.address[1]))
        assert stopping.is_alive()
        go.set()
        stopping.join(SECONDS)
        caller.join(SECONDS)
        assert answers == ['"in time"']
        assert repr(server) == f"izzati no longer serves on port {server.address[1]}"
        assert "href" not in server._repr_html_()
        server.stop()  # once more is once

    def test_run_again_replaces_the_server_at_that_port_on_any_host(self, run):
        port = free_port()
        old = run(serving("old"), port)
        assert ask(port) == '"old"'
        new = run(serving("new"), port, "localhost")
        assert (old.address[1], new.address[1]) == (port, port)
        assert "no longer" in repr(old)
        assert ask(port) == '"new"'

    def test_two_ports_serve_at_the_same_time(self, run):
        one, two = run(serving("one"), free_port()), run(serving("two"), free_port())
        assert (ask(one.address[1]), ask(two.address[1])) == ('"one"', '"two"')

    def test_on_port_0_a_function_of_the_same_name_replaces_the_other(self, run):
        old = run(serving(first))
        elsewhere = run(serving({"/elsewhere": named}))
        new = run(serving(named))
        assert (refuses(old.address[1]), ask(new.address[1])) == (True, '"second"')
        assert ask(elsewhere.address[1], "/elsewhere") == '"second"'

    @pytest.mark.parametrize("unnamed", [partial(named), lambda text, data: "second"], ids=["partial", "lambda"])
    def test_on_port_0_functions_without_a_name_replace_nothing(self, run, unnamed):
        one, two = run(serving(unnamed)), run(serving(unnamed))
        assert ask(one.address[1]) == ask(two.address[1]) == '"second"'

    def test_a_port_that_another_program_has_is_an_error_right_there(self, run):
        with socket.create_server((HOST, 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(OSError, match=rf"port {port} is in use by .*such as {port + 1}$"):
                run(serving(""), port)
        assert ask(run(serving("now"), port).address[1]) == '"now"'

    def test_a_server_that_declines_outside_the_main_thread_leaves_it_to_the_built_in_one(self, run):
        class MainThreadOnly:
            @hookimpl
            def izzati_serve(self, listen):
                asked.append(threading.current_thread() is threading.main_thread())

        asked = []
        server = run(serving("the built-in one", plugins=[MainThreadOnly()]))
        assert (asked, ask(server.address[1])) == ([False], '"the built-in one"')

    def test_a_server_that_ends_before_it_serves_is_an_error_and_not_waited_for(self, run):
        class Ends:
            address = (HOST, 1)

            def serve(self, ready):
                """It does not."""

            def stop(self):
                """It has."""

        class Serves:
            @hookimpl
            def izzati_serve(self):
                return Ends()

        with pytest.raises(BackgroundError, match="ended before it served"):
            run(serving("", plugins=[Serves()]))

    def test_handles_of_any_kind_can_be_replaced(self, in_a_loop):
        class Work:
            __slots__ = ("ended",)

            def terminate(self):
                self.ended = True

            def join(self):
                assert self.ended

        class Elsewhere:
            @hookimpl
            def izzati_background(self, args):
                args[-1].send(None)
                return Work(), None

        backend = serving(lambda q, text, data: {}, plugins=[Elsewhere()], background=True)
        first, _ = in_a_loop(backend.run, HOST, 1)
        in_a_loop(backend.run, HOST, 1)
        assert first.ended

    def test_what_a_callback_raises_is_its_callers_and_the_server_goes_on(self, run):
        def refuses_some(text, data):
            if "no" in text:
                raise Problem(404, "There is none.")
            return "yes"

        server = run(serving(refuses_some))
        assert "There is none." in ask(server.address[1], "/?no")
        assert ask(server.address[1]) == '"yes"'


INTERRUPTED = """
import asyncio, os, signal, threading
from izzati import Backend, hookimpl

class Slow:
    @hookimpl
    def izzati_startup(self, listen):
        {interrupt}

interrupted = threading.Event()
parent = os.getpid()

async def main():
    try:
        Backend({callback}, plugins=[Slow()], only=(), background={background}).run("127.0.0.1", {port})
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        interrupted.set()
    input()

if __name__ == "__main__":
    asyncio.new_event_loop().run_until_complete(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this test sends signals")
@pytest.mark.parametrize(
    ("background", "callback", "interrupt"),
    [
        (False, "lambda text, data: {}", "os.kill(parent, signal.SIGINT); interrupted.wait()"),
        (True, "lambda q, text, data: {}", "os.kill(parent, signal.SIGINT); signal.pause()"),
    ],
)
def test_a_server_whose_start_is_interrupted_is_left_to_nobody(background, callback, interrupt):
    port = free_port()
    code = INTERRUPTED.format(background=background, callback=callback, interrupt=interrupt, port=port)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stdout.readline() == "interrupted\n"
            assert within(SECONDS, lambda: can_bind(port))
            program.communicate("\n", timeout=SECONDS)
            assert program.returncode == 0
        finally:
            program.kill()


def can_bind(port):
    with contextlib.suppress(OSError), socket.create_server((HOST, port)):
        return True
    return False


class Notebook:
    """A notebook with a kernel of its own."""

    def __init__(self, notebook=None, **options):
        self.client = nbclient.NotebookClient(
            notebook or nbformat.v4.new_notebook(), kernel_name="python3", timeout=SECONDS, **options
        )

    def run(self, code):
        """Run a cell; its last value, as text."""
        cell = nbformat.v4.new_code_cell(textwrap.dedent(code))
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        return value(cell)

    def error(self, code):
        """The error that a cell shows: its type and what it says."""
        with pytest.raises(nbclient.exceptions.CellExecutionError) as caught:
            self.run(code)
        return caught.value.ename, caught.value.evalue


def value(cell, kind="text/plain"):
    """What a cell shows of its last value; None if it has none."""
    return next((output["data"][kind] for output in cell.outputs if output.output_type == "execute_result"), None)


def stream(cell, name):
    """What a cell shows of stdout or stderr."""
    return "".join(output["text"] for output in cell.outputs if output.get("name") == name)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A place for what Jupyter and IPython keep, without the settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("jupyter")
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            (folder / name).mkdir()
            patch.setenv(name, str(folder / name))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        yield


IN_A_NOTEBOOK = """
import socket
from urllib.request import urlopen
from izzati import Backend, background

def ask(port):
    return urlopen(f"http://127.0.0.1:{port}", b"", timeout=20).read().decode()

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
"""


@pytest.fixture(scope="module")
def notebook(jupyter):
    """A notebook for several tests."""
    notebook = Notebook()
    with notebook.client.setup_kernel():
        notebook.run(IN_A_NOTEBOOK)
        yield notebook


@pytest.mark.alone  # since it uses the port 5020
def test_the_example_answers_answers_anew_and_stops(jupyter):
    notebook = Notebook(nbformat.read(EXAMPLE, as_version=4))
    cells = [cell for cell in notebook.client.nb.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells), "outputs are not kept"
    notebook.client.execute()
    started, asked, again, anew, stopped = map(value, cells)
    assert started.startswith("izzati serves / (callback)\n  this machine  http://127.0.0.1:5020\n")
    assert asked == "{'hello': 'Rex', 'files': 0}"
    assert again == started
    assert anew == "{'goodbye': 'Rex', 'letters': 3}"
    assert stopped == "izzati no longer serves on port 5020"
    assert '<a href="http://127.0.0.1:5020"' in value(cells[0], "text/html")
    said = [stream(cell, "stderr") for cell in cells]
    # Beside the answers there is at most the log's line about each request: one that comes late belongs to no cell.
    assert re.fullmatch(r"(\d\d:\d\d:\d\d POST / 200 \d+\.\d ms 127\.0\.0\.1\n){0,2}", "".join(said))


class TestInANotebook:
    def test_a_cell_runs_again_and_the_function_that_it_defines_now_answers(self, notebook):
        notebook.run("port = free_port()")
        for count in range(3):
            notebook.run(
                f"""
                def callback(text, data):
                    return {count}

                server = Backend(callback).run("127.0.0.1", port)
                """
            )
            assert notebook.run("ask(port)") == f"'{count}'"
        port = int(notebook.run("port"))
        assert not refuses(port)
        notebook.run("server.stop()")
        assert refuses(port)

    def test_on_port_0_the_cell_that_runs_again_leaves_no_other_server(self, notebook):
        cell = 'def cell(text, data): return 1\nserver = Backend(cell).run("127.0.0.1", 0)\nserver.address[1]'
        first, second = notebook.run(cell), notebook.run(cell)
        assert notebook.run(f"ask({second})") == "'1'"
        assert first == second or refuses(int(first))
        # Its port is now known, and asking for that one is asking for its place.
        assert notebook.run(f'server = Backend(cell).run("127.0.0.1", {second})\nserver.address[1]') == second

    def test_a_port_that_another_program_has_is_an_error_in_the_cell(self, notebook):
        with socket.create_server((HOST, 0)) as other:
            port = other.getsockname()[1]
            kind, says = notebook.error(f'Backend(lambda text, data: 1).run("127.0.0.1", {port})')
            assert (kind, f"port {port} is in use by " in says) == ("OSError", True)
        assert notebook.run(f'server = Backend(lambda text, data: 1).run("127.0.0.1", {port}); ask({port})') == "'1'"

    def test_a_server_in_the_background_is_replaced_too(self, notebook):
        cell = """
            def callback(q, text, data):
                q.put(({count}, text))
                return {count}

            earlier, port = ({earlier}), ({port})
            p, q = Backend(callback, background=True).run("127.0.0.1", port)
            """
        notebook.run(cell.format(count=1, earlier=None, port="free_port()"))
        assert notebook.run("ask(port), q.get(timeout=20)") == "('1', (1, {}))"
        notebook.run(cell.format(count=2, earlier="p", port="port"))
        assert notebook.run("ask(port), q.get(timeout=20), earlier.exitcode") == "('2', (2, {}), 0)"
        # One in a thread takes the same place, and so the other way round.
        notebook.run('server = Backend(lambda text, data: 3).run("127.0.0.1", port)')
        assert notebook.run("ask(port), p.is_alive()") == "('3', False)"
        notebook.run(cell.format(count=4, earlier="p", port="port"))
        assert notebook.run("ask(port), repr(server).split()[:3]") == "('4', ['izzati', 'no', 'longer'])"

    def test_a_server_in_the_background_on_port_0_is_replaced_too(self, notebook):
        cell = """
            def on_any_port(q, text, data): pass

            p, q = Backend(on_any_port, background=True).run("127.0.0.1", 0)
            """
        notebook.run(cell)
        notebook.run("earlier = p")
        notebook.run(cell)
        assert notebook.run("earlier.is_alive(), p.is_alive()") == "(False, True)"

    def test_a_function_of_the_notebook_runs_in_the_background(self, notebook):
        notebook.run(
            """
            def doubles(q, back):
                back.put(2 * q.get())

            def nothing(q):
                pass

            _, back = background(nothing)
            p, q = background(doubles, args=(back,))
            q.put(21)
            """
        )
        assert notebook.run("back.get(timeout=20)") == "42"


@pytest.mark.skipif(sys.platform != "linux", reason="this test looks into /proc")
@pytest.mark.parametrize("shutdown", ["graceful", "immediate"])
def test_nothing_is_left_when_the_kernel_ends(jupyter, shutdown):
    notebook = Notebook(shutdown_kernel=shutdown)
    with notebook.client.setup_kernel():
        notebook.run(IN_A_NOTEBOOK)
        notebook.run('server = Backend(lambda text, data: 1).run("127.0.0.1", 0)')
        notebook.run(
            'port = free_port()\np, q = Backend(lambda q, text, data: 1, background=True).run("127.0.0.1", port)'
        )
        ports = [int(notebook.run(each)) for each in ("server.address[1]", "port")]
        process = int(notebook.run("p.pid"))
    assert within(SECONDS, lambda: gone(process) and all(map(refuses, ports)))
