"""A line for each request, and a place for izzati's log where the program has none."""

from __future__ import annotations

import codecs
import json
import logging
import re
import time
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Literal

from werkzeug.wrappers import Response

from izzati import Request, hookimpl

__all__ = ["Logs"]

log = logging.getLogger("izzati.access")

_LINE = "%s %s %d %.1f ms %s"
_escape = codecs.getencoder("unicode_escape")  # now: it is a module, which cannot be read when descriptors are used up


class Logs:
    """Logs each request at level INFO, by the logger ``izzati.access``.

    Where the program has not set logging up, what izzati logs goes to stderr once it serves.

    :param format: ``"json"`` for an object a line, of everything that izzati logs: it has the keys ``time`` (RFC 3339),
        ``level``, ``logger`` and ``message``, and of a request ``method``, ``path``, ``status``, ``seconds``,
        ``address``, ``id`` and ``identity``.
    :param requests: False for no line for each request.
    """

    def __init__(self, format: Literal["text", "json"] = "text", requests: bool = True) -> None:
        self._formatter = _JSONFormatter() if format == "json" else _TextFormatter("%(asctime)s %(message)s")
        self._requests = requests

    @hookimpl
    def izzati_startup(self) -> None:
        izzati = logging.getLogger("izzati")
        if not izzati.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(self._formatter)
            izzati.addHandler(handler)
            if izzati.level == logging.NOTSET:
                izzati.setLevel(logging.INFO)

    @hookimpl(trylast=True)
    def izzati_finalize(self, response: Response, request: Request) -> None:
        if not self._requests or not log.isEnabledFor(logging.INFO):
            return
        seconds = time.perf_counter() - request.begun
        # It may hold anything, line ends too, and a line is one request.
        path = _escape(request.path)[0].decode()
        fields = {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "seconds": round(seconds, 6),
            "address": request.address,
            "id": request.id,
            "identity": request.identity.name if request.identity else None,
        }
        shown = (request.method, path, response.status_code, seconds * 1000, request.address or "-")
        # Not by log.info, which would look for the line that called it: that is this one, each time.
        record = log.makeRecord(log.name, logging.INFO, __file__, 0, _LINE, shown, None)
        record.request = fields
        log.handle(record)


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """What begins a line is the time: an exception may hold what a caller sent, line ends and escapes too."""
        text = super().format(record).replace("\n", "\n    ")
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        return _clock(int(record.created))


@lru_cache(maxsize=1)
def _clock(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
