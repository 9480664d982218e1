"""The shell's side: ``izzati run``, ``izzati send``, ``izzati plugins``, ``izzati explain``, ``izzati plugin new``."""

from __future__ import annotations

import argparse
import io
import logging
import math
import multiprocessing
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from izzati import __version__
from izzati.backend import Backend
from izzati.cli.child import Terminated, end_with_parent, has_parent
from izzati.cli.explain import environ_for, explain
from izzati.cli.items import UsageError
from izzati.cli.listing import as_json, as_text
from izzati.cli.programs import ProgramRaised, execute, load, sentence
from izzati.cli.reload import supervise
from izzati.cli.scaffold import KINDS, new_plugin
from izzati.config import Settings
from izzati.discovery import Selection
from izzati.errors import IzzatiError, PluginError
from izzati.handles import Process, Queue
from izzati.plugins import Plugins
from izzati.serving import in_place_of_run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """What the command ``izzati`` does.

    :param arguments: those of the command line unless given.
    :returns: the exit code: 0, or 1 if it could not be done, with a sentence on stderr; ``send`` has more.
    """
    options = _options(arguments)
    try:
        code: int = options.do(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has read enough, as `head` does; the interpreter's own flush at the end must find a place.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Terminated:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except ProgramRaised as raised:
        sys.excepthook(type(raised.error), raised.error, raised.error.__traceback__)
        return 1
    except (IzzatiError, OSError, ValueError) as error:
        print(f"izzati: {sentence(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return code


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, others = parser.parse_known_args(arguments)
    # Items may stand on both sides of an option, where argparse looks for them on one only.
    if others and ("items" not in options or any(other.startswith("-") for other in others)):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others:
        options.items += others
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="izzati", description="A function over HTTP.")
    parser.add_argument("--version", action="version", version=f"izzati {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="serve a file that defines a callback or a Backend")
    run.add_argument("file", metavar="FILE[:name]", help="a Python file, and which Backend or function in it")
    run.add_argument("--host", help="a name or address; every interface unless the file says otherwise")
    run.add_argument("--port", type=int, help="5020 unless the file says otherwise; 0 for a free one")
    run.add_argument("-q", "--quiet", action="store_true", help="no line for each request")
    run.add_argument("--reload", action="store_true", help="start it again whenever a file of it changes")
    run.set_defaults(do=_run)

    send = commands.add_parser("send", help="call a function, and show what it answers")
    send.add_argument("url", metavar="URL", help="where it is; http:// and port 5020 unless it says otherwise")
    send.add_argument(
        "items", metavar="ITEM", nargs="*", help="key=text, key:=JSON or key=@path; dots in a key nest; @- is stdin"
    )
    send.add_argument("--json", metavar="OBJECT", help="values that keep their types; or @path, or @- for stdin")
    send.add_argument("-o", "--output", metavar="FILE", help="write the answer there; or into a folder; - for stdout")
    send.add_argument("--header", dest="headers", metavar="'NAME: VALUE'", action="append", default=[])
    send.add_argument("--token", help="sent as Authorization: Bearer; or @path of a file that has it")
    send.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="for which it may be silent; any time if not given"
    )
    send.set_defaults(do=_send)

    plugins = commands.add_parser("plugins", help="list the plugins: state, hooks, claims, options")
    plugins.add_argument("file", metavar="FILE[:name]", nargs="?", help="list those of this program's Backend")
    plugins.add_argument("--json", action="store_true", help="as JSON")
    plugins.set_defaults(do=_plugins)

    explained = commands.add_parser("explain", help="send one request through the plugins, and show who answered")
    explained.add_argument("file", metavar="FILE[:name]", help="a Python file, and which Backend or function in it")
    explained.add_argument("text", metavar="JSON", nargs="?", help="the body; beside files, members of a form")
    explained.add_argument("--file", dest="files", metavar="[KEY=]PATH", action="append", default=[])
    explained.add_argument("--header", dest="headers", metavar="'NAME: VALUE'", action="append", default=[])
    explained.add_argument("--method", default="POST")
    explained.add_argument("--path", default="/", help="the path, with a query string if you like")
    explained.set_defaults(do=_explain)

    plugin = commands.add_parser("plugin", help="begin a plugin of your own")
    new = plugin.add_subparsers(required=True, metavar="new").add_parser("new", help="write its first files")
    new.add_argument("name", metavar="NAME", help="such as my-codec, for a distribution izzati-my-codec")
    new.add_argument("--kind", choices=list(KINDS), required=True)
    new.add_argument("--into", type=Path, default=Path(), metavar="FOLDER", help="where; here unless given")
    new.set_defaults(do=_new)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time to wait; give seconds, such as 2.5")
    return seconds


def _run(options: argparse.Namespace) -> int:
    if has_parent():
        end_with_parent()
    elif options.reload:
        return supervise(options.file)
    served = False
    if options.quiet:
        os.environ["IZZATI_LOGS_REQUESTS"] = "no"  # where a server in a process of its own finds it, too

    def serve(backend: Backend, host: str, port: int) -> Any:
        nonlocal served
        served = True
        in_place_of_run.append(None)
        try:
            return backend.run(
                host if options.host is None else options.host, port if options.port is None else options.port
            )
        finally:
            in_place_of_run.pop()

    find = execute(options.file, serve)
    if served:
        return 0
    handles = serve(find(), "", 5020)
    return _ended(handles[0]) if handles else 0


def _ended(server: Process) -> int:
    """Wait until a server in the background has ended. Signals end it, as they end one in the foreground."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.terminate())
    server.join()
    return 1 if server.exitcode else 0


def _send(options: argparse.Namespace) -> int:
    try:
        command = import_module("izzati.cli.send")  # by name, since its libraries come with an extra
    except ImportError as error:
        raise IzzatiError(str(error)) from None
    code: int = command.send(options)
    return code


def _plugins(options: argparse.Namespace) -> int:
    problems = _problems_of_plugins()
    plugins = load(options.file).plugins if options.file else Plugins((), Settings({}), Selection())
    told = [fault for record in plugins.records for fault in record.faults]
    for problem in problems:
        if problem not in told:
            print(f"izzati: {problem}", file=sys.stderr)
    _print(as_json(plugins.records) if options.json else as_text(plugins.records))
    return 0


def _explain(options: argparse.Namespace) -> int:
    environ = environ_for(options.text, options.files, options.headers, options.method, options.path)
    problems = _problems_of_plugins()
    backend = load(options.file)
    if backend.background:
        queue: Queue = multiprocessing.Queue()
        queue.cancel_join_thread()  # nobody takes from it what the callback puts
        backend.queue = queue
    _print(explain(backend, environ, problems))
    return 0


def _new(options: argparse.Namespace) -> int:
    folder = new_plugin(options.name, options.kind, options.into)
    _print(f"{folder} is a plugin. Try it: cd {shlex.quote(str(folder))} && pip install '.[test]' && pytest")
    return 0


def _problems_of_plugins() -> list[PluginError]:
    """Go on without plugins that are broken; what is wrong, with them or with what was said of them, comes in here."""
    problems: list[PluginError] = []

    def keep(record: logging.LogRecord) -> bool:
        found = [each for each in record.args or () if isinstance(each, PluginError)]
        problems.extend(found)
        return not found

    os.environ["IZZATI_STRICT"] = "0"
    logging.getLogger("izzati").addFilter(keep)
    return problems


def _print(text: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a body may hold what this terminal cannot show
    print(text)
