"""An answer, shown to a person or handed to a program."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from izzati.client import Answer
from izzati.limits import human

__all__ = ["escaped", "pretty", "show"]

# What moves a terminal's cursor, changes its colours, or turns the order of letters round: C0, C1, and directions.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def show(answer: Answer, output: str | None) -> None:
    """Write an answer to where it belongs.

    :param output: a file or folder; ``-`` for stdout, whatever that is. Unless given, a program gets the bytes, and a
        person reads values and text, and finds any other file in this folder.
    :raises OSError: if it cannot be written.
    """
    if output is None and sys.stdout.isatty():
        _to_terminal(answer)
    elif output in (None, "-"):
        _to_program(answer)
    else:
        assert output is not None
        saved = answer.save(output)
        if os.path.isdir(output):
            _tell(saved)


def pretty(value: Any, *, colour: bool) -> str:
    """A value as indented JSON. What JSON has no word for, such as bytes, is shown as Python would."""
    text = escaped(json.dumps(value, indent=2, ensure_ascii=False, default=repr))
    if not colour:
        return text
    lexer, formatter = import_module("pygments.lexers").JsonLexer(), import_module("pygments.formatters")
    shown: str = import_module("pygments").highlight(text, lexer, formatter.TerminalFormatter())
    return shown.rstrip("\n")


def escaped(text: str) -> str:
    """The same, with what a terminal would obey rather than show written as in JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _to_terminal(answer: Answer) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an answer may hold what this terminal cannot show
    if answer.is_value:
        colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        print(pretty(answer.result(), colour=colour))
    elif answer.content_type.startswith("text/"):
        answer.progress = False  # the bar would stand amid the text
        last = "\n"
        for text in _decoded(answer):
            last = text or last
            sys.stdout.write(escaped(text.replace("\r\n", "\n")))
        if not last.endswith("\n"):
            print()
    else:
        _tell(answer.save("."))


def _decoded(answer: Answer) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for block in answer.blocks():
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _to_program(answer: Answer) -> None:
    out = sys.stdout.buffer
    last = b""
    for block in answer.blocks():
        out.write(block)
        last = block or last
    if answer.is_value and answer.content_type == "application/json" and not last.endswith(b"\n"):
        out.write(b"\n")  # a line, for whatever reads lines
    out.flush()


def _tell(saved: os.PathLike[str]) -> None:
    size = human(os.stat(saved).st_size)
    print(f"izzati: saved {escaped(os.fspath(saved))}, {size}", file=sys.stderr)
