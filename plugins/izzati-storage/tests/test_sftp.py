"""SFTP: whom it trusts, and what becomes of connections."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import MEBIBYTE, RAW, form, locations, named, pattern, wait_for
from izzati_storage import Store

from izzati import file_return


@pytest.fixture
def store(ssh, tmp_path):
    """``store(…)`` makes a plugin that sends uploads to a folder of the server."""

    def make(**options):
        return Store(f"{ssh.url}{tmp_path}/uploads", options={"sftp": {**ssh.options, **options}})

    return make


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, 100_000, 4 * MEBIBYTE + 1])
def test_an_upload_of_any_size_is_a_file(serve, store, tmp_path, size):
    answer = serve(locations, plugins=[store()]).request(*form(("photo.png", pattern(1, size))))
    (path,) = files(tmp_path)
    assert answer.json[0].endswith(str(path))
    assert path.read_bytes() == pattern(1, size)


@pytest.mark.parametrize("known", ["", "another host", "another key", "no file"])
def test_a_server_whose_key_is_not_known_gets_nothing_and_the_log_says_what_to_do(
    serve, store, ssh, tmp_path, caplog, known
):
    hosts = tmp_path / "hosts"
    if known != "no file":
        text = (ssh.folder / "known_hosts").read_text() if known else ""
        if known == "another host":
            text = text.replace("127.0.0.1", "192.0.2.1")
        if known == "another key":
            text = " ".join([*text.split()[:2], *(ssh.folder / "user_key.pub").read_text().split()[1:2]])
        hosts.write_text(text)
    answer = serve(locations, plugins=[store(known_hosts=str(hosts))]).request(b"x", RAW)
    assert answer.status == 503
    assert re.search(rf"SHA256:\S+, is not in {hosts}.*ssh-keyscan.*known_hosts", caplog.text)
    assert not (tmp_path / "uploads").exists()


def test_a_wrong_key_is_a_503(serve, store, ssh, tmp_path, caplog):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    assert serve(locations, plugins=[store(key_filename=str(tmp_path / "key"))]).request(b"x", RAW).status == 503
    assert "Authentication failed" in caplog.text


def test_a_connection_is_used_again_and_made_anew_when_the_server_has_hung_up(serve, store, ssh):
    served = serve(locations, plugins=[store()])
    ssh.hang_up()
    for _ in range(3):
        assert served.request(b"x", RAW).status == 200
    assert len(ssh.processes) == 1
    ssh.hang_up()
    assert served.request(b"x", RAW).status == 200


def test_a_connection_that_breaks_in_the_middle_is_a_503_and_the_next_upload_works(serve, store, ssh, tmp_path):
    served = serve(locations, plugins=[store()])
    content = pattern(2, 8 * MEBIBYTE)
    with served.connect() as sock:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
        sock.sendall(head % len(content) + content[: 4 * MEBIBYTE])
        wait_for(lambda: files(tmp_path))
        ssh.hang_up()
        sock.sendall(content[4 * MEBIBYTE :])
        assert b"503" in sock.recv(100)
    assert served.request(b"whole", RAW).status == 200
    served.stop()
    assert [path.read_bytes() for path in files(tmp_path)] == [b"whole"]


def test_a_hundred_uploads_that_are_all_read_take_few_connections(serve, store, ssh):
    served = serve(lambda text, data: sum(len(file.read()) for file in data), plugins=[store()])
    ssh.hang_up()
    assert served.request(*form(*((f"{number}.txt", b"abc") for number in range(100)))).json == 300
    assert len(ssh.processes) <= 2


def test_many_at_once_save_and_send_files_without_mixing_them(serve, ssh, tmp_path):
    (tmp_path / "in").mkdir()

    def callback(text, data):
        return file_return(data[0].save(f"{ssh.url}{tmp_path}/in/"))

    served = serve(callback, plugins=[Store(options={"sftp": ssh.options})])
    contents = [pattern(seed, 300_000 + seed) for seed in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda content: served.request(content, named("photo.png")), contents))
    assert [answer.body == content for answer, content in zip(answers, contents, strict=True)] == [True] * 12
    assert len(files(tmp_path)) == 12


def test_a_folder_to_save_in_must_be_there(serve, ssh, tmp_path):
    def callback(text, data):
        with pytest.raises(FileNotFoundError):
            data[0].save(f"{ssh.url}{tmp_path}/missing/")
        return "told"

    assert serve(callback, plugins=[Store(options={"sftp": ssh.options})]).request(b"x", RAW).json == "told"
