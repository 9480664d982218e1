"""Names and passwords out of an htpasswd file."""

from __future__ import annotations

import base64
import itertools
import os
import queue
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from issuing import SECONDS, basic, entry
from izzati_auth import Auth
from izzati_auth.htpasswd import Htpasswd
from werkzeug.test import Client

from izzati import Backend, Problem


def who(text, data, *, request):
    return request.identity.name


@pytest.fixture
def served(serve, passwords):
    return serve(who, plugins=[Auth(htpasswd=passwords, failures="")])


def ask(served, name, password):
    return served.request(headers=basic(name, password))


def raw(data):
    return {"Authorization": f"Basic {base64.b64encode(data).decode()}"}


def test_a_name_and_its_password_get_in_whatever_their_letters(served):
    assert ask(served, "ann", "a cat").json == "ann"
    assert ask(served, "jürgen", "größe: 1").json == "jürgen"


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "größe: 1"), ("Ann", "a cat"), ("ann", ""), ("", ""), ("", "a cat")]
)
def test_a_name_with_a_password_that_is_not_its_own_is_refused(served, name, password):
    answer = ask(served, name, password)
    assert (answer.status, answer.json["detail"]) == (401, "This name and password are not known.")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="izzati", charset="UTF-8"'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("größe".encode("latin-1") + b":x", "UTF-8"),
        (b"ann", "colon"),
        (b"", "colon"),
        (b"ann:a cat\n", "control characters"),
        (b"ann:a cat\0", "control characters"),
        (b"ann\r:a cat", "control characters"),
        ("ann:a cat\x85".encode(), "control characters"),
    ],
)
def test_what_is_malformed_is_refused_with_what_is_wrong(served, data, why):
    answer = served.request(headers=raw(data))
    assert (answer.status, why in answer.json["detail"]) == (401, True)


@pytest.mark.parametrize("sent", ["Basic", "Basic !", "Basic YW5uOmEg Y2F0", "Basic YW5uOmEgY2F"])
def test_what_is_no_base64_is_refused(served, sent):
    assert served.request(headers={"Authorization": sent}).status == 401


def test_a_password_longer_than_bcrypt_can_compare_is_refused_and_not_cut_off(serve, tmp_path):
    path = tmp_path / "htpasswd"
    path.write_text(entry("ann", "x" * 72) + entry("bob", "ü" * 36))
    served = serve(who, plugins=[Auth(htpasswd=path)])
    assert ask(served, "ann", "x" * 72).json == "ann"
    assert ask(served, "bob", "ü" * 36).json == "bob"
    for name in ("ann", "nobody"):
        answer = ask(served, name, "x" * 73)
        assert (answer.status, "72 bytes" in answer.json["detail"]) == (401, True)


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
def test_every_name_of_bcrypt_is_taken(serve, tmp_path, prefix):
    path = tmp_path / "htpasswd"
    path.write_bytes((entry("ann", "a cat").replace("$2y$", f"${prefix}$").strip() + "  \r\n").encode())
    assert ask(serve(who, plugins=[Auth(htpasswd=path)]), "ann", "a cat").json == "ann"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no entry"),
        ("# nobody yet\n\n", "no entry"),
        ("ann:$apr1$WEXbQ0C6$y3QZ8W9yS3Kk1aPZ0Z1yN.\n", "line 1: the entry of 'ann' is not bcrypt; .* htpasswd -B"),
        ("ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n", "line 1: the entry of 'ann' is not bcrypt"),
        ("# x\nann:plain\n", "line 2: the entry of 'ann' is not bcrypt"),
        ("ann:\n", "line 1: the entry of 'ann' is not bcrypt"),
        (entry("ann", "x").replace("$04$", "$31$"), "is not bcrypt"),
        (entry("ann", "x").replace("$2y$", "$2x$"), "is not bcrypt"),
        (entry("ann", "x").strip()[:-1], "is not bcrypt"),
        (entry("ann", "x") + entry("ann", "y"), "line 2: 'ann' is there twice"),
        ("$2y$04$plain\n", "line 1 is not name:entry"),
        (":" + entry("", "x").strip(":"), "line 1 is not name:entry"),
        (b"\xff:x", "utf-8"),
    ],
    ids=itertools.count(),  # entries are others in each process, of which pytest may run several
)
def test_a_file_that_cannot_be_used_is_refused_at_the_start_and_its_entries_are_not_repeated(tmp_path, text, why):
    path = tmp_path / "htpasswd"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=why) as refused:
        Auth(htpasswd=path)
    assert "$" not in str(refused.value)
    assert "plain" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused_at_the_start(tmp_path):
    with pytest.raises(ValueError, match=r"htpasswd: .*No such file"):
        Auth(htpasswd=tmp_path / "none")
    with pytest.raises(ValueError, match=r"htpasswd: .*Is a directory"):
        Auth(htpasswd=tmp_path)


def test_who_is_added_gets_in_and_who_is_removed_does_not_any_more(served, passwords):
    assert [ask(served, *each).status for each in (("ann", "a cat"), ("bob", "a dog"))] == [200, 401]
    passwords.write_text(entry("bob", "a dog") + entry("eve", "no one"))
    assert [ask(served, *each).status for each in (("ann", "a cat"), ("bob", "a dog"))] == [401, 200]
    replacement = passwords.with_name("new")
    replacement.write_text(entry("ann", "a new cat"))
    os.replace(replacement, passwords)
    answers = [ask(served, *each).status for each in (("bob", "a dog"), ("ann", "a cat"), ("ann", "a new cat"))]
    assert answers == [401, 401, 200]


@pytest.mark.parametrize("broken", [b"ann:plain text\n", b"", b"\xff", None])
def test_while_the_file_is_broken_nobody_gets_in_and_the_log_says_why_once(serve, passwords, caplog, broken):
    served = serve(who, plugins=[Auth(htpasswd=passwords, tokens=["another-way"])])
    right = passwords.read_bytes()
    assert ask(served, "ann", "a cat").status == 200
    if broken is None:
        passwords.unlink()
    else:
        passwords.write_bytes(broken)
    for _ in range(2):
        answer = ask(served, "ann", "a cat")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        assert str(passwords) not in answer.body.decode()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert str(passwords) in caplog.text
    assert served.request(headers={"Authorization": "Bearer another-way"}).status == 200
    passwords.write_bytes(right)
    assert ask(served, "ann", "a cat").status == 200


@pytest.fixture
def computed(passwords):
    """Ask with a name and a password; returns the status, and how often bcrypt was computed for it."""
    client = Client(Backend(who, plugins=[Auth(htpasswd=passwords, failures="")], only=[]))

    def ask(name, password):
        calls = []
        sys.setprofile(lambda frame, event, called: calls.append(called) if event == "c_call" else None)
        try:
            status = client.post("/", headers=basic(name, password)).status_code
        finally:
            sys.setprofile(None)
        return status, calls.count(bcrypt.checkpw)

    return ask


def test_a_password_that_was_right_is_not_computed_again_at_once_and_a_wrong_one_always_is(computed, passwords):
    """Otherwise a client that calls often would cost a processor of its own."""
    assert [computed("ann", "a cat") for _ in range(3)] == [(200, 1), (200, 0), (200, 0)]
    assert [computed("ann", "a dog") for _ in range(2)] == [(401, 1), (401, 1)]
    assert computed("ann", "a cat") == (200, 0)
    passwords.write_text(entry("ann", "a cat") + entry("new", "x"))
    assert computed("ann", "a cat") == (200, 1)


def test_a_password_that_was_right_is_forgotten_after_a_minute(passwords):
    seconds, checked = [0.0], []
    file = Htpasswd(passwords, clock=lambda: seconds[0])
    for moment in (0, 59.9, 60, 119.9, 120):
        seconds[0] = moment
        file.require("ann", b"a cat", before=lambda moment=moment: checked.append(moment))
    assert checked == [0, 60, 120]


def test_a_stranger_costs_as_much_as_who_has_an_entry(computed):
    """Otherwise the time that a refusal takes would tell which names there are."""
    assert computed("ann", "a dog") == computed("nobody", "a dog") == computed("", "") == (401, 1)


def test_a_stranger_does_not_get_in_by_the_password_of_somebody(serve, tmp_path):
    path = tmp_path / "htpasswd"
    path.write_text(entry("ann", "a cat"))
    served = serve(who, plugins=[Auth(htpasswd=path, failures="")])
    for _ in range(2):
        assert ask(served, "ann", "a cat").status == 200
        assert ask(served, "stranger", "a cat").status == 401


def test_of_many_guesses_at_once_few_wait_and_the_others_are_asked_to_come_back_at_once(passwords):
    """Otherwise every thread of a server would wait with them, and callers who need no check would, too."""
    file = Htpasswd(passwords)
    may_go_on, refusals, begun, right = threading.Event(), queue.Queue(), [], []

    def before():
        begun.append(True)
        may_go_on.wait(SECONDS)

    def check():
        try:
            file.require("ann", b"a cat", before)
        except Problem as refused:
            refusals.put((refused.code, refused.headers["Retry-After"]))
        else:
            right.append(True)

    threads = [threading.Thread(target=check) for _ in range(20)]
    for thread in threads:
        thread.start()
    try:
        assert [refusals.get(timeout=SECONDS / 4) for _ in range(12)] == [(503, "5")] * 12
        assert len(begun) <= at_once()
    finally:
        may_go_on.set()
        for thread in threads:
            thread.join(SECONDS)
    assert (len(right), refusals.qsize()) == (8, 0)
    file.require("ann", b"a cat")


def at_once():
    """Passwords that are checked at a time: half of the cores are for others."""
    return max(1, (os.cpu_count() or 1) // 2)


def test_requests_of_one_caller_at_once_are_one_check(tmp_path):
    """A browser opens six connections at once."""
    path = tmp_path / "htpasswd"
    path.write_text(entry("ann", "a cat", cost=10))  # so long that the others come meanwhile
    file = Htpasswd(path)
    together, checked = threading.Barrier(6), []

    def check():
        together.wait(SECONDS)
        file.require("ann", b"a cat", before=lambda: checked.append(True))

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(check) for _ in range(6)]:
            done.result(SECONDS)
    assert 1 <= len(checked) <= at_once()


def test_while_strangers_guess_at_once_a_token_gets_in_and_guesses_that_may_not_wait_are_a_503(serve, tmp_path):
    path = tmp_path / "htpasswd"
    path.write_text(f"ann:{bcrypt.hashpw(b'a cat', bcrypt.gensalt(10)).decode()}\n")
    served = serve(who, plugins=[Auth(htpasswd=path, tokens={"bob": "a-token"}, failures="")])
    with ThreadPoolExecutor(40) as pool:
        guesses = [pool.submit(ask, served, "ann", f"{number}") for number in range(40)]
        assert served.request(headers={"Authorization": "Bearer a-token"}).json == "bob"
        answers = [guess.result() for guess in guesses]
    assert {answer.status for answer in answers} == {401, 503}
    refused = next(answer for answer in answers if answer.status == 503)
    assert (refused.json["detail"], refused.headers["Retry-After"]) == (
        "Too many passwords are being checked. Try again later.",
        "5",
    )


def test_many_at_once_are_told_apart_while_the_file_changes(serve, passwords):
    served = serve(who, plugins=[Auth(htpasswd=passwords, failures="")])
    lines = entry("ann", "a cat") + entry("jürgen", "größe: 1")
    done = threading.Event()

    def call(number):
        name, password = (("ann", "a cat"), ("jürgen", "größe: 1"))[number % 2]
        assert ask(served, name, password).json == name
        assert ask(served, name, "wrong").status == 401

    def change():
        number = 0
        while not done.is_set():
            number += 1
            new = passwords.with_name("new")
            new.write_text(lines + entry(f"n{number}", "x"))
            os.replace(new, passwords)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, range(40)))
    finally:
        done.set()
        changing.join(SECONDS)


@pytest.mark.skipif(shutil.which("htpasswd") is None, reason="htpasswd is not installed (apache2-utils)")
def test_a_file_that_htpasswd_makes_is_taken_with_bcrypt_and_refused_with_anything_else(serve, tmp_path):
    path = tmp_path / "callers"
    subprocess.run(["htpasswd", "-B", "-b", "-c", path, "ann", "größe: 1"], check=True, capture_output=True)
    assert ask(serve(who, plugins=[Auth(htpasswd=path)]), "ann", "größe: 1").json == "ann"
    for kind in ("-m", "-s", "-d", "-p"):
        subprocess.run(["htpasswd", kind, "-b", "-c", path, "ann", "a cat"], check=True, capture_output=True)
        with pytest.raises(ValueError, match="line 1: the entry of 'ann' is not bcrypt"):
            Auth(htpasswd=path)


PRINTABLE = st.characters(exclude_categories=["Cc", "Cs"])


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.text(PRINTABLE, min_size=1, max_size=20), st.text(PRINTABLE, max_size=18))
def test_whatever_name_and_password_are_taken_get_in(tmp_path, name, password):
    line = entry(name, password)
    if ":" in name or name != name.strip() or name.startswith("#"):
        return
    path = tmp_path / "htpasswd"
    path.write_text(line, "utf-8")
    client = Client(Backend(who, plugins=[Auth(htpasswd=path)], only=[]))
    answer = client.post("/", headers=basic(name, password))
    assert (answer.status_code, answer.json) == (200, name)


def test_the_file_is_found_after_the_program_has_gone_to_another_folder(serve, passwords, tmp_path, monkeypatch):
    monkeypatch.chdir(passwords.parent)
    served = serve(who, plugins=[Auth(htpasswd="htpasswd")])
    monkeypatch.chdir("/")
    assert ask(served, "ann", "a cat").status == 200
