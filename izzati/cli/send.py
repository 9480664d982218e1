"""``izzati send``: one call from a shell."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from izzati.cli.items import UsageError, collect, read_json
from izzati.cli.shown import escaped, pretty, show
from izzati.client import CallError, Frontend, Refused

__all__ = ["send"]

_NO_ANSWER = 3


def send(options: argparse.Namespace) -> int:
    """Make the call, and show what came back.

    :returns: the exit code: 0, 4 or 5 by the class of the status, or 3 if there was no answer.
    :raises UsageError: if what was given makes no call.
    :raises OSError: if a file cannot be read or written.
    """
    frontend, text, files = _call(options)
    with frontend:
        try:
            with frontend.stream(text=text, files=files, progress=sys.stderr.isatty()) as answer:
                show(answer, options.output)
        except Refused as refused:
            print(f"izzati: {escaped(str(refused))}", file=sys.stderr)
            if not refused.detail and isinstance(refused.value, (dict, list)):
                print(pretty(refused.value, colour=False), file=sys.stderr)
            return refused.status // 100
        except CallError as error:
            print(f"izzati: {escaped(str(error))}", file=sys.stderr)
            return _NO_ANSWER
    return 0


def _call(options: argparse.Namespace) -> tuple[Frontend, dict[str, Any] | None, dict[str, Any]]:
    """Whom to call, and with what."""
    base = read_json(options.json, "--json") if options.json is not None else {}
    if not isinstance(base, dict):
        raise UsageError('--json takes an object, as in --json \'{"name": "Rex"}\'')
    text, files = collect(options.items, base)
    output = options.output
    if output not in (None, "-") and not os.path.isdir(os.path.dirname(output) or "."):
        raise UsageError(f"-o {output}: there is no such folder")  # told before the call, since it is made but once
    token = options.token
    if token is not None and token.startswith("@"):
        token = Path(token[1:]).read_text("utf-8").strip()
    try:
        frontend = Frontend(options.url, token=token, headers=_headers(options.headers), timeout=options.timeout)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return frontend, text or None, files


def _headers(given: Iterable[str]) -> dict[str, str]:
    headers = {}
    for header in given:
        name, colon, value = header.partition(":")
        if not colon:
            raise UsageError(f"a header is written as 'Name: value', not {header!r}")
        headers[name.strip()] = value.strip()
    return headers
