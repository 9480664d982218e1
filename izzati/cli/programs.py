"""A program in a file: run as it would run by itself, but for what its ``run()`` does."""

from __future__ import annotations

import builtins
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from izzati.backend import Backend
from izzati.background import inert_handles
from izzati.errors import CallbackError, IzzatiError, did_you_mean
from izzati.serving import in_place_of_run

__all__ = ["ProgramError", "ProgramRaised", "execute", "find", "load", "sentence", "split"]

OnRun = Callable[[Backend, str, int], Any]


class ProgramError(IzzatiError):
    """A file holds no program that can be served."""


class ProgramRaised(Exception):
    """A file raised something of its own.

    :param error: what it raised; its traceback begins in that file.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def execute(spec: str, on_run: OnRun) -> Callable[[], Backend]:
    """Run a file as the main program.

    :param spec: ``FILE`` or ``FILE:name``.
    :param on_run: called in place of ``run()``; if a name was given, only for the Backend of this name.
    :returns: what finds the Backend that the file defines.
    :raises ProgramError: if there is no such file, or izzati refuses what is in it.
    :raises ProgramRaised: if it raises anything else.
    """
    path, name = split(spec)
    code = _compiled(path)
    # As __main__, so that background work finds its functions in other processes, as it does without this program.
    main = ModuleType("__main__")
    vars(main).update(__file__=code.co_filename, __builtins__=builtins)
    sys.modules["__main__"] = main
    sys.argv[:] = [path]
    sys.path.insert(0, str(Path(path).resolve().parent))
    refusals: list[Exception] = []

    def run(backend: Backend, host: str, port: int) -> Any:
        if name is not None and vars(main).get(name) is not backend:
            return inert_handles() if backend.background else None
        try:
            return on_run(backend, host, port)
        except (OSError, ValueError) as error:
            refusals.append(error)
            raise

    in_place_of_run.append(run)
    try:
        exec(code, vars(main))  # noqa: S102 - to run it is what was asked for
    except Exception as error:
        if isinstance(error, IzzatiError) or error in refusals:
            raise ProgramError(f"{path}:{_line(error, code)}: {sentence(error)}") from error
        raise ProgramRaised(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)) from None
    finally:
        in_place_of_run.pop()
    return lambda: find(vars(main), path, name)


def load(spec: str) -> Backend:
    """The Backend that a file runs or defines; the file is left where it would serve.

    :param spec: ``FILE`` or ``FILE:name``.
    :raises ProgramError: if there is none.
    :raises ProgramRaised: if the file raises.
    """
    ran: list[Backend] = []

    def leave(backend: Backend, host: str, port: int) -> None:
        ran.append(backend)
        raise _Left

    try:
        found = execute(spec, leave)
    except _Left:
        return ran[0]
    return ran[0] if ran else found()


class _Left(BaseException):
    pass


def split(spec: str) -> tuple[str, str | None]:
    """The file's path and the name in it. A file whose own name has a colon is found as it is."""
    match = re.fullmatch(r"(?s)(.+):([^\W\d]\w*)", spec)
    return (match[1], match[2]) if match and not Path(spec).exists() else (spec, None)


def _compiled(path: str) -> CodeType:
    try:
        # Like Python: by its absolute path, and without the __future__ of this module.
        return compile(Path(path).read_bytes(), Path(path).absolute(), "exec", dont_inherit=True)
    except OSError as error:
        raise ProgramError(f"{path} cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        if isinstance(error, SyntaxError) and error.filename:
            raise ProgramRaised(error.with_traceback(None)) from None
        raise ProgramError(f"{path} is no Python file: {error}") from None


def sentence(error: Exception) -> str:
    """What an error says, without the number that those of the system have."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _line(error: Exception, code: CodeType) -> int:
    """The innermost line of the file that the error came through."""
    frames = traceback.walk_tb(error.__traceback__)
    return [line for frame, line in frames if frame.f_code.co_filename == code.co_filename][-1]


def find(names: Mapping[str, Any], path: str, name: str | None = None) -> Backend:
    """The Backend among the names that a file has defined, or one for the callback among them.

    :param path: the file, for messages.
    :param name: which; None to find the only one that there is.
    :raises ProgramError: if there is none, or more than one.
    """
    if name is not None:
        if name not in names:
            raise ProgramError(f"{path} defines no {name!r}{did_you_mean(name, names)}")
        return _backend(names[name], f"{path}:{name}")
    backends = {key: value for key, value in names.items() if isinstance(value, Backend)}
    if len({id(backend) for backend in backends.values()}) == 1:
        return next(iter(backends.values()))
    if backends:
        raise ProgramError(f"{path} defines several Backends: say which, {_choice(path, backends)}")
    if "callback" in names:
        return _backend(names["callback"], f"{path}:callback")
    functions = [
        key
        for key, value in names.items()
        if inspect.isfunction(value) and value.__module__ == "__main__" and not key.startswith("_")
    ]
    if len(functions) == 1:
        return _backend(names[functions[0]], f"{path}:{functions[0]}")
    if functions:
        raise ProgramError(f"{path} defines no Backend, but several functions: say which, {_choice(path, functions)}")
    raise ProgramError(f"{path} defines no Backend, and no function; define one: def callback(text, data)")


def _choice(path: str, names: Collection[str]) -> str:
    *others, last = (f"{path}:{name}" for name in names)
    return f"{', '.join(others)} or {last}"


def _backend(found: Any, spec: str) -> Backend:
    if isinstance(found, Backend):
        return found
    if not callable(found) and not isinstance(found, Mapping):
        raise ProgramError(f"{spec} is no Backend, function or dict of path to function, but {type(found).__name__}")
    try:
        return Backend(found)
    except CallbackError as error:
        raise ProgramError(f"{spec} cannot be served as it is: {error}") from None
