"""The command ``izzati``, as its user meets it: real processes, files and sockets."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from izzati import __version__
from izzati.cli.scaffold import KINDS
from izzati.discovery import DEFAULTS

ROOT = Path(__file__).parent.parent
PYTHON = [sys.executable, "-W", "error"]
SECONDS = 120
"""An upper bound for whatever should take no time at all."""

HELLO = 'def callback(text, data):\n    return {"hello": text["name"]}\n'
ABOUT_A_REQUEST = re.compile(r"^\d\d:\d\d:\d\d [A-Z]+ /.* ms .*\n", re.MULTILINE)
README = f"from izzati import Backend\n\n\n{HELLO}\n\nBackend(callback).run()\n"

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="this test sends signals, or uses a shell")
FORK, SPAWN, FORKSERVER = "fork", "spawn", "forkserver"


class Running:
    """A command that serves, with what it has said so far."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **options
        )
        self._deadline = threading.Timer(SECONDS, self.process.kill)
        self._deadline.start()

    def greeting(self):
        """What it says when it serves; ``port`` is known from then on."""
        lines = []
        while not lines or lines[-1] not in ("Ctrl-C stops it.\n", ""):
            lines.append(self.process.stderr.readline())
        assert lines[-1], "".join(lines)
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)", "".join(lines))[1])
        return "".join(lines)

    def post(self, path="/?name=Rex"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request("POST", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def end(self, number=None):
        """Its exit code, and what it had still to say, once nothing that it has started runs any more.

        :param number: a signal to send first.

        Whatever is left would hold the pipes open.
        """
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=SECONDS)
        self._deadline.cancel()
        return self.process.returncode, out, ABOUT_A_REQUEST.sub("", err)

    def kill(self):
        self._deadline.cancel()
        self.process.kill()
        self.process.communicate()


class Shell:
    """A folder with files, installed plugins and an environment, in which commands run."""

    def __init__(self, folder, site, python=PYTHON):
        self.folder = folder
        self.python = python
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("IZZATI_", "PYTEST_"))
        }
        self.environment["IZZATI_BLOCK"] = os.environ["IZZATI_BLOCK"]  # what is installed where the tests run
        self.environment["PYTHONPATH"] = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._site = site
        self._running = []

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        return path

    def install(self, name, code, entry="Plugin"):
        """Install a plugin, as pip would: a module and the metadata of its distribution."""
        info = self._site / f"acme_{name}-1.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[izzati]\n{name} = acme_{name}:{entry}\n")
        (self._site / f"acme_{name}.py").write_text(f"import izzati\n\n{textwrap.dedent(code)}")

    def run(self, *command):
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )

    def izzati(self, *arguments):
        return self.run(*self.python, "-m", "izzati", *arguments)

    def ok(self, *arguments):
        """The output of a command that succeeds, and has nothing to complain about."""
        done = self.izzati(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def start(self, *command):
        running = Running(command, cwd=self.folder, env=self.environment)
        self._running.append(running)
        return running

    def serve(self, *arguments):
        return self.start(*self.python, "-m", "izzati", "run", *arguments)

    def close(self):
        for running in self._running:
            running.kill()


@pytest.fixture
def shell(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    shell = Shell(folder, tmp_path / "site")
    yield shell
    shell.close()


def refusal(done):
    """The only line that a command says, that has not done what it was asked for."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert re.fullmatch(r"izzati: [^\n]+\n", done.stderr), done.stderr
    return done.stderr.removeprefix("izzati: ").rstrip("\n")


def side_by_side(run, cases):
    """What each case comes to: most of the time goes by before a process has anything to do."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(cases, pool.map(run, cases), strict=True))


def listed(shell, *arguments):
    return {plugin["name"]: plugin for plugin in json.loads(shell.ok("plugins", "--json", *arguments))}


def steps(text):
    """What each plugin was asked, with its indentation, and what it answered: the lines with times."""
    found = re.findall(r"(?m)^ *[\d.]+ ms  ( *)(\w+) +(\S+) +(.*)$", text)
    return [(f"{indent}{hook} {plugin}", outcome) for indent, hook, plugin, outcome in found]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A new environment in which one plugin of each kind is begun and installed; its own tests are under way."""
    home = tmp_path_factory.mktemp("workshop")
    venv.create(home / "venv", system_site_packages=True)
    site = next((home / "venv").glob("**/site-packages"))
    # What this very process imports, so that nothing is downloaded.
    (site / "parent.pth").write_text("\n".join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))]))
    python = home / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    shell = Shell(home, home / "nothing", [str(python), "-W", "error"])
    for kind in KINDS:
        shell.ok("plugin", "new", f"our-{kind}", "--kind", kind)
    install = ["-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    done = shell.run(python, *install, *(f"./izzati-our-{kind}" for kind in KINDS))
    assert done.returncode == 0, done.stderr
    shell.tests = {}
    for kind in KINDS:
        command = [python, "-m", "pytest", "-p", "no:cacheprovider"]
        shell.tests[kind] = Running(command, cwd=home / f"izzati-our-{kind}", env=shell.environment)
    shell.write(
        "app.py",
        "def callback(text, data):\n    return text or data[0].save('our-storage://x')\n",
    )
    yield shell
    for running in shell.tests.values():
        running.kill()


class TestNewPluginInstalled:
    """First, so that the plugins' own tests, which are awaited last, run beside the others."""

    def test_it_is_listed_once_it_is_installed(self, workshop):
        plugins = listed(workshop)
        for kind in KINDS:
            plugin = plugins[f"our_{kind}"]
            assert (plugin["distribution"], plugin["version"]) == (f"izzati-our-{kind}", "0.1.0")
            assert (plugin["state"], plugin["problems"]) == ("active", [])
        assert plugins["our_codec"]["claims"] == {
            "reads": ["application/x-our-codec"],
            "writes": ["application/x-our-codec"],
        }
        assert plugins["our_storage"]["claims"] == {"schemes": ["our-storage"]}
        assert [option["name"] for option in plugins["our_storage"]["options"]] == ["folder"]

    def test_it_answers_once_it_is_installed(self, workshop):
        text = workshop.ok("explain", "app.py", '{"a": 1}', "--header", "Content-Type: application/x-our-codec")
        assert ("  decode our_codec", "answered {'a': 1}") in steps(text)
        assert ("encode our_codec", "answered 8 bytes") in steps(text)
        assert ("finalize our_hooks", "done") in steps(text)
        assert "\nX-OurHooks: hello\n" in text
        text = workshop.ok("explain", "app.py", "--file", "app.py")
        assert ("  save our_storage", "answered 'our-storage://x'") in steps(text)
        assert (workshop.folder / "our-storage" / "x").read_bytes() == (workshop.folder / "app.py").read_bytes()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


SERVED = {
    "only a function named callback": HELLO,
    "a function named callback among others": f"def other():\n    pass\n\n\n{HELLO}",
    "only one function, of any name": HELLO.replace("callback", "greet"),
    "a Backend of any name": f"from izzati import Backend\n\n{HELLO}\nanything = again = Backend(callback)\n",
    "the three lines of the README": README,
    "run() below the usual guard": README.replace(
        "Backend(callback)", 'if __name__ == "__main__":\n    Backend(callback)'
    ),
    "run() with a port of its own": README.replace("run()", "run(port=1)"),
}


@pytest.fixture(scope="class")
def served(tmp_path_factory):
    """All of them, since a process takes its time to start."""
    shells = {case: Shell(tmp_path_factory.mktemp("served"), ROOT / "no site") for case in SERVED}
    for case, shell in shells.items():
        shell.write("app.py", SERVED[case])
    yield {case: shell.serve("app.py", "--host", "127.0.0.1", "--port", "0") for case, shell in shells.items()}
    for shell in shells.values():
        shell.close()


@on_posix
class TestRun:
    @pytest.mark.parametrize("case", SERVED)
    def test_a_file_is_served_until_ctrl_c(self, served, case):
        running = served[case]
        assert "Anyone on the network" not in running.greeting()
        assert running.post() == {"hello": "Rex"}
        assert running.end(signal.SIGINT) == (0, "", "")

    def test_host_and_port_are_the_files_own_unless_they_are_given(self, shell):
        port = free_port()
        shell.write("app.py", README.replace("run()", f"run('127.0.0.1', {port})"))
        running = shell.serve("app.py")
        assert "Anyone on the network" not in running.greeting()
        assert running.port == port
        everywhere = shell.serve("app.py", "--host", "", "--port", "0")
        assert "Anyone on the network" in everywhere.greeting()
        assert everywhere.port != port

    def test_a_name_after_a_colon_chooses_what_is_served(self, shell):
        shell.write(
            "app.py",
            """
            from izzati import Backend

            def greet(text, data):
                return {"hello": text["name"]}

            def other(text, data):
                return "not this one"

            class Greeter(dict):
                def __init__(self, text, data):
                    super().__init__(hello=text["name"])

            größe = greet
            paths = {"/greet": greet, "/": other}
            first = Backend(other)
            second = Backend(paths)
            first.run(port=1)
            """,
        )
        paths = {"greet": "/", "größe": "/", "Greeter": "/", "paths": "/greet", "second": "/greet"}
        serving = {name: shell.serve(f"app.py:{name}", "--port", "0") for name in paths}
        for name, running in serving.items():
            running.greeting()
            assert running.post(f"{paths[name]}?name=Rex") == {"hello": "Rex"}
            assert running.end(signal.SIGTERM) == (0, "", "")

    def test_a_named_backend_is_served_where_the_file_runs_it(self, shell):
        shell.write(
            "app.py",
            """
            from izzati import Backend

            one = Backend(lambda text, data: 1)
            two = Backend(lambda text, data: 2)
            one.run()
            two.run()
            print("after")
            """,
        )
        running = shell.serve("app.py:two", "--port", "0")
        running.greeting()
        assert running.post() == 2
        assert running.end(signal.SIGINT) == (0, "after\n", "")

    @pytest.mark.parametrize("command", [[], ["-m", "izzati", "run"]], ids=["python FILE", "izzati run FILE"])
    def test_the_file_finds_the_same_world_with_izzati_run_and_without(self, shell, command):
        shell.write("neighbour.py", "WORD = 'neighbour'")
        path = shell.write(
            "app.py",
            """
            import sys
            from dataclasses import dataclass
            from izzati import Backend
            from neighbour import WORD

            @dataclass
            class Photo:
                width: int

            def callback(text, data):
                return WORD

            print(__name__, __file__, sys.argv, Photo.__annotations__, callback.__module__, __spec__, __builtins__)
            print(sys.modules["__main__"].Photo(3), sys.modules["__main__"].__dict__ is globals())
            print(Backend(callback).run(port=0))
            print("after")
            sys.exit(3)
            """,
        )
        running = shell.start(*PYTHON, *command, "app.py")
        running.greeting()
        assert running.post() == "neighbour"
        code, out, err = running.end(signal.SIGINT)
        assert (code, err) == (3, "")
        assert out.splitlines() == [
            f"__main__ {path} ['app.py'] {{'width': <class 'int'>}} __main__ None <module 'builtins' (built-in)>",
            "Photo(width=3) True",
            "None",
            "after",
        ]

    def test_a_file_may_have_an_odd_name(self, shell):
        names = ["my app.py", "naïve 写真", "-.py", "app.py:callback"]
        for name in names:
            shell.write(name, HELLO)
        for running in [shell.serve("--port", "0", "--", name) for name in names]:
            running.greeting()
            assert running.post() == {"hello": "Rex"}

    def test_a_file_with_a_colon_in_its_path_takes_a_name_too(self, shell):
        shell.write("a:b/c:d.py", HELLO)
        running = shell.serve("a:b/c:d.py:callback", "--port", "0")
        running.greeting()
        assert running.post() == {"hello": "Rex"}

    def test_a_file_elsewhere_imports_its_neighbours(self, shell):
        shell.write("else where/neighbour.py", HELLO)
        shell.write(
            "else where/app.py", "import neighbour\nfrom izzati import Backend\nb = Backend(neighbour.callback)\n"
        )
        (shell.folder / "link.py").symlink_to(shell.folder / "else where" / "app.py")
        for path in ("else where/app.py", "link.py"):
            running = shell.serve(path, "--port", "0")
            running.greeting()
            assert running.post() == {"hello": "Rex"}


@on_posix
class TestRunInTheBackground:
    @pytest.mark.parametrize(
        ("method", "number"), [(FORK, signal.SIGINT), (SPAWN, signal.SIGTERM), (FORKSERVER, signal.SIGINT)]
    )
    def test_functions_of_the_file_run_beside_its_server_and_end_with_it(self, shell, method, number):
        shell.write(
            "app.py",
            f"""
            import multiprocessing
            from izzati import Backend, background

            def count(q, answers):
                while True:
                    answers.put(len(q.get()))

            def nothing(q):
                pass

            def callback(text, data, words, answers):
                words.put(text["name"])
                return answers.get(timeout=20)

            if __name__ == "__main__":
                multiprocessing.set_start_method({method!r})
                _, answers = background(nothing)
                _, words = background(count, (answers,))
                Backend(callback, (words, answers)).run()
            """,
        )
        running = shell.serve("app.py", "--port", "0")
        running.greeting()
        assert running.post() == 3
        assert running.end(number) == (0, "", "")

    @pytest.mark.parametrize("method", [FORK, SPAWN, FORKSERVER])
    def test_a_file_may_serve_in_the_background(self, shell, method):
        shell.write(
            "app.py",
            f"""
            import multiprocessing
            from izzati import Backend

            def callback(q, text, data):
                q.put(text["name"])
                return multiprocessing.current_process().name

            if __name__ == "__main__":
                multiprocessing.set_start_method({method!r})
                p, q = Backend(callback, background=True).run(port=1)
                print(q.get())
                p.terminate()
                p.join()
                print(p.exitcode)
            """,
        )
        running = shell.serve("app.py", "--port", "0")
        running.greeting()
        assert running.post() == "_serve_in_background"
        assert running.end() == (0, "Rex\n0\n", "")

    def test_a_file_that_waits_for_its_server_ends_with_ctrl_c_and_leaves_none(self, shell):
        shell.write(
            "app.py",
            """
            from izzati import Backend

            p, q = Backend(lambda q, text, data: q.put("called"), background=True).run()
            print(q.get(), flush=True)
            p.join()
            """,
        )
        running = shell.serve("app.py", "--port", "0")
        running.greeting()
        assert running.post() is None
        assert running.process.stdout.readline() == "called\n"
        assert running.end(signal.SIGINT) == (130, "", "")

    @pytest.mark.parametrize(("method", "number"), [(FORK, signal.SIGTERM), (SPAWN, signal.SIGINT)])
    def test_a_backend_that_only_stands_in_the_file_serves_in_the_background(self, shell, method, number):
        shell.write(
            "app.py",
            f"""
            import multiprocessing
            from izzati import Backend

            if __name__ == "__main__":
                multiprocessing.set_start_method({method!r})

            def callback(q, text, data):
                return text

            backend = Backend(callback, background=True)
            """,
        )
        running = shell.serve("app.py", "--port", "0")
        running.greeting()
        assert running.post() == {"name": "Rex"}
        assert running.end(number) == (0, "", "")

    def test_a_server_that_breaks_down_is_a_failure(self, shell):
        shell.write(
            "app.py",
            """
            import os
            from izzati import Backend

            backend = Backend(lambda q, text, data: os.getpid(), background=True)
            """,
        )
        running = shell.serve("app.py", "--port", "0")
        running.greeting()
        os.kill(running.post(), signal.SIGKILL)
        code, _, err = running.end()
        assert code == 1
        assert "SIGKILL" in err

    def test_of_a_file_with_two_backends_only_the_named_one_serves(self, shell):
        shell.write(
            "app.py",
            """
            from izzati import Backend

            web = Backend(lambda text, data: "web")
            worker = Backend(lambda q, text, data: "worker", background=True)
            p, q = worker.run(port=1)
            """,
        )
        running = shell.serve("app.py:web", "--port", "0")
        running.greeting()
        assert running.post() == "web"
        assert running.end(signal.SIGINT) == (0, "", "")


REFUSED = {
    "there is no such file": ("no.py", None, "no.py cannot be read: No such file or directory"),
    "it is a folder": ("..", None, ".. cannot be read: Is a directory"),
    "it only imports": (
        "",
        "from os.path import join, split",
        "app.py defines no Backend, and no function; define one: def callback(text, data)",
    ),
    "several functions": (
        "",
        "def a(text, data): pass\ndef b(text, data): pass\ndef c(text, data): pass",
        "app.py defines no Backend, but several functions: say which, app.py:a, app.py:b or app.py:c",
    ),
    "several Backends": (
        "",
        "from izzati import Backend\na = Backend(lambda t, d: 1)\nb = Backend(lambda t, d: 2)",
        "app.py defines several Backends: say which, app.py:a or app.py:b",
    ),
    "no such name": ("app.py:calback", HELLO, "app.py defines no 'calback'; did you mean 'callback'?"),
    "what is named is no function": (
        "app.py:a",
        "a = 3",
        "app.py:a is no Backend, function or dict of path to function, but int",
    ),
    "callback is no function": ("", "callback = 'x'", "app.py:callback is no Backend, function or dict"),
    "too few parameters": (
        "",
        "def callback(text): pass",
        "app.py:callback cannot be served as it is: callback(text) cannot take what it will be given",
    ),
    "an async function": ("", "async def callback(text, data): pass", "callback is async"),
    "a path without a slash": ("app.py:a", "a = {'x': lambda t, d: 1}", "the path 'x' does not begin with a slash"),
    "a dict of something else": ("app.py:a", "a = {'/': 3}", "a function of (text, data) is needed, not 3"),
    "a Backend that is refused in the file": (
        "",
        "from izzati import Backend\n\n\ndef make():\n    Backend(len)\n\n\nmake()",
        "app.py:5: len(obj, /) cannot take what it will be given",
    ),
    "a port that there is not": (
        "",
        README.replace("run()", "run(port=65536)"),
        "app.py:8: a port is a number from 0 to",
    ),
}


RAISING = [
    "def fail():\n    raise KeyError('x')\n\n\nfail()",
    "raise ValueError('several\\nlines')",
    "def broken(:\n    pass",
    "import neighbour",
    "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise OSError('then') from error",
    "import sys\nsys.excepthook = lambda *error: print('own hook', error[0], file=sys.stderr)\n1 / 0",
    "raise SystemExit('said at the end')",
]


@pytest.fixture(scope="class")
def refused(tmp_path_factory):
    def run(case):
        spec, code, _ = REFUSED[case]
        shell = Shell(tmp_path_factory.mktemp("refused"), ROOT / "no site")
        if code is not None:
            shell.write("app.py", code)
        return shell.izzati("run", spec or "app.py")

    return side_by_side(run, REFUSED)


@pytest.fixture(scope="class")
def raised(tmp_path_factory):
    """What was said without izzati, and with it."""

    def run(code):
        shell = Shell(tmp_path_factory.mktemp("raised"), ROOT / "no site")
        shell.write("app.py", code)
        shell.write("neighbour.py", "def f():\n    raise OSError(2, 'gone')\n\n\nf()\n")
        return shell.run(*PYTHON, "app.py"), shell.izzati("run", "app.py")

    return side_by_side(run, RAISING)


class TestRunRefuses:
    @pytest.mark.parametrize("case", REFUSED)
    def test_what_cannot_be_served_in_one_line(self, refused, case):
        assert REFUSED[case][2] in refusal(refused[case])

    def test_a_port_that_is_taken_whether_the_file_runs_or_not(self, shell):
        shell.write("app.py", README)
        shell.write("function.py", HELLO)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            given = ("--host", "127.0.0.1", "--port", str(port))
            assert f"app.py:8: port {port} is in use" in refusal(shell.izzati("run", "app.py", *given))
            assert f"port {port} is in use" in refusal(shell.izzati("run", "function.py", *given))

    def test_a_file_may_handle_a_port_that_is_taken(self, shell):
        shell.write(
            "app.py",
            f"""
            from izzati import Backend
            {textwrap.indent(HELLO, " " * 12).lstrip()}
            try:
                Backend(callback).run()
            except OSError as error:
                print(type(error).__name__, error.errno)
            """,
        )
        with socket.create_server(("127.0.0.1", 0)) as sock:
            out = shell.ok("run", "app.py", "--host", "127.0.0.1", "--port", str(sock.getsockname()[1]))
        assert out.startswith("OSError ")

    @pytest.mark.parametrize("code", RAISING)
    def test_a_file_that_raises_says_what_it_would_say_without_izzati(self, raised, code):
        plain, done = raised[code]
        assert plain.stderr
        assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)

    @pytest.mark.parametrize("content", [b"x = '\xff'", b"x\0"])
    def test_a_file_that_is_no_text_is_refused_without_a_line_of_izzatis_own_code(self, shell, content):
        shell.write("app.py", content)
        done = shell.izzati("run", "app.py")
        assert (done.returncode, done.stdout) == (1, "")
        assert "app.py" in done.stderr
        assert "Traceback" not in done.stderr

    @on_posix
    def test_ctrl_c_while_the_file_is_read_ends_it_without_a_word(self, shell):
        shell.write("app.py", "import threading\nprint('reading', flush=True)\nthreading.Event().wait()")
        running = shell.serve("app.py")
        assert running.process.stdout.readline() == "reading\n"
        assert running.end(signal.SIGINT) == (130, "", "")


GREET = """
class Plugin:
    def __init__(self, word: str = "hello", *, loud: bool = False, times: int = 1, paths: list[izzati.Path] = ()):
        self.word = word

    @izzati.hookimpl
    def izzati_claims(self):
        return izzati.Claims(schemes=("greet",), challenges=("Greet realm=x",))

    @izzati.hookimpl
    def izzati_finalize(self, response):
        response.headers["X-Greet"] = self.word
""".replace("izzati.Path", "__import__('pathlib').Path")
KEEPER = """
class Plugin:
    def __init__(self, token: izzati.Secret[str] = "", spare: izzati.Secret[str] = "none", fail: bool = False):
        if fail:
            raise LookupError(f"nobody takes {token}")

    @izzati.hookimpl
    def izzati_admit(self, request):
        pass
"""
BROKEN = {
    "absent": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "misspelt": (
        "class Plugin:\n    @izzati.hookimpl\n    def izzati_finalise(self): pass",
        "izzati_finalise is no hook; did you mean 'izzati_finalize'?",
    ),
    "argument": (
        "class Plugin:\n    @izzati.hookimpl\n    def izzati_finalize(self, req): pass",
        "izzati_finalize has no parameter 'req'",
    ),
    "coroutine": (
        "class Plugin:\n    @izzati.hookimpl\n    async def izzati_finalize(self, request): pass",
        "izzati_finalize is async; hooks are plain functions",
    ),
    "another": (
        "class Plugin(izzati.Codec):\n    reads = ('application/json',)",
        "the plugins 'another' and 'json' both claim the media type to read 'application/json'",
    ),
}


def paragraph(text, name):
    """What ``izzati plugins`` says of one plugin, with single spaces."""
    found = re.search(rf"(?m)^{name} .*(\n .*)*", text)
    return [" ".join(line.split()) for line in found[0].splitlines()]


class TestPlugins:
    def test_the_built_in_ones_are_listed_in_their_order(self, shell):
        plugins = listed(shell)
        assert list(plugins) == re.findall(r"(?m)^(\w+) ", shell.ok("plugins"))
        assert [name for name, plugin in plugins.items() if plugin["state"] != "blocked"] == [
            entry.name for entry in DEFAULTS
        ]
        for plugin in [plugins[entry.name] for entry in DEFAULTS]:
            assert (plugin["distribution"], plugin["version"], plugin["state"]) == ("izzati", __version__, "active")
            assert plugin["problems"] == []
            assert plugin["hooks"]

    def test_an_installed_one_has_its_distribution_hooks_claims_and_options_with_their_sources(self, shell):
        shell.install("greet", GREET)
        shell.environment["IZZATI_GREET_WORD"] = "hi"
        shell.environment["IZZATI_GREET_PATHS"] = "/a,/b"
        shell.write("izzati.toml", "[greet]\nword = 'unheard'\nloud = true\n")
        plugin = listed(shell)["greet"]
        assert (plugin["distribution"], plugin["version"], plugin["state"]) == ("acme-greet", "1.5", "active")
        assert plugin["hooks"] == ["izzati_claims", "izzati_finalize"]
        assert plugin["claims"] == {"schemes": ["greet"], "challenges": ["Greet realm=x"]}
        assert [(each["name"], each["value"], each["source"], each["takes"]) for each in plugin["options"]] == [
            ("word", "hi", "IZZATI_GREET_WORD", "text"),
            ("loud", True, "izzati.toml", "true or false"),
            ("times", 1, "default", "a whole number"),
            ("paths", ["/a", "/b"], "IZZATI_GREET_PATHS", "a list of a path"),
        ]
        assert paragraph(shell.ok("plugins"), "greet") == [
            "greet active acme-greet 1.5",
            "hooks claims finalize",
            "schemes greet",
            "challenges Greet realm=x",
            "option word = 'hi' (text; from IZZATI_GREET_WORD)",
            "option loud = True (true or false; from izzati.toml)",
            "option times = 1 (a whole number; from default)",
            "option paths = ['/a', '/b'] (a list of a path; from IZZATI_GREET_PATHS)",
        ]

    def test_a_blocked_one_is_listed_and_not_imported(self, shell):
        shell.install("greet", "print('imported')")
        shell.environment["IZZATI_BLOCK"] = "greet, browsers"
        plugins = listed(shell)
        for name, distribution in (("greet", "acme-greet"), ("browsers", "izzati")):
            assert (plugins[name]["state"], plugins[name]["distribution"]) == ("blocked", distribution)
            assert (plugins[name]["hooks"], plugins[name]["options"], plugins[name]["problems"]) == ([], [], [])

    @pytest.mark.parametrize("strict", ["1", "perhaps"])
    def test_broken_ones_are_listed_with_what_is_wrong_and_do_not_hide_the_others(self, shell, strict):
        for name, (code, _) in BROKEN.items():
            shell.install(name, code)
        shell.environment["IZZATI_STRICT"] = strict
        plugins, text = listed(shell), shell.ok("plugins")
        for name, (_, reason) in BROKEN.items():
            assert plugins[name]["state"] == "broken"
            assert f"plugin '{name}' (acme-{name} 1.5): {reason}" in plugins[name]["problems"][0]
            assert any(line.startswith("problem") and reason in line for line in paragraph(text, name))
        assert {name for name, plugin in plugins.items() if plugin["state"] == "broken"} == set(BROKEN)
        assert plugins["json"]["claims"]["reads"] == ["application/json", "*+json"]

    def test_what_is_wrong_with_no_plugin_in_particular_is_told_beside_the_list(self, shell):
        shell.environment |= {"IZZATI_BRWSERS_X": "*", "IZZATI_BLOCK": f"{shell.environment['IZZATI_BLOCK']},jsn"}
        done = shell.izzati("plugins", "--json")
        assert (done.returncode, {each["name"] for each in json.loads(done.stdout)} >= {"json"}) == (0, True)
        assert done.stderr.splitlines() == [
            "izzati: IZZATI_BRWSERS_X in the environment: no plugin has this name; did you mean 'IZZATI_BROWSERS_X'?",
            "izzati: IZZATI_BLOCK blocks 'jsn': there is no such plugin; did you mean 'json'?",
        ]

    @pytest.mark.parametrize(("given", "state"), [("environment", "broken"), ("file", "active")])
    def test_a_secret_is_never_printed(self, shell, given, state):
        shell.install("keeper", KEEPER)
        if given == "environment":
            shell.environment["IZZATI_KEEPER_TOKEN"] = "hunter2"
        else:
            shell.write("izzati.toml", "[keeper]\ntoken = 'hunter2'\n")
        shell.environment["IZZATI_KEEPER_FAIL"] = "yes" if state == "broken" else "no"
        shell.write("app.py", HELLO)
        told = [shell.ok("plugins"), shell.ok("plugins", "--json"), shell.ok("explain", "app.py", '{"name": "Rex"}')]
        assert not [text for text in told if "hunter2" in text]
        plugin = next(each for each in json.loads(told[1]) if each["name"] == "keeper")
        source = "IZZATI_KEEPER_TOKEN" if given == "environment" else "izzati.toml"
        assert plugin["state"] == state
        assert plugin["options"][0] == {
            "name": "token",
            "takes": "text",
            "value": None,
            "source": source,
            "secret": True,
        }
        assert f"option token = (secret) (text; from {source})" in paragraph(told[0], "keeper")
        assert "option spare = (secret) (text; from default)" in paragraph(told[0], "keeper")
        if state == "broken":
            assert "LookupError: nobody takes (secret)" in told[0]

    def test_those_of_a_files_backend_are_listed_with_the_objects_that_it_was_given(self, shell):
        shell.install("greet", GREET)
        shell.install("keeper", KEEPER)
        code = """
            import izzati

            class Mine:
                @izzati.hookimpl
                def izzati_admit(self, request):
                    pass

            given = izzati.Backend(
                lambda text, data: {},
                plugins=[Mine()],
                options={"greet": {"word": "moin"}},
                block=["browsers"],
                only=["greet"],
            )
            other = izzati.Backend(lambda text, data: {})
            """
        shell.write("app.py", code)
        plugins = listed(shell, "app.py:given")
        assert [plugins[name]["state"] for name in ("Mine", "greet", "browsers", "keeper")] == [
            "active",
            "active",
            "blocked",
            "not among only=[…]",
        ]
        assert (plugins["Mine"]["distribution"], plugins["Mine"]["version"]) == (None, None)
        assert (plugins["greet"]["options"][0]["value"], plugins["greet"]["options"][0]["source"]) == (
            "moin",
            "the program",
        )
        assert next(iter(plugins)) == "Mine"
        shell.write("app.py", f"{textwrap.dedent(code)}given.run()\n")
        assert paragraph(shell.ok("plugins", "app.py"), "Mine") == [
            "Mine active given to the Backend",
            "hooks admit",
        ]

    def test_a_name_that_fills_its_column_is_still_a_word_of_its_own(self, shell):
        shell.install("sixteen_letters_", GREET)
        assert "sixteen_letters_ active " in shell.ok("plugins")

    def test_a_file_that_is_wrong_is_refused_as_by_run(self, shell):
        assert "no.py cannot be read" in refusal(shell.izzati("plugins", "no.py"))
        shell.write("app.py", "1 / 0")
        assert shell.izzati("plugins", "app.py").stderr == shell.run(*PYTHON, "app.py").stderr

    def test_an_izzati_toml_that_is_none_is_told_in_one_line(self, shell):
        shell.write("izzati.toml", "[[[")
        assert "izzati.toml is not valid TOML" in refusal(shell.izzati("plugins"))

    @on_posix
    def test_who_reads_only_the_beginning_sees_no_traceback(self, shell):
        shell.environment["PYTHONUNBUFFERED"] = "1"
        python = " ".join(PYTHON)
        done = shell.run("sh", "-c", f"{python} -m izzati plugins | head -1; {python} -m izzati plugins | true")
        assert re.match(r"\w+ +(active|blocked) ", done.stdout)
        assert done.stdout.count("\n") == 1
        assert done.stderr == ""

    @on_posix
    def test_it_may_be_started_without_stdout_or_stderr(self, shell):
        done = shell.run("sh", "-c", f"{' '.join(PYTHON)} -m izzati plugins >&- && echo done")
        assert (done.stdout, done.stderr) == ("done\n", "")
        assert shell.run("sh", "-c", f"{' '.join(PYTHON)} -m izzati run no.py 2>&-").returncode == 1

    def test_what_a_terminal_cannot_show_is_escaped(self, shell):
        shell.environment["PYTHONIOENCODING"] = "ascii"
        shell.write("app.py", "def callback(text, data):\n    return 'größe'.encode()\n")
        assert shell.ok("explain", "app.py").endswith("\ngr\\xf6\\xdfe\n")


class TestExplain:
    def test_it_tells_who_declined_who_answered_and_what_came_out(self, shell):
        shell.write("app.py", HELLO)
        text = shell.ok("explain", "app.py", '{"name": "Rex"}')
        assert text.startswith("POST / application/json\n\n")
        assert steps(text) == [
            ("admit browsers", "declined"),
            ("read forms", "declined"),
            ("read documents", "answered text {'name': 'Rex'} and 0 files"),
            ("  decode json", "answered {'name': 'Rex'}"),
            ("call callback", "answered {'hello': 'Rex'}"),
            ("render replies", "declined"),
            ("encode json", "answered 15 bytes"),
            ("finalize browsers", "done"),
            ("finalize logs", "done"),
        ]
        head, _, body = text.partition("\n200 OK\n")[2].partition("\n\n")
        assert "Content-Type: application/json" in head.splitlines()
        assert body == '{"hello":"Rex"}\n'

    def test_files_headers_method_and_path_are_sent_as_a_client_would(self, shell):
        shell.write(
            "app.py",
            """
            def callback(text, data, *, request):
                files = [[file.name, file.filename, file.content_type, file.read().decode()] for file in data]
                return {
                    "text": text,
                    "files": files,
                    "token": request.headers["X-Token"],
                    "path": request.path,
                    "host": request.headers["Host"],
                    "address": request.address,
                }

            paths = {"/dög/<name>": callback}
            """,
        )
        shell.write('odd "na=me" %.txt', "one")
        shell.write("empty.png", b"")
        shell.write("boundary.bin", "\r\n--izzati-explain\r\n--\r\n")
        text = shell.ok(
            *("explain", "app.py:paths", '{"nested": {"a": [1, null]}, "é": "ü"}', "--path", "/dög/Rex?q=1&q=ä"),
            *("--file", 'odd "na=me" %.txt', "--file", 'k"ey=empty.png', "--file", "=boundary.bin"),
            *("--header", "X-Token:  a:b ", "--header", "Host: example.org"),
        )
        assert text.startswith("POST /d%C3%B6g/Rex?q=1&q=%C3%A4 multipart/form-data; boundary=")
        assert [step for step, _ in steps(text)][:7] == [
            "admit browsers",
            "read forms",
            "  store spool",
            "  store spool",
            "  store spool",
            "  decode json",
            "  decode json",
        ]
        assert ("read forms", "answered text {'nested': {'a': [1, None]}, 'é': 'ü'} and 3 files") in steps(text)
        assert json.loads(text.splitlines()[-1]) == {
            "text": {"q": ["1", "ä"], "nested": {"a": [1, None]}, "é": "ü", "name": "Rex"},
            "files": [
                ["file", 'odd "na=me" %.txt', "text/plain", "one"],
                ['k"ey', "empty.png", "image/png", ""],
                ["", "boundary.bin", "application/octet-stream", "\r\n--izzati-explain\r\n--\r\n"],
            ],
            "token": "a:b",
            "path": "/dög/Rex",
            "host": "example.org",
            "address": "127.0.0.1",
        }
        text = shell.ok("explain", "app.py:paths", "--method", "GET", "--path", "//elsewhere")
        assert text.startswith("GET //elsewhere\n")
        assert "\n404 NOT FOUND\n" in text

    def test_a_content_type_that_is_given_is_the_bodys(self, shell):
        shell.write("app.py", HELLO)
        text = shell.ok("explain", "app.py", "name=Rex", "--header", "content-type: application/x-www-form-urlencoded")
        assert text.startswith("POST / application/x-www-form-urlencoded\n")
        assert text.endswith('{"hello":"Rex"}\n')

    def test_a_body_is_shown_if_it_is_text_and_counted_if_it_is_not(self, shell):
        bodies = {
            "b'\\x89PNG' * 1000": "(4,000 bytes)",
            "b'text\\x1b[2J'": "(8 bytes)",
            "b''": "(0 bytes)",
            "b'one\\r\\n\\ttwo'": "one\n\ttwo",
            "('x' + '\\u00fc' * 1500).encode()": f"x{'ü' * 999}…\n(3,001 bytes)",
        }
        for number, returned in enumerate(bodies):
            shell.write(f"{number}.py", f"def callback(text, data):\n    return {returned}\n")
        told = side_by_side(lambda number: shell.ok("explain", f"{number}.py"), range(len(bodies)))
        shown = [text.partition("\n200 OK\n")[2].partition("\n\n")[2] for text in told.values()]
        assert shown == [f"{body}\n" for body in bodies.values()]

    def test_what_stands_around_a_hook_is_told_with_what_it_stands_around(self, shell):
        shell.write(
            "app.py",
            """
            from izzati import Backend, Identity, Problem, hookimpl

            class Knows:
                @hookimpl
                def izzati_identify(self, request):
                    return Identity("Rex")

            class Around:
                @hookimpl(wrapper=True)
                def izzati_call(self, call):
                    result = yield
                    return {"was": result}

            def callback(text, data):
                if "name" not in text:
                    raise Problem(409, "Say\\nwho.")
                return text["name"]

            Backend(callback, plugins=[Around(), Knows()]).run()
            """,
        )
        text = shell.ok("explain", "app.py", "--path", "/?name=Rex")
        assert ("identify Knows", "answered Rex") in steps(text)
        at = steps(text).index(("call Around", "wrapped"))
        assert steps(text)[at + 1] == ("  call callback", "answered 'Rex'")
        assert steps(text)[at + 2] == ("render replies", "declined")
        assert text.endswith('{"was":"Rex"}\n')
        text = shell.ok("explain", "app.py")
        assert ("call Around", "wrapped, raised Problem: 409 Conflict: Say who.") in steps(text)
        assert ("  call callback", "raised Problem: 409 Conflict: Say who.") in steps(text)
        assert ("error replies", "answered 409 CONFLICT, application/problem+json") in steps(text)
        assert "\n409 CONFLICT\n" in text

    def test_a_defect_of_the_callback_is_a_500_and_its_traceback_is_shown(self, shell):
        shell.write("app.py", "def callback(text, data):\n    return 1 / 0\n")
        done = shell.izzati("explain", "app.py")
        assert done.returncode == 0
        assert ("call callback", "raised ZeroDivisionError: division by zero") in steps(done.stdout)
        assert "\n500 INTERNAL SERVER ERROR\n" in done.stdout
        assert "failed in the callback" in done.stderr
        assert 'app.py", line 2, in callback' in done.stderr

    def test_plugins_that_are_broken_are_named_and_left_out(self, shell):
        for name, (code, _) in BROKEN.items():
            shell.install(name, code)
        shell.environment["IZZATI_STRICT"] = "1"
        shell.write("app.py", HELLO)
        text = shell.ok("explain", "app.py", '{"name": "Rex"}')
        for name, (_, reason) in BROKEN.items():
            assert f"\nleft out: plugin '{name}' (acme-{name} 1.5): {reason}" in text
        assert ("  decode json", "answered {'name': 'Rex'}") in steps(text)
        assert text.endswith('{"hello":"Rex"}\n')

    def test_a_file_is_saved_and_opened_by_the_plugin_that_does_it(self, shell):
        shell.write("photo.png", b"\x89PNG")
        shell.write(
            "app.py",
            """
            from pathlib import Path

            def callback(text, data):
                return Path(data[0].save("saved.png"))
            """,
        )
        text = shell.ok("explain", "app.py", "--file", "photo.png")
        assert [step for step, _ in steps(text)][3:7] == [
            "call callback",
            "  save spool",
            "render replies",
            "  open spool",
        ]
        assert "  0x" not in text
        assert text.endswith("(4 bytes)\n")
        assert (shell.folder / "saved.png").read_bytes() == b"\x89PNG"

    def test_a_callback_that_serves_in_the_background_has_a_queue(self, shell):
        shell.write(
            "app.py",
            """
            from izzati import Backend

            def callback(q, text, data):
                q.put("x" * 1_000_000)
                return text

            if __name__ == "__main__":
                p, q = Backend(callback, background=True).run()
                p.join()
            """,
        )
        assert shell.ok("explain", "app.py", '{"a": 1}').endswith('{"a":1}\n')

    def test_a_file_is_left_where_it_would_serve_even_if_it_catches_everything(self, shell):
        shell.write(
            "app.py",
            """
            from izzati import Backend

            try:
                Backend(lambda text, data: "this one").run()
            except BaseException:
                other = Backend(lambda text, data: "not this one")
            """,
        )
        assert shell.ok("explain", "app.py").endswith('"this one"\n')

    def test_a_request_that_cannot_be_made_is_refused_in_one_line(self, shell):
        shell.write("app.py", HELLO)
        cases = {
            ("{", "--file", "app.py"): "what is given beside files is not valid JSON: Expecting property name",
            ("[" * 100_000, "--file", "app.py"): "what is given beside files is not valid JSON",
            ("[]", "--file", "app.py"): "beside files the JSON must be an object",
            ("--file", "key=no.png"): "no.png cannot be read: No such file or directory",
            ("--header", "Authorization"): "a header is written as 'Name: value', not 'Authorization'",
            ("--header", "A: b\nC: d"): "newline",
            ("--path", "dogs"): "a path begins with a slash: /dogs",
        }
        done = side_by_side(lambda arguments: shell.izzati("explain", "app.py", *arguments), cases)
        for arguments, sentence in cases.items():
            assert sentence in refusal(done[arguments])

    def test_json_that_is_wrong_is_sent_as_it_is(self, shell):
        shell.write("app.py", HELLO)
        text = shell.ok("explain", "app.py", "{")
        assert "\n400 BAD REQUEST\n" in text


class TestPluginNew:
    def test_a_name_that_is_none_or_means_something_else_is_refused(self, shell):
        names = ["My-Codec", "-x", "1x", "../x", "izzati-", "x\n", "raw-body", "limits", "none", "stored-file"]
        done = side_by_side(lambda name: shell.izzati("plugin", "new", "--kind", "storage", "--", name), names)
        for name in names[:6]:
            assert "is no name for a plugin: use small letters, digits and hyphens" in refusal(done[name])
        for name in names[6:]:
            assert f"{name!r} is a name of izzati's or of Python's own; choose another one" in refusal(done[name])
        assert list(shell.folder.iterdir()) == []

    def test_a_folder_that_is_there_is_left_as_it_is(self, shell):
        shell.write("izzati-x/kept.txt", "kept")
        assert "izzati-x is there already" in refusal(shell.izzati("plugin", "new", "x", "--kind", "hooks"))
        assert [path.name for path in (shell.folder / "izzati-x").iterdir()] == ["kept.txt"]

    def test_the_prefix_may_be_written_and_the_folder_be_elsewhere(self, shell):
        out = shell.ok("plugin", "new", "izzati-x", "--kind", "hooks", "--into", "else where")
        assert "cd 'else where/izzati-x' && pip install '.[test]' && pytest" in out
        assert (shell.folder / "else where" / "izzati-x" / "izzati_x.py").is_file()
        shell.write("file", "")
        assert "file" in refusal(shell.izzati("plugin", "new", "y", "--kind", "hooks", "--into", "file"))

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_it_writes_is_formatted_and_checked(self, shell, kind):
        for each in ("x", "a-name-that-has-thirty-letters"):
            shell.ok("plugin", "new", each, "--kind", kind)
            for command in (["check"], ["format", "--check"]):
                ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "."]
                done = subprocess.run(
                    ruff, cwd=shell.folder / f"izzati-{each}", capture_output=True, encoding="utf-8", check=False
                )
                assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize("kind", KINDS)
    def test_its_own_tests_pass(self, workshop, kind):
        code, out, err = workshop.tests[kind].end()
        assert code == 0, out + err
        assert re.search(r"\d+ passed", out)


class TestCommandLine:
    def test_it_says_its_version(self, shell):
        assert shell.ok("--version") == f"izzati {__version__}\n"

    @pytest.mark.parametrize("arguments", [[], ["plugin"], ["plugin", "new", "x"], ["run", "x", "--port", "y"]])
    def test_what_it_does_not_understand_it_answers_with_its_usage(self, shell, arguments):
        done = shell.izzati(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("usage: izzati ")
