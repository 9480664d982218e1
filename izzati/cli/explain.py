"""``izzati explain``: one request through the hooks, and what each plugin answered."""

from __future__ import annotations

import codecs
import io
import json
import mimetypes
import os
import reprlib
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pluggy import HookImpl
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response

from izzati.backend import Backend
from izzati.checks import SPECS
from izzati.errors import PluginError
from izzati.message import Content, Identity
from izzati.plugins import Plugins

__all__ = ["Step", "Trace", "environ_for", "explain"]

_SHOWN = 2_000


@dataclass
class Step:
    """One plugin that was asked one hook.

    :param depth: how many hooks were under way when it was asked.
    :param outcome: ``declined``, ``answered …``, ``raised …``, ``done`` (where no answer is meant) or ``wrapped``.
    :param seconds: how long it took, with all that it asked itself.
    """

    depth: int
    hook: str
    plugin: str
    outcome: str = ""
    seconds: float = 0.0


class Trace:
    """Records every implementation that is asked, from when it is made.

    :param plugins: those of a Backend that answers nobody else.
    """

    def __init__(self, plugins: Plugins) -> None:
        self.steps: list[Step] = []
        self._depth = 0
        for hook in SPECS:
            plugins.hooks.change(hook, partial(self._recorded, hook))

    def _recorded(self, hook: str, implementation: HookImpl) -> Callable[..., Any]:
        record = self._around if implementation.wrapper else self._plain
        return record(implementation.function, hook, implementation.plugin_name)

    def _plain(self, function: Callable[..., Any], hook: str, plugin: str) -> Callable[..., Any]:
        answers = SPECS[hook].izzati_spec["firstresult"]

        def asked(*args: Any) -> Any:
            step, begin = self._begin(hook, plugin)
            try:
                result = function(*args)
            except BaseException as error:
                step.outcome = f"raised {_told(error)}"
                raise
            else:
                step.outcome = "done" if not answers else "declined" if result is None else f"answered {_short(result)}"
                return result
            finally:
                self._end(step, begin)

        return asked

    def _around(self, function: Callable[..., Any], hook: str, plugin: str) -> Callable[..., Any]:
        def asked(*args: Any) -> Generator[Any, Any, Any]:
            step, begin = self._begin(hook, plugin)
            step.outcome = "wrapped"
            try:
                return (yield from function(*args))
            except BaseException as error:
                step.outcome = f"wrapped, raised {_told(error)}"
                raise
            finally:
                self._end(step, begin)

        return asked

    def _begin(self, hook: str, plugin: str) -> tuple[Step, float]:
        step = Step(self._depth, hook, plugin)
        self.steps.append(step)
        self._depth += 1
        return step, time.perf_counter()

    def _end(self, step: Step, begin: float) -> None:
        step.seconds = time.perf_counter() - begin
        self._depth -= 1


def explain(backend: Backend, environ: dict[str, Any], problems: Iterable[PluginError] = ()) -> str:
    """Answer one request, and tell how.

    :param problems: what is wrong with plugins that were left out.
    """
    trace = Trace(backend.plugins)
    body, status, headers = run_wsgi_app(backend, environ, buffered=True)
    content = b"".join(body)
    left_out = [f"left out: {problem}" for problem in problems]
    lines = [
        f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']} {environ.get('CONTENT_TYPE', '')}".rstrip(),
        *(["", *left_out] if left_out else []),
        "",
        *map(_line, trace.steps),
        "",
        status,
        *(f"{name}: {value}" for name, value in headers),
        "",
        _shown(content),
    ]
    return "\n".join(lines)


def environ_for(
    text: str | None, files: Sequence[str], headers: Iterable[str], method: str, path: str
) -> dict[str, Any]:
    """The request to send.

    :param text: JSON: the whole body, or if there are files an object whose members become parts of a form.
    :param files: paths, each with ``key=`` before it if the key is not to be ``file``.
    :param headers: each as ``Name: value``.
    :raises ValueError: if the text must be an object and is none, a header has no colon, or the path no slash.
    :raises OSError: if a file cannot be read.
    """
    given = Headers()
    for header in headers:
        name, colon, value = os.fsencode(header).decode("latin-1").partition(":")  # as servers do
        if not colon:
            raise ValueError(f"a header is written as 'Name: value', not {header!r}")
        given.add(name.strip(), value.strip())
    if not path.startswith("/"):
        raise ValueError(f"a path begins with a slash: /{path}")
    body = None
    if files:
        boundary = secrets.token_hex()
        body = _form(text, files, boundary.encode())
        given.setdefault("Content-Type", f"multipart/form-data; boundary={boundary}")
    elif text is not None:
        body = os.fsencode(text)  # as it was typed, even if it is no UTF-8
        given.setdefault("Content-Type", "application/json")
    builder = EnvironBuilder(
        method=method, headers=given, input_stream=io.BytesIO(body or b""), environ_base={"REMOTE_ADDR": "127.0.0.1"}
    )
    builder.request_uri = iri_to_uri(path)
    builder.path, _, builder.query_string = builder.request_uri.partition("?")
    return builder.get_environ()


def _form(text: str | None, files: Sequence[str], boundary: bytes) -> bytes:
    parts = list(_parts(text, files))
    return b"".join(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, *part) for part in parts) + b"--%b--\r\n" % boundary


def _parts(text: str | None, files: Sequence[str]) -> Iterator[tuple[bytes, bytes]]:
    """The headers and the content of each part."""
    try:
        members = json.loads(text) if text is not None else {}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"what is given beside files is not valid JSON: {error}") from None
    if not isinstance(members, dict):
        message = "beside files the JSON must be an object: its members become parts of a form"
        raise ValueError(message)  # noqa: TRY004 - what the shell gave is text of the wrong value
    for key, value in members.items():
        yield _headers("application/json", name=key), json.dumps(value).encode()
    for file in files:
        key, equals, path = file.partition("=")
        key, path = (key, path) if equals and not Path(file).exists() else ("file", file)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        try:
            yield _headers(kind, name=key, filename=Path(path).name), Path(path).read_bytes()
        except OSError as error:
            raise OSError(f"{path} cannot be read: {error.strerror}") from None


def _headers(kind: str, **parameters: str) -> bytes:
    """Those of a part, with names escaped as browsers do (WHATWG HTML §4.10.21.8)."""
    escapes = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
    disposition = "".join(f'; {name}="{value.translate(escapes)}"' for name, value in parameters.items())
    return os.fsencode(f"Content-Disposition: form-data{disposition}\r\nContent-Type: {kind}")


def _line(step: Step) -> str:
    hook = step.hook.removeprefix("izzati_")
    return f"{step.seconds * 1000:9.3f} ms  {'  ' * step.depth}{hook:<9} {step.plugin:<12} {step.outcome}"


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _short(result: Any) -> str:
    if isinstance(result, Response):
        return f"{result.status}, {result.content_type}"
    if isinstance(result, Content):
        files = "1 file" if len(result.uploads) == 1 else f"{len(result.uploads)} files"
        return f"text {reprlib.repr(result.text)} and {files}"
    if isinstance(result, Identity):
        return result.name
    if isinstance(result, bytes):
        return f"{len(result):,} bytes"
    says_nothing = repr(result).startswith(f"<{type(result).__module__}.")
    return type(result).__name__ if says_nothing else reprlib.repr(result)


def _shown(content: bytes) -> str:
    """What of a body can be read, or how long it is."""
    size = f"({len(content):,} bytes)"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(content[:_SHOWN])  # which may end within a character
    except UnicodeDecodeError:
        return size
    if not text or any(ord(letter) < 32 and not letter.isspace() for letter in text):
        return size
    return text if len(content) <= _SHOWN else f"{text}…\n{size}"
