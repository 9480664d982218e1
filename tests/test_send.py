"""``izzati send``: one call from a shell, for a person and for a program."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import JPEG, SECONDS
from hypothesis import given
from hypothesis import strategies as st

from izzati import Problem, Reply, file_return
from izzati.cli.items import UsageError, collect

COMMAND = [sys.executable, "-W", "error", "-m", "izzati", "send"]
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="it has no terminals of this kind")


@pytest.fixture
def send(nowhere):
    """``send(url, …)`` runs the command in an empty folder; what it did."""

    def run(*arguments, stdin=b"", **environment):
        return subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            env={**os.environ, **environment},
            capture_output=True,
            timeout=3 * SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def on_terminal(nowhere):
    """``on_terminal(url, …)`` runs the command on a terminal; its exit code, and what was seen there."""

    def run(*arguments, **environment):
        import pty  # noqa: PLC0415 - not on Windows

        master, terminal = pty.openpty()
        environ = {**os.environ, "TERM": "xterm", **environment}
        if "NO_COLOR" not in environment:
            environ.pop("NO_COLOR", None)
        command = [*COMMAND, *arguments]
        with subprocess.Popen(command, env=environ, stdin=terminal, stdout=terminal, stderr=terminal) as process:
            os.close(terminal)
            seen = b""
            try:
                while block := os.read(master, 65536):
                    seen += block
            except OSError:
                pass  # as Linux says that nobody has the other end any more
            os.close(master)
            code = process.wait(SECONDS)
        return code, seen.decode().replace("\r\n", "\n")

    return run


@pytest.fixture
def echo(serve):
    def callback(text, data):
        return {"text": text, "files": [[file.name, file.filename, file.content_type, file.size] for file in data]}

    return serve(callback)


def test_a_call_is_one_line(echo, send, photo):
    done = send(
        echo.url, "name=Rex", "age:=3", "owner.name=Ann", "--json", '{"owner": {"age": 40}}', "tags=a", "tags=b",
        f"photo=@{photo}", "--timeout", "20", "x==y",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    text = {"owner": {"age": 40, "name": "Ann"}, "name": "Rex", "age": 3, "tags": ["a", "b"], "x": "=y"}
    assert json.loads(done.stdout) == {"text": text, "files": [["photo", "rex.jpg", "image/jpeg", len(JPEG)]]}
    assert done.stdout.endswith(b"]]}\n")


def test_the_scheme_may_be_left_out(echo, send):
    assert json.loads(send(f"127.0.0.1:{echo.port}").stdout) == {"text": {}, "files": []}
    assert json.loads(send(f":{echo.port}/?a=b").stdout) == {"text": {"a": "b"}, "files": []}


@pytest.mark.parametrize(
    ("items", "text"),
    [
        (["a=1", "b:=1", "c:=null", "d="], {"a": "1", "b": 1, "c": None, "d": ""}),
        (["a.b.c=1", "a.b.d:=[2]"], {"a": {"b": {"c": "1", "d": [2]}}}),
        ([r"a\.b=1", r"c\=d=2", "e:f=3"], {"a.b": "1", "c=d": "2", "e:f": "3"}),
        ([r"a=\@b", r"c=\\@d", r"e=\f"], {"a": "@b", "c": r"\@d", "e": r"\f"}),
        (["a:=[1]", "a:=[2]", "a=x"], {"a": [[1], [2], "x"]}),
        (["a.b=new"], {"a": {"b": "new"}}),
    ],
)
def test_items_are_values_by_how_they_are_written(items, text):
    assert collect(items, {}) == (text, {})


@given(text=st.dictionaries(st.text(min_size=1), st.none() | st.integers() | st.text()))
def test_every_key_and_value_can_be_written_as_an_item(text):
    keys = {key: re.sub(r"[\\.=:]", r"\\\g<0>", key) for key in text}
    assert collect([f"{keys[key]}:={json.dumps(value)}" for key, value in text.items()], {}) == (text, {})
    strings = {key: value for key, value in text.items() if isinstance(value, str)}
    marked = {key: re.sub(r"\A(?=\\*@)", lambda _: "\\", value) for key, value in strings.items()}
    items = [f"{keys[key]}={value}" for key, value in marked.items()]
    assert collect(items, {}) == (strings, {})


def test_items_replace_what_json_has():
    assert collect(["a=new", "b.c=1"], {"a": ["old"], "b": {"d": 2}}) == ({"a": "new", "b": {"d": 2, "c": "1"}}, {})


def test_files_of_one_key_are_several():
    assert collect(["photo=@a.jpg", "photo=@b.jpg", "a.b=@c"], {}) == ({}, {"photo": ["a.jpg", "b.jpg"], "a.b": ["c"]})


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (["rex.jpg"], "'rex.jpg' is none of key=text, key:=JSON and key=@path"),
        (["=Rex"], "'=Rex' is none of"),
        ([":=3"], "':=3' is none of"),
        (["a:=three"], "a:= is not valid JSON: Expecting value: line 1 column 1 (char 0); text is written key=text"),
        (['dog:={"a": {"b": 1, "b": 2}}'], "dog:= is not valid JSON: the key 'b' is there twice"),
        (["photo=@"], "'photo=@' names no file; text that begins with an @ is written photo='\\@'"),
        (["age:=NaN"], "NaN is no value of JSON"),
        (["age:=1e999"], "1e999 is no value of JSON"),
        (["a=1", "a.b=2"], "a.b is to be within a, which has a value of its own"),
    ],
)
def test_what_is_no_item_is_told_with_what_is(items, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        collect(items, {})


def test_stdin_is_a_file_or_json(echo, send):
    assert json.loads(send(echo.url, "photo=@-", stdin=JPEG).stdout)["files"] == [
        ["photo", "stdin", "application/octet-stream", len(JPEG)]
    ]
    for item in (["--json", "@-"], ["name:=@-"]):
        done = send(echo.url, *item, stdin=b'{"a": [1]}')
        assert json.loads(done.stdout)["text"] in ({"a": [1]}, {"name": {"a": [1]}})


def test_headers_and_a_token_are_sent(serve, send, nowhere):
    (nowhere / "token").write_text("s3cret\n")
    served = serve(lambda text, data, *, request: [request.headers["X-Dog"], request.headers["Authorization"]])
    for token in ("s3cret", "@token"):
        done = send(served.url, "--header", "X-Dog: Rex", "--token", token)
        assert json.loads(done.stdout) == ["Rex", "Bearer s3cret"]


def test_a_file_goes_into_a_pipe_as_it_is(serve, send):
    served = serve(lambda text, data: file_return(JPEG, "rex.jpg"))
    assert send(served.url).stdout == JPEG
    assert send(served.url, "-o", "-").stdout == JPEG


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_json_in_a_pipe_ends_with_one_line_end(serve, send, end):
    served = serve(lambda text, data: file_return(b'{"a": 1}' + end, content_type="application/json"))
    assert send(served.url).stdout == b'{"a": 1}' + (end or b"\n")


def test_an_answer_is_written_where_it_is_asked_for(serve, send, nowhere):
    served = serve(lambda text, data: file_return(JPEG, "../rex.jpg") if text else {"a": 1})
    (nowhere / "photos").mkdir()
    assert send(served.url, "a=1", "-o", "reply.jpg").stdout == b""
    told = [send(served.url, "a=1", "--output", "photos").stderr.decode() for _ in range(2)]
    send(served.url, "-o", "value.json")
    written = {str(path.relative_to(nowhere)): path.read_bytes() for path in nowhere.rglob("*") if path.is_file()}
    names = {"reply.jpg": JPEG, str(Path("photos/rex.jpg")): JPEG, str(Path("photos/rex (2).jpg")): JPEG}
    assert written == {**names, "value.json": b'{"a":1}'}
    saved = [f"izzati: saved {Path('photos', name)}, {len(JPEG)} bytes" for name in ("rex.jpg", "rex (2).jpg")]
    assert [line.strip() for line in told] == saved


def refuse(text, data):
    if "status" in text:
        return Reply({"error": "no dog"}, status=int(text["status"]))
    raise Problem(409, "The dog is\x1b[31m out.", hint="Wait.")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 4, r"izzati: 409 Conflict: The dog is\\u001b\[31m out\. Wait\. \(request \w+\)\n"),
        (["status=500"], 5, r'izzati: 500 Internal Server Error \(request \w+\)\n{\n  "error": "no dog"\n}\n'),
        (["status=304"], 3, r"izzati: 304 Not Modified \(request \w+\)\n"),
        (["rex.jpg"], 2, r"izzati: 'rex\.jpg' is none of key=text, key:=JSON and key=@path\n"),
        (["--json", "{bad"], 2, r"izzati: --json is not valid JSON: Expecting property name [^;]*\n"),
        (["--json", "[]"], 2, r"izzati: --json takes an object, .*\n"),
        (["--header", "X"], 2, r"izzati: a header is written as 'Name: value', not 'X'\n"),
        (["-o", "no/such/folder"], 2, r"izzati: -o no/such/folder: there is no such folder\n"),
        (["--timeout", "-1"], 2, r"(?s)usage: .*--timeout: -1 is no time to wait; give seconds, such as 2\.5\n"),
        (["--fast"], 2, r"(?s)usage: .*unrecognized arguments: --fast\n"),
        (["photo=@no.jpg"], 1, r"izzati: no\.jpg: No such file or directory\n"),
    ],
)
def test_what_went_wrong_is_a_sentence_and_an_exit_code(serve, send, arguments, code, told):
    done = send(serve(refuse).url, *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert re.fullmatch(told, done.stderr.decode().replace("\r\n", "\n")), done.stderr


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("ftp://localhost", 2, "'ftp://localhost' is no URL of HTTP, such as http://localhost:5020"),
        ("http://127.0.0.1:9", 3, "http://127.0.0.1:9 cannot be reached: Connection refused."),
    ],
)
def test_a_server_that_cannot_be_called_is_told_apart_from_one_that_refuses(send, url, code, told):
    done = send(url)
    assert (done.returncode, done.stderr.decode()) == (code, f"izzati: {told}\n")


def test_without_the_extra_it_says_how_to_install_it():
    code = "import sys; sys.modules['urllib3'] = None; from izzati.cli import main; sys.exit(main(['send', ':1']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("an extra of izzati; in a clone of it: pip install '.[client]'\n")


@on_posix
def test_a_person_sees_a_value_indented_and_in_colour(serve, on_terminal):
    served = serve(lambda text, data: {"name": "Zoë", "odd": "\x9b31m\u202e", **text})
    code, seen = on_terminal(served.url, "age:=3")
    assert code == 0
    assert "\x1b[" in seen
    plain = '{\n  "name": "Zoë",\n  "odd": "\\u009b31m\\u202e",\n  "age": 3\n}\n'
    assert re.sub(r"\x1b\[[\d;]*m", "", seen) == plain
    assert on_terminal(served.url, "age:=3", NO_COLOR="1") == (0, plain)


@on_posix
def test_a_person_sees_text_and_finds_a_file_beside(serve, on_terminal, nowhere):
    replies = {"text": file_return("Sit!\r\n\x1b[31mZoë".encode(), "notes.txt"), "photo": file_return(JPEG, "rex.jpg")}
    served = serve(lambda text, data: replies[text["what"]])
    assert on_terminal(served.url, "what=text") == (0, "Sit!\n\\u001b[31mZoë\n")
    assert on_terminal(served.url, "what=photo") == (0, f"izzati: saved rex.jpg, {len(JPEG)} bytes\n")
    assert (nowhere / "rex.jpg").read_bytes() == JPEG


class Slow(io.BytesIO):
    """A file of unknown size that takes longer than what has no bar."""

    def read(self, size=-1):
        threading.Event().wait(0.3)
        return super().read(size)

    def seekable(self):
        return False


@on_posix
def test_a_person_sees_slow_text_and_no_bar_amid_it(serve, on_terminal):
    served = serve(lambda text, data: file_return(Slow(b"tick\n" * 100_000), "ticks.txt"))
    assert on_terminal(served.url) == (0, "tick\n" * 100_000)


@on_posix
def test_a_person_sees_how_a_slow_download_goes(serve, on_terminal, nowhere):
    served = serve(lambda text, data: file_return(Slow(bytes(1 << 20)), "film.mp4"))
    code, seen = on_terminal(served.url, "-o", "film.mp4")
    assert code == 0
    assert re.search(r"receiving 1 MiB, [\d.]+ [KM]iB/s\x1b\[K\n$", seen), seen
    assert (nowhere / "film.mp4").stat().st_size == 1 << 20
