"""What breaks the rule, for any server; and where izzati did otherwise than a case says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from hostile.cases import MARKUP, Case, Sent
from hostile.wire import ANSWER_TO_PROBE, SECONDS, Answer, Outcome

__all__ = ["broken", "different"]


def broken(case: Case, outcome: Outcome, secrets: tuple[str, ...] = ()) -> str:
    """In which way the rule was broken; empty if it was kept.

    :param secrets: what no answer may tell, such as folders of the machine that the server runs on.
    """
    return next(_breaches(case, outcome, secrets), "")


def _breaches(case: Case, outcome: Outcome, secrets: tuple[str, ...]) -> Iterator[str]:
    if not outcome.answers:
        silent = outcome.end == "silent"
        yield f"no answer within {SECONDS:g} seconds" if silent else f"{outcome.end} without an answer"
    if outcome.after and [each.value for each in outcome.after] != [ANSWER_TO_PROBE]:
        yield f"an ordinary request behind it was answered by {outcome.after}"
    if outcome.after == [] and outcome.end == "silent":
        yield "an ordinary request behind it was not answered, and the connection stayed open"
    for answer in outcome.answers:
        yield from _leaks(answer, secrets)
        if answer.status == 0 or answer.status >= 500:
            # RFC 9110 has two for what is not known, and clients are told what it is.
            if not (answer.status in (501, 505) and case.group in ("framing", "targets") and answer.body):
                yield f"a {answer.status}"
        elif answer.status >= 400:
            yield from _refusal(case, answer)
        else:
            yield from _success(case, answer)


def _leaks(answer: Answer, secrets: tuple[str, ...]) -> Iterator[str]:
    body = answer.body.decode("utf-8", "replace")
    for each in ("Traceback", 'File "', "site-packages", *secrets):
        if each in body:
            yield f"an answer that tells {each!r}"
    if "x-injected" in answer.headers:
        yield "a header that the caller has written"
    inert = answer.status < 400 and answer.headers.get("content-type", "").startswith("application/json")
    if MARKUP in body and not inert:
        yield "markup that comes back"


def _refusal(case: Case, answer: Answer) -> Iterator[str]:
    if case.sent is not None and not (case.refused or case.lenient):
        yield f"a {answer.status} for what is in order: {answer.body[:200]!r}"
    if not answer.body and case.method != "HEAD":
        yield f"a {answer.status} that explains nothing"


def _success(case: Case, answer: Answer) -> Iterator[str]:
    if case.sent is None:
        yield f"a {answer.status} for what has no single meaning: {answer.body[:200]!r}"
    elif case.method == "POST" and answer.value not in [_as_json(each) for each in (case.sent, *case.also)]:
        yield f"the callback got something else: {answer.body[:200]!r}"


def different(case: Case, outcome: Outcome) -> str:
    """Where izzati did otherwise than the case says, beyond the rule; empty if it did not."""
    return next(_differences(case, outcome.answers[-1]), "")


def _differences(case: Case, answer: Answer) -> Iterator[str]:
    headers = {"x-content-type-options": "nosniff", **{name.lower(): value for name, value in case.headers.items()}}
    if answer.status not in (case.refused or (200, 204)):
        yield f"a {answer.status}: {answer.body[:300]!r}"
    elif answer.status >= 400 and case.method != "HEAD":
        headers["content-type"] = "application/problem+json"
        problem = answer.value
        if problem["status"] != answer.status or not {"type", "title", "detail"} <= problem.keys():
            yield f"not what a problem has: {problem}"
        if case.says not in problem["detail"] + problem.get("hint", ""):
            yield f"another sentence: {problem}"
        if any(name not in problem or value not in (..., problem[name]) for name, value in case.members.items()):
            yield f"other members: {problem}"
    for name, value in headers.items():
        if answer.headers.get(name) != value:
            yield f"{name}: {answer.headers.get(name)}"
    if len(answer.headers.get("x-request-id", "")) != 16:
        yield "no request id"


def _as_json(sent: Sent) -> Any:
    files = [[name, filename, len(data), hashlib.sha256(data).hexdigest()] for name, filename, data in sent.files]
    return {"text": sent.text, "files": files}
