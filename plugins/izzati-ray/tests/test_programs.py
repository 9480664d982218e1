"""Whole programs that are pointed at a cluster by their environment."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from helpers import SECONDS, gone, idle, new_name, tally, within

GREETER = """
import sys
from izzati import Backend, background

def greeter(q, greeting):
    while True:
        print(greeting, q.get())

def callback(text, data, q):
    q.put(text["name"])
    return {"status": "OK"}

if __name__ == "__main__":
    p, q = background(greeter, args=("Hello",))
    Backend(callback, args=(q,)).run("127.0.0.1", int(sys.argv[1]))
"""
CRASHES = """
from izzati import background

def divide(q, number):
    print(number / 0)

if __name__ == "__main__":
    p, q = background(divide, args=(1,))
    p.join()
    print("exit code", p.exitcode, flush=True)
    input()
"""
FORKS = """
import multiprocessing, sys
from helpers import idle
from izzati import background

PLACE = "fork"
answers = background(idle)[1]
p, q = background(lambda q: [answers.put((PLACE, q.get())) for _ in range(4)])

def child(number):
    q.put(number)
    sys.exit(0)  # with all that a program does at its end

children = [multiprocessing.get_context("fork").Process(target=child, args=(number,)) for number in range(3)]
for each in children:
    each.start()
for each in children:
    each.join(30)
q.put(3)
print([each.exitcode for each in children], sorted(answers.get(timeout=30) for _ in range(4)), flush=True)
input()
"""
APP = """
import os
from izzati import Backend, background

def clerk(q):
    while True:
        print("filed by", q.get())

def callback(text, data, q):
    q.put(os.getpid())
    return {"worker": os.getpid()}

p, q = background(clerk)
backend = Backend(callback, args=(q,))
"""

NESTED = """
import socket
from helpers import idle
from izzati import background

def double(q, answers):
    while True:
        answers.put(2 * q.get())

def forward(q, answers):
    inner = background(double, args=(answers,))[1]
    print("inner work has", inner)
    while True:
        inner.put(q.get())

if __name__ == "__main__":
    answers = background(idle)[1]
    p, q = background(forward, args=(answers,))
    q.put(21)
    print("answer", answers.get(timeout=30), flush=True)
    input()
"""
REPLICA = """
import sys
from helpers import tally
from izzati import background

p, q = background(tally, name=sys.argv[1], restart=True)
q.put(sys.argv[2])
print("has put", flush=True)
q.get()  # which nothing is meant for
"""
TELLS = """
from helpers import idle, tell_pid
from izzati import background

answers = background(idle)[1]
p, q = background(tell_pid, args=(answers,))
print("works in", answers.get(timeout=30), flush=True)
input()
"""
PERSISTS = """
import sys
from helpers import tally
from izzati import BackgroundError, background

p, q = background(tally, name=sys.argv[1])
q.put("before")
print("has put", flush=True)
input()
while True:
    try:
        q.put("afterwards")
        break
    except BackgroundError as error:
        print(error, flush=True)
print("alive:", p.is_alive(), flush=True)
input()
"""
TRIES = """
from izzati import BackgroundError, background

try:
    background(print)
except BackgroundError as error:
    print(error)
"""


class Program:
    """A program of a few lines, pointed at the cluster."""

    def __init__(self, folder, cluster, source, *args, command=None, **environment):
        self._log = folder / "log"
        (folder / "app.py").write_text(source)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(command or ["app.py"]), *map(str, args)],
                cwd=folder,
                env={**os.environ, "IZZATI_RAY_ADDRESS": cluster.address, **environment},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self):
        return re.sub(r"\x1b\[\d+m", "", self._log.read_text("utf-8", "replace"))

    def says(self, pattern):
        found = within(SECONDS, lambda: re.search(pattern, self.log))
        assert found, self.log
        return found

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self.process.stdin.close()
        return code


@pytest.fixture
def program(tmp_path, cluster):
    started = []

    def start(source, *args, **options):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Program(folder, cluster, source, *args, **options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def ask(port, name="Rex"):
    def answer():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/?name={name}", b"", timeout=SECONDS) as response:
                return json.load(response)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
        return None

    return within(SECONDS, answer)


def test_a_function_of_the_main_script_greets_on_another_node_and_its_words_come_out_here(program):
    port = free_port()
    greeting = program(GREETER, port)
    assert ask(port) == {"status": "OK"}
    for _ in range(3):
        assert ask(port, "Ann") == {"status": "OK"}
    greeting.says(r"\(greeter pid=\d+, ip=127\.0\.0\.3\) Hello Rex\n")
    greeting.says(r"(\(greeter pid=\d+, ip=127\.0\.0\.3\) Hello Ann\n){3}")
    assert greeting.end() == 0


def test_background_work_has_background_work_of_its_own_in_the_cluster(program):
    nested = program(NESTED)
    nested.says(r"(?m)^answer 42$")
    nested.says(r"\(forward pid=\d+, ip=127\.0\.0\.3\) inner work has <RayQueue of double-")


def test_an_exception_comes_with_its_traceback_from_the_other_node(program):
    crashing = program(CRASHES)
    crashing.says(r"(?m)^exit code 1$")
    crashing.says(r"(?s)the background process divide \(\d+\) raised.*in divide.*ZeroDivisionError: division by zero")


def test_closures_travel_and_handles_work_in_every_fork_of_the_program(program):
    forking = program(FORKS)
    line = forking.says(r"(?m)^\[0, 0, 0\] (.*)$")
    assert line[1] == str([("fork", number) for number in range(4)])


def test_handles_work_in_the_workers_of_gunicorn_which_end_in_time(program):
    port = free_port()
    bind = f"127.0.0.1:{port}"
    gunicorn = ["-m", "gunicorn", "--preload", "--workers", "2", "--no-control-socket", "--bind", bind, "app:backend"]
    serving = program(APP, command=gunicorn)
    pids = {ask(port)["worker"]}
    assert within(SECONDS, lambda: pids.add(ask(port)["worker"]) or len(pids) == 2)
    for pid in pids:
        serving.says(rf"\(clerk pid=\d+, ip=127\.0\.0\.3\) filed by {pid}\n")
    assert serving.end() == 0


def test_replicas_that_come_and_go_share_one_worker_and_swallow_nothing(program, start):
    name = new_name()
    worker, q = start(tally, name=name, restart=True)
    for number in range(3):
        replica = program(REPLICA, name, f"from {number}")
        replica.says("has put")
        replica.end(signal.SIGKILL)
    for number in range(20):
        q.put(number, timeout=SECONDS)
    _, answers = start(idle)
    q.put(answers, timeout=SECONDS)
    # A replica that waits for an item may get one that was put while it lived, and nothing afterwards.
    found = answers.get(timeout=SECONDS)
    assert [each for each in found if isinstance(each, int)] == list(range(20))
    assert {each for each in found if isinstance(each, str)} <= {f"from {number}" for number in range(3)}
    assert worker.is_alive()


def test_a_connection_that_is_lost_is_made_again_and_work_with_a_name_goes_on(program, start):
    name = new_name()
    persisting = program(PERSISTS, name)
    persisting.says("has put")
    os.kill(gateway_of(persisting.process.pid), signal.SIGKILL)
    persisting.process.stdin.write(b"\n")
    persisting.process.stdin.flush()
    persisting.says("alive: True")
    _, q = start(tally, name=name)
    _, answers = start(idle)
    q.put(answers, timeout=SECONDS)
    assert answers.get(timeout=SECONDS) == ["before", "afterwards"]


def gateway_of(program):
    """The process id of what connects a program to the cluster."""
    (pid,) = (
        int(each)
        for each in Path(f"/proc/{program}/task/{program}/children").read_text().split()
        if b"gateway.py" in Path(f"/proc/{each}/cmdline").read_bytes()
    )
    return pid


def test_work_without_a_name_ends_with_its_program_even_by_sigkill(program):
    telling = program(TELLS)
    pid = int(telling.says(r"works in (\d+)")[1])
    telling.end(signal.SIGKILL)
    assert within(SECONDS, lambda: gone(pid))


def test_without_a_token_the_error_says_how_to_make_one(program, tmp_path):
    trying = program(TRIES, RAY_AUTH_TOKEN="", HOME=str(tmp_path))
    trying.says("no authentication token was found.*Make one with `ray get-auth-token --generate`")


def test_a_stranger_with_another_token_does_not_get_in(program):
    trying = program(TRIES, RAY_AUTH_TOKEN="0" * 64, RAY_NUM_REDIS_GET_RETRIES="2")
    trying.says("(?s)InvalidAuthToken.*cannot be reached.*the same token as its head")


def test_an_address_where_nobody_listens_is_told_soon(program):
    trying = program(TRIES, IZZATI_RAY_ADDRESS="127.0.0.1:1")
    trying.says("the Ray cluster at '127.0.0.1:1' cannot be reached: ConnectionRefusedError.*Its head must run there")


def test_auto_is_the_cluster_of_this_machine(program, cluster):
    telling = program(TELLS, IZZATI_RAY_ADDRESS="auto", RAY_ADDRESS=cluster.address)
    telling.says(r"works in (\d+)")
