"""A caller that sends any bytes and believes nothing: it tells an answer, silence, an end and a reset apart."""

from __future__ import annotations

import json
import re
import select
import socket
import time
from dataclasses import dataclass, field, replace
from typing import Any

from hostile.cases import FORM, Case, post

__all__ = ["ANSWER_TO_PROBE", "PROBE", "SECONDS", "Answer", "Outcome", "answered", "call"]

SECONDS = 5.0
"""Longer nobody waits for an answer."""

PROBE = post(b"probe=1", FORM, "Connection: close")
"""An ordinary request, which must be answered whatever came before it."""

ANSWER_TO_PROBE = {"text": {"probe": "1"}, "files": []}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def value(self) -> Any:
        """What the JSON in its body stands for; None if there is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Outcome:
    """What came of a case.

    :param answers: to its bytes.
    :param after: what came on the same connection when an ordinary request followed; None if it could not.
    :param end: how it ended: ``closed``, ``reset``, or ``silent`` for longer than anybody waits.
    """

    answers: list[Answer] = field(default_factory=list)
    after: list[Answer] | None = None
    end: str = ""


class _Wire:
    """One connection. Sends while it receives, since a server may answer before it has got all."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._sock.setblocking(False)
        self._out = memoryview(b"")
        self._close_after = False
        self._in = b""
        self.end = ""

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, data: bytes, *, then_close: bool = False) -> None:
        self._out = memoryview(bytes(self._out) + data)
        self._close_after = then_close
        self.deadline = time.monotonic() + SECONDS

    def answer(self, method: str) -> Answer | None:
        """The next answer; None if there is none, and ``end`` says why."""
        while (found := _parse(self._in, method, ended=bool(self.end))) is None:
            if self.end:
                return None
            self._pump()
        answer, used = found
        self._in = self._in[used:]
        return answer

    def _pump(self) -> None:
        seconds = self.deadline - time.monotonic()
        writers = [self._sock] if self._out or self._close_after else []
        readable, writable, _ = select.select([self._sock], writers, [], max(0.0, seconds))
        if not readable and not writable:
            self.end = "silent"
        if writable:
            self._write()
        if readable:
            self._read()

    def _write(self) -> None:
        try:
            if self._out:
                self._out = self._out[self._sock.send(self._out[: 1 << 18]) :]
                self.deadline = time.monotonic() + SECONDS  # nobody waits for an answer before all has been sent
            if not self._out and self._close_after:
                self._close_after = False
                self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._out, self._close_after = memoryview(b""), False  # an answer may be here all the same

    def _read(self) -> None:
        try:
            data = self._sock.recv(1 << 18)
        except OSError:
            self.end = "reset"
        else:
            self._in += data
            self.end = "" if data else "closed"


def _parse(data: bytes, method: str, *, ended: bool) -> tuple[Answer, int] | None:
    """The first whole answer in the data, and how long it is; of those before it, such as a 100, nothing is told."""
    before = 0
    while True:
        start, separator, body = data[before:].partition(b"\r\n\r\n")
        if not separator:
            return None
        line, *fields = start.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: .*)?", line)
        if not status:
            return Answer(0, {}, data), len(data)  # which is no HTTP
        before += len(start) + 4
        if int(status[1]) >= 200:
            break
    headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
    answer = Answer(int(status[1]), headers, b"")
    bodyless = method == "HEAD" or answer.status in (204, 304)
    found = (b"", 0) if bodyless else _body(headers, body, ended=ended)
    return found and (replace(answer, body=found[0]), before + found[1])


def _body(headers: dict[str, str], data: bytes, *, ended: bool) -> tuple[bytes, int] | None:
    if "chunked" in headers.get("transfer-encoding", ""):
        return _chunks(data)
    if "content-length" in headers:
        length = int(headers["content-length"])
        return (data[:length], length) if len(data) >= length or ended else None
    return (data, len(data)) if ended else None


def _chunks(data: bytes) -> tuple[bytes, int] | None:
    body, left = b"", data
    while True:
        line, separator, rest = left.partition(b"\r\n")
        if not separator or len(rest) < (size := int(line.partition(b";")[0], 16)) + 2:
            return None
        body, left = body + rest[:size], rest[size + 2 :]
        if not size:
            return body, len(data) - len(left)


def call(port: int, case: Case, probe: bytes = PROBE) -> Outcome:
    """Send a case, then an ordinary request on the same connection, unless it has ended."""
    outcome = Outcome()
    with _Wire(port) as wire:
        wire.send(case.data, then_close=case.then_close)
        while len(outcome.answers) < case.answers:
            answer = wire.answer(case.method)
            if answer is None:
                outcome.end = wire.end
                return outcome
            outcome.answers.append(answer)
        if case.then_close or outcome.answers[-1].headers.get("connection", "").lower() == "close":
            outcome.end = wire.end
            return outcome
        wire.send(probe)
        outcome.after = []
        while (answer := wire.answer("POST")) is not None:
            outcome.after.append(answer)
        outcome.end = wire.end
    return outcome


def answered(port: int, probe: bytes = PROBE) -> bool:
    """True if an ordinary request is answered, on a connection of its own."""
    outcome = call(port, Case("", "", probe))
    return bool(outcome.answers) and outcome.answers[0].value == ANSWER_TO_PROBE
