"""What several test modules use, and the functions that run in the cluster."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from pathlib import Path

SECONDS = 30
"""After this anything that waits has failed."""


def within(seconds, condition):
    """What the condition gives, as soon as that is true; else, when the time is up, what it gives then."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)  # between two looks, not instead of one
    return found


def state(pid):
    """The state of a process; X if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "X"


def gone(pid):
    return state(pid) in "ZX"


def new_name():
    return f"test-{uuid.uuid4().hex}"


def idle(q):
    threading.Event().wait()


def tell_pid(q, answers):
    """Say which process it is, then send on what comes."""
    answers.put(os.getpid())
    while True:
        answers.put(q.get())


def tell_gpus(q):
    """Say which GPUs it may use, and keep them."""
    q.put(os.environ.get("CUDA_VISIBLE_DEVICES"))
    threading.Event().wait()


def leave_decently(q, answers):
    """Notice the end."""

    def leave(number, frame):
        answers.put("SIGTERM arrived")
        raise SystemExit(3)

    signal.signal(signal.SIGTERM, leave)
    answers.put("ready")
    q.get()


def leave(q, code):
    raise SystemExit(code)


def die_of(q, answers):
    """End as by a defect in C."""
    answers.put("dies")
    os.kill(os.getpid(), signal.SIGSEGV)


def wait_at(q, gate, answers):
    """As tell_pid, once the gate is open."""
    answers.put(os.getpid())
    gate.get()
    while True:
        answers.put(q.get())


def tally(q):
    """Collect what comes; who sends a queue is told what came."""
    found = []
    while True:
        item = q.get()
        if hasattr(item, "put"):
            item.put(found)
        else:
            found.append(item)
